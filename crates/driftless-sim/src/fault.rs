//! What goes wrong, by name: on the network, at the service, on disks, and by other hands.

use serde::{Deserialize, Serialize};

/// Something that goes wrong with one request.
///
/// A world turns a random part of them on, each at a random rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Fault {
    /// There is no connection; nothing was sent.
    NoConnection,
    /// The request never arrives, and its sender waits until it gives up.
    RequestLost,
    /// The request is carried out, and the answer never arrives.
    AnswerLost,
    /// The request arrives after its sender gave up, perhaps hours later.
    RequestLate,
    /// The request arrives twice.
    RequestTwice,
    /// The answer comes from somebody else, as from a captive portal.
    AnswerForeign,
    /// 429, nothing was done.
    Throttled,
    /// 500, nothing was done.
    FailedBefore,
    /// 500, after it was carried out.
    FailedAfter,
    /// 409, although nothing stands in the way.
    ConflictForNothing,
    /// The credentials have expired.
    CredentialsExpired,
    /// The session token has expired on the way.
    TokenExpired,
    /// "No such SyncCount", although there is.
    NoSuchCount,
    /// Some of the patches are applied, and the rest not.
    Torn,
    /// A Lambda changes a record that is written.
    Lambda,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::NoConnection,
        Self::RequestLost,
        Self::AnswerLost,
        Self::RequestLate,
        Self::RequestTwice,
        Self::AnswerForeign,
        Self::Throttled,
        Self::FailedBefore,
        Self::FailedAfter,
        Self::ConflictForNothing,
        Self::CredentialsExpired,
        Self::TokenExpired,
        Self::NoSuchCount,
        Self::Torn,
        Self::Lambda,
    ];

    /// Tells whether a client may not know afterwards whether its request was carried out.
    #[must_use]
    pub const fn leaves_doubt(self) -> bool {
        matches!(
            self,
            Self::RequestLost
                | Self::AnswerLost
                | Self::RequestLate
                | Self::AnswerForeign
                | Self::FailedBefore
                | Self::FailedAfter
                | Self::Torn
                | Self::Lambda
        )
    }

    /// Tells whether it may leave records that no whole push has written.
    #[must_use]
    pub const fn damages(self) -> bool {
        matches!(self, Self::Torn | Self::Lambda)
    }
}
