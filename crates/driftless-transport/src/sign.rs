//! SigV4: a request and credentials become a signed HTTP request.
//!
//! The path stands percent-encoded once on the wire and is encoded again in the canonical form, as
//! for every service but S3. Signed are host, date, content type if there is a body, and the
//! session token.

use aws_credential_types::Credentials as SigningCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use driftless_wire::{HttpParts, Timestamp};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use tracing::subscriber::{NoSubscriber, with_default};

use crate::clock::to_system_time;
use crate::credentials::{Credentials, CredentialsError};
use crate::endpoint::Endpoint;
use crate::error::{BoxError, ExchangeError};

const SERVICE: &str = "cognito-sync";
pub(crate) const AGENT: &str = concat!("driftless/", env!("CARGO_PKG_VERSION"));

/// Makes the signed request that is sent at `now`.
pub(crate) fn signed(
    endpoint: &Endpoint,
    parts: &HttpParts,
    body: &Bytes,
    credentials: &Credentials,
    now: Timestamp,
) -> Result<http::Request<Bytes>, ExchangeError> {
    let mut request = http::Request::new(body.clone());
    *request.uri_mut() = endpoint.address(&parts.path, &parts.query)?;
    *request.method_mut() = match parts.method {
        driftless_wire::Method::Get => http::Method::GET,
        driftless_wire::Method::Post => http::Method::POST,
        driftless_wire::Method::Delete => http::Method::DELETE,
    };
    request
        .headers_mut()
        .insert(USER_AGENT, HeaderValue::from_static(AGENT));
    if let Some(content_type) = parts.content_type {
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    // The library traces the request it signs, with its query and its body.
    let added = with_default(NoSubscriber::default(), || {
        signature(
            endpoint.signing_region(),
            parts,
            &request,
            body,
            credentials,
            now,
        )
    });
    for (name, mut value) in added.map_err(CredentialsError::Unusable)? {
        value.set_sensitive(name == AUTHORIZATION || name == "x-amz-security-token");
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

fn signature(
    region: &str,
    parts: &HttpParts,
    request: &http::Request<Bytes>,
    body: &[u8],
    credentials: &Credentials,
    now: Timestamp,
) -> Result<Vec<(HeaderName, HeaderValue)>, BoxError> {
    let identity = SigningCredentials::new(
        credentials.access_key_id.as_str(),
        credentials.secret_access_key.as_str(),
        credentials.session_token.clone(),
        None,
        "driftless",
    )
    .into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(to_system_time(now))
        .settings(SigningSettings::default())
        .build()?
        .into();
    let signable = SignableRequest::new(
        parts.method.as_str(),
        request.uri().to_string(),
        parts
            .content_type
            .map(|content_type| ("content-type", content_type))
            .into_iter(),
        SignableBody::Bytes(body),
    )?;
    let (instructions, _) = sign(signable, &params)?.into_parts();
    let header = |(name, value): (&str, &str)| Ok((name.parse()?, value.parse()?));
    instructions.headers().map(header).collect()
}

#[cfg(test)]
mod tests {
    use driftless_wire::{ListRecordsRequest, Request, SyncCount, UpdateRecordsRequest};

    use super::*;

    const POOL: &str = "us-east-1:11111111-2222-3333-4444-555555555555";
    const IDENTITY: &str = "us-east-1:aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
    const SCOPE: &str = "Credential=AKIDEXAMPLE/20260102/us-east-1/cognito-sync/aws4_request";

    fn list() -> Request {
        Request::ListRecords(ListRecordsRequest {
            identity_pool_id: POOL.parse().unwrap(),
            identity_id: IDENTITY.parse().unwrap(),
            dataset_name: "notes".parse().unwrap(),
            last_sync_count: Some(SyncCount::ZERO),
            next_token: Some("a+b/c==".to_owned()),
            max_results: Some(1_024),
            sync_session_token: Some("x y+z".into()),
        })
    }

    fn update() -> Request {
        Request::UpdateRecords(UpdateRecordsRequest {
            identity_pool_id: POOL.parse().unwrap(),
            identity_id: IDENTITY.parse().unwrap(),
            dataset_name: "notes".parse().unwrap(),
            sync_session_token: "opaque".into(),
            device_id: None,
            record_patches: Vec::new(),
        })
    }

    fn sign_with(request: &Request, token: Option<&str>) -> http::HeaderMap {
        let parts = request.to_http();
        let credentials = Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: token.map(str::to_owned),
            expires_at: None,
        };
        // 2026-01-02T03:04:05Z
        let now = Timestamp::from_millis(1_767_323_045_000);
        let endpoint = Endpoint::region("us-east-1").unwrap();
        let body = Bytes::from(parts.body.clone());
        signed(&endpoint, &parts, &body, &credentials, now)
            .unwrap()
            .headers()
            .clone()
    }

    /// The signatures were made by botocore 1.44.5: `SigV4Auth(credentials, "cognito-sync",
    /// "us-east-1").add_auth(AWSRequest(method, url, body, headers))` with
    /// `botocore.auth.get_current_datetime` replaced by that moment, and the URL encoded as in the
    /// tests of `driftless-wire` (`…/us-east-1%3A…?…&nextToken=a%2Bb%2Fc%3D%3D&…`).
    fn check(request: &Request, token: Option<&str>, names: &str, signature: &str) {
        let headers = sign_with(request, token);
        assert_eq!(headers["x-amz-date"], "20260102T030405Z");
        assert_eq!(
            headers[AUTHORIZATION],
            format!("AWS4-HMAC-SHA256 {SCOPE}, SignedHeaders={names}, Signature={signature}")
        );
        let sent = headers
            .get("x-amz-security-token")
            .map(|token| token.to_str().unwrap());
        assert_eq!(sent, token);
    }

    #[test]
    fn list_with_a_session_is_signed_as_botocore_signs_it() {
        check(
            &list(),
            Some("session+token/="),
            "host;x-amz-date;x-amz-security-token",
            "e73235d80ce986b13f2422c690eea2d5ad0d987e9124879247774c5a20df26d8",
        );
    }

    #[test]
    fn list_without_a_session_is_signed_as_botocore_signs_it() {
        check(
            &list(),
            None,
            "host;x-amz-date",
            "2ba3bf552ad30647eca5215924a33daeac298bc8e7aafedbd0cb0d7f947c608f",
        );
    }

    #[test]
    fn update_is_signed_with_its_body_and_content_type() {
        check(
            &update(),
            Some("session+token/="),
            "content-type;host;x-amz-date;x-amz-security-token",
            "8a3b70cb94dd96b2fe5980274a98c27357ac9de561ff163adc68858b0a138e25",
        );
    }

    #[test]
    fn line_break_in_credentials_is_an_error_that_does_not_quote_them() {
        for (id, token) in [("hidden\n", "t"), ("id", "hidden\r\n")] {
            let parts = list().to_http();
            let credentials = Credentials {
                access_key_id: id.to_owned(),
                secret_access_key: "s".to_owned(),
                session_token: Some(token.to_owned()),
                expires_at: None,
            };
            let endpoint = Endpoint::region("us-east-1").unwrap();
            let now = Timestamp::from_millis(0);
            let error = signed(&endpoint, &parts, &Bytes::new(), &credentials, now).unwrap_err();
            assert!(matches!(
                error,
                ExchangeError::Credentials(CredentialsError::Unusable(_))
            ));
            assert!(!format!("{error:?}").contains("hidden"));
        }
    }
}
