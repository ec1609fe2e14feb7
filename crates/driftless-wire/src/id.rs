//! The names and ids of the service, each valid from the moment it exists.
//!
//! They are parsed once where they come in (a user's argument, a path, a row, JSON) and not checked
//! again. An error never quotes what it refuses: a record's key is the user's data and stays out of
//! logs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits;

/// Why a text is not an id of the asked kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text is empty.
    #[error("{what} is empty")]
    Empty {
        /// The kind of id, in the API's spelling.
        what: &'static str,
    },
    /// The text is longer than the model allows.
    #[error("{what} has {chars} characters, {limit} are allowed")]
    TooLong {
        /// The kind of id, in the API's spelling.
        what: &'static str,
        /// How many characters the text has.
        chars: usize,
        /// How many the model allows.
        limit: usize,
    },
    /// The text does not match the model's pattern.
    #[error("{what} does not match {pattern}")]
    Pattern {
        /// The kind of id, in the API's spelling.
        what: &'static str,
        /// The pattern of the service's model.
        pattern: &'static str,
    },
}

const DATASET_NAME_PATTERN: &str = "[a-zA-Z0-9_.:-]+";
const IDENTITY_PATTERN: &str = r"[\w-]+:[0-9a-f-]+";

fn check_length(what: &'static str, text: &str, limit: usize) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { what });
    }
    match text.chars().count() {
        chars if chars <= limit => Ok(()),
        chars => Err(IdError::TooLong { what, chars, limit }),
    }
}

fn check_dataset_name(what: &'static str, text: &str) -> Result<(), IdError> {
    check_length(what, text, limits::DATASET_NAME_CHARS)?;
    if text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b))
    {
        return Ok(());
    }
    Err(IdError::Pattern {
        what,
        pattern: DATASET_NAME_PATTERN,
    })
}

fn check_identity(what: &'static str, text: &str) -> Result<(), IdError> {
    check_length(what, text, limits::IDENTITY_ID_CHARS)?;
    let word = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-');
    match text.split_once(':') {
        Some((region, id))
            if !region.is_empty()
                && region.bytes().all(word)
                && !id.is_empty()
                && id.bytes().all(hex) =>
        {
            Ok(())
        }
        _ => Err(IdError::Pattern {
            what,
            pattern: IDENTITY_PATTERN,
        }),
    }
}

fn check_record_key(what: &'static str, text: &str) -> Result<(), IdError> {
    check_length(what, text, limits::KEY_CHARS)
}

fn check_device_id(what: &'static str, text: &str) -> Result<(), IdError> {
    check_length(what, text, limits::DEVICE_ID_CHARS)
}

/// Makes a string newtype that can only be made through its check.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                $check(stringify!($name), &text)?;
                Ok(Self(text))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = IdError;

            fn try_from(text: &str) -> Result<Self, IdError> {
                Self::try_from(text.to_owned())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// The name of a dataset: 1 to 128 of `[a-zA-Z0-9_.:-]`.
    ///
    /// The reference's text leaves out the colon, its pattern has it: the service itself names the
    /// datasets of merged identities `<name>.<identity id>`.
    DatasetName, check_dataset_name
}

id! {
    /// The id of an identity, `us-east-1:` and a UUID: 1 to 55 characters of `[\w-]+:[0-9a-f-]+`.
    IdentityId, check_identity
}

id! {
    /// The id of an identity pool: 1 to 55 characters of `[\w-]+:[0-9a-f-]+`.
    IdentityPoolId, check_identity
}

id! {
    /// The key of a record: 1 to 1,024 characters of any kind.
    ///
    /// Every old client stops at [`limits::MAX_KEY_BYTES`] bytes; who writes keep to that, who
    /// reads accept the model's.
    RecordKey, check_record_key
}

id! {
    /// The id that RegisterDevice gave a device, in practice a UUID: 1 to 256 characters.
    DeviceId, check_device_id
}

/// The token of a session: one ListRecords gives it, at most one UpdateRecords takes it.
///
/// It is opaque and has no constraint in the model. `Debug` does not show it, because who has it
/// and the credentials can write.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SyncSessionToken(String);

impl SyncSessionToken {
    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for SyncSessionToken {
    fn from(token: String) -> Self {
        Self(token)
    }
}

impl From<&str> for SyncSessionToken {
    fn from(token: &str) -> Self {
        Self(token.to_owned())
    }
}

impl From<SyncSessionToken> for String {
    fn from(token: SyncSessionToken) -> Self {
        token.0
    }
}

impl fmt::Debug for SyncSessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SyncSessionToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr<Err = IdError>>(text: &str, valid: bool) {
        assert_eq!(text.parse::<T>().is_ok(), valid, "{text:?}");
    }

    #[test]
    fn dataset_name_follows_the_models_pattern() {
        check::<DatasetName>("notes", true);
        check::<DatasetName>("notes.us-east-1:01234567-89ab-cdef-0123-456789abcdef", true);
        check::<DatasetName>(&"n".repeat(128), true);
        check::<DatasetName>(&"n".repeat(129), false);
        check::<DatasetName>("", false);
        check::<DatasetName>("two words", false);
        check::<DatasetName>("a/b", false);
        check::<DatasetName>("é", false);
    }

    #[test]
    fn identity_id_is_a_region_and_lower_case_hex() {
        check::<IdentityId>("us-east-1:01234567-89ab-cdef-0123-456789abcdef", true);
        check::<IdentityPoolId>("local_1:0", true);
        check::<IdentityId>("us-east-1", false);
        check::<IdentityId>(":0", false);
        check::<IdentityId>("us-east-1:", false);
        check::<IdentityId>("us-east-1:ABC", false);
        check::<IdentityId>("us-east-1:0:1", false);
        check::<IdentityId>(&format!("r:{}", "0".repeat(54)), false);
    }

    #[test]
    fn record_key_is_counted_in_characters() {
        check::<RecordKey>(&"é".repeat(1_024), true);
        check::<RecordKey>(&"é".repeat(1_025), false);
        check::<RecordKey>("", false);
    }

    #[test]
    fn error_does_not_quote_the_refused_text() {
        let error = "secret key/".parse::<DatasetName>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "DatasetName does not match [a-zA-Z0-9_.:-]+"
        );
    }

    #[test]
    fn debug_hides_a_session_token() {
        assert_eq!(
            format!("{:?}", SyncSessionToken::from("abc")),
            "SyncSessionToken(..)"
        );
    }
}
