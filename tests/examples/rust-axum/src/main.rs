#[tokio::main]
async fn main() {
    let port = std::env::var("PORT").unwrap_or_else(|_| "3100".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("0.0.0.0:{port}")).await.unwrap();
    axum::serve(listener, axum::Router::new()).await.unwrap();
}
