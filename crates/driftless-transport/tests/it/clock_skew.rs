//! A wrong clock of the device, corrected from the service's Date.

use driftless_transport::Transport;
use driftless_wire::ErrorCode;

use crate::server::{Reply, Server};
use crate::world::{self, LISTED, UPDATED, Waits, list, update};

const AN_HOUR_LATER: &str = "Fri, 02 Jan 2026 04:04:05 GMT";
const THE_SAME_TIME: &str = "Fri, 02 Jan 2026 03:04:05 GMT";

fn refusal(code: &str, date: &str) -> Reply {
    Reply::error(403, code).with_header("date", date)
}

fn dates(server: &Server) -> Vec<String> {
    let date = |a: &crate::server::Asked| a.headers["x-amz-date"].to_str().unwrap().to_owned();
    server.asked().iter().map(date).collect()
}

#[tokio::test]
async fn trap_50_clock_is_corrected_and_the_correction_remembered() {
    for code in ["InvalidSignatureException", "RequestTimeTooSkewed"] {
        let server = Server::start([
            refusal(code, AN_HOUR_LATER),
            Reply::ok(UPDATED),
            Reply::ok(LISTED),
        ])
        .await;
        let waits = Waits::default();
        let transport = world::builder(server.address, &waits).build();
        assert_eq!(transport.exchange(update()).await.unwrap().requests, 2);
        assert_eq!(transport.exchange(list()).await.unwrap().requests, 1);
        assert_eq!(
            dates(&server),
            ["20260102T030405Z", "20260102T040405Z", "20260102T040405Z"]
        );
        assert!(waits.get().is_empty());
    }
}

#[tokio::test]
async fn clock_is_corrected_once_in_an_exchange() {
    let server = Server::start([
        refusal("InvalidSignatureException", AN_HOUR_LATER),
        refusal("InvalidSignatureException", THE_SAME_TIME),
    ])
    .await;
    let error = world::transport(server.address)
        .exchange(list())
        .await
        .unwrap_err();
    assert_eq!(error.api().unwrap().code, ErrorCode::InvalidSignature);
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn wrong_secret_is_not_taken_for_a_wrong_clock() {
    let server = Server::start([refusal("InvalidSignatureException", THE_SAME_TIME)]).await;
    let error = world::transport(server.address)
        .exchange(list())
        .await
        .unwrap_err();
    assert_eq!(error.api().unwrap().code, ErrorCode::InvalidSignature);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn date_that_is_none_corrects_nothing() {
    let server = Server::start([refusal("InvalidSignatureException", "yesterday")]).await;
    assert!(
        world::transport(server.address)
            .exchange(list())
            .await
            .is_err()
    );
    assert_eq!(server.asked().len(), 1);
}
