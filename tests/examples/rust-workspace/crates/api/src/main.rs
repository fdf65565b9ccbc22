#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let _ = std::fs::read_dir("migrations");
    actix_web::HttpServer::new(actix_web::App::new).bind(("0.0.0.0", 7070))?.run().await
}
