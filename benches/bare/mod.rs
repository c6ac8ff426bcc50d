//! The barest HTTP service that could stand in Muster's place: it reads the body and answers the shortest good answer.

use std::net::TcpListener;

use actix_web::{App, HttpResponse, HttpServer, web};

/// HTTP workers of a node on two cores.
const WORKERS: usize = 2;
pub const ANSWER: &str = r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}"#;

async fn echo(body: web::Bytes) -> HttpResponse {
    // Read, as every service must; what it says does not matter.
    std::hint::black_box(body.len());
    HttpResponse::Ok().content_type("application/json").body(ANSWER)
}

/// Serves until the process ends.
pub fn serve(listener: TcpListener) {
    let service = || App::new().default_service(web::to(echo));
    let server = HttpServer::new(service).workers(WORKERS).disable_signals();
    actix_web::rt::System::new()
        .block_on(server.listen(listener).expect("the socket can be listened on").run())
        .expect("the service runs until the process ends");
}
