//! A server that answers from a script and remembers what it was asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers.
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Never answers.
    Silence,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self::Answer {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self::Answer {
            status,
            headers: vec![("x-amzn-errortype", code.to_owned())],
            body: r#"{"message":"m"}"#.to_owned(),
        }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    asked: Vec<Asked>,
}

/// A running server; it stops when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers the requests with these replies in order; more requests than replies are a failure
    /// of the test, seen in [`asked`](Self::asked).
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let replies = replies.into_iter().collect();
        let script = Arc::new(Mutex::new(Script {
            replies,
            asked: Vec::new(),
        }));
        let task = tokio::spawn(accept(listener, Arc::clone(&script)));
        Self {
            address,
            script,
            task,
        }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script.lock().unwrap().asked.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, script: Arc<Mutex<Script>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let script = Arc::clone(&script);
        tokio::spawn(async move {
            let service = service_fn(|request| reply(Arc::clone(&script), request));
            // The client may go away at any time.
            http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
    }
}

async fn reply(
    script: Arc<Mutex<Script>>,
    request: http::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let asked = Asked {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head.headers,
        body: body.collect().await.unwrap().to_bytes(),
    };
    let reply = {
        let mut script = script.lock().unwrap();
        script.asked.push(asked);
        script.replies.pop_front()
    };
    match reply.unwrap_or(Reply::error(418, "ScriptEnded")) {
        Reply::Silence => std::future::pending().await,
        Reply::Answer {
            status,
            headers,
            body,
        } => {
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            Ok(response)
        }
    }
}

/// A server that writes these bytes to each of its connections once something came, and closes it.
///
/// It counts its connections.
pub(crate) struct RawServer {
    pub(crate) address: SocketAddr,
    connections: Arc<Mutex<u32>>,
    task: JoinHandle<()>,
}

impl RawServer {
    pub(crate) async fn start(bytes: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *counter.lock().unwrap() += 1;
                write_and_close(stream, bytes).await;
            }
        });
        Self {
            address,
            connections,
            task,
        }
    }

    pub(crate) fn connections(&self) -> u32 {
        *self.connections.lock().unwrap()
    }

    /// Closes the port.
    pub(crate) async fn stop(mut self) {
        self.task.abort();
        (&mut self.task).await.ok();
    }
}

async fn write_and_close(mut stream: TcpStream, bytes: &[u8]) {
    let mut buffer = [0; 16_384];
    assert!(stream.read(&mut buffer).await.unwrap() > 0);
    stream.write_all(bytes).await.unwrap();
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
