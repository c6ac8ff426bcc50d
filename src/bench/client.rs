//! One keep-alive connection: a request at a time, no pipelining.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request as HttpRequest, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::request::Request;

/// Longest wait for a whole answer; a server that needs longer is down for every purpose of ours.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What came back: the HTTP status and the whole body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot connect to {target}: {source}")]
    Connect { target: String, source: std::io::Error },
    #[error("no connection to {target} within {} s", CONNECT_TIMEOUT.as_secs())]
    ConnectTimeout { target: String },
    #[error("{target} is no host and port that fit into a request")]
    Target { target: String },
    #[error("the path of the request is none: {0}")]
    Path(hyper::http::uri::InvalidUri),
    #[error("no answer from {target}: {source}")]
    Http { target: String, source: hyper::Error },
    #[error("no answer from {target} within {} s", ANSWER_TIMEOUT.as_secs())]
    AnswerTimeout { target: String },
}

type Sender = http1::SendRequest<Full<Bytes>>;

/// A connection to one server, made again when the server has closed it.
///
/// Lives on a `LocalSet`, where it also leaves the task that moves its bytes.
#[derive(Debug)]
pub struct Connection {
    target: String,
    headers: HeaderMap,
    sender: Option<Sender>,
}

impl Connection {
    /// Prepares a connection to `target` (`host:port`) without making it.
    ///
    /// # Errors
    /// [`Error::Target`] if the text cannot stand in a `Host` header.
    pub fn new(target: &str) -> Result<Self, Error> {
        let host = HeaderValue::from_str(target).map_err(|_| Error::Target { target: target.to_owned() })?;
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert(HOST, host);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Self { target: target.to_owned(), headers, sender: None })
    }

    /// Connects, if not connected.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::ConnectTimeout`], or [`Error::Http`] if the connection breaks at once.
    pub async fn connect(&mut self) -> Result<(), Error> {
        self.ready().await.map(|sender| self.sender = Some(sender))
    }

    /// Posts a request and waits for the whole answer.
    ///
    /// # Errors
    /// Any [`Error`] but [`Error::Target`]. After [`Error::Http`] and [`Error::AnswerTimeout`] the server may
    /// have done what was asked.
    pub async fn post(&mut self, request: Request) -> Result<Answer, Error> {
        let path = Uri::from_maybe_shared(request.path).map_err(Error::Path)?;
        self.send(Method::POST, path, request.body).await
    }

    /// Gets a page.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub async fn get(&mut self, path: &'static str) -> Result<Answer, Error> {
        self.send(Method::GET, Uri::from_static(path), Bytes::new()).await
    }

    async fn send(&mut self, method: Method, path: Uri, body: Bytes) -> Result<Answer, Error> {
        let mut request = HttpRequest::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path;
        request.headers_mut().clone_from(&self.headers);
        let mut sender = self.ready().await?;
        match timeout(ANSWER_TIMEOUT, exchange(&mut sender, request)).await {
            Ok(Ok(answer)) => {
                // Only a connection that answered in full is used again.
                self.sender = Some(sender);
                Ok(answer)
            }
            Ok(Err(source)) => Err(Error::Http { target: self.target.clone(), source }),
            Err(_) => Err(Error::AnswerTimeout { target: self.target.clone() }),
        }
    }

    async fn ready(&mut self) -> Result<Sender, Error> {
        if let Some(mut sender) = self.sender.take()
            // Fails if the server closed the connection after its last answer: nothing was sent on it then.
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let failed = |source| Error::Connect { target: self.target.clone(), source };
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.target))
            .await
            .map_err(|_| Error::ConnectTimeout { target: self.target.clone() })?
            .map_err(failed)?;
        // A request is written at once and waited for: there is nothing to collect.
        stream.set_nodelay(true).map_err(failed)?;
        let (sender, traffic) = http1::Builder::new()
            // The spelling other harnesses of these workloads send.
            .title_case_headers(true)
            // Head and body are short: copying them into one buffer costs less than a list of two.
            .writev(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|source| Error::Http { target: self.target.clone(), source })?;
        // How the traffic ended reaches us through the sender as well.
        spawn_local(async move { drop(traffic.await) });
        Ok(sender)
    }
}

async fn exchange(sender: &mut Sender, request: HttpRequest<Full<Bytes>>) -> Result<Answer, hyper::Error> {
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Answer { status, body })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::LocalSet;

    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    async fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
        let mut read = Vec::new();
        while !read.ends_with(end) {
            assert!(stream.read_buf(&mut read).await.expect("a request comes") > 0, "closed after {read:?}");
        }
        read
    }

    fn request() -> Request {
        Request { path: Bytes::from_static(b"/v4/x?a=b&random=1"), body: Bytes::from_static(b"{\"k\":1}") }
    }

    #[tokio::test]
    async fn a_request_has_these_bytes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let target = listener.local_addr().expect("bound").to_string();
        let expected = format!(
            "POST /v4/x?a=b&random=1 HTTP/1.1\r\nHost: {target}\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{{\"k\":1}}"
        );
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client comes");
            let read = read_until(&mut stream, b"}").await;
            stream.write_all(OK).await.expect("it still listens");
            read
        });
        let mut connection = Connection::new(&target).expect("a good target");
        let answer = LocalSet::new().run_until(connection.post(request())).await.expect("an answer");
        assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
        assert_eq!(String::from_utf8_lossy(&server.await.expect("served")), expected);
    }

    #[tokio::test]
    async fn a_connection_closed_between_requests_is_made_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let target = listener.local_addr().expect("bound").to_string();
        let server = tokio::spawn(async move {
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().await.expect("a client comes");
                read_until(&mut stream, b"}").await;
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
                    .await
                    .expect("open");
            }
        });
        let mut connection = Connection::new(&target).expect("a good target");
        LocalSet::new()
            .run_until(async {
                for _ in 0..3 {
                    assert_eq!(connection.post(request()).await.expect("an answer").status, 200);
                }
            })
            .await;
        server.await.expect("three connections were made");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let target = listener.local_addr().expect("bound").to_string();
        drop(listener);
        let mut connection = Connection::new(&target).expect("a good target");
        let error = LocalSet::new().run_until(connection.connect()).await.expect_err("nobody listens");
        assert!(matches!(&error, Error::Connect { target: named, .. } if *named == target), "{error}");
    }
}
