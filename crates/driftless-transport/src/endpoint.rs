//! Where the service is, and for which region its requests are signed.

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use thiserror::Error;

use crate::error::BoxError;

/// The address of a service: a region of AWS, or any URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    authority: Authority,
    region: String,
}

/// Why something is no address of a service.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// A region is letters, digits and hyphens, such as `eu-central-1`.
    #[error("region is not 1 to 63 lower-case letters, digits and hyphens")]
    Region,
    /// The text is no URL, or a request's address is too long for one.
    #[error("address is not a URL")]
    Url(#[source] BoxError),
    /// The URL has a part that an end point cannot have.
    #[error("address is not http:// or https:// and a host, without user, path and query")]
    Form,
}

impl Endpoint {
    /// Returns the end point of Amazon Cognito Sync in a region.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Region`] if the text cannot be a region. Whether the region has the service
    /// shows when it is connected to.
    pub fn region(region: &str) -> Result<Self, EndpointError> {
        Self::url(
            &format!("https://cognito-sync.{}.amazonaws.com", checked(region)?),
            region,
        )
    }

    /// Returns the end point of Amazon Cognito Identity in a region.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::region`].
    pub fn identity(region: &str) -> Result<Self, EndpointError> {
        Self::url(
            &format!(
                "https://cognito-identity.{}.amazonaws.com",
                checked(region)?
            ),
            region,
        )
    }

    /// Returns the end point at a URL, for which requests are signed with `region`.
    ///
    /// `http://` sends what is synced in the clear; it is meant for a service on the same machine
    /// or behind a proxy.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if the URL is more or less than scheme, host and port, or the region is
    /// none. A path is refused, because a proxy that strips it would break every signature.
    pub fn url(url: &str, region: &str) -> Result<Self, EndpointError> {
        let region = checked(region)?.to_owned();
        let parts = url
            .parse::<Uri>()
            .map_err(|e| EndpointError::Url(e.into()))?
            .into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(EndpointError::Form);
        };
        let web = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        let bare = parts.path_and_query.is_none_or(|path| path == "/");
        let host = !authority.host().is_empty() && !authority.as_str().contains('@');
        if !(web && bare && host) {
            return Err(EndpointError::Form);
        }
        Ok(Self {
            scheme,
            authority,
            region,
        })
    }

    /// Returns the region that requests are signed for.
    #[must_use]
    pub fn signing_region(&self) -> &str {
        &self.region
    }

    pub(crate) fn address(&self, path: &str, query: &str) -> Result<Uri, EndpointError> {
        let target = if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        };
        let target = PathAndQuery::try_from(target).map_err(|e| EndpointError::Url(e.into()))?;
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(target)
            .build()
            .map_err(|e| EndpointError::Url(e.into()))
    }
}

fn checked(region: &str) -> Result<&str, EndpointError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=63).contains(&region.len()) && region.bytes().all(plain) {
        return Ok(region);
    }
    Err(EndpointError::Region)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, valid: bool) {
        assert_eq!(Endpoint::url(url, "local").is_ok(), valid, "{url}");
    }

    #[test]
    fn region_has_its_host() {
        let endpoint = Endpoint::region("eu-central-1").unwrap();
        let address = endpoint
            .address("/identitypools/r%3A0", "maxResults=1")
            .unwrap();
        assert_eq!(
            address.to_string(),
            "https://cognito-sync.eu-central-1.amazonaws.com/identitypools/r%3A0?maxResults=1"
        );
        let identity = Endpoint::identity("eu-central-1").unwrap();
        assert_eq!(
            identity.address("/", "").unwrap().to_string(),
            "https://cognito-identity.eu-central-1.amazonaws.com/"
        );
        assert!(Endpoint::region("evil.example/").is_err());
        assert!(Endpoint::region("").is_err());
    }

    #[test]
    fn url_is_scheme_host_and_port() {
        check("http://127.0.0.1:8080", true);
        check("https://sync.example/", true);
        check("http://[::1]:80", true);
        check("sync.example", false);
        check("ftp://sync.example", false);
        check("https://user@sync.example", false);
        check("https://sync.example/path", false);
        check("https://sync.example/?x", false);
        check("https://:80", false);
        check("", false);
    }

    #[test]
    fn address_that_is_too_long_is_an_error() {
        let endpoint = Endpoint::region("eu-central-1").unwrap();
        assert!(endpoint.address("/", &"x".repeat(100_000)).is_err());
    }
}
