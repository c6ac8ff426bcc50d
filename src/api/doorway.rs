//! The way to the front door, which may come later than the port: a node that looks for others says so meanwhile. And it
//! may be shut before the port: a node that is about to stop answers, and takes leave of each connection with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use actix_web::http::ConnectionType;
use actix_web::{HttpRequest, HttpResponse, web};

use super::error::{Failure, UNAVAILABLE};
use super::{Api, json, openapi};
use crate::metrics;

const WAITS: &str = "the node waits for others of its cluster";
const STOPS: &str = "the node is being stopped";

/// Leads to the front door once it is there. Cheap to clone: every HTTP worker has one.
#[derive(Clone, Default)]
pub struct Doorway(Arc<Way>);

#[derive(Default)]
struct Way {
    door: OnceLock<Api>,
    is_closing: AtomicBool,
}

impl Doorway {
    /// From now on requests are answered by this door; the first one stays.
    pub fn open(&self, api: Api) {
        let _ = self.0.door.set(api);
    }

    /// From now on every answer is the last one of its connection, and `/readyz` sends callers elsewhere.
    pub fn close(&self) {
        self.0.is_closing.store(true, Ordering::Relaxed);
    }

    async fn answer(&self, request: &HttpRequest, payload: web::Payload) -> HttpResponse {
        let is_closing = self.0.is_closing.load(Ordering::Relaxed);
        let mut response = match self.0.door.get() {
            Some(_) if is_closing && request.uri().path() == "/readyz" => not_ready(STOPS),
            Some(api) => api.answer(request, payload).await,
            None => not_yet(request.uri().path()),
        };
        if is_closing {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        response
    }

    /// Mounts everything. The path is matched here and not by a router: there is one shape of it.
    pub fn routes(&self, routes: &mut web::ServiceConfig) {
        let doorway = self.clone();
        routes.default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
            let doorway = doorway.clone();
            async move { doorway.answer(&request, payload).await }
        }));
    }
}

fn not_ready(why: &str) -> HttpResponse {
    HttpResponse::ServiceUnavailable().content_type("text/plain; charset=utf-8").body(format!("{why}\n"))
}

fn not_yet(path: &str) -> HttpResponse {
    match path {
        "/healthz" => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n"),
        "/readyz" => not_ready(WAITS),
        "/metrics" => HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(metrics::get().render()),
        "/openapi.json" => HttpResponse::Ok().content_type("application/json").body(openapi::document()),
        _ => {
            let failure = Failure::new(UNAVAILABLE, format!("unavailable: {WAITS}"));
            HttpResponse::Ok().content_type("application/json; charset=utf-8").body(json::failure(&failure))
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;

    use super::*;

    #[test]
    fn a_node_that_waits_says_so_everywhere() {
        assert_eq!(not_yet("/healthz").status(), StatusCode::OK);
        assert_eq!(not_yet("/readyz").status(), StatusCode::SERVICE_UNAVAILABLE);
        // The admin plane answers 200 with a code, whatever became of the request.
        assert_eq!(not_yet("/v4/group_open_http_svc/create_group").status(), StatusCode::OK);
    }
}
