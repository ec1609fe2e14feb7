//! Paths and queries: percent-encoding both ways.
//!
//! Everything but the unreserved characters of RFC 3986 is encoded, in segments and in query
//! values, as botocore does it: identity ids hold `:`, tokens hold `+`, `/` and `=`. Reading takes
//! either form, and a `+` is a plus, for SigV4 knows no other meaning.

use std::borrow::Cow;
use std::fmt::Display;

use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_decode_str, utf8_percent_encode,
};

use crate::id::{DatasetName, IdentityId, IdentityPoolId};
use crate::request_error::RequestError;
use crate::sync_count::SyncCount;

const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn encode(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

fn decode(text: &str) -> Result<Cow<'_, str>, RequestError> {
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| RequestError::invalid("the address is not UTF-8"))
}

/// A path under construction.
pub(crate) struct Path(String);

impl Path {
    pub(crate) fn pools() -> Self {
        Self(String::new()).then("identitypools")
    }

    pub(crate) fn pool(pool: &IdentityPoolId) -> Self {
        Self::pools().then(pool.as_str())
    }

    pub(crate) fn identity(pool: &IdentityPoolId, identity: &IdentityId) -> Self {
        Self::pool(pool).then("identities").then(identity.as_str())
    }

    pub(crate) fn dataset(
        pool: &IdentityPoolId,
        identity: &IdentityId,
        name: &DatasetName,
    ) -> Self {
        Self::identity(pool, identity)
            .then("datasets")
            .then(name.as_str())
    }

    /// Adds a segment.
    ///
    /// The model allows a dataset named `.` or `..`; raw, such a segment is taken out of the path
    /// by signers and proxies.
    pub(crate) fn then(mut self, segment: &str) -> Self {
        self.0.push('/');
        if matches!(segment, "." | "..") {
            self.0.push_str(&segment.replace('.', "%2E"));
        } else {
            self.0.extend(encode(segment));
        }
        self
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// The decoded segments of a path; a path that does not begin with a slash has none.
pub(crate) fn segments(path: &str) -> Result<Vec<Cow<'_, str>>, RequestError> {
    let Some(path) = path.strip_prefix('/') else {
        return Ok(Vec::new());
    };
    // No operation has more than eight; one above that is enough to match none.
    path.split('/').take(9).map(decode).collect()
}

/// A query under construction.
#[derive(Default)]
pub(crate) struct QueryWriter(String);

impl QueryWriter {
    pub(crate) fn text(&mut self, name: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.extend(encode(value));
    }

    pub(crate) fn number(&mut self, name: &str, value: Option<impl Display>) {
        self.text(name, value.map(|value| value.to_string()).as_deref());
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// A query that was read; of a name that stands twice the first counts.
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(crate) fn parse(query: &'a str) -> Result<Self, RequestError> {
        let pairs = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(name)?, decode(value)?))
            });
        Ok(Self(pairs.collect::<Result<_, RequestError>>()?))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_ref())
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub(crate) fn sync_count(&self, name: &str) -> Result<Option<SyncCount>, RequestError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let count = text
            .parse()
            .map_err(|_| RequestError::invalid(format!("{name} is no count")));
        count
            .and_then(|count: i64| count.try_into().map_err(RequestError::invalid))
            .map(Some)
    }

    /// Reads `maxResults`: "`^[1-9]\d*`, length at most 19" (API reference); more than a page ever
    /// holds is as good as the most.
    pub(crate) fn max_results(&self) -> Result<Option<u32>, RequestError> {
        let Some(text) = self.get("maxResults") else {
            return Ok(None);
        };
        let digits = text.len() <= 19 && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(number) if digits && !text.starts_with('0') => {
                Ok(Some(u32::try_from(number).unwrap_or(u32::MAX)))
            }
            _ => Err(RequestError::invalid("maxResults is no number from 1")),
        }
    }
}
