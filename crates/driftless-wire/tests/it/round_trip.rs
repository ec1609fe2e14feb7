//! What was written is read back.

use driftless_wire::{Request, Response};
use proptest::prelude::*;

use crate::strategies::{request, response};

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

    /// Every shorter beginning of an answer is an error.
    #[test]
    fn cut_answer_is_an_error(response in response(), cut in any::<prop::sample::Index>()) {
        let body = response.to_body();
        let cut = &body[..cut.index(body.len())];
        prop_assert!(Response::from_body(response.operation(), cut).is_err());
    }
}
