//! What is sent again, how often, and what never is.

use std::time::Duration;

use driftless_transport::{ExchangeError, HyperTransport, Retry, Transport};
use driftless_wire::{ErrorCode, Request, Response};

use crate::server::{RawServer, Reply, Server};
use crate::world::{self, LISTED, UPDATED, Waits, delete, list, update};

async fn refused(transport: &HyperTransport, request: Request) -> ExchangeError {
    transport.exchange(request).await.unwrap_err()
}

#[tokio::test]
async fn answer_comes_with_its_cost() {
    let server = Server::start([Reply::ok(LISTED)]).await;
    let exchanged = world::transport(server.address)
        .exchange(list())
        .await
        .unwrap();
    let Response::ListRecords(listed) = &exchanged.response else {
        panic!("{exchanged:?}")
    };
    assert_eq!(listed.dataset_sync_count.get(), 3);
    let bytes = (exchanged.bytes_up, exchanged.bytes_down);
    assert_eq!((exchanged.requests, bytes), (1, (0, LISTED.len() as u64)));
}

#[tokio::test]
async fn list_waits_and_is_sent_again_until_it_is_answered() {
    let server = Server::start([
        Reply::error(500, "InternalErrorException"),
        Reply::error(429, "TooManyRequestsException"),
        Reply::error(502, ""),
        Reply::ok(LISTED),
    ])
    .await;
    let waits = Waits::default();
    let transport = world::builder(server.address, &waits).build();
    assert_eq!(transport.exchange(list()).await.unwrap().requests, 4);
    let longest = [200, 400, 800].map(Duration::from_millis);
    assert_eq!(waits.get().len(), 3);
    assert!(
        waits
            .get()
            .iter()
            .zip(longest)
            .all(|(wait, longest)| *wait <= longest)
    );
}

#[tokio::test]
async fn waits_of_one_seed_are_the_same_and_of_another_are_not() {
    let waits = async |seed| {
        let server = Server::start(vec![Reply::error(500, "InternalErrorException"); 4]).await;
        let waits = Waits::default();
        let transport = world::builder(server.address, &waits)
            .jitter_seed(seed)
            .build();
        refused(&transport, list()).await;
        waits.get()
    };
    assert_eq!(waits(7).await, waits(7).await);
    assert_ne!(waits(7).await, waits(8).await);
}

#[tokio::test]
async fn attempts_are_bounded() {
    let server = Server::start(vec![Reply::error(500, "InternalErrorException"); 9]).await;
    let transport = world::builder(server.address, &Waits::default())
        .attempts(3)
        .build();
    let error = refused(&transport, list()).await;
    assert_eq!(error.api().unwrap().code, ErrorCode::InternalError);
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn update_is_not_sent_again_after_a_failure_of_the_service() {
    let server = Server::start([Reply::error(500, "InternalErrorException")]).await;
    let error = refused(&world::transport(server.address), update()).await;
    assert!(error.outcome_unknown());
    assert_eq!(error.retry(), Retry::Later);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn update_is_sent_again_after_throttling_as_it_was() {
    let server = Server::start([
        Reply::error(429, "TooManyRequestsException"),
        Reply::error(429, "LambdaThrottledException"),
        Reply::ok(UPDATED),
    ])
    .await;
    let exchanged = world::transport(server.address)
        .exchange(update())
        .await
        .unwrap();
    let asked = server.asked();
    assert_eq!((exchanged.requests, asked.len()), (3, 3));
    assert!(
        asked
            .iter()
            .all(|a| a.body == asked[0].body && !a.body.is_empty())
    );
    assert_eq!(exchanged.bytes_up, 3 * asked[0].body.len() as u64);
}

#[tokio::test]
async fn refusal_is_not_sent_again() {
    for (status, code) in [
        (400, "InvalidParameterException"),
        (400, "LimitExceededException"),
        (403, "NotAuthorizedException"),
        (409, "ResourceConflictException"),
    ] {
        for request in [list(), update(), delete()] {
            let server = Server::start([Reply::error(status, code)]).await;
            let error = refused(&world::transport(server.address), request).await;
            assert_eq!(error.api().unwrap().code.name(), code);
            assert!(!error.outcome_unknown());
            assert_eq!(server.asked().len(), 1, "{code}");
        }
    }
}

#[tokio::test]
async fn delete_that_cannot_be_sent_again_stays_unknown() {
    // The first request is lost in the middle, and then the server is gone.
    let server = RawServer::start(b"").await;
    let address = server.address;
    let waits = StopOnWait::new(server);
    let transport = world::builder(address, &Waits::default())
        .timer(waits)
        .build();
    let error = refused(&transport, delete()).await;
    assert!(matches!(error, ExchangeError::Interrupted(_)), "{error:?}");
    assert!(error.outcome_unknown());
}

/// Stops a server when it is asked to wait.
struct StopOnWait(std::sync::Mutex<Option<RawServer>>);

impl StopOnWait {
    fn new(server: RawServer) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self(std::sync::Mutex::new(Some(server))))
    }
}

impl std::fmt::Debug for StopOnWait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StopOnWait")
    }
}

impl driftless_transport::Timer for StopOnWait {
    fn sleep(&self, _: Duration) -> driftless_transport::BoxFuture<'static, ()> {
        let server = self.0.lock().unwrap().take();
        Box::pin(async move {
            if let Some(server) = server {
                server.stop().await;
            }
        })
    }
}
