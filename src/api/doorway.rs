//! The way to the front door, which may come later than the port: a node that looks for others says so meanwhile. And it
//! may be shut before the port: a node that is about to stop answers, and takes leave of each connection with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use actix_web::http::ConnectionType;
use actix_web::{HttpRequest, HttpResponse, web};
use tokio::sync::watch;

use super::error::{Failure, UNAVAILABLE};
use super::{Api, json, openapi};
use crate::metrics;

const STARTS: &str = "the node is starting: it reads its data folder";
const WAITS: &str = "the node waits for others of its cluster";
const STOPS: &str = "the node is being stopped";

/// Leads to the front door once it is there. Cheap to clone: every HTTP worker has one.
#[derive(Clone)]
pub struct Doorway {
    door: Arc<OnceLock<Api>>,
    is_closing: Arc<AtomicBool>,
    /// For what, as far as that has been said.
    waits_for: watch::Receiver<String>,
}

impl Doorway {
    /// One without a door behind it; meanwhile callers hear what the node waits for.
    pub fn new(waits_for: watch::Receiver<String>) -> Self {
        Self { door: Arc::default(), is_closing: Arc::default(), waits_for }
    }

    /// From now on requests are answered by this door; the first one stays.
    pub fn open(&self, api: Api) {
        let _ = self.door.set(api);
    }

    /// From now on every answer is the last one of its connection, and `/readyz` sends callers elsewhere.
    pub fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    async fn answer(&self, request: &HttpRequest, payload: web::Payload) -> HttpResponse {
        let is_closing = self.is_closing.load(Ordering::Relaxed);
        let mut response = match self.door.get() {
            Some(_) if is_closing && request.uri().path() == "/readyz" => not_ready(STOPS),
            Some(api) => api.answer(request, payload).await,
            None => not_yet(request.uri().path(), &self.waits_for.borrow()),
        };
        // Whoever offers another protocol with a request (h2c, say) gets its answer in this one, and the connection ends
        // with it: that is to be said, or the next request would be lost.
        if is_closing || request.head().upgrade() {
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

fn not_yet(path: &str, waits_for: &str) -> HttpResponse {
    match path {
        "/healthz" => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n"),
        "/readyz" if waits_for.is_empty() => not_ready(STARTS),
        "/readyz" => not_ready(&format!("{WAITS}: {waits_for}")),
        "/metrics" => HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(metrics::get().render()),
        "/openapi.json" => HttpResponse::Ok().content_type("application/json").body(openapi::document()),
        _ => {
            let why = if waits_for.is_empty() { STARTS } else { WAITS };
            let failure = Failure::new(UNAVAILABLE, format!("unavailable: {why}"));
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
        assert_eq!(not_yet("/healthz", "").status(), StatusCode::OK);
        assert_eq!(not_yet("/readyz", "3 nodes").status(), StatusCode::SERVICE_UNAVAILABLE);
        // The admin plane answers 200 with a code, whatever became of the request.
        assert_eq!(not_yet("/v4/group_open_http_svc/create_group", "").status(), StatusCode::OK);
    }
}
