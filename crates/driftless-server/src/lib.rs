//! A self-hosted service that speaks the Amazon Cognito Sync API.
//!
//! It keeps datasets for identities and cannot read them: a value is text to it. boto3, the AWS
//! SDKs and the old Cognito Sync clients work against it unchanged; only their endpoint and
//! credentials differ. What it does where the reference is silent stands in
//! `docs/compatibility.md`.
//!
//! - [`Service`] is the whole behaviour, without IO: a request and a time in, an answer out.
//! - [`Storage`] is what it asks of a disk: [`FjallStorage`] is one, [`MemoryStorage`] none.
//! - [`Gate`] is the service behind signatures, HTTP in and HTTP out, still without IO.
//! - [`Server`] is the HTTP shell: signatures, limits, a graceful stop.
//! - [`DataDir`] is a directory with a store and a key pair in it.
//!
//! ```no_run
//! # async fn serve(shutdown: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
//! use driftless_server::{DataDir, Server};
//!
//! let data = DataDir::open("data".as_ref())?;
//! println!("credentials are in {}", data.credentials().display());
//! let server = Server::bind("127.0.0.1:8080".parse()?, data.into_config()).await?;
//! println!("listening on {}", server.local_addr());
//! server.run(shutdown).await?;
//! # Ok(())
//! # }
//! ```
//!
//! One key pair opens every pool and identity: whoever holds it is trusted with all of them. Devices
//! need not: a [`Pool`] gives guests and people who log in identities of their own, with temporary
//! credentials that open nothing else, as Cognito Identity does. Put a proxy that ends TLS in front
//! of a server that others can reach.

mod data_dir;
mod gate;
mod http;
mod key_pair;
mod login;
mod pool;
mod push_sink;
mod service;
mod sigv4;
mod storage;
mod temporary;
mod token;

pub use self::data_dir::{DataDir, OpenError};
pub use self::gate::Gate;
pub use self::http::{Config, Failure, Fault, Moment, ServeError, Server};
pub use self::key_pair::KeyPair;
pub use self::login::{Login, LoginError, LoginVerifier, SharedKeyLogins, ShortKey, Subject};
pub use self::pool::Pool;
pub use self::push_sink::{LogSink, MemorySink, PushHint, PushSink};
pub use self::service::{Caller, Limits, Service};
pub use self::sigv4::{Authorization, AuthorizationError};
pub use self::storage::{
    Address, FjallStorage, Head, Live, MemoryStorage, NoteChange, Owner, Place, Push, Selection,
    Storage, StorageError, Swap, View,
};
