//! The HTTP shell over real sockets: signatures, limits, errors, faults and the stop.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use driftless_server::{
    Config, Failure, Fault, KeyPair, MemoryStorage, Moment, ServeError, Server, Service,
};
use driftless_wire::{
    ApiError, ERROR_TYPE_HEADER, ErrorCode, HttpParts, ListRecordsResponse, Operation, Request,
    Response,
};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{list_records, put, update_records};

struct Running {
    address: std::net::SocketAddr,
    key_pair: KeyPair,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    async fn start(change: impl FnOnce(Config) -> Config) -> Self {
        let key_pair = KeyPair::new("AKIDTEST", "s3cret");
        let service = Service::new(Arc::new(MemoryStorage::new()), [1; 32], [2; 32]);
        let config = change(Config::new(service, key_pair.clone()));
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), config)
            .await
            .unwrap();
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(server.run(async { drop(stopped.await) }));
        Self {
            address,
            key_pair,
            stop,
            ended,
        }
    }

    fn signer(&self) -> Signer {
        Signer {
            key_pair: self.key_pair.clone(),
            at: SystemTime::now(),
            settings: SigningSettings::default(),
            service: "cognito-sync",
        }
    }

    async fn send(&self, request: http::Request<Full<Bytes>>) -> Result<Answer, hyper::Error> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        drop(sender);
        connection.abort();
        Ok(Answer { parts, body })
    }

    async fn ask(&self, request: &Request) -> Answer {
        self.send(self.signer().sign(&request.to_http()))
            .await
            .unwrap()
    }

    async fn list(&self) -> ListRecordsResponse {
        let answer = self.ask(&Request::ListRecords(list_records("d"))).await;
        assert_eq!(answer.parts.status, 200);
        match Response::from_body(Operation::ListRecords, &answer.body).unwrap() {
            Response::ListRecords(response) => response,
            other => panic!("{other:?}"),
        }
    }

    async fn push(&self, count: u32) -> Answer {
        let token = self.list().await.sync_session_token.unwrap();
        self.ask(&update_records("d", token, vec![put("a", "1", count)]))
            .await
    }

    async fn stop(self) -> Result<(), ServeError> {
        drop(self.stop);
        self.ended.await.unwrap()
    }
}

struct Answer {
    parts: http::response::Parts,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.parts
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap())
    }

    fn error(&self) -> ApiError {
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert!(self.header("x-amzn-requestid").is_some() && self.header("date").is_some());
        let kind = self.header(ERROR_TYPE_HEADER);
        assert!(kind.is_some());
        ApiError::from_http(self.parts.status.as_u16(), kind, &self.body)
    }

    #[track_caller]
    fn check(&self, status: u16, code: ErrorCode) -> ApiError {
        let error = self.error();
        assert_eq!(
            (error.status, &error.code),
            (status, &code),
            "{}",
            error.message
        );
        error
    }
}

struct Signer {
    key_pair: KeyPair,
    at: SystemTime,
    settings: SigningSettings,
    service: &'static str,
}

impl Signer {
    fn sign(&self, parts: &HttpParts) -> http::Request<Full<Bytes>> {
        let target = if parts.query.is_empty() {
            parts.path.clone()
        } else {
            format!("{}?{}", parts.path, parts.query)
        };
        self.sign_target(parts.method.as_str(), &target, &parts.body)
    }

    fn sign_target(&self, method: &str, target: &str, body: &[u8]) -> http::Request<Full<Bytes>> {
        let pair = &self.key_pair;
        let (id, secret) = (pair.access_key_id(), pair.secret_access_key());
        let identity = Credentials::new(id, secret, None, None, "test").into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(self.service)
            .time(self.at)
            .settings(self.settings.clone())
            .build()
            .unwrap()
            .into();
        let body_to_sign = SignableBody::Bytes(body);
        let headers = [("host", "localhost")];
        let request = SignableRequest::new(method, target, headers.into_iter(), body_to_sign);
        let (instructions, _) = sign(request.unwrap(), &params).unwrap().into_parts();
        let mut request = http::Request::builder()
            .method(method)
            .uri(target)
            .header("host", "localhost")
            .body(Full::new(Bytes::copy_from_slice(body)))
            .unwrap();
        instructions.apply_to_request_http1x(&mut request);
        request
    }
}

const DATASETS: &str = "/identitypools/us-east-1%3A0/identities/us-east-1%3A1/datasets";

#[tokio::test]
async fn push_is_listed() {
    let server = Running::start(|config| config).await;
    assert_eq!(server.push(0).await.parts.status, 200);
    let listed = server.list().await;
    assert!(listed.dataset_exists);
    assert_eq!(listed.records.len(), 1);
    let conflict = server.push(0).await.check(409, ErrorCode::ResourceConflict);
    assert_eq!(conflict.message, "Current SyncCount for: a is: 1 not: 0");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn trap_46_both_encodings_of_the_path_are_verified_sent_raw_or_encoded() {
    let server = Running::start(|config| config).await;
    for target in [DATASETS.to_owned(), DATASETS.replace("%3A", ":")] {
        for encoding in [PercentEncodingMode::Double, PercentEncodingMode::Single] {
            let mut signer = server.signer();
            signer.settings.percent_encoding_mode = encoding;
            let answer = server
                .send(signer.sign_target("GET", &target, b""))
                .await
                .unwrap();
            assert_eq!(answer.parts.status, 200, "{target} {encoding:?}");
        }
    }
}

#[tokio::test]
async fn trap_48_content_type_is_neither_needed_nor_heeded() {
    let server = Running::start(|config| config).await;
    let configuration = "/identitypools/us-east-1%3A0/configuration";
    for (method, target, body) in [("GET", DATASETS, ""), ("POST", configuration, "{}")] {
        for content_type in [None, Some("application/x-amz-json-1.1"), Some("text/plain")] {
            let mut request = server.signer().sign_target(method, target, body.as_bytes());
            if let Some(content_type) = content_type {
                let content_type = content_type.parse().unwrap();
                request.headers_mut().insert("content-type", content_type);
            }
            let answer = server.send(request).await.unwrap();
            assert_eq!(answer.parts.status, 200, "{method} {content_type:?}");
        }
    }
}

#[tokio::test]
async fn body_that_nobody_signed_is_short() {
    let server = Running::start(|config| config).await;
    let ask = |length| {
        let request = http::Request::post("/").header("host", "localhost");
        let request = request.header("x-amz-target", "AWSCognitoIdentityService.GetId");
        server.send(request.body(Full::from(vec![b' '; length])).unwrap())
    };
    let answer = ask(256 * 1_024 + 1).await.unwrap();
    assert_eq!(answer.parts.status, 400);
    assert_eq!(
        answer.header(ERROR_TYPE_HEADER),
        Some("RequestEntityTooLargeException")
    );
    let answer = ask(256 * 1_024).await.unwrap();
    assert_eq!(
        answer.header(ERROR_TYPE_HEADER),
        Some("SerializationException")
    );
}

#[tokio::test]
async fn request_without_authorization_is_refused() {
    let server = Running::start(|config| config).await;
    for target in ["/", DATASETS, &format!("{DATASETS}?X-Amz-Signature=0")] {
        let request = http::Request::get(target).header("host", "localhost");
        let answer = server
            .send(request.body(Full::default()).unwrap())
            .await
            .unwrap();
        answer.check(403, ErrorCode::MissingAuthenticationToken);
    }
}

#[tokio::test]
async fn malformed_authorization_is_refused() {
    let server = Running::start(|config| config).await;
    for header in ["", "Basic Zm9v", "AWS4-HMAC-SHA256 Credential=a"] {
        let mut request = server.signer().sign_target("GET", DATASETS, b"");
        request
            .headers_mut()
            .insert("authorization", header.parse().unwrap());
        server
            .send(request)
            .await
            .unwrap()
            .check(400, ErrorCode::IncompleteSignature);
    }
    for name in ["x-amz-date", "authorization"] {
        let mut request = server.signer().sign_target("GET", DATASETS, b"");
        let value = request.headers()[name].clone();
        request.headers_mut().append(name, value);
        server
            .send(request)
            .await
            .unwrap()
            .check(400, ErrorCode::IncompleteSignature);
    }
}

#[tokio::test]
async fn unknown_key_and_wrong_scope_are_refused() {
    let server = Running::start(|config| config).await;
    let mut signer = server.signer();
    signer.key_pair = KeyPair::new("AKIDOTHER", "s3cret");
    let answer = server
        .send(signer.sign_target("GET", DATASETS, b""))
        .await
        .unwrap();
    answer.check(403, ErrorCode::UnrecognizedClient);
    let mut signer = server.signer();
    signer.service = "s3";
    let answer = server
        .send(signer.sign_target("GET", DATASETS, b""))
        .await
        .unwrap();
    answer.check(403, ErrorCode::InvalidSignature);
}

#[tokio::test]
async fn whatever_is_changed_after_signing_is_noticed() {
    let server = Running::start(|config| config).await;
    let mut signer = server.signer();
    signer.key_pair = KeyPair::new("AKIDTEST", "wrong");
    let wrong = signer.sign_target("GET", DATASETS, b"");
    let signer = server.signer();
    let signed = || signer.sign_target("POST", &format!("{DATASETS}/d"), b"{}");
    let mut method = signed();
    *method.method_mut() = http::Method::PUT;
    let mut path = signed();
    *path.uri_mut() = format!("{DATASETS}/e").parse().unwrap();
    let mut query = signed();
    *query.uri_mut() = format!("{DATASETS}/d?maxResults=1").parse().unwrap();
    let mut host = signed();
    host.headers_mut()
        .insert("host", "elsewhere".parse().unwrap());
    let mut body = signed();
    *body.body_mut() = Full::from("[]");
    for (what, request) in [
        ("key", wrong),
        ("method", method),
        ("path", path),
        ("query", query),
        ("host", host),
        ("body", body),
    ] {
        let answer = server.send(request).await.unwrap();
        let error = answer.error();
        assert_eq!(
            (error.status, error.code),
            (403, ErrorCode::InvalidSignature),
            "{what}"
        );
    }
}

#[tokio::test]
async fn clock_may_be_off_by_five_minutes() {
    let server = Running::start(|config| config).await;
    let off = |seconds: i64| {
        let mut signer = server.signer();
        let by = Duration::from_secs(seconds.unsigned_abs());
        signer.at = if seconds < 0 {
            signer.at - by
        } else {
            signer.at + by
        };
        signer.sign_target("GET", DATASETS, b"")
    };
    for seconds in [-240, 240] {
        assert_eq!(server.send(off(seconds)).await.unwrap().parts.status, 200);
    }
    let late = server
        .send(off(-400))
        .await
        .unwrap()
        .check(403, ErrorCode::InvalidSignature);
    assert!(
        late.message.starts_with("Signature expired: "),
        "{}",
        late.message
    );
    assert!(
        late.message.contains(" is now earlier than "),
        "{}",
        late.message
    );
    assert!(late.message.ends_with(" - 5 min.)"), "{}", late.message);
    let early = server
        .send(off(400))
        .await
        .unwrap()
        .check(403, ErrorCode::InvalidSignature);
    assert!(
        early.message.starts_with("Signature not yet current: "),
        "{}",
        early.message
    );
}

#[tokio::test]
async fn digest_header_must_be_signed_and_of_the_body() {
    let server = Running::start(|config| config).await;
    let mut signer = server.signer();
    signer.settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let request = signer.sign_target("GET", DATASETS, b"");
    assert_eq!(server.send(request).await.unwrap().parts.status, 200);

    let mut unsigned = server.signer().sign_target("GET", DATASETS, b"");
    let digest = "UNSIGNED-PAYLOAD".parse().unwrap();
    unsigned
        .headers_mut()
        .insert("x-amz-content-sha256", digest);
    server
        .send(unsigned)
        .await
        .unwrap()
        .check(400, ErrorCode::IncompleteSignature);

    let mut other = signer.sign_target("POST", &format!("{DATASETS}/d"), b"{}");
    *other.body_mut() = Full::from("[]");
    server
        .send(other)
        .await
        .unwrap()
        .check(403, ErrorCode::InvalidSignature);
}

#[tokio::test]
async fn unknown_path_and_bad_parameters_are_typed_errors() {
    let server = Running::start(|config| config).await;
    let ask = |method: &'static str, target: String, body: &'static [u8]| {
        let request = server.signer().sign_target(method, &target, body);
        async { server.send(request).await.unwrap() }
    };
    ask("GET", "/".into(), b"")
        .await
        .check(404, ErrorCode::UnknownOperation);
    ask("PUT", format!("{DATASETS}/d"), b"")
        .await
        .check(404, ErrorCode::UnknownOperation);
    ask("GET", format!("{DATASETS}/a%20b"), b"")
        .await
        .check(400, ErrorCode::InvalidParameter);
    ask("GET", format!("{DATASETS}/d"), b"")
        .await
        .check(404, ErrorCode::ResourceNotFound);
    ask("POST", format!("{DATASETS}/d"), b"{")
        .await
        .check(400, ErrorCode::Serialization);
}

#[tokio::test]
async fn body_over_the_limit_is_refused_said_or_unsaid() {
    let server = Running::start(|config| config.with_max_body_bytes(100)).await;
    let request = server
        .signer()
        .sign_target("POST", &format!("{DATASETS}/d"), &[b' '; 101]);
    server
        .send(request)
        .await
        .unwrap()
        .check(413, ErrorCode::RequestEntityTooLarge);

    let signed = server
        .signer()
        .sign_target("POST", &format!("{DATASETS}/d"), b"");
    let mut head = format!("POST {DATASETS}/d HTTP/1.1\r\ntransfer-encoding: chunked\r\n");
    for (name, value) in signed.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    let chunk = format!("65\r\n{}\r\n0\r\n\r\n", " ".repeat(101));
    let text = exchange(&server, &format!("{head}\r\n{chunk}"))
        .await
        .unwrap();
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
}

/// Sends bytes and reads until the server closes.
async fn exchange(server: &Running, bytes: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server.address).await?;
    stream.write_all(bytes.as_bytes()).await?;
    stream.shutdown().await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

#[tokio::test]
async fn head_that_never_ends_is_cut_off() {
    let short = Duration::from_millis(50);
    let server = Running::start(|config| config.with_header_timeout(short)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn body_that_never_ends_is_answered_in_time() {
    let short = Duration::from_millis(50);
    let server = Running::start(|config| config.with_request_timeout(short)).await;
    let signed = server
        .signer()
        .sign_target("POST", &format!("{DATASETS}/d"), b"");
    let mut head = format!("POST {DATASETS}/d HTTP/1.1\r\ncontent-length: 10\r\n");
    for (name, value) in signed.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(format!("{head}\r\n").as_bytes())
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
}

#[tokio::test]
async fn head_over_the_limit_is_refused() {
    let server = Running::start(|config| config).await;
    let many: String = (0..100).map(|n| format!("x-{n}: 1\r\n")).collect();
    let text = exchange(&server, &format!("GET / HTTP/1.1\r\n{many}\r\n"))
        .await
        .unwrap();
    assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
}

#[tokio::test]
async fn connection_over_the_limit_waits_for_another_to_end() {
    let server = Running::start(|config| config.with_max_connections(1)).await;
    let first = TcpStream::connect(server.address).await.unwrap();
    let second = server.list();
    let mut second = std::pin::pin!(second);
    let waiting = tokio::time::timeout(Duration::from_millis(50), &mut second).await;
    assert!(waiting.is_err());
    drop(first);
    second.await;
}

#[derive(Debug)]
struct On(Operation, Moment, Failure);

impl Fault for On {
    fn strike(&self, operation: Operation, moment: Moment) -> Option<Failure> {
        (operation == self.0 && moment == self.1).then(|| self.2.clone())
    }
}

async fn start_failing(moment: Moment, failure: Failure) -> Running {
    let fault = Arc::new(On(Operation::UpdateRecords, moment, failure));
    Running::start(|config| config.with_fault(fault)).await
}

#[tokio::test]
async fn fault_before_leaves_nothing_and_fault_after_leaves_all() {
    for (moment, records) in [(Moment::Before, 0), (Moment::After, 1)] {
        let error = ApiError::new(ErrorCode::InternalError, "on purpose");
        let server = start_failing(moment, Failure::Answer(error)).await;
        server.push(0).await.check(500, ErrorCode::InternalError);
        assert_eq!(server.list().await.records.len(), records, "{moment:?}");
    }
}

#[tokio::test]
async fn lost_answer_closes_the_connection_after_the_commit() {
    let server = start_failing(Moment::After, Failure::Silence).await;
    let token = server.list().await.sync_session_token.unwrap();
    let push = update_records("d", token, vec![put("a", "1", 0)]);
    let request = server.signer().sign(&push.to_http());
    assert!(server.send(request).await.is_err());
    assert_eq!(server.list().await.records.len(), 1);
}

#[tokio::test]
async fn stop_ends_idle_connections_and_takes_no_new_ones() {
    let server = Running::start(|config| config).await;
    let address = server.address;
    let mut idle = TcpStream::connect(address).await.unwrap();
    server.list().await;
    server.stop().await.unwrap();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[derive(Debug)]
struct Hold(
    std::sync::Mutex<Option<std::sync::mpsc::Receiver<()>>>,
    std::sync::mpsc::Sender<()>,
);

impl Fault for Hold {
    fn strike(&self, operation: Operation, moment: Moment) -> Option<Failure> {
        if operation == Operation::UpdateRecords && moment == Moment::Before {
            self.1.send(()).unwrap();
            let release = self.0.lock().unwrap().take();
            release.unwrap().recv().unwrap();
        }
        None
    }
}

#[tokio::test]
async fn request_that_has_begun_is_answered_before_the_stop() {
    let (release, held) = std::sync::mpsc::channel();
    let (begun, begins) = std::sync::mpsc::channel();
    let fault = Arc::new(Hold(std::sync::Mutex::new(Some(held)), begun));
    let server = Running::start(|config| config.with_fault(fault)).await;
    let token = server.list().await.sync_session_token.unwrap();
    let push = update_records("d", token, vec![put("a", "1", 0)]);
    let request = server.signer().sign(&push.to_http());
    let Running {
        address,
        key_pair,
        stop,
        ended,
    } = server;
    let (spare, _) = oneshot::channel();
    let client = Running {
        address,
        key_pair,
        stop: spare,
        ended: tokio::spawn(async { Ok(()) }),
    };
    let pushing = tokio::spawn(async move { client.send(request).await });
    tokio::task::spawn_blocking(move || begins.recv().unwrap())
        .await
        .unwrap();
    drop(stop);
    release.send(()).unwrap();
    ended.await.unwrap().unwrap();
    assert_eq!(pushing.await.unwrap().unwrap().parts.status, 200);
}
