//! The request as it arrives.

use driftless_transport::Transport;
use driftless_wire::Request;

use crate::server::{Reply, Server};
use crate::world::{self, LISTED, UPDATED, list, update};

#[tokio::test]
async fn request_arrives_as_it_was_signed() {
    let server = Server::start([Reply::ok(LISTED), Reply::ok(UPDATED)]).await;
    let transport = world::transport(server.address);
    for request in [list(), update()] {
        transport.exchange(request).await.unwrap();
    }
    for (asked, request) in server.asked().iter().zip([list(), update()]) {
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        assert_eq!(
            Request::from_http(&asked.method, path, query, &asked.body),
            Ok(request)
        );
        assert_eq!(asked.headers["host"], server.address.to_string());
        assert_eq!(asked.headers["x-amz-date"], "20260102T030405Z");
        assert_eq!(asked.headers["x-amz-security-token"], "hidden-token+/=");
        assert_eq!(
            asked.headers.contains_key("content-type"),
            !asked.body.is_empty()
        );
        let authorization = asked.headers["authorization"].to_str().unwrap();
        assert!(authorization.contains("/20260102/us-east-1/cognito-sync/aws4_request"));
    }
}
