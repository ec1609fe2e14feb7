//! What a caller is told when there is no answer.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use driftless_transport::{
    CredentialsError, Endpoint, EnvironmentCredentials, ExchangeError, HyperTransport, Retry,
    StaticCredentials, Transport,
};
use driftless_wire::ErrorCode;
use tokio::net::TcpListener;

use crate::server::{RawServer, Reply, Server};
use crate::world::{self, LISTED, Renewing, UPDATED, Waits, delete, list, update};

#[tokio::test]
async fn server_that_is_down_was_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for (request, waited) in [(update(), 0), (list(), 3), (delete(), 3)] {
        let waits = Waits::default();
        let transport = world::builder(address, &waits).build();
        let error = transport.exchange(request).await.unwrap_err();
        assert!(matches!(error, ExchangeError::Connect(_)), "{error:?}");
        assert!(!error.outcome_unknown());
        assert_eq!((error.retry(), waits.get().len()), (Retry::Later, waited));
    }
}

#[tokio::test]
async fn failed_tls_is_no_connection_and_sends_nothing() {
    let server = RawServer::start(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let endpoint = Endpoint::url(&format!("https://{}", server.address), "local").unwrap();
    let provider = Arc::new(StaticCredentials::new(world::credentials("t")));
    let transport = HyperTransport::builder(endpoint, provider).build();
    let error = transport.exchange(update()).await.unwrap_err();
    assert!(matches!(error, ExchangeError::Connect(_)), "{error:?}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn silence_ends_with_the_time_out() {
    let server = Server::start([Reply::Silence, Reply::Silence]).await;
    let transport = world::builder(server.address, &Waits::default())
        .request_timeout(Duration::from_millis(50))
        .attempts(2)
        .build();
    let error = transport.exchange(list()).await.unwrap_err();
    assert!(matches!(error, ExchangeError::TimedOut { .. }), "{error:?}");
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn update_that_timed_out_is_unknown_and_not_sent_again() {
    let server = Server::start([Reply::Silence]).await;
    let transport = world::builder(server.address, &Waits::default())
        .request_timeout(Duration::from_millis(50))
        .build();
    let error = transport.exchange(update()).await.unwrap_err();
    assert!(error.outcome_unknown());
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn cut_connection_is_unknown_and_only_a_list_is_sent_again() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"Records\"",
    ] {
        for (request, connections) in [(update(), 1), (list(), 4)] {
            let server = RawServer::start(answer).await;
            let error = world::transport(server.address)
                .exchange(request)
                .await
                .unwrap_err();
            assert!(matches!(error, ExchangeError::Interrupted(_)), "{error:?}");
            assert!(error.outcome_unknown());
            assert_eq!(server.connections(), connections);
        }
    }
}

#[tokio::test]
async fn what_is_not_http_is_an_interruption() {
    let server = RawServer::start(b"220 mail.example ready\r\n").await;
    let error = world::transport(server.address)
        .exchange(update())
        .await
        .unwrap_err();
    assert!(matches!(error, ExchangeError::Interrupted(_)), "{error:?}");
}

#[tokio::test]
async fn long_answer_is_not_read_to_its_end() {
    let server = Server::start([Reply::ok(LISTED), Reply::ok(" ".repeat(1_000) + LISTED)]).await;
    let limit = LISTED.len();
    let transport = world::builder(server.address, &Waits::default())
        .max_answer_bytes(limit)
        .build();
    assert!(transport.exchange(list()).await.is_ok());
    let error = transport.exchange(list()).await.unwrap_err();
    assert!(matches!(error, ExchangeError::AnswerTooLarge { limit: l } if l == limit));
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn page_of_a_portal_is_a_bad_answer() {
    let server = Server::start([Reply::ok("<html>log in</html>")]).await;
    let error = world::transport(server.address)
        .exchange(update())
        .await
        .unwrap_err();
    assert!(matches!(error, ExchangeError::BadAnswer(_)), "{error:?}");
    assert!(error.outcome_unknown());
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let server = Server::start([Reply::error(302, "").with_header("location", "/")]).await;
    let error = world::transport(server.address)
        .exchange(list())
        .await
        .unwrap_err();
    assert_eq!(
        error.api().unwrap().code,
        ErrorCode::Unknown("302".to_owned())
    );
}

#[tokio::test]
async fn type_of_an_error_is_found_in_header_or_body() {
    let body = r#"{"__type":"a.b#ResourceConflictException","Message":"why"}"#;
    let in_body = Reply::Answer {
        status: 409,
        headers: Vec::new(),
        body: body.to_owned(),
    };
    let in_header = Reply::error(409, "ResourceConflictException:http://internal.amazon.com/");
    let server = Server::start([in_body, in_header]).await;
    let transport = world::transport(server.address);
    for message in ["why", "m"] {
        let error = transport.exchange(update()).await.unwrap_err();
        let error = error.api().unwrap();
        assert_eq!(error.code, ErrorCode::ResourceConflict);
        assert_eq!(error.message, message);
    }
}

#[tokio::test]
async fn missing_credentials_are_named() {
    let provider = Arc::new(EnvironmentCredentials::new(|_| None));
    let server = Server::start([]).await;
    let transport = world::builder_with(server.address, &Waits::default(), provider).build();
    let error = transport.exchange(list()).await.unwrap_err();
    let missing = CredentialsError::Missing("AWS_ACCESS_KEY_ID").to_string();
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        missing
    );
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn expired_credentials_are_renewed_once_even_for_an_update() {
    let expired = || Reply::error(403, "ExpiredTokenException");
    let server = Server::start([expired(), Reply::ok(UPDATED)]).await;
    let provider = Arc::new(Renewing::default());
    let waits = Waits::default();
    let transport = world::builder_with(server.address, &waits, provider.clone()).build();
    transport.exchange(update()).await.unwrap();
    let tokens: Vec<_> = server
        .asked()
        .iter()
        .map(|a| a.headers["x-amz-security-token"].clone())
        .collect();
    assert_eq!(tokens, ["first", "second"]);
    assert_eq!((provider.renewals(), waits.get().len()), (1, 0));

    let server = Server::start([expired(), expired()]).await;
    let transport = world::builder_with(server.address, &waits, provider).build();
    let error = transport.exchange(list()).await.unwrap_err();
    assert_eq!(error.api().unwrap().code, ErrorCode::ExpiredToken);
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn credentials_that_cannot_be_renewed_are_not_tried_twice() {
    let server = Server::start([Reply::error(403, "ExpiredTokenException")]).await;
    let error = world::transport(server.address)
        .exchange(list())
        .await
        .unwrap_err();
    assert_eq!(error.api().unwrap().code, ErrorCode::ExpiredToken);
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn no_runtime_is_an_error_and_not_a_panic() {
    let transport = world::transport("127.0.0.1:9".parse().unwrap());
    let mut exchange = pin!(transport.exchange(list()));
    let Poll::Ready(result) = exchange
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("nothing to wait for");
    };
    assert!(
        matches!(result, Err(ExchangeError::NoRuntime)),
        "{result:?}"
    );
}

/// Polls an exchange a number of times, drops it, and finds the transport as good as before, for
/// every number up to the one that finishes it.
#[tokio::test]
async fn exchange_may_be_dropped_at_any_await() {
    let fault = || Reply::error(500, "InternalErrorException");
    for polls in 1..64 {
        let server = Server::start([fault(), Reply::ok(LISTED), Reply::ok(LISTED), fault()]).await;
        let transport = world::transport(server.address);
        let mut exchange = transport.exchange(list());
        let mut left = polls;
        let finished = std::future::poll_fn(|context| {
            left -= 1;
            match exchange.as_mut().poll(context) {
                Poll::Ready(result) => Poll::Ready(Some(result)),
                Poll::Pending if left == 0 => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        drop(exchange);
        assert!(
            transport.exchange(list()).await.is_ok(),
            "after {polls} polls"
        );
        if finished.is_some() {
            assert!(polls > 1);
            return;
        }
    }
    panic!("the exchange never finished");
}
