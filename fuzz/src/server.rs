//! What strangers and callers send to the service.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use driftless_server::{
    Authorization, Caller, Gate, KeyPair, MemoryStorage, Pool, Service, SharedKeyLogins,
};
use driftless_wire::identity::TARGET_HEADER;
use driftless_wire::{
    ListRecordsRequest, Op, RecordPatch, Request, Response, SyncCount, Timestamp,
    UpdateRecordsRequest,
};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

const KEY_ID: &str = "AKIDFUZZ";
const SECRET: &str = "secret";
/// 2026-01-02T03:04:05Z.
const NOW_SECONDS: u64 = 1_767_323_045;
const NOW: Timestamp = Timestamp::from_millis(NOW_SECONDS as i64 * 1_000);
/// Stands for a session token in a request that the target signs.
const TOKEN: &[u8] = b"@TOKEN@";
/// As many as the shell takes.
const MAX_HEADERS: usize = 64;

/// Reads an Authorization header; what is read writes a header that reads alike.
pub fn sigv4_header(bytes: &[u8]) {
    let Ok(header) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(read) = Authorization::parse(header) {
        let again = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}/{}/{}/aws4_request, SignedHeaders={}, Signature={}",
            read.access_key_id(),
            read.date(),
            read.region(),
            read.service(),
            read.signed_headers().join(";"),
            read.signature(),
        );
        assert_eq!(Authorization::parse(&again), Ok(read));
    }
}

/// Sends a request to a service with a dataset of two records: as it is, or signed with the right key.
///
/// ```text
/// s                                  s: signed; d: signed over the path encoded twice; anything else: as it is
/// GET /identitypools/… HTTP/1.1
/// content-type: application/json
///
/// {"SyncSessionToken":"@TOKEN@"}
/// ```
///
/// `@TOKEN@` stands for the token of a list. What nobody signed is refused, what is signed is never refused for that; but
/// whoever asks Cognito Identity need not sign.
pub fn server_request(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let Some((how, message)) = end.map(|end| (&bytes[..end], &bytes[end + 1..])) else {
        return;
    };
    let (service, token) = service();
    let message = replace(message, TOKEN, token.as_bytes());
    let Some(mut request) = parse(&message) else {
        return;
    };
    let encoding = match how {
        b"s" => Some(PercentEncodingMode::Single),
        b"d" => Some(PercentEncodingMode::Double),
        _ => None,
    };
    let is_signed = encoding.is_some_and(|encoding| sign_request(&mut request, encoding));
    let gate = Gate::new(service, KeyPair::new(KEY_ID, SECRET));
    let is_identity = request.method() == http::Method::POST
        && request.uri().path() == "/"
        && request.headers().contains_key(TARGET_HEADER);
    let answer = gate.answer(request, NOW);
    let kind = answer.headers().get(driftless_wire::ERROR_TYPE_HEADER);
    let kind = kind.map_or("", |kind| kind.to_str().expect("an error's name is ASCII"));
    assert_eq!(
        answer.status() == 200,
        kind.is_empty(),
        "an error has a type"
    );
    assert_ne!(answer.status(), 500, "{:?}", answer.body());
    let refused_for_that = matches!(
        kind,
        "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException"
            | "UnrecognizedClientException"
    );
    let must_sign = !is_signed && !is_identity;
    assert_eq!(refused_for_that, must_sign, "{kind}: {:?}", answer.body());
}

/// Returns the service and a token of a list of its dataset.
fn service() -> (Service, String) {
    let service = Service::new(Arc::new(MemoryStorage::default()), [7; 32], [8; 32]);
    let logins = SharedKeyLogins::new(&[9; 32]).expect("the key is long enough");
    let pool = Pool::new()
        .with_guests()
        .with_logins("login.example", Arc::new(logins));
    let service = service.with_pool("us-east-1:0a".parse().expect("a pool"), pool);
    let update = |token| {
        let patch = |key: &str| RecordPatch {
            op: Op::Replace,
            key: key.to_owned().try_into().expect("a key"),
            value: Some("1".to_owned()),
            sync_count: SyncCount::ZERO,
            device_last_modified_date: None,
        };
        Request::UpdateRecords(UpdateRecordsRequest {
            identity_pool_id: "us-east-1:0a".parse().expect("a pool"),
            identity_id: "us-east-1:0b".parse().expect("an identity"),
            dataset_name: "notes".parse().expect("a name"),
            sync_session_token: token,
            device_id: None,
            record_patches: vec![patch("a"), patch("b")],
        })
    };
    let list = || {
        let request = Request::ListRecords(ListRecordsRequest {
            identity_pool_id: "us-east-1:0a".parse().expect("a pool"),
            identity_id: "us-east-1:0b".parse().expect("an identity"),
            dataset_name: "notes".parse().expect("a name"),
            last_sync_count: None,
            next_token: None,
            max_results: None,
            sync_session_token: None,
        });
        match service.handle(request, &Caller::Operator, NOW) {
            Ok(Response::ListRecords(answer)) => {
                answer.sync_session_token.expect("a list has a token")
            }
            other => unreachable!("{other:?}"),
        }
    };
    let done = service.handle(update(list()), &Caller::Operator, NOW);
    done.expect("the first two records fit");
    let token = list().as_str().to_owned();
    (service, token)
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        if let Some(tail) = rest.strip_prefix(from) {
            out.extend(to);
            rest = tail;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}

/// Reads a message as the shell's HTTP library does.
fn parse(message: &[u8]) -> Option<http::Request<Bytes>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(len) = head.parse(message).ok()? else {
        return None;
    };
    let mut request = http::Request::new(Bytes::copy_from_slice(&message[len..]));
    *request.method_mut() = head.method?.parse().ok()?;
    *request.uri_mut() = head.path?.parse().ok()?;
    for header in head.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(header.value).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request)
}

/// Signs host and time, in the place of whatever says so already; returns whether the library can.
fn sign_request(request: &mut http::Request<Bytes>, encoding: PercentEncodingMode) -> bool {
    let date = "20260102T030405Z";
    set_headers(request.headers_mut(), date);
    let credentials = Credentials::new(KEY_ID, SECRET, None, None, "fuzz");
    let identity = credentials.into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = encoding;
    let params = SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("cognito-sync")
        .time(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW_SECONDS))
        .settings(settings)
        .build()
        .expect("nothing is missing")
        .into();
    let target = request.uri().path_and_query();
    let target = target.map_or("/", |target| target.as_str()).to_owned();
    let headers = [("host", "localhost"), ("x-amz-date", date)];
    let signable = SignableRequest::new(
        request.method().as_str(),
        target,
        headers.into_iter(),
        SignableBody::Bytes(request.body()),
    );
    let Some(signed) = signable
        .ok()
        .and_then(|request| sign(request, &params).ok())
    else {
        return false;
    };
    let (instructions, _) = signed.into_parts();
    let authorization = instructions
        .headers()
        .find(|(name, _)| *name == "authorization");
    let (_, value) = authorization.expect("what is signed says so");
    let value = value.parse().expect("the library writes a header's value");
    request.headers_mut().insert("authorization", value);
    true
}

fn set_headers(headers: &mut HeaderMap, date: &'static str) {
    headers.remove("authorization");
    headers.remove("x-amz-content-sha256");
    // What is no token, or two of them, is refused, signed or not.
    let mut tokens = headers.get_all("x-amz-security-token").iter();
    let is_token = |value: &HeaderValue| value.to_str().is_ok();
    if tokens.by_ref().take(1).any(|value| !is_token(value)) || tokens.next().is_some() {
        headers.remove("x-amz-security-token");
    }
    headers.insert("host", HeaderValue::from_static("localhost"));
    headers.insert("x-amz-date", HeaderValue::from_static(date));
}
