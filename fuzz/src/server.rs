//! What strangers send to the service.

use driftless_server::Authorization;

/// Reads an Authorization header; what is read writes a header that reads alike.
pub fn sigv4_header(bytes: &[u8]) {
    let Ok(header) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(read) = Authorization::parse(header) {
        let again = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}/{}/{}/aws4_request, SignedHeaders={}, Signature={}",
            read.access_key_id(),
            read.date(),
            read.region(),
            read.service(),
            read.signed_headers().join(";"),
            read.signature(),
        );
        assert_eq!(Authorization::parse(&again), Ok(read));
    }
}

pub fn server_request(_bytes: &[u8]) {}
