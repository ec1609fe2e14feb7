//! One signed exchange with Amazon Cognito Sync, or with any server that speaks its API.
//!
//! [`HyperTransport`] takes a [`Request`](driftless_wire::Request), signs it, sends it over HTTP or
//! HTTPS, and gives back the [`Response`](driftless_wire::Response) or an [`ExchangeError`]. It
//! sends a request again only where that is safe: **an update whose outcome is unknown is never
//! sent again**. It keeps no data and knows nothing of counts, sessions and merging.
//!
//! What it signs with comes from a [`CredentialsProvider`]: [`IdentityPool`] asks Cognito Identity,
//! as a guest or with logins, and never signs for another identity than a request is about.
//!
//! Who needs another way to a service implements [`Transport`], or [`Courier`] to keep signatures and
//! repetitions.
//!
//! ```
//! use std::sync::Arc;
//!
//! use driftless_transport::{Endpoint, EnvironmentCredentials, HyperTransport};
//!
//! # fn main() -> Result<(), driftless_transport::EndpointError> {
//! let credentials = EnvironmentCredentials::new(|name| std::env::var(name).ok());
//! let endpoint = Endpoint::region("eu-central-1")?;
//! assert_eq!(endpoint.signing_region(), "eu-central-1");
//! let transport = HyperTransport::builder(endpoint, Arc::new(credentials)).build();
//! # drop(transport);
//! # Ok(())
//! # }
//! ```

mod builder;
mod clock;
mod connection;
mod courier;
mod credentials;
mod endpoint;
mod error;
mod exchange;
mod identity_pool;
mod retry;
mod sign;
mod transport;

pub use builder::HyperTransportBuilder;
pub use clock::{Clock, SystemClock, Timer, TokioTimer};
pub use courier::Courier;
pub use credentials::{
    Credentials, CredentialsError, CredentialsProvider, EnvironmentCredentials, StaticCredentials,
};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{BoxError, ExchangeError, Retry};
pub use exchange::HyperTransport;
pub use identity_pool::{
    Guest, Identity, IdentityCache, IdentityPool, IdentityPoolBuilder, LoginsSource, MemoryCache,
    Origin,
};
pub use transport::{BoxFuture, Exchanged, Transport};
