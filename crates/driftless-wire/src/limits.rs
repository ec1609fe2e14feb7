//! What the service allows, each number written once.
//!
//! The quotas are adjustable per account, so those who enforce them take them as configuration and
//! use these as the defaults. Where the reference gives a number for the model and old clients
//! enforce a stricter one, both are here.

use std::error::Error;
use std::fmt;

/// Records in one dataset, tombstones counted ("Limits in Amazon Cognito Sync", adjustable).
pub const RECORDS_PER_DATASET: usize = 1_024;

/// Datasets of one identity ("Limits in Amazon Cognito Sync", adjustable).
pub const DATASETS_PER_IDENTITY: usize = 20;

/// Bytes of one dataset: keys and values as UTF-8, summed. The reference says "1 MB"; this is what
/// the iOS client counted.
pub const DATASET_BYTES: usize = 1_048_576;

/// The same limit in the strict reading of "1 MB", which no reading of the reference refuses.
pub const DATASET_BYTES_STRICT: usize = 1_000_000;

/// Characters of one value (`RecordValue`, max 1048575).
pub const VALUE_CHARS: usize = 1_048_575;

/// Characters of one key in the model (`RecordKey`, 1 to 1024).
pub const KEY_CHARS: usize = 1_024;

/// Bytes of one key that every old client can read and write.
pub const MAX_KEY_BYTES: usize = 128;

/// Characters of a dataset's name (`DatasetName`, 1 to 128).
pub const DATASET_NAME_CHARS: usize = 128;

/// Characters of an identity id or identity pool id (1 to 55).
pub const IDENTITY_ID_CHARS: usize = 55;

/// Characters of a device id (`DeviceId`, 1 to 256).
pub const DEVICE_ID_CHARS: usize = 256;

/// Logins in one request (`LoginsMap`, max 10).
pub const LOGINS: usize = 10;

/// Characters of a login provider's name (`IdentityProviderName`, 1 to 128).
pub const LOGIN_PROVIDER_CHARS: usize = 128;

/// Characters of a login's token (`IdentityProviderToken`, 1 to 50000).
pub const LOGIN_TOKEN_CHARS: usize = 50_000;

/// The page size that old clients ask ListRecords for: a whole dataset.
pub const RECORDS_PER_PAGE: u32 = 1_024;

/// The page size that old clients ask ListDatasets for.
pub const DATASETS_PER_PAGE: u32 = 64;

/// Checks a value against `RecordValue` of the model; the empty string is a legal value.
///
/// # Errors
///
/// [`ValueTooLong`] with the length in characters, which is not the length in bytes.
pub fn check_value(value: &str) -> Result<(), ValueTooLong> {
    // A string never has more characters than bytes, so most values are not counted.
    if value.len() <= VALUE_CHARS {
        return Ok(());
    }
    match value.chars().count() {
        chars if chars <= VALUE_CHARS => Ok(()),
        chars => Err(ValueTooLong { chars }),
    }
}

/// A value has more characters than one record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueTooLong {
    chars: usize,
}

impl ValueTooLong {
    /// Returns how long the value is, in characters.
    #[must_use]
    pub fn chars(&self) -> usize {
        self.chars
    }
}

impl fmt::Display for ValueTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "value has {} characters, {VALUE_CHARS} are allowed",
            self.chars
        )
    }
}

impl Error for ValueTooLong {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_counted_in_characters() {
        assert_eq!(check_value(""), Ok(()));
        assert_eq!(check_value(&"é".repeat(VALUE_CHARS)), Ok(()));
        assert_eq!(
            check_value(&"é".repeat(VALUE_CHARS + 1)),
            Err(ValueTooLong {
                chars: VALUE_CHARS + 1
            })
        );
    }
}
