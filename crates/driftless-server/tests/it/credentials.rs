//! Temporary credentials at the gate: what they open, and until when.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use driftless_server::{Gate, KeyPair, MemoryStorage, Service, Storage};
use driftless_wire::identity::{
    GetCredentialsForIdentityRequest, GetCredentialsForIdentityResponse, GetIdRequest,
    IdentityCredentials, IdentityRequest, IdentityResponse, Logins,
};
use driftless_wire::{ApiError, IdentityId, ListRecordsRequest, Request, Timestamp};

use crate::support::{list_records, open_pool, pool};

const NOW_SECONDS: u64 = 1_767_323_045;
const NOW: Timestamp = Timestamp::from_millis(NOW_SECONDS as i64 * 1_000);
const HOUR_MILLIS: i64 = 3_600_000;

fn gate(storage: Arc<dyn Storage>, seed: u8) -> Gate {
    let service = Service::new(storage, [1; 32], [seed; 32]).with_pool(pool(), open_pool());
    Gate::new(service, KeyPair::new("AKIDTEST", "s3cret"))
}

fn after(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + millis)
}

fn ask(gate: &Gate, request: &IdentityRequest) -> http::Response<Bytes> {
    let mut http = http::Request::new(Bytes::from(request.to_body()));
    *http.method_mut() = http::Method::POST;
    let target = request.operation().target().parse().unwrap();
    http.headers_mut().insert("x-amz-target", target);
    gate.answer(http, NOW)
}

fn guest(gate: &Gate) -> (IdentityId, IdentityCredentials) {
    let request = IdentityRequest::GetId(GetIdRequest {
        identity_pool_id: pool(),
        logins: Logins::none(),
    });
    let answer = ask(gate, &request);
    assert_eq!(
        answer.headers()["content-type"],
        "application/x-amz-json-1.1"
    );
    let answer = IdentityResponse::from_body(request.operation(), answer.body()).unwrap();
    let IdentityResponse::GetId(answer) = answer else {
        panic!("{answer:?}")
    };
    let request = IdentityRequest::GetCredentialsForIdentity(GetCredentialsForIdentityRequest {
        identity_id: answer.identity_id,
        logins: Logins::none(),
    });
    let answer = IdentityResponse::from_body(request.operation(), ask(gate, &request).body());
    let IdentityResponse::GetCredentialsForIdentity(GetCredentialsForIdentityResponse {
        identity_id,
        credentials,
    }) = answer.unwrap()
    else {
        panic!("credentials answer credentials")
    };
    (identity_id, credentials)
}

/// Lists a dataset of an identity and returns the error's name, or nothing.
fn list(
    gate: &Gate,
    identity: &IdentityId,
    credentials: &IdentityCredentials,
    at: Timestamp,
) -> String {
    let list = Request::ListRecords(ListRecordsRequest {
        identity_id: identity.clone(),
        ..list_records("d")
    });
    let parts = list.to_http();
    let mut request = http::Request::new(Bytes::new());
    *request.uri_mut() = parts.path.parse().unwrap();
    let token = Some(credentials.session_token.clone());
    let (id, secret) = (&*credentials.access_key_id, &*credentials.secret_key);
    let signer = Credentials::new(id, secret, token, None, "test").into();
    let seconds = u64::try_from(at.as_millis() / 1_000).unwrap();
    let params = SigningParams::builder()
        .identity(&signer)
        .region("us-east-1")
        .name("cognito-sync")
        .time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let headers = [("host", "localhost")].into_iter();
    let body = SignableBody::Bytes(b"");
    let signable = SignableRequest::new("GET", parts.path, headers, body).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    instructions.apply_to_request_http1x(&mut request);
    request
        .headers_mut()
        .insert("host", "localhost".parse().unwrap());
    let answer = gate.answer(request, at);
    let kind = answer.headers().get("x-amzn-errortype");
    kind.map_or_else(String::new, |kind| kind.to_str().unwrap().to_owned())
}

#[test]
fn trap_49_credentials_open_their_own_identity_for_an_hour() {
    let gate = gate(Arc::new(MemoryStorage::new()), 2);
    let (identity, credentials) = guest(&gate);
    assert_eq!(credentials.expiration, after(HOUR_MILLIS));
    assert!(credentials.access_key_id.starts_with("ASIA"));
    assert_eq!(list(&gate, &identity, &credentials, NOW), "");
    assert_eq!(
        list(&gate, &identity, &credentials, after(HOUR_MILLIS - 1_000)),
        ""
    );
    let expired = list(&gate, &identity, &credentials, after(HOUR_MILLIS));
    assert_eq!(expired, "ExpiredTokenException");
}

#[test]
fn credentials_open_no_other_identity() {
    let gate = gate(Arc::new(MemoryStorage::new()), 2);
    let (first, credentials) = guest(&gate);
    let (second, others) = guest(&gate);
    assert_eq!(
        list(&gate, &second, &credentials, NOW),
        "NotAuthorizedException"
    );
    assert_eq!(list(&gate, &first, &others, NOW), "NotAuthorizedException");
}

#[test]
fn parts_of_two_credentials_do_not_go_together() {
    let gate = gate(Arc::new(MemoryStorage::new()), 2);
    let (identity, own) = guest(&gate);
    let (_, other) = guest(&gate);
    let check = |credentials: IdentityCredentials, error: &str| {
        assert_eq!(list(&gate, &identity, &credentials, NOW), error);
    };
    let mut mixed = own.clone();
    mixed.session_token = other.session_token.clone();
    check(mixed, "UnrecognizedClientException");
    let mut mixed = own.clone();
    mixed.secret_key = other.secret_key.clone();
    check(mixed, "InvalidSignatureException");
    let mut mixed = other.clone();
    mixed.session_token = own.session_token.clone();
    check(mixed, "UnrecognizedClientException");
    let mut none = own;
    none.session_token = String::new();
    check(none, "UnrecognizedClientException");
}

#[test]
fn credentials_outlive_the_server() {
    let storage = Arc::new(MemoryStorage::new());
    let (identity, credentials) = guest(&gate(storage.clone(), 2));
    assert_eq!(list(&gate(storage, 3), &identity, &credentials, NOW), "");
}

#[test]
fn error_of_cognito_identity_has_status_400_and_its_type_in_the_body() {
    let gate = gate(Arc::new(MemoryStorage::new()), 2);
    let request = IdentityRequest::GetId(GetIdRequest {
        identity_pool_id: "r:0".parse().unwrap(),
        logins: Logins::none(),
    });
    let answer = ask(&gate, &request);
    assert_eq!(answer.status(), 400);
    let body =
        br#"{"__type":"ResourceNotFoundException","message":"IdentityPool 'r:0' not found."}"#;
    assert_eq!(answer.body(), &body[..]);
    let read = ApiError::from_http(400, None, answer.body());
    assert_eq!(read.message, "IdentityPool 'r:0' not found.");
}

#[test]
fn only_what_asks_for_an_identity_goes_unsigned() {
    let gate = gate(Arc::new(MemoryStorage::new()), 2);
    let kind = |method: http::Method, path: &'static str, target: Option<&'static str>| {
        let mut request = http::Request::new(Bytes::from_static(b"{}"));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        if let Some(target) = target {
            request
                .headers_mut()
                .insert("x-amz-target", target.parse().unwrap());
        }
        let answer = gate.answer(request, NOW);
        answer.headers()["x-amzn-errortype"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    let get_id = Some("AWSCognitoIdentityService.GetId");
    let missing = "MissingAuthenticationTokenException";
    assert_eq!(
        kind(http::Method::POST, "/", get_id),
        "InvalidParameterException"
    );
    assert_eq!(
        kind(http::Method::POST, "/", Some("x")),
        "UnknownOperationException"
    );
    assert_eq!(kind(http::Method::POST, "/", None), missing);
    assert_eq!(kind(http::Method::GET, "/", get_id), missing);
    assert_eq!(kind(http::Method::POST, "/identitypools", get_id), missing);
}
