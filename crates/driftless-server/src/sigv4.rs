//! Verification of AWS Signature Version 4.
//!
//! `aws-sigv4` signs and does not verify, so a request is signed anew with the headers that its
//! Authorization names, and the two signatures are compared in constant time. Cheap questions come
//! before the body is read ([`Claimed::check`]), the expensive one after ([`Claimed::verify`]).
//!
//! The path is taken as it came, and again with its percent signs encoded once more: current
//! clients sign the second, and the service's own error texts show the first. Both say the same
//! about what is asked for. A body is always part of what is signed: signatures over
//! `UNSIGNED-PAYLOAD` or over chunks do not verify, for then anybody on the way could change it.
//! Neither do signatures in the query. What key the signature is made with is a question to a
//! [`Keys`]; the secret of temporary credentials follows from their session token, so that another
//! token makes another signature, signed or not.

mod authorization;

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use driftless_wire::{ApiError, ErrorCode, Timestamp};
use http::HeaderMap;
use subtle::{Choice, ConstantTimeEq};
use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};
use tracing::subscriber::{NoSubscriber, with_default};

pub use self::authorization::{Authorization, AuthorizationError};
use crate::key_pair::KeyPair;
use crate::service::Caller;

const SERVICE: &str = "cognito-sync";
const DATE: &str = "x-amz-date";
const CONTENT_SHA256: &str = "x-amz-content-sha256";
const SECURITY_TOKEN: &str = "x-amz-security-token";
const WINDOW_MINUTES: i64 = 5;
const DATE_FORM: StaticFormatDescription =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// Why a request is not taken as its caller's. All of these are 403 or 400 to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureError {
    #[error("Missing Authentication Token")]
    Missing,
    #[error("Authorization header or signed date is malformed: {0}")]
    Incomplete(String),
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    #[error("Credential should be scoped to correct service: '{SERVICE}'.")]
    Scope,
    #[error("Signature expired: {signed} is now earlier than {earliest} ({now} - 5 min.)")]
    Expired {
        signed: String,
        earliest: String,
        now: String,
    },
    #[error("Signature not yet current: {signed} is still later than {latest} ({now} + 5 min.)")]
    Early {
        signed: String,
        latest: String,
        now: String,
    },
    #[error(
        "The request signature we calculated does not match the signature you provided. \
         Check your AWS Secret Access Key and signing method."
    )]
    Mismatch,
}

impl From<SignatureError> for ApiError {
    fn from(error: SignatureError) -> Self {
        let code = match error {
            SignatureError::Missing => ErrorCode::MissingAuthenticationToken,
            SignatureError::Incomplete(_) => ErrorCode::IncompleteSignature,
            SignatureError::UnknownKey => ErrorCode::UnrecognizedClient,
            SignatureError::ExpiredToken => ErrorCode::ExpiredToken,
            SignatureError::Scope
            | SignatureError::Expired { .. }
            | SignatureError::Early { .. }
            | SignatureError::Mismatch => ErrorCode::InvalidSignature,
        };
        Self::new(code, error.to_string())
    }
}

/// What is signed of a request, besides its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a str,
    /// Path and query as they came.
    pub(crate) target: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

/// Knows who signs with which key.
pub(crate) trait Keys {
    /// Returns the key pair of that id, with this session token, and whose it is.
    fn find(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
        now: Timestamp,
    ) -> Result<Signer, SignatureError>;
}

/// Who signs with what.
#[derive(Debug)]
pub(crate) struct Signer {
    pub(crate) key_pair: KeyPair,
    pub(crate) caller: Caller,
}

/// A request whose Authorization names a known key and a time that is now, but is not yet proven.
#[derive(Debug)]
pub(crate) struct Claimed<'a> {
    head: Head<'a>,
    authorization: Authorization<'a>,
    signed_at: SystemTime,
    signer: Signer,
}

impl<'a> Claimed<'a> {
    /// Checks everything but the signature.
    pub(crate) fn check(
        head: Head<'a>,
        keys: &impl Keys,
        now: Timestamp,
    ) -> Result<Self, SignatureError> {
        let header = only(head.headers, "authorization")?.ok_or(SignatureError::Missing)?;
        let authorization = Authorization::parse(header).map_err(incomplete)?;
        let date = only(head.headers, DATE)?.ok_or_else(|| incomplete("no x-amz-date"))?;
        let signed_at = parse_date(date).ok_or_else(|| incomplete("x-amz-date is no date"))?;
        if !date.starts_with(authorization.date()) {
            return Err(incomplete("Credential and x-amz-date are of two days"));
        }
        only(head.headers, "host")?.ok_or_else(|| incomplete("no host"))?;
        let names = authorization.signed_headers();
        let must_sign = |name: &str| head.headers.contains_key(name) || name == "host";
        for name in ["host", DATE, CONTENT_SHA256]
            .into_iter()
            .filter(|name| must_sign(name))
        {
            if !names.contains(&name) {
                return Err(incomplete(format!("{name} is not signed")));
            }
        }
        let session_token = only(head.headers, SECURITY_TOKEN)?;
        let signer = keys.find(authorization.access_key_id(), session_token, now)?;
        if authorization.service() != SERVICE {
            return Err(SignatureError::Scope);
        }
        check_window(signed_at, now)?;
        Ok(Self {
            head,
            authorization,
            signed_at: signed_at.into(),
            signer,
        })
    }

    /// Checks the signature, over the body too, and returns whose it is.
    pub(crate) fn verify(self, body: &[u8]) -> Result<Caller, SignatureError> {
        let given = self.authorization.signature().as_bytes();
        let mut matches = Choice::from(0);
        for encoding in [PercentEncodingMode::Double, PercentEncodingMode::Single] {
            let ours = self.sign(body, encoding).ok_or(SignatureError::Mismatch)?;
            matches |= ours.as_bytes().ct_eq(given);
        }
        if bool::from(matches) {
            Ok(self.signer.caller)
        } else {
            Err(SignatureError::Mismatch)
        }
    }

    fn sign(&self, body: &[u8], encoding: PercentEncodingMode) -> Option<String> {
        let key_pair = &self.signer.key_pair;
        let names = self.authorization.signed_headers();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = encoding;
        // The client has said which headers count.
        settings.excluded_headers = None;
        if names.contains(&CONTENT_SHA256) {
            // The digest of the body that came takes the place of the one that the header claims.
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let credentials = Credentials::new(
            key_pair.access_key_id(),
            key_pair.secret_access_key(),
            None,
            None,
            "key pair",
        );
        let identity = credentials.into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(self.authorization.region())
            .name(SERVICE)
            .time(self.signed_at)
            .settings(settings)
            .build()
            .ok()?
            .into();
        let mut headers = Vec::new();
        for name in names {
            for value in self.head.headers.get_all(*name) {
                headers.push((*name, value.to_str().ok()?));
            }
        }
        let request = SignableRequest::new(
            self.head.method,
            self.head.target,
            headers.into_iter(),
            SignableBody::Bytes(body),
        );
        // The library traces the request that it signs, with its headers: session tokens are among them.
        let signed = with_default(NoSubscriber::default(), || {
            sign(request.ok()?, &params).ok()
        });
        Some(signed?.into_parts().1)
    }
}

/// Returns the one value of a header, or an error if it has several or unreadable ones.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, SignatureError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(incomplete(format!("{name} stands more than once")));
    }
    let text = first.map(|value| value.to_str()).transpose();
    text.map_err(|_| incomplete(format!("{name} is not ASCII")))
}

fn incomplete(why: impl ToString) -> SignatureError {
    SignatureError::Incomplete(why.to_string())
}

fn parse_date(text: &str) -> Option<OffsetDateTime> {
    PrimitiveDateTime::parse(text, DATE_FORM)
        .ok()
        .map(PrimitiveDateTime::assume_utc)
}

fn check_window(signed: OffsetDateTime, now: Timestamp) -> Result<(), SignatureError> {
    let now = OffsetDateTime::UNIX_EPOCH + Duration::from_millis(now.as_millis().max(0) as u64);
    let window = time::Duration::minutes(WINDOW_MINUTES);
    let text = |at: OffsetDateTime| at.format(DATE_FORM).unwrap_or_default();
    let (earliest, latest) = (now - window, now + window);
    if signed < earliest {
        let (signed, earliest, now) = (text(signed), text(earliest), text(now));
        return Err(SignatureError::Expired {
            signed,
            earliest,
            now,
        });
    }
    if signed > latest {
        let (signed, latest, now) = (text(signed), text(latest), text(now));
        return Err(SignatureError::Early {
            signed,
            latest,
            now,
        });
    }
    Ok(())
}
