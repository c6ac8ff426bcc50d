//! The body of a request, as it comes off the connection.

use std::time::Duration;

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures::{FutureExt, StreamExt};

use super::error::{self, Failure};
use crate::config;

/// Reads the whole body.
///
/// # Errors
/// 60003 beyond `max_request_bytes`, 60008 if it takes longer than `client_request_timeout_ms`, 60002 if it is cut.
pub async fn read_body(request: &HttpRequest, payload: web::Payload, http: &config::Http) -> Result<Bytes, Failure> {
    let bytes_max = http.max_request_bytes;
    if !is_announced_within(request, bytes_max) {
        return Err(too_large(bytes_max));
    }
    let timeout = Duration::from_millis(http.client_request_timeout_ms);
    match tokio::time::timeout(timeout, collect(payload, bytes_max)).await {
        Ok(body) => body,
        Err(_) => Err(Failure::new(error::UNAVAILABLE, "the body did not arrive in time")),
    }
}

/// Reads a body that nobody wants and keeps nothing of it; one that is too large or too slow is left where it is,
/// and the connection ends with the answer.
pub async fn discard_body(request: &HttpRequest, mut payload: web::Payload, http: &config::Http) {
    if !is_announced_within(request, http.max_request_bytes) {
        return;
    }
    let discard = async {
        let mut bytes = 0;
        while let Some(Ok(chunk)) = payload.next().await {
            bytes += chunk.len();
            if bytes > http.max_request_bytes {
                return;
            }
        }
    };
    let mut discard = std::pin::pin!(discard);
    // Almost always it is here with the head, and then no timer is needed.
    if (&mut discard).now_or_never().is_some() {
        return;
    }
    // Whether it came to an end does not matter: the answer is the same.
    let _ = tokio::time::timeout(Duration::from_millis(http.client_request_timeout_ms), discard).await;
}

/// A length that is announced and too large is not worth a single byte of it; without one we shall see.
fn is_announced_within(request: &HttpRequest, bytes_max: usize) -> bool {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    announced.is_none_or(|bytes| bytes <= bytes_max as u64)
}

async fn collect(mut payload: web::Payload, bytes_max: usize) -> Result<Bytes, Failure> {
    let mut whole = BytesMut::new();
    let mut first = Bytes::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Failure::new(error::BAD_HTTP, "the body was cut"))?;
        if first.len() + whole.len() + chunk.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        // Almost every body is one chunk, which needs no copy.
        if first.is_empty() && whole.is_empty() {
            first = chunk;
            continue;
        }
        if !first.is_empty() {
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

fn too_large(bytes_max: usize) -> Failure {
    Failure::new(error::NOT_JSON, format!("the body is larger than {bytes_max} bytes"))
}
