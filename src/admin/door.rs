//! The admin endpoint: an HTTP port of its own, opened by a key of its own.
//!
//! Whoever does not show the key learns nothing, not even which paths there are. Requests have no bodies; answers are
//! JSON, and HTTP statuses mean what they say.

use std::sync::{Arc, OnceLock};

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Admin;

const SCHEME: &str = "Bearer ";
const WAITS: &str = "the node is starting, or waits for others of its cluster";

/// Leads to the node's admin once there is one. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    /// Of the key: so a comparison takes as long for every text, whatever its length.
    digest: Arc<[u8; 32]>,
    admin: Arc<OnceLock<Arc<Admin>>>,
}

#[derive(Serialize)]
struct Refusal<'a> {
    error: &'a str,
}

impl Door {
    pub fn new(key: &str) -> Self {
        Self { digest: Arc::new(Sha256::digest(key).into()), admin: Arc::default() }
    }

    /// From now on requests are answered; the first one stays.
    pub fn open(&self, admin: Arc<Admin>) {
        let _ = self.admin.set(admin);
    }

    /// Mounts everything.
    pub fn routes(&self, routes: &mut web::ServiceConfig) {
        let door = self.clone();
        routes.default_service(web::to(move |request: HttpRequest| {
            let door = door.clone();
            async move { door.answer(&request).await }
        }));
    }

    async fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if !self.is_opened_by(shown) {
            return refusal(StatusCode::UNAUTHORIZED, "unauthorized");
        }
        let Some(admin) = self.admin.get() else { return refusal(StatusCode::SERVICE_UNAVAILABLE, WAITS) };
        match (request.method(), request.path()) {
            (&Method::GET, "/admin/status") => HttpResponse::Ok().json(admin.status().await),
            (&Method::POST, "/admin/doctor") => HttpResponse::Accepted().json(admin.call_doctor()),
            (&Method::GET, "/admin/doctor") => match admin.doctor_run() {
                Some(run) => HttpResponse::Ok().json(run),
                None => refusal(StatusCode::NOT_FOUND, "no doctor has been called yet: POST /admin/doctor"),
            },
            _ => refusal(StatusCode::NOT_FOUND, "there are GET /admin/status, POST and GET /admin/doctor"),
        }
    }

    fn is_opened_by(&self, shown: Option<&str>) -> bool {
        let Some(key) = shown.and_then(|shown| shown.strip_prefix(SCHEME)) else { return false };
        let digest: [u8; 32] = Sha256::digest(key).into();
        digest.ct_eq(&*self.digest).into()
    }
}

fn refusal(status: StatusCode, error: &str) -> HttpResponse {
    HttpResponse::build(status).json(Refusal { error })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn one_key_opens_the_door() {
        let door = Door::new("sesame");
        assert!(door.is_opened_by(Some("Bearer sesame")));
        for other in [None, Some(""), Some("sesame"), Some("Bearer "), Some("Bearer sesame "), Some("Basic sesame")] {
            assert!(!door.is_opened_by(other), "{other:?}");
        }
    }

    #[actix_rt::test]
    async fn whoever_has_no_key_learns_nothing() {
        let door = Door::new("sesame");
        let status = async |request: TestRequest| door.answer(&request.to_http_request()).await.status();
        for path in ["/admin/status", "/", "/elsewhere"] {
            assert_eq!(status(TestRequest::with_uri(path)).await, StatusCode::UNAUTHORIZED, "{path}");
        }
        let keyed = TestRequest::with_uri("/admin/status").insert_header(("Authorization", "Bearer sesame"));
        assert_eq!(status(keyed).await, StatusCode::SERVICE_UNAVAILABLE, "the node is not there yet");
    }
}
