//! Temporary credentials: what an identity signs with for an hour, and nobody keeps.
//!
//! The session token says whose it is and until when, under a MAC; key id and secret are derived
//! from it. So a request carries all that is needed to check its signature, and a service that is
//! started again with its key takes the credentials from before.
//!
//! ```text
//! nonce[16]  expires i64  pool_len u8  pool  identity  mac[32]
//! ```
//!
//! Numbers are big-endian, the text is base64url. The key id is `ASIA` and 16 characters of a hash
//! of the content, the secret 40 characters of a keyed one.

use std::fmt;

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use driftless_wire::Timestamp;
use driftless_wire::identity::IdentityCredentials;

use crate::key_pair::KeyPair;
use crate::storage::Owner;

const MAC: usize = 32;

/// As long as Cognito's own live.
pub(crate) const LIFETIME_MILLIS: i64 = 60 * 60 * 1_000;

/// Makes temporary credentials and knows its own again.
pub(crate) struct Mint {
    mac_key: [u8; 32],
    secret_key: [u8; 32],
}

/// Whose credentials a session token belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Issued {
    pub(crate) owner: Owner,
    pub(crate) key_pair: KeyPair,
    pub(crate) expires: Timestamp,
}

impl Mint {
    /// Two mints of one key take each other's credentials.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self {
            mac_key: blake3::derive_key("driftless-server 1 session token", key),
            secret_key: blake3::derive_key("driftless-server 1 secret access key", key),
        }
    }

    /// Makes credentials; `nonce` must be another one each time.
    pub(crate) fn issue(
        &self,
        owner: &Owner,
        nonce: [u8; 16],
        now: Timestamp,
    ) -> IdentityCredentials {
        let expiration = Timestamp::from_millis(now.as_millis().saturating_add(LIFETIME_MILLIS));
        let pool = owner.pool.as_str();
        let pool_len = u8::try_from(pool.len()).expect("a pool id has at most 55 characters");
        let mut content = [&nonce[..], &expiration.as_millis().to_be_bytes()].concat();
        content.push(pool_len);
        content.extend(pool.bytes().chain(owner.identity.as_str().bytes()));
        let key_pair = self.key_pair(&content);
        content.extend(blake3::keyed_hash(&self.mac_key, &content).as_bytes());
        IdentityCredentials {
            access_key_id: key_pair.access_key_id().to_owned(),
            secret_key: key_pair.secret_access_key().to_owned(),
            session_token: BASE64URL_NOPAD.encode(&content),
            expiration,
        }
    }

    /// Returns what a session token of this mint says, expired or not.
    pub(crate) fn open(&self, token: &str) -> Option<Issued> {
        let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
        let (content, mac) = bytes.split_last_chunk::<MAC>()?;
        // Hashes are compared in constant time.
        let ours = blake3::keyed_hash(&self.mac_key, content);
        (ours == blake3::Hash::from_bytes(*mac)).then_some(())?;
        let (_nonce, rest) = content.split_first_chunk::<16>()?;
        let (expires, rest) = rest.split_first_chunk()?;
        let (pool_len, rest) = rest.split_first()?;
        let (pool, identity) = rest.split_at_checked(usize::from(*pool_len))?;
        Some(Issued {
            owner: Owner {
                pool: std::str::from_utf8(pool).ok()?.parse().ok()?,
                identity: std::str::from_utf8(identity).ok()?.parse().ok()?,
            },
            key_pair: self.key_pair(content),
            expires: Timestamp::from_millis(i64::from_be_bytes(*expires)),
        })
    }

    fn key_pair(&self, content: &[u8]) -> KeyPair {
        let id = blake3::hash(content);
        let secret = blake3::keyed_hash(&self.secret_key, content);
        KeyPair::new(
            format!("ASIA{}", BASE32_NOPAD.encode(&id.as_bytes()[..10])),
            BASE64URL_NOPAD.encode(&secret.as_bytes()[..30]),
        )
    }
}

impl fmt::Debug for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mint").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn owner() -> Owner {
        Owner {
            pool: "r:0".parse().unwrap(),
            identity: "r:1".parse().unwrap(),
        }
    }

    #[test]
    fn token_says_whose_it_is_and_until_when() {
        let issued = Mint::new(&[1; 32]).issue(&owner(), [2; 16], NOW);
        let opened = Mint::new(&[1; 32]).open(&issued.session_token).unwrap();
        assert_eq!(opened.owner, owner());
        assert_eq!(opened.expires, issued.expiration);
        assert_eq!(issued.expiration.as_millis(), 1_000 + LIFETIME_MILLIS);
        assert_eq!(opened.key_pair.access_key_id(), issued.access_key_id);
        assert_eq!(opened.key_pair.secret_access_key(), issued.secret_key);
        assert_eq!(
            (issued.access_key_id.len(), issued.secret_key.len()),
            (20, 40)
        );
        assert_eq!(Mint::new(&[3; 32]).open(&issued.session_token), None);
        let other = Mint::new(&[1; 32]).issue(&owner(), [3; 16], NOW);
        assert_ne!(other.secret_key, issued.secret_key);
    }

    #[test]
    fn no_changed_or_shortened_token_is_taken() {
        let mint = Mint::new(&[1; 32]);
        let token = mint.issue(&owner(), [2; 16], NOW).session_token;
        for at in 0..token.len() {
            let other = if &token[at..=at] == "A" { "B" } else { "A" };
            assert_eq!(
                mint.open(&format!("{}{other}{}", &token[..at], &token[at + 1..])),
                None
            );
            assert_eq!(mint.open(&token[..at]), None);
        }
    }
}
