//! The way to the front door, which may come later than the port: a node that looks for others says so meanwhile.

use std::sync::{Arc, OnceLock};

use actix_web::{HttpRequest, HttpResponse, web};

use tokio::sync::watch;

use super::error::{Failure, UNAVAILABLE};
use super::{Api, json, openapi};
use crate::metrics;

const WAITS: &str = "the node waits for others of its cluster";

/// Leads to the front door once it is there. Cheap to clone: every HTTP worker has one.
#[derive(Clone)]
pub struct Doorway {
    door: Arc<OnceLock<Api>>,
    /// For what, as far as that has been said.
    waits_for: watch::Receiver<String>,
}

impl Doorway {
    /// One without a door behind it; meanwhile callers hear what the node waits for.
    pub fn new(waits_for: watch::Receiver<String>) -> Self {
        Self { door: Arc::default(), waits_for }
    }

    /// From now on requests are answered by this door; the first one stays.
    pub fn open(&self, api: Api) {
        let _ = self.door.set(api);
    }

    /// Mounts everything. The path is matched here and not by a router: there is one shape of it.
    pub fn routes(&self, routes: &mut web::ServiceConfig) {
        let doorway = self.clone();
        routes.default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
            let doorway = doorway.clone();
            async move {
                match doorway.door.get() {
                    Some(api) => api.answer(&request, payload).await,
                    None => not_yet(request.uri().path(), &doorway.waits_for.borrow()),
                }
            }
        }));
    }
}

fn not_yet(path: &str, waits_for: &str) -> HttpResponse {
    match path {
        "/healthz" => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n"),
        "/readyz" => {
            let reason = if waits_for.is_empty() { String::new() } else { format!(": {waits_for}") };
            let body = format!("{WAITS}{reason}\n");
            HttpResponse::ServiceUnavailable().content_type("text/plain; charset=utf-8").body(body)
        }
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
        assert_eq!(not_yet("/healthz", "").status(), StatusCode::OK);
        assert_eq!(not_yet("/readyz", "3 nodes").status(), StatusCode::SERVICE_UNAVAILABLE);
        // The admin plane answers 200 with a code, whatever became of the request.
        assert_eq!(not_yet("/v4/group_open_http_svc/create_group", "").status(), StatusCode::OK);
    }
}
