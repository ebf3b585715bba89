//! What can become of a call, by meaning.

use std::fmt;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{DATE, HeaderMap, RETRY_AFTER};
use serde_json::Value;
use thiserror::Error;

use crate::text::printable;

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The request can never be sent: no https, a URL that is none.
    #[error("the request cannot be sent: {0}")]
    Unsendable(String),
    /// Nothing was sent: no connection, no TLS.
    #[error("the server cannot be reached: {0}")]
    NotSent(String),
    /// The answer was lost, or ended too early. What was asked may have been done.
    #[error("the answer was lost: {0}")]
    Lost(String),
    /// The server answered that it did not do it, or that it failed.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The answer has more than so many bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// There is no credential to send. Nothing was sent.
    #[error("no credentials: {reason}")]
    Credential {
        /// What the source said.
        reason: String,
        /// The source was slow or away; it may have one later.
        transient: bool,
    },
}

impl CallError {
    /// Whether the same call may succeed later without anybody mending anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotSent(_) | Self::Lost(_) => true,
            Self::Refused(refusal) => refusal.is_retryable(),
            Self::Credential { transient, .. } => *transient,
            Self::Unsendable(_) | Self::TooLarge(_) => false,
        }
    }

    /// Whether what was asked may have been done. A write is then not to be repeated before a read.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Lost(_) | Self::TooLarge(_) => true,
            Self::Refused(refusal) => refusal.may_have_happened(),
            Self::Unsendable(_) | Self::NotSent(_) | Self::Credential { .. } => false,
        }
    }

    /// How long the server asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }
}

/// An answer other than 2xx. Its words are the server's, [printable], and without what the request sent
/// for authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The cloud's own code (`conditionNotMet`, `BucketNotFound`, `invalid_grant`), or empty.
    pub code: String,
    /// The cloud's own words, or empty.
    pub message: String,
    /// `Retry-After`, as a time from the answer on.
    pub retry_after: Option<Duration>,
    /// `Date`: the server's clock. A signature that was refused may only have been made by a wrong one.
    pub date: Option<SystemTime>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8], secrets: &[String]) -> Self {
        let (code, message) = explanation(body);
        let fit = |text: String| {
            let text = secrets
                .iter()
                .fold(text, |text, secret| text.replace(secret.as_str(), "[withheld]"));
            printable(&text)
        };
        Self {
            status: status.as_u16(),
            code: fit(code),
            message: fit(message),
            retry_after: retry_after(headers),
            date: date(headers),
        }
    }

    /// Throttled, or a failure of the server's own. `501` is not: it will not learn to.
    pub fn is_retryable(&self) -> bool {
        matches!(self.status, 408 | 429 | 500 | 502..) || self.is_throttling()
    }

    /// A server that failed may have failed after it did what was asked.
    pub fn may_have_happened(&self) -> bool {
        matches!(self.status, 408 | 500 | 502..)
    }

    /// Some of Google's interfaces say it with 403.
    fn is_throttling(&self) -> bool {
        matches!(self.code.as_str(), "rateLimitExceeded" | "userRateLimitExceeded")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP status {}", self.status)?;
        for part in [&self.code, &self.message] {
            if !part.is_empty() {
                write!(f, ": {part}")?;
            }
        }
        Ok(())
    }
}

/// Code and message, as Google (`{"error": {"errors": [{"reason"}], "status", "message"}}`), Azure's Resource
/// Manager (`{"error": {"code", "message"}}`), OCI (`{"code", "message"}`) and OAuth 2 (RFC 6749 section 5.2) give them, or plain text.
pub(crate) fn explanation(body: &[u8]) -> (String, String) {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        let words = String::from_utf8_lossy(body);
        let words = words.trim();
        // A page for people is no explanation in one line.
        let message = if words.starts_with('<') { "" } else { words };
        return (String::new(), message.to_owned());
    };
    match body.get("error") {
        Some(error @ Value::Object(_)) => {
            let reason = error.pointer("/errors/0/reason").or_else(|| error.get("status"));
            // Google's `code` is the status again, a number.
            let reason = reason.or_else(|| error.get("code"));
            (text(reason), text(error.get("message")))
        }
        Some(code @ Value::String(_)) => (text(Some(code)), text(body.get("error_description"))),
        _ => (text(body.get("code")), text(body.get("message"))),
    }
}

/// RFC 9110 section 10.2.3: seconds, or a date, which is compared with the server's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let header = |name| headers.get(name)?.to_str().ok();
    let value = header(RETRY_AFTER)?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    Some(until.duration_since(date(headers)?).unwrap_or_default())
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Refusal {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let status = StatusCode::from_u16(status).unwrap();
        Refusal::new(status, &headers, body.as_bytes(), &["the-token".to_owned()])
    }

    #[test]
    fn each_clouds_own_words_are_found() {
        for (body, code, message) in [
            (
                r#"{"error":{"code":412,"message":"At least one","errors":[{"reason":"conditionNotMet"}]}}"#,
                "conditionNotMet",
                "At least one",
            ),
            (
                r#"{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}"#,
                "PERMISSION_DENIED",
                "no",
            ),
            (
                r#"{"error":{"code":"AuthorizationFailed","message":"no"}}"#,
                "AuthorizationFailed",
                "no",
            ),
            (
                r#"{"code":"BucketNotFound","message":"gone"}"#,
                "BucketNotFound",
                "gone",
            ),
            (
                r#"{"error":"invalid_grant","error_description":"expired"}"#,
                "invalid_grant",
                "expired",
            ),
            ("No such object: keys/a\n", "", "No such object: keys/a"),
            ("<html>Bad Gateway</html>", "", ""),
            (r#"{"error":[]}"#, "", ""),
            ("", "", ""),
        ] {
            let refusal = refusal(403, &[], body);
            assert_eq!(
                (refusal.code.as_str(), refusal.message.as_str()),
                (code, message),
                "{body}"
            );
        }
    }

    #[test]
    fn what_was_sent_for_authorization_does_not_come_back() {
        let refusal = refusal(401, &[], r#"{"code":"the-token","message":"bad: the-token\nno"}"#);
        assert_eq!(
            refusal.to_string(),
            "HTTP status 401: [withheld]: bad: [withheld] no"
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_servers_clock() {
        let after = |headers: &[(&'static str, &'static str)]| refusal(429, headers, "").retry_after;
        let date = ("date", "Sun, 22 Nov 2026 10:00:00 GMT");
        assert_eq!(after(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(
            after(&[date, ("retry-after", "Sun, 22 Nov 2026 10:01:00 GMT")]),
            Some(Duration::from_secs(60))
        );
        assert_eq!(
            after(&[date, ("retry-after", "Sun, 22 Nov 2026 09:01:00 GMT")]),
            Some(Duration::ZERO)
        );
        for none in ["-1", "soon", "Sun, 22 Nov 2026 10:01:00 GMT"] {
            assert_eq!(after(&[("retry-after", none)]), None, "{none}");
        }
    }

    #[test]
    fn what_may_be_tried_again_and_what_may_have_happened() {
        for (status, code, retryable, happened) in [
            (400, "", false, false),
            (401, "", false, false),
            (403, "", false, false),
            (403, "rateLimitExceeded", true, false),
            (404, "", false, false),
            (409, "", false, false),
            (412, "", false, false),
            (408, "", true, true),
            (429, "", true, false),
            (500, "", true, true),
            (501, "", false, false),
            (502, "", true, true),
            (503, "", true, true),
            (504, "", true, true),
        ] {
            let body = format!(r#"{{"code":"{code}"}}"#);
            let error = CallError::Refused(Box::new(refusal(status, &[], &body)));
            assert_eq!(
                (error.is_retryable(), error.may_have_happened()),
                (retryable, happened),
                "{status} {code}"
            );
        }
        let not_sent = CallError::NotSent(String::new());
        assert!(not_sent.is_retryable() && !not_sent.may_have_happened());
        let lost = CallError::Lost(String::new());
        assert!(lost.is_retryable() && lost.may_have_happened());
    }
}
