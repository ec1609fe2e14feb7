//! Where logins come from: the app's own way of logging people in.

use std::fmt;

use driftless_wire::identity::Logins;

use crate::error::BoxError;
use crate::transport::BoxFuture;

/// Gives out the logins of whoever uses the device.
pub trait LoginsSource: Send + Sync + fmt::Debug {
    /// Returns tokens that are good now; none for a guest.
    ///
    /// It is asked at each refresh, about once an hour, so it renews tokens that have expired.
    fn logins(&self) -> BoxFuture<'_, Result<Logins, BoxError>>;
}

/// Nobody has logged in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guest;

impl LoginsSource for Guest {
    fn logins(&self) -> BoxFuture<'_, Result<Logins, BoxError>> {
        Box::pin(async { Ok(Logins::none()) })
    }
}
