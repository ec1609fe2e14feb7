//! What was written is read back.

use driftless_wire::identity::{IdentityRequest, IdentityResponse};
use driftless_wire::{ApiError, ErrorCode, Operation, Request, Response};
use proptest::prelude::*;

use crate::strategies::{identity_request, identity_response, request, response};

fn read(request: &Request) -> Request {
    let http = request.to_http();
    Request::from_http(http.method.as_str(), &http.path, &http.query, &http.body).unwrap()
}

proptest! {
    /// A request that was written is read back as the same request.
    #[test]
    fn request_survives(request in request()) {
        prop_assert_eq!(read(&request), request);
    }

    /// A written address has only characters that stand for themselves in a URI, and no dot
    /// segment.
    #[test]
    fn address_needs_no_further_encoding(request in request()) {
        let http = request.to_http();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~%".contains(&b);
        prop_assert!(http.path.bytes().all(|b| plain(b) || b == b'/'), "{}", http.path);
        prop_assert!(http.query.bytes().all(|b| plain(b) || b"=&".contains(&b)));
        prop_assert!(http.path.split('/').all(|segment| segment != "." && segment != ".."));
    }

    /// A request whose address a client left unencoded where HTTP allows it is the same request.
    #[test]
    fn raw_colons_are_accepted(request in request()) {
        let http = request.to_http();
        let path = http.path.replace("%3A", ":");
        let raw = Request::from_http(http.method.as_str(), &path, &http.query, &http.body);
        prop_assert_eq!(raw.unwrap(), request);
    }

    /// An answer that was written is read back as the same answer.
    #[test]
    fn answer_survives(response in response()) {
        let body = response.to_body();
        prop_assert_eq!(Response::from_body(response.operation(), &body).unwrap(), response);
    }

    /// Every shorter beginning of an answer is an error, but for no bytes in the place of no
    /// members.
    #[test]
    fn cut_answer_is_an_error(response in response(), cut in any::<prop::sample::Index>()) {
        let body = response.to_body();
        let cut = &body[..cut.index(body.len())];
        prop_assume!(!(cut.is_empty() && body == b"{}"));
        prop_assert!(Response::from_body(response.operation(), cut).is_err());
    }

    /// A request to Cognito Identity that was written is read back as the same request.
    #[test]
    fn identity_request_survives(request in identity_request()) {
        let target = request.operation().target();
        prop_assert_eq!(IdentityRequest::from_http(&target, &request.to_body()), Ok(request));
    }

    /// An answer of Cognito Identity that was written is read back as the same answer, and every
    /// shorter beginning of it is an error.
    #[test]
    fn identity_answer_survives(
        response in identity_response(),
        cut in any::<prop::sample::Index>(),
    ) {
        let operation = match &response {
            IdentityResponse::GetId(_) => driftless_wire::identity::IdentityOperation::GetId,
            _ => driftless_wire::identity::IdentityOperation::GetCredentialsForIdentity,
        };
        let body = response.to_body();
        let cut = &body[..cut.index(body.len())];
        prop_assert!(IdentityResponse::from_body(operation, cut).is_err());
        prop_assert_eq!(IdentityResponse::from_body(operation, &body), Ok(response));
    }
}

#[test]
fn answer_without_members_may_be_empty_and_no_other() {
    for operation in Operation::ALL {
        let nothing = matches!(
            operation,
            Operation::SubscribeToDataset
                | Operation::UnsubscribeFromDataset
                | Operation::SetCognitoEvents
        );
        assert_eq!(
            Response::from_body(operation, b"").is_ok(),
            nothing,
            "{operation}"
        );
    }
}

#[test]
fn error_of_cognito_identity_has_its_type_in_the_body_and_status_400() {
    let error = ApiError::new(ErrorCode::NotAuthorized, "m").of_identity();
    assert_eq!(error.status, 400);
    let body = error.to_identity_body();
    assert_eq!(
        body,
        br#"{"__type":"NotAuthorizedException","message":"m"}"#
    );
    assert_eq!(ApiError::from_http(400, None, &body), error);
    assert_eq!(
        ApiError::new(ErrorCode::ServiceUnavailable, "")
            .of_identity()
            .status,
        500
    );
}
