//! The Authorization header, read strictly.
//!
//! ```text
//! AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b;c, Signature=HEX
//! ```
//!
//! Nothing is copied but the list of names, which is bounded, so a header costs what it is long.

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const HEADER_BYTES: usize = 8 * 1024;
const SIGNED_HEADERS: usize = 64;
const SIGNATURE_DIGITS: usize = 64;
const DATE_DIGITS: usize = 8;

/// What an Authorization header says, in the order it says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization<'a> {
    access_key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

/// Why a header is not an Authorization of Signature Version 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizationError {
    /// The header is longer than any client's.
    #[error("header is too long")]
    TooLong,
    /// The header is of another scheme.
    #[error("algorithm is not AWS4-HMAC-SHA256")]
    Algorithm,
    /// The header has a part too many, too few or twice.
    #[error("parts are not Credential, SignedHeaders and Signature")]
    Parts,
    /// The credential is not a key id and the scope of a day, a region and a service.
    #[error("Credential is not ID/DATE/REGION/SERVICE/aws4_request")]
    Credential,
    /// The names are not lower-case header names, sorted, each once.
    #[error("SignedHeaders is not a sorted list of header names")]
    SignedHeaders,
    /// The signature is not 64 lower-case hexadecimal digits.
    #[error("Signature is not 64 hexadecimal digits")]
    Signature,
}

impl<'a> Authorization<'a> {
    /// Reads the value of an Authorization header.
    ///
    /// # Errors
    ///
    /// The first thing that is not as AWS documents it.
    pub fn parse(header: &'a str) -> Result<Self, AuthorizationError> {
        if header.len() > HEADER_BYTES {
            return Err(AuthorizationError::TooLong);
        }
        let (algorithm, parts) = header
            .split_once(' ')
            .ok_or(AuthorizationError::Algorithm)?;
        if algorithm != ALGORITHM {
            return Err(AuthorizationError::Algorithm);
        }
        let mut parts = parts.split(',').map(str::trim);
        let mut part = |name: &str| {
            let part = parts.next().and_then(|part| part.strip_prefix(name));
            part.and_then(|part| part.strip_prefix('='))
                .ok_or(AuthorizationError::Parts)
        };
        let credential = part("Credential")?;
        let signed_headers = part("SignedHeaders")?;
        let signature = part("Signature")?;
        if parts.next().is_some() {
            return Err(AuthorizationError::Parts);
        }
        let [access_key_id, date, region, service] = parse_credential(credential)?;
        let signed_headers = parse_names(signed_headers)?;
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if signature.len() != SIGNATURE_DIGITS || !signature.bytes().all(hex) {
            return Err(AuthorizationError::Signature);
        }
        Ok(Self {
            access_key_id,
            date,
            region,
            service,
            signed_headers,
            signature,
        })
    }

    /// Returns whose key signed.
    #[must_use]
    pub fn access_key_id(&self) -> &'a str {
        self.access_key_id
    }

    /// Returns the day of the scope, eight digits.
    #[must_use]
    pub fn date(&self) -> &'a str {
        self.date
    }

    /// Returns the region of the scope.
    #[must_use]
    pub fn region(&self) -> &'a str {
        self.region
    }

    /// Returns the service of the scope.
    #[must_use]
    pub fn service(&self) -> &'a str {
        self.service
    }

    /// Returns the names of the headers that are signed: sorted, lower-case, each once.
    #[must_use]
    pub fn signed_headers(&self) -> &[&'a str] {
        &self.signed_headers
    }

    /// Returns the signature, 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn signature(&self) -> &'a str {
        self.signature
    }
}

fn parse_credential(credential: &str) -> Result<[&str; 4], AuthorizationError> {
    let mut fields = credential.split('/');
    let mut field = || fields.next().filter(|field| !field.is_empty());
    let scope = (|| Some([field()?, field()?, field()?, field()?, field()?]))();
    let Some([access_key_id, date, region, service, "aws4_request"]) = scope else {
        return Err(AuthorizationError::Credential);
    };
    let is_date = date.len() == DATE_DIGITS && date.bytes().all(|b| b.is_ascii_digit());
    if !is_date || fields.next().is_some() {
        return Err(AuthorizationError::Credential);
    }
    Ok([access_key_id, date, region, service])
}

fn parse_names(names: &str) -> Result<Vec<&str>, AuthorizationError> {
    let letter = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    let names: Vec<_> = names.split(';').take(SIGNED_HEADERS + 1).collect();
    let well_formed = names.len() <= SIGNED_HEADERS
        && names
            .iter()
            .all(|name| !name.is_empty() && name.bytes().all(letter))
        && names.is_sorted_by(|a, b| a < b)
        && !names.contains(&"authorization");
    if well_formed {
        Ok(names)
    } else {
        Err(AuthorizationError::SignedHeaders)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIGNATURE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn header(credential: &str, names: &str, signature: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
        )
    }

    fn check(header: &str, error: AuthorizationError) {
        assert_eq!(Authorization::parse(header), Err(error), "{header}");
    }

    #[test]
    fn documented_form_is_read() {
        let scope = "AKID/20260102/us-east-1/cognito-sync/aws4_request";
        let text = header(scope, "content-type;host;x-amz-date", SIGNATURE);
        let read = Authorization::parse(&text).unwrap();
        assert_eq!(read.access_key_id(), "AKID");
        assert_eq!(read.date(), "20260102");
        assert_eq!(read.region(), "us-east-1");
        assert_eq!(read.service(), "cognito-sync");
        assert_eq!(
            read.signed_headers(),
            ["content-type", "host", "x-amz-date"]
        );
        assert_eq!(read.signature(), SIGNATURE);
        let tight = text.replace(", ", ",");
        assert_eq!(Authorization::parse(&tight), Ok(read), "no space is needed");
    }

    #[test]
    fn other_scheme_is_refused() {
        check("", AuthorizationError::Algorithm);
        check("Bearer abc", AuthorizationError::Algorithm);
        check("AWS4-HMAC-SHA256", AuthorizationError::Algorithm);
        check(&" ".repeat(HEADER_BYTES + 1), AuthorizationError::TooLong);
    }

    #[test]
    fn part_missing_twice_or_too_many_is_refused() {
        let scope = "AKID/20260102/r/s/aws4_request";
        let whole = header(scope, "host", SIGNATURE);
        check("AWS4-HMAC-SHA256 ", AuthorizationError::Parts);
        check(
            &format!("{whole}, Signature={SIGNATURE}"),
            AuthorizationError::Parts,
        );
        check(
            &whole.replace("SignedHeaders=host, ", ""),
            AuthorizationError::Parts,
        );
        check(
            &whole.replace("Credential=", "Credential"),
            AuthorizationError::Parts,
        );
    }

    #[test]
    fn credential_of_another_form_is_refused() {
        for scope in [
            "AKID",
            "AKID/20260102/r/s",
            "AKID/20260102/r/s/aws4",
            "AKID/20260102/r/s/aws4_request/x",
            "/20260102/r/s/aws4_request",
            "AKID/2026010/r/s/aws4_request",
            "AKID/2026010x/r/s/aws4_request",
        ] {
            check(
                &header(scope, "host", SIGNATURE),
                AuthorizationError::Credential,
            );
        }
    }

    #[test]
    fn signed_headers_that_are_not_sorted_names_are_refused() {
        let many: Vec<_> = (0..=SIGNED_HEADERS).map(|n| format!("x-{n:02}")).collect();
        for names in [
            "",
            "Host",
            "host;",
            "host;host",
            "x;host",
            "a b",
            "authorization",
            &many.join(";"),
        ] {
            let text = header("AKID/20260102/r/s/aws4_request", names, SIGNATURE);
            check(&text, AuthorizationError::SignedHeaders);
        }
    }

    #[test]
    fn signature_of_another_form_is_refused() {
        for signature in [
            "",
            &SIGNATURE[1..],
            &SIGNATURE.to_uppercase(),
            &"é".repeat(32),
        ] {
            let text = header("AKID/20260102/r/s/aws4_request", "host", signature);
            check(&text, AuthorizationError::Signature);
        }
    }

    proptest! {
        /// Any text is read or refused, and what is read is in it.
        #[test]
        fn any_text_is_read_or_refused(
            scope in "[A/0-9]{0,8}(/20260102)?/r/s/aws4_request/?",
            names in "[a-c;-]{0,6}",
            rest in "\\PC*",
        ) {
            for text in [&header(&scope, &names, SIGNATURE), &rest, &format!("{ALGORITHM} {rest}")] {
                if let Ok(read) = Authorization::parse(text) {
                    prop_assert!(text.contains(&read.signed_headers().join(";")));
                    prop_assert!(text.ends_with(read.signature()));
                }
            }
        }
    }
}
