//! Logins signed with a key that the service shares with whoever logs people in.
//!
//! A token is a JSON Web Token (RFC 7519) with `HS256`, which any language's libraries make:
//!
//! ```text
//! {"alg":"HS256"} . {"iss": provider, "aud": pool id, "sub": person, "exp": seconds} . MAC
//! ```
//!
//! All four claims are needed; `aud` may be a list; `nbf` is heeded. No other algorithm is taken,
//! so a token cannot choose how it is checked, and a header with `crit` is refused.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use driftless_wire::{IdentityPoolId, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;

use super::{Login, LoginError, LoginVerifier, Subject};

/// The least length of a key: that of the digest (RFC 7518, 3.2).
const KEY_BYTES: usize = 32;

/// A [`LoginVerifier`] for tokens signed with one key. Who has the key can be anybody.
#[derive(Clone)]
pub struct SharedKeyLogins {
    mac: Hmac<Sha256>,
}

/// A key has fewer than 32 bytes, and could be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("key has fewer than {KEY_BYTES} bytes")]
pub struct ShortKey;

#[derive(Deserialize)]
struct Header {
    alg: String,
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    exp: f64,
    nbf: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl SharedKeyLogins {
    /// Returns a verifier of tokens that are signed with `key`, at least 32 bytes of it.
    ///
    /// # Errors
    ///
    /// [`ShortKey`].
    pub fn new(key: &[u8]) -> Result<Self, ShortKey> {
        if key.len() < KEY_BYTES {
            return Err(ShortKey);
        }
        let mac = Hmac::new_from_slice(key).map_err(|_| ShortKey)?;
        Ok(Self { mac })
    }

    /// Returns a token that says, until `expires`, that `provider` knows who it is for as
    /// `subject`.
    #[must_use]
    pub fn sign(
        &self,
        pool: &IdentityPoolId,
        provider: &str,
        subject: &Subject,
        expires: Timestamp,
    ) -> String {
        let claims = json!({
            "iss": provider,
            "aud": pool.as_str(),
            "sub": subject.as_str(),
            "exp": expires.as_millis().div_euclid(1_000),
        });
        let part = |json: String| BASE64URL_NOPAD.encode(json.as_bytes());
        let signed = format!(
            "{}.{}",
            part(json!({"alg": "HS256"}).to_string()),
            part(claims.to_string())
        );
        let mac = self
            .mac
            .clone()
            .chain_update(&signed)
            .finalize()
            .into_bytes();
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&mac))
    }

    /// Returns the claims of a token that is signed with the key.
    fn claims(&self, token: &str) -> Result<Claims, LoginError> {
        let (signed, mac) = token.rsplit_once('.').ok_or(LoginError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(LoginError::Malformed)?;
        let decode = |part: &str| {
            let bytes = BASE64URL_NOPAD.decode(part.as_bytes());
            bytes.map_err(|_| LoginError::Malformed)
        };
        let expected = self.mac.clone().chain_update(signed);
        expected
            .verify_slice(&decode(mac)?)
            .map_err(|_| LoginError::Signature)?;
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| LoginError::Malformed)?;
        if header.alg != "HS256" || header.crit.is_some() {
            return Err(LoginError::Malformed);
        }
        serde_json::from_slice(&decode(claims)?).map_err(|_| LoginError::Malformed)
    }
}

impl LoginVerifier for SharedKeyLogins {
    fn verify(&self, login: &Login<'_>, now: Timestamp) -> Result<Subject, LoginError> {
        let claims = self.claims(login.token)?;
        let pool = login.pool.as_str();
        let for_pool = match &claims.aud {
            Audience::One(audience) => audience == pool,
            Audience::Many(audiences) => audiences.iter().any(|audience| audience == pool),
        };
        if claims.iss != login.provider || !for_pool {
            return Err(LoginError::Misdirected);
        }
        let now = now.as_millis() as f64 / 1_000.0;
        // What is no number, as a comparison goes, is out of time.
        if !(now < claims.exp && claims.nbf.is_none_or(|nbf| nbf <= now)) {
            return Err(LoginError::OutOfTime);
        }
        Subject::new(claims.sub).ok_or(LoginError::Malformed)
    }
}

/// Shows nothing of the key.
impl fmt::Debug for SharedKeyLogins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKeyLogins").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const NOW: Timestamp = Timestamp::from_millis(1_767_323_045_000);

    fn logins() -> SharedKeyLogins {
        SharedKeyLogins::new(&KEY).unwrap()
    }

    fn pool() -> IdentityPoolId {
        "r:0".parse().unwrap()
    }

    fn token(header: serde_json::Value, claims: serde_json::Value) -> String {
        let part = |json: serde_json::Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let mac = logins().mac.chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&mac))
    }

    fn verify(token: &str) -> Result<Subject, LoginError> {
        let login = Login {
            pool: &pool(),
            provider: "p",
            token,
        };
        logins().verify(&login, NOW)
    }

    fn check(claims: serde_json::Value, expected: &str) {
        let outcome = verify(&token(json!({"alg": "HS256", "typ": "JWT"}), claims));
        let outcome = outcome.map_or_else(|error| format!("{error:?}"), |subject| subject.0);
        assert_eq!(outcome, expected);
    }

    #[test]
    fn every_claim_is_needed_and_heeded() {
        let exp = 1_767_323_046;
        check(
            json!({"iss": "p", "aud": "r:0", "sub": "ann", "exp": exp}),
            "ann",
        );
        check(
            json!({"iss": "p", "aud": ["x", "r:0"], "sub": "ann", "exp": exp}),
            "ann",
        );
        check(
            json!({"iss": "q", "aud": "r:0", "sub": "ann", "exp": exp}),
            "Misdirected",
        );
        check(
            json!({"iss": "p", "aud": "r:1", "sub": "ann", "exp": exp}),
            "Misdirected",
        );
        check(
            json!({"iss": "p", "aud": "r:0", "sub": "ann", "exp": exp - 1}),
            "OutOfTime",
        );
        let early = json!({"iss": "p", "aud": "r:0", "sub": "ann", "exp": exp, "nbf": exp});
        check(early, "OutOfTime");
        check(
            json!({"iss": "p", "aud": "r:0", "sub": "", "exp": exp}),
            "Malformed",
        );
        check(json!({"iss": "p", "aud": "r:0", "sub": "ann"}), "Malformed");
    }

    #[test]
    fn no_token_chooses_its_own_algorithm() {
        let claims = json!({"iss": "p", "aud": "r:0", "sub": "ann", "exp": 1e12});
        for header in [
            json!({"alg": "none"}),
            json!({"alg": "HS512"}),
            json!({"alg": "HS256", "crit": []}),
            json!({}),
        ] {
            let refused = verify(&token(header, claims.clone()));
            assert!(matches!(refused, Err(LoginError::Malformed)), "{refused:?}");
        }
    }

    #[test]
    fn no_changed_or_shortened_token_is_taken() {
        let expires = Timestamp::from_millis(NOW.as_millis() + 1_000);
        let token = logins().sign(&pool(), "p", &Subject::new("ann").unwrap(), expires);
        assert_eq!(verify(&token).unwrap().as_str(), "ann");
        for at in 0..token.len() {
            let other = if &token[at..=at] == "A" { "B" } else { "A" };
            assert!(verify(&format!("{}{other}{}", &token[..at], &token[at + 1..])).is_err());
            assert!(verify(&token[..at]).is_err());
        }
    }

    #[test]
    fn short_key_is_refused_and_no_key_shown() {
        assert_eq!(SharedKeyLogins::new(&[7; 31]).unwrap_err(), ShortKey);
        assert_eq!(format!("{:?}", logins()), "SharedKeyLogins { .. }");
    }
}
