//! A request as the parts of an HTTP message, without an HTTP library.

use std::fmt;

use crate::uri::{Path, QueryWriter};

/// The content type of a body that we send; the service does not look at it.
const JSON: &str = "application/json";

/// The methods that the service's operations use.
///
/// Closed: the model of 2014 names these, and a method has no meaning apart from an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
    /// `DELETE`.
    Delete,
}

impl Method {
    /// Returns the method as it stands in a request line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an HTTP library needs to send a request.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpParts {
    /// The method.
    pub method: Method,
    /// The path, percent-encoded once: a colon is `%3A`.
    pub path: String,
    /// The query, percent-encoded, without the question mark; empty if there is none.
    pub query: String,
    /// The body; empty if there is none.
    pub body: Vec<u8>,
    /// The content type; there is none without a body.
    pub content_type: Option<&'static str>,
}

impl HttpParts {
    pub(crate) fn without_body(method: Method, path: Path, query: QueryWriter) -> Self {
        Self {
            method,
            path: path.into_string(),
            query: query.into_string(),
            body: Vec::new(),
            content_type: None,
        }
    }

    pub(crate) fn with_body(method: Method, path: Path, body: Vec<u8>) -> Self {
        Self {
            method,
            path: path.into_string(),
            query: String::new(),
            body,
            content_type: Some(JSON),
        }
    }
}

/// Shows neither query nor body: they carry tokens and values.
impl fmt::Debug for HttpParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpParts")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
