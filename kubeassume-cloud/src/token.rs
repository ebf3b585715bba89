//! Who issued a token, to find out whether a publisher's credential depends on what it publishes.
//!
//! Nothing is verified: the token is our own, and the answer is for a warning.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

/// The most that is read of a file that holds a token, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// `iss` of a JWT (RFC 7519 section 4.1.1), or `None` for what is none.
pub fn issuer(token: &str) -> Option<String> {
    let payload = token.trim().split('.').nth(1)?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

/// A small text file: a token, or the description of a credential.
///
/// # Errors
/// The system's, or `InvalidData` for more than 64 KiB or something that is not text.
pub fn read_file(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)?;
    if read as u64 > MAX_FILE_BYTES {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            format!("it has more than {MAX_FILE_BYTES} bytes"),
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_of_a_token_is_read_and_nothing_else() {
        let token = |claims: &str| format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims));
        let issued = token(r#"{"iss":"https://oidc.example.com"}"#);
        assert_eq!(issuer(&issued).as_deref(), Some("https://oidc.example.com"));
        assert_eq!(
            issuer(&format!("{issued}\n")).as_deref(),
            Some("https://oidc.example.com")
        );
        for none in [
            "",
            "opaque",
            "a.b.c",
            &token("{}"),
            &token(r#"{"iss":7}"#),
            &token("[]"),
        ] {
            assert_eq!(issuer(none), None, "{none}");
        }
    }

    #[test]
    fn a_file_that_is_no_token_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "x".repeat(64 << 10)).unwrap();
        assert_eq!(read_file(&path).unwrap().len(), 64 << 10);
        std::fs::write(&path, "x".repeat((64 << 10) + 1)).unwrap();
        assert!(read_file(&path).is_err());
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(read_file(&path).is_err());
    }
}
