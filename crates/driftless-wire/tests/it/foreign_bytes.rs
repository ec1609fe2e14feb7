//! No bytes make a reader panic.

use driftless_wire::identity::{IdentityOperation, IdentityRequest, IdentityResponse};
use driftless_wire::{ApiError, Operation, Request, Response};
use proptest::prelude::*;

use crate::strategies::{request, response};

const DATASET: &str = "/identitypools/r:0/identities/r:0/datasets/n";

proptest! {
    /// Random bytes, and answers with random bytes in them, are an answer or an error.
    #[test]
    fn answers(
        response in response(),
        at in any::<prop::sample::Index>(),
        junk in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut body = response.to_body();
        let at = at.index(body.len());
        body.splice(at..at, junk.iter().copied());
        for operation in Operation::ALL {
            for body in [&body, &junk] {
                drop(Response::from_body(operation, body));
            }
        }
        for operation in IdentityOperation::ALL {
            drop(IdentityResponse::from_body(operation, &body));
            drop(IdentityRequest::from_http(&operation.target(), &body));
        }
    }

    /// Random errors are an error with bounded texts.
    #[test]
    fn errors(
        status in any::<u16>(),
        header in prop::option::of(".{0,300}"),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            r#"\{"(message|Message|__type|code)":("[^"]{0,40}"|null|1|\[\])\}"#
                .prop_map(String::into_bytes),
        ],
    ) {
        let error = ApiError::from_http(status, header.as_deref(), &body);
        prop_assert_eq!(error.status, status);
        prop_assert!(error.code.name().chars().count() <= 128);
        prop_assert!(error.message.chars().count() <= 1_024);
    }

    /// Random addresses and bodies, and requests with random bytes in them, are a request or an
    /// error.
    #[test]
    fn requests(
        request in request(),
        method in "(GET|POST|DELETE|PUT|.{0,3})",
        address in ".{0,60}",
        at in any::<prop::sample::Index>(),
        junk in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let http = request.to_http();
        let mut body = http.body;
        let at = at.index(body.len() + 1);
        body.splice(at..at, junk.iter().copied());
        for path in [&http.path, &address, DATASET] {
            for query in [&http.query, &address] {
                drop(Request::from_http(&method, path, query, &body));
                drop(Request::from_http(&method, path, query, &junk));
            }
        }
    }
}

#[test]
fn deep_nesting_is_an_error() {
    let body = "[".repeat(1_000_000);
    for operation in Operation::ALL {
        assert!(Response::from_body(operation, body.as_bytes()).is_err());
    }
    for operation in IdentityOperation::ALL {
        assert!(IdentityResponse::from_body(operation, body.as_bytes()).is_err());
        assert!(IdentityRequest::from_http(&operation.target(), body.as_bytes()).is_err());
    }
    assert!(Request::from_http("POST", DATASET, "", body.as_bytes()).is_err());
    assert_eq!(ApiError::from_http(500, None, body.as_bytes()).message, "");
}

#[test]
fn path_of_a_million_segments_is_no_operation() {
    assert!(Request::from_http("GET", &"/".repeat(1_000_000), "", b"").is_err());
}
