//! For those who run a node: is it alive, does it serve, how does it fare, how is it set. And what it can be asked.
//!
//! Here HTTP statuses mean what they say. Nothing secret is answered, and nothing needs a signature.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};

use super::admission::Lane;
use super::{Door, openapi};
use crate::metrics;

/// Answers the request if it is one of ours.
pub(super) fn answer(door: &Door, request: &HttpRequest) -> Option<HttpResponse> {
    let answer: fn(&Door) -> HttpResponse = match request.uri().path() {
        "/healthz" => |_| text("ok\n".to_owned()),
        "/readyz" => ready,
        "/metrics" => metrics,
        "/settings" => settings,
        "/openapi.json" => |_| HttpResponse::Ok().content_type("application/json").body(openapi::document()),
        _ => return None,
    };
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Some(HttpResponse::MethodNotAllowed().insert_header(("Allow", "GET, HEAD")).finish());
    }
    Some(answer(door))
}

fn text(text: String) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(text)
}

fn ready(door: &Door) -> HttpResponse {
    match (door.not_ready)() {
        None => text("ready\n".to_owned()),
        Some(reason) => {
            HttpResponse::ServiceUnavailable().content_type("text/plain; charset=utf-8").body(format!("{reason}\n"))
        }
    }
}

fn metrics(door: &Door) -> HttpResponse {
    let metrics = metrics::get();
    metrics.http_inflight.set(door.admission.under_way() as f64);
    for (gauge, lane) in [(&metrics.http_shedding_reads, Lane::Reads), (&metrics.http_shedding_changes, Lane::Changes)]
    {
        gauge.set(f64::from(u8::from(door.admission.is_shedding(lane))));
    }
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(metrics.render())
}

fn settings(door: &Door) -> HttpResponse {
    let settings: serde_json::Map<_, _> =
        door.settings.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    HttpResponse::Ok().json(settings)
}
