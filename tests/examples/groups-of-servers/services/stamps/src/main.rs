#[tokio::main]
async fn main() {
    warp::serve(warp::any()).run(([0, 0, 0, 0], 3031)).await;
}
