//! The service's errors: their codes as data, and how they travel.
//!
//! The type stands in the header [`ERROR_TYPE_HEADER`] and, from this service, not in the body.
//! Readers take the header up to its first colon, then `__type` after its last `#`, then `code`,
//! then the status.

use std::fmt;

use serde::Serialize;
use thiserror::Error;

use crate::json;

/// The header of an error's type.
pub const ERROR_TYPE_HEADER: &str = "x-amzn-ErrorType";

/// Characters kept of a code that nobody knows.
const CODE_CHARS: usize = 128;

/// Characters kept of a message: ours and the service's are far shorter, a proxy's page is not.
const MESSAGE_CHARS: usize = 1_024;

/// Bytes of an error's body that are looked at.
const BODY_BYTES: usize = 64 * 1_024;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal;)*) => {
        /// The type of an error.
        ///
        /// Those of the model, those that AWS adds in front of every service, and
        /// [`Unknown`](Self::Unknown) for those of tomorrow.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)*
            /// A type that is not listed here, by its name.
            Unknown(String),
        }

        impl ErrorCode {
            /// Returns the name in the API's spelling.
            #[must_use]
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unknown(name) => name,
                }
            }

            /// Returns the HTTP status that the service sends with it; 400 for an unknown one.
            #[must_use]
            pub fn status(&self) -> u16 {
                match self {
                    $(Self::$variant => $status,)*
                    Self::Unknown(_) => 400,
                }
            }

            /// Returns the code of that name, with or without the final `Exception`.
            #[must_use]
            pub fn from_name(name: &str) -> Self {
                let stem = name.strip_suffix("Exception").unwrap_or(name);
                $(
                    if stem == $name.strip_suffix("Exception").unwrap_or($name) {
                        return Self::$variant;
                    }
                )*
                Self::Unknown(name.chars().take(CODE_CHARS).collect())
            }
        }

        #[cfg(test)]
        const KNOWN: &[ErrorCode] = &[$(ErrorCode::$variant),*];
    };
}

codes! {
    /// A parameter breaks a constraint; also a bad token or an impossible `lastSyncCount`.
    InvalidParameter = "InvalidParameterException", 400;
    /// Too many datasets or records, or too many bytes.
    LimitExceeded = "LimitExceededException", 400;
    /// The pool's push configuration is wrong.
    InvalidConfiguration = "InvalidConfigurationException", 400;
    /// The pool's Lambda failed or answered nonsense.
    InvalidLambdaFunctionOutput = "InvalidLambdaFunctionOutputException", 400;
    /// The pool's configuration is being changed by another call.
    ConcurrentModification = "ConcurrentModificationException", 400;
    /// A bulk publish is running.
    DuplicateRequest = "DuplicateRequestException", 400;
    /// A bulk publish succeeded less than 24 hours ago.
    AlreadyStreamed = "AlreadyStreamedException", 400;
    /// The caller may not touch the resource.
    NotAuthorized = "NotAuthorizedException", 403;
    /// There is no such dataset, identity or pool.
    ResourceNotFound = "ResourceNotFoundException", 404;
    /// "The update can't be applied because the resource was changed by another call."
    ResourceConflict = "ResourceConflictException", 409;
    /// Throttled.
    TooManyRequests = "TooManyRequestsException", 429;
    /// The pool's Lambda was throttled.
    LambdaThrottled = "LambdaThrottledException", 429;
    /// The service failed.
    InternalError = "InternalErrorException", 500;
    /// A provider of logins failed or is throttled (Cognito Identity).
    ExternalService = "ExternalServiceException", 400;
    /// The pool has no roles to give credentials for (Cognito Identity).
    InvalidIdentityPoolConfiguration = "InvalidIdentityPoolConfigurationException", 400;
    /// An IAM policy denies the call.
    AccessDenied = "AccessDeniedException", 403;
    /// The signature is wrong, or the clock is off by more than five minutes.
    InvalidSignature = "InvalidSignatureException", 403;
    /// The Authorization header lacks a part.
    IncompleteSignature = "IncompleteSignatureException", 400;
    /// The request is not signed.
    MissingAuthenticationToken = "MissingAuthenticationTokenException", 403;
    /// The access key is unknown.
    UnrecognizedClient = "UnrecognizedClientException", 403;
    /// The session token has expired.
    ExpiredToken = "ExpiredTokenException", 403;
    /// The clock is off.
    RequestTimeTooSkewed = "RequestTimeTooSkewedException", 403;
    /// The body is not JSON of the right types.
    Serialization = "SerializationException", 400;
    /// The pool's Lambda took longer than five seconds.
    LambdaSocketTimeout = "LambdaSocketTimeoutException", 400;
    /// Throttled, by the layer in front of the service.
    Throttling = "ThrottlingException", 400;
    /// Method and path name no operation.
    UnknownOperation = "UnknownOperationException", 404;
    /// The request is larger than the server reads.
    RequestEntityTooLarge = "RequestEntityTooLargeException", 413;
    /// The server cannot answer now.
    ServiceUnavailable = "ServiceUnavailableException", 503;
}

impl ErrorCode {
    /// Returns whether the request was refused for its rate and may be sent again later.
    #[must_use]
    pub fn is_throttling(&self) -> bool {
        matches!(
            self,
            Self::TooManyRequests | Self::LambdaThrottled | Self::Throttling
        )
    }

    /// Returns whether the fault is the server's; what became of the request is then unknown.
    #[must_use]
    pub fn is_server_fault(&self) -> bool {
        self.status() >= 500
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error as the service answers it.
///
/// The message may name a record's key ("Current SyncCount for: …"), so it is for people and stays
/// out of logs and out of `Display`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code} (status {status})")]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The type.
    pub code: ErrorCode,
    /// The service's text.
    pub message: String,
}

#[derive(Serialize)]
struct Body<'a> {
    message: &'a str,
}

#[derive(Serialize)]
struct IdentityBody<'a> {
    #[serde(rename = "__type")]
    kind: &'a str,
    message: &'a str,
}

/// A body of any shape; each member is looked at only if it is a string.
#[derive(Default)]
struct Members {
    kind: Option<String>,
    code: Option<String>,
    message: Option<String>,
}

impl ApiError {
    /// Makes the error of a code, with that code's status.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            status: code.status(),
            code,
            message: message.into(),
        }
    }

    /// Returns the error as Cognito Identity sends it: with status 400, unless the service failed.
    #[must_use]
    pub fn of_identity(mut self) -> Self {
        self.status = if self.is_server_fault() { 500 } else { 400 };
        self
    }

    /// Returns the JSON body of Cognito Identity, which has the type in it.
    #[must_use]
    pub fn to_identity_body(&self) -> Vec<u8> {
        json::to_vec(&IdentityBody {
            kind: self.code.name(),
            message: &self.message,
        })
    }

    /// Returns the JSON body; the type goes into the header.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        json::to_vec(&Body {
            message: &self.message,
        })
    }

    /// Reads an answer whose status is not 200, whatever is in it.
    ///
    /// Of a long body only the beginning is looked at. Without a type anywhere the status stands
    /// for one where only one is possible (403, 409, 429 and above 499), else the code is unknown:
    /// a 404 from a proxy is not the service saying that a dataset is gone.
    #[must_use]
    pub fn from_http(status: u16, error_type_header: Option<&str>, body: &[u8]) -> Self {
        let members = Members::read(body);
        let header = error_type_header
            .map(|header| cut(header, ':'))
            .filter(|s| !s.is_empty());
        let kind = members
            .kind
            .as_deref()
            .and_then(|kind| kind.rsplit('#').next());
        let name = header
            .or(kind.filter(|s| !s.is_empty()))
            .or(members.code.as_deref());
        let code = name.map_or_else(|| code_of_status(status), ErrorCode::from_name);
        Self {
            status,
            code,
            message: members.message.unwrap_or_default(),
        }
    }

    /// Returns whether the request was refused for its rate and may be sent again later.
    #[must_use]
    pub fn is_throttling(&self) -> bool {
        self.status == 429 || self.code.is_throttling()
    }

    /// Returns whether the fault is the server's; what became of the request is then unknown.
    #[must_use]
    pub fn is_server_fault(&self) -> bool {
        self.status >= 500 || self.code.is_server_fault()
    }

    /// Returns whether a list asked for changes after a count that the server has not reached.
    ///
    /// The server was restored or is another one; list from 0. It is an InvalidParameterException,
    /// told from others only by its text, "No such SyncCount: 37 exists for this Dataset".
    #[must_use]
    pub fn is_no_such_sync_count(&self) -> bool {
        self.code == ErrorCode::InvalidParameter && self.message.contains("No such SyncCount")
    }
}

fn cut(text: &str, at: char) -> &str {
    text.split(at).next().unwrap_or_default().trim()
}

fn code_of_status(status: u16) -> ErrorCode {
    match status {
        403 => ErrorCode::NotAuthorized,
        409 => ErrorCode::ResourceConflict,
        429 => ErrorCode::TooManyRequests,
        500.. => ErrorCode::InternalError,
        _ => ErrorCode::Unknown(status.to_string()),
    }
}

impl Members {
    fn read(body: &[u8]) -> Self {
        let body = &body[..body.len().min(BODY_BYTES)];
        let Ok(serde_json::Value::Object(mut members)) = serde_json::from_slice(body) else {
            return Self::default();
        };
        let mut take = |name: &str| match members.remove(name) {
            Some(serde_json::Value::String(text)) => Some(text),
            _ => None,
        };
        // The service's own errors spell it in lower case, those of the layer in front do not.
        let message = take("message").or_else(|| take("Message"));
        Self {
            kind: take("__type"),
            code: take("code"),
            message: message.map(|message| message.chars().take(MESSAGE_CHARS).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, header: Option<&str>, body: &str, code: &ErrorCode) {
        assert_eq!(
            &ApiError::from_http(status, header, body.as_bytes()).code,
            code,
            "{body}"
        );
    }

    #[test]
    fn trap_21_type_is_found_in_every_place_it_has_been_seen_in() {
        let conflict = &ErrorCode::ResourceConflict;
        check(
            409,
            Some("ResourceConflictException"),
            r#"{"message":"m"}"#,
            conflict,
        );
        check(
            409,
            Some("ResourceConflictException:http://internal.amazon.com/x/"),
            "",
            conflict,
        );
        let namespaced =
            r#"{"__type":"com.amazonaws.cognito.sync.model#ResourceConflictException"}"#;
        check(409, None, namespaced, conflict);
        check(
            409,
            None,
            r#"{"code":"ResourceConflictException","Message":"m"}"#,
            conflict,
        );
        check(409, None, r#"{"message":"m"}"#, conflict);
    }

    #[test]
    fn header_goes_before_the_body() {
        let body = r#"{"__type":"InternalErrorException","code":"AccessDenied"}"#;
        check(
            400,
            Some("LimitExceededException"),
            body,
            &ErrorCode::LimitExceeded,
        );
        check(400, Some(""), body, &ErrorCode::InternalError);
    }

    #[test]
    fn status_stands_for_a_type_only_where_one_is_possible() {
        check(429, None, "<html>", &ErrorCode::TooManyRequests);
        check(502, None, "<html>", &ErrorCode::InternalError);
        check(403, None, "", &ErrorCode::NotAuthorized);
        check(404, None, "<html>", &ErrorCode::Unknown("404".to_owned()));
        check(400, None, "{}", &ErrorCode::Unknown("400".to_owned()));
    }

    #[test]
    fn trap_21_both_spellings_of_message_are_read() {
        for body in [r#"{"message":"why"}"#, r#"{"Message":"why"}"#] {
            assert_eq!(
                ApiError::from_http(400, None, body.as_bytes()).message,
                "why"
            );
        }
    }

    #[test]
    fn every_known_code_is_found_by_its_name() {
        for code in KNOWN {
            assert_eq!(&ErrorCode::from_name(code.name()), code);
        }
        assert_eq!(
            ErrorCode::from_name("ExpiredToken"),
            ErrorCode::ExpiredToken
        );
    }

    #[test]
    fn unknown_code_keeps_its_name_up_to_a_bound() {
        let code = ErrorCode::from_name("NewException");
        assert_eq!((code.name(), code.status()), ("NewException", 400));
        assert_eq!(
            ErrorCode::from_name(&"x".repeat(10_000)).name().len(),
            CODE_CHARS
        );
    }

    #[test]
    fn written_error_is_read_back() {
        let error = ApiError::new(
            ErrorCode::ResourceConflict,
            "Current SyncCount for: a is: 5 not: 0",
        );
        let read = ApiError::from_http(error.status, Some(error.code.name()), &error.to_body());
        assert_eq!(read, error);
    }

    #[test]
    fn count_that_the_server_has_not_reached_is_recognised() {
        let message = "No such SyncCount: 37 exists for this Dataset";
        assert!(ApiError::new(ErrorCode::InvalidParameter, message).is_no_such_sync_count());
        assert!(!ApiError::new(ErrorCode::InternalError, message).is_no_such_sync_count());
        assert!(!ApiError::new(ErrorCode::InvalidParameter, "other").is_no_such_sync_count());
    }

    #[test]
    fn display_leaves_out_the_message() {
        let error = ApiError::new(ErrorCode::ResourceConflict, "Current SyncCount for: secret");
        assert_eq!(error.to_string(), "ResourceConflictException (status 409)");
    }
}
