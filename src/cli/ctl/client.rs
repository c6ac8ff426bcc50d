//! One request to an admin endpoint and its answer.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use super::Target;

/// A picture of a thousand shards on a hundred nodes is a tenth of it.
const ANSWER_BYTES_MAX: usize = 256 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("admin endpoint {address} cannot be reached: {reason}; does the node run, and is that its admin.listen?")]
    Unreachable { address: String, reason: String },
    #[error("admin endpoint {address} does not take the key of {key_source}; is it another node that listens there?")]
    Unauthorized { address: String, key_source: String },
    #[error("admin endpoint {address}: {reason}")]
    Refused { address: String, reason: String },
    #[error("admin endpoint {address} gave no whole answer: {reason}")]
    Broken { address: String, reason: String },
    #[error("this process cannot ask anything: {0}")]
    Runtime(std::io::Error),
}

/// What asks one endpoint.
pub(super) struct Client {
    target: Target,
    runtime: Runtime,
}

/// What the endpoint says when it has no answer.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Client {
    pub(super) fn new(target: Target) -> Result<Self, AskError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(AskError::Runtime)?;
        Ok(Self { target, runtime })
    }

    pub(super) fn address(&self) -> &str {
        &self.target.address
    }

    /// Asks once, on this thread; the whole body of an answer that is one.
    pub(super) fn ask(&self, method: &str, path: &str, within: Duration) -> Result<Bytes, AskError> {
        self.runtime.block_on(self.asking(method, path, within))
    }

    async fn asking(&self, method: &str, path: &str, within: Duration) -> Result<Bytes, AskError> {
        let address = || self.target.address.clone();
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.target.address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(AskError::Unreachable { address: address(), reason: error.to_string() }),
            Err(_) => {
                let reason = format!("no connection within {} s", CONNECT_TIMEOUT.as_secs());
                return Err(AskError::Unreachable { address: address(), reason });
            }
        };
        let (status, body) = match tokio::time::timeout(within, self.exchange(stream, method, path)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(reason)) => return Err(AskError::Broken { address: address(), reason }),
            Err(_) => {
                let reason = format!("not within {} s", within.as_secs());
                return Err(AskError::Broken { address: address(), reason });
            }
        };
        match status {
            status if status.is_success() => Ok(body),
            StatusCode::UNAUTHORIZED => {
                Err(AskError::Unauthorized { address: address(), key_source: self.target.key_source.clone() })
            }
            status => {
                let said = serde_json::from_slice::<Refusal>(&body).map(|refusal| refusal.error);
                Err(AskError::Refused { address: address(), reason: said.unwrap_or_else(|_| status.to_string()) })
            }
        }
    }

    async fn exchange(&self, stream: TcpStream, method: &str, path: &str) -> Result<(StatusCode, Bytes), String> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        let traffic = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.target.address)
            .header("authorization", format!("Bearer {}", self.target.key.expose()))
            .body(Empty::<Bytes>::new())
            .map_err(|e| e.to_string())?;
        let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|e| e.to_string())?;
        traffic.abort();
        Ok((status, body.to_bytes()))
    }
}
