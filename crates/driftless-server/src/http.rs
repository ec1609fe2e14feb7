//! The HTTP shell: connections, limits and the stop; what a request means is the service's.
//!
//! Everything a peer can make last has an end: reading a head, a request from its first byte to its
//! answer, a connection, the drain at the stop. Everything it can make large has a limit: the
//! head, the body, the number of connections, the number of requests that are in the storage at
//! once. Storage work runs on the blocking threads of the runtime.
//!
//! Every answer that is not a 200 is JSON with its type in `x-amzn-ErrorType`, but for heads that
//! hyper refuses before there is a request.

mod config;
mod exchange;
mod fault;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use self::config::Config;
use self::exchange::Exchange;
pub use self::fault::{Failure, Fault, Moment};

/// How long to wait after a connection could not be accepted, most likely for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a server could not start or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is taken, is not this machine's, or needs a right. Choose another.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Requests were still in the storage when the time to stop was over. What they write is
    /// whole or absent, as after a crash.
    #[error("storage was still at work at the end of the time to stop")]
    Unfinished,
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: Config,
}

impl Server {
    /// Listens on an address; port 0 takes a free one. Connections wait until [`Server::run`].
    ///
    /// # Errors
    ///
    /// [`ServeError::Bind`].
    pub async fn bind(address: SocketAddr, config: Config) -> Result<Self, ServeError> {
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bound
            .await
            .map_err(|source| ServeError::Bind { address, source })?;
        Ok(Self {
            listener,
            address,
            config,
        })
    }

    /// Returns the address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready, then stops: no new connection is taken, requests that
    /// have begun are answered for as long as the configured time to stop, the rest is cut off.
    /// When this returns without an error, nobody writes to the storage any more.
    ///
    /// # Errors
    ///
    /// [`ServeError::Unfinished`].
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self {
            listener,
            address,
            config,
        } = self;
        let drain = config.stop_timeout;
        let slots = Arc::new(Semaphore::new(config.max_connections));
        let exchange = Arc::new(Exchange::new(config));
        let (stop, stopping) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        tracing::info!(%address, "listening");
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = accept(&listener, &slots) => accepted,
            };
            while connections.try_join_next().is_some() {}
            let serving = serve(accepted, Arc::clone(&exchange), stopping.clone());
            connections.spawn(serving);
        }
        drop(listener);
        stop.send_replace(true);
        let answered = timeout(drain, async {
            while connections.join_next().await.is_some() {}
        });
        if answered.await.is_err() {
            connections.shutdown().await;
        }
        tracing::info!(%address, "stopped");
        match timeout(drain, exchange.storage_idle()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(ServeError::Unfinished),
        }
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .expect("nobody closes the semaphore");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until it ends, grows old or the server stops.
async fn serve(
    (stream, _slot): (TcpStream, OwnedSemaphorePermit),
    exchange: Arc<Exchange>,
    mut stopping: watch::Receiver<bool>,
) {
    let config = exchange.config();
    let (age, drain) = (config.connection_age, config.stop_timeout);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_headers(config.max_headers)
        .max_buf_size(config.max_head_bytes);
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot turn off delays");
    }
    let service = service_fn(move |request| {
        let exchange = Arc::clone(&exchange);
        async move { exchange.answer(request).await }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        _ = stopping.wait_for(|stopping| *stopping) => None,
        () = sleep(age) => None,
    };
    let ended = match ended {
        Some(ended) => Ok(ended),
        None => {
            connection.as_mut().graceful_shutdown();
            timeout(drain, connection).await
        }
    };
    if let Ok(Err(error)) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}
