//! What S3's answers mean. Texts carry the server's code and message, never a header or a credential.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use kubeassume_core::store::StoreError;

/// The longest that is repeated of what a server says.
const MAX_TEXT: usize = 300;

/// Whether the call that failed can have changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Read,
    Write,
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Refusal<'a> {
    pub(super) status: u16,
    pub(super) code: &'a str,
    pub(super) message: &'a str,
    /// `x-amz-bucket-region`.
    pub(super) region: Option<&'a str>,
}

pub(super) fn store_error<E: ProvideErrorMetadata + Error + 'static>(
    error: &SdkError<E>,
    effect: Effect,
) -> StoreError {
    if let Some(credentials) = credentials_error(error) {
        return credentials;
    }
    match error {
        SdkError::ConstructionFailure(_) => StoreError::Misconfigured(causes(error)),
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => Refusal::of(error).meaning(effect),
        // Also when the connection broke: an earlier attempt of the SDK may have gone through.
        _ => not_answered(causes(error), effect),
    }
}

/// No answer, or none that says what happened.
pub(super) fn not_answered(text: String, effect: Effect) -> StoreError {
    match effect {
        Effect::Read => StoreError::Unavailable(text),
        Effect::Write => StoreError::Unknown(text),
    }
}

impl<'a> Refusal<'a> {
    pub(super) fn of<E: ProvideErrorMetadata>(error: &'a SdkError<E>) -> Self {
        let raw = error.raw_response();
        Self {
            status: raw.map_or(0, |raw| raw.status().as_u16()),
            code: error.code().unwrap_or_default(),
            message: error.message().unwrap_or_default(),
            region: raw.and_then(|raw| raw.headers().get("x-amz-bucket-region")),
        }
    }

    /// There is a bucket and no such key.
    pub(super) fn is_absence(&self) -> bool {
        self.status == 404 && self.code != "NoSuchBucket"
    }

    pub(super) fn meaning(&self, effect: Effect) -> StoreError {
        match (self.status, self.code) {
            (_, "NoSuchBucket") => StoreError::Misconfigured("there is no such bucket".to_owned()),
            (300..=399, _) | (_, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                StoreError::Misconfigured(self.wrong_region())
            }
            (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") | (401 | 403, _) => {
                StoreError::Denied(self.text())
            }
            (412 | 409, _) => StoreError::Precondition,
            (404, _) if effect == Effect::Write => StoreError::Precondition,
            (413, _) | (_, "EntityTooLarge") => StoreError::TooLarge,
            (501, _) | (_, "NotImplemented") if effect == Effect::Write => {
                StoreError::Misconfigured(format!(
                    "the server has no conditional writes, without which two writers overwrite each other ({})",
                    self.text()
                ))
            }
            (429 | 500.., _) | (_, "RequestTimeout" | "SlowDown") | (0, _) => {
                not_answered(self.text(), effect)
            }
            _ => StoreError::Misconfigured(self.text()),
        }
    }

    fn wrong_region(&self) -> String {
        let region = self
            .region
            .filter(|region| region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        match region {
            Some(region) => format!(
                "the bucket is in region {}; set it as s3.region",
                printable(region)
            ),
            None => format!(
                "the bucket is in another region or at another endpoint ({})",
                self.text()
            ),
        }
    }

    fn text(&self) -> String {
        let mut text = format!("HTTP status {}", self.status);
        for part in [self.code, self.message] {
            if !part.is_empty() {
                text.push_str(": ");
                text.push_str(&printable(part));
            }
        }
        text
    }
}

/// Credentials that could not be had. They are worth another try only when their source was too slow.
fn credentials_error(error: &(dyn Error + 'static)) -> Option<StoreError> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<CredentialsError>() {
            None => cause = error.source(),
            Some(CredentialsError::ProviderTimedOut(_)) => {
                return Some(StoreError::Unavailable(format!("credentials: {}", causes(error))));
            }
            Some(_) => return Some(StoreError::Denied(format!("no credentials: {}", causes(error)))),
        }
    }
    None
}

/// An error with all its causes, which no SDK error prints by itself.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    printable(&text)
}

/// A server's words on one line, and not too many of them.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_TEXT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(status: u16, code: &str, effect: Effect) -> &'static str {
        let refusal = Refusal {
            status,
            code,
            message: "said\r\nso",
            region: None,
        };
        refusal.meaning(effect).label()
    }

    #[test]
    fn each_answer_means_one_thing() {
        use Effect::{Read, Write};
        for (status, code, effect, expected) in [
            (412, "PreconditionFailed", Write, "precondition"),
            (409, "ConditionalRequestConflict", Write, "precondition"),
            (404, "NoSuchKey", Write, "precondition"),
            (404, "NoSuchBucket", Write, "misconfigured"),
            (404, "NoSuchBucket", Read, "misconfigured"),
            (403, "AccessDenied", Write, "denied"),
            (403, "SignatureDoesNotMatch", Read, "denied"),
            (401, "", Read, "denied"),
            (400, "ExpiredToken", Write, "denied"),
            (301, "PermanentRedirect", Read, "misconfigured"),
            (307, "TemporaryRedirect", Write, "misconfigured"),
            (400, "AuthorizationHeaderMalformed", Write, "misconfigured"),
            (400, "InvalidArgument", Write, "misconfigured"),
            (501, "NotImplemented", Write, "misconfigured"),
            (413, "", Write, "too_large"),
            // It may have been written and then gone wrong.
            (500, "InternalError", Write, "unknown"),
            (503, "SlowDown", Write, "unknown"),
            (502, "", Write, "unknown"),
            (429, "", Write, "unknown"),
            (400, "RequestTimeout", Write, "unknown"),
            (503, "SlowDown", Read, "unavailable"),
            (500, "", Read, "unavailable"),
        ] {
            assert_eq!(
                meaning(status, code, effect),
                expected,
                "{status} {code} {effect:?}"
            );
        }
    }

    #[test]
    fn the_right_region_is_named() {
        let refusal = |region| Refusal {
            status: 301,
            code: "PermanentRedirect",
            message: "m",
            region: Some(region),
        };
        let text = |region| refusal(region).meaning(Effect::Read).to_string();
        assert!(text("eu-west-1").contains("eu-west-1"));
        assert!(!text("eu\nwest").contains("eu\nwest"));
    }

    #[test]
    fn a_server_cannot_write_the_log() {
        let message = format!("two\nlines{}", "x".repeat(5000));
        let refusal = Refusal {
            status: 403,
            code: "AccessDenied",
            message: &message,
            region: None,
        };
        let text = refusal.meaning(Effect::Read).to_string();
        assert!(!text.contains('\n') && text.len() < 500, "{text}");
    }
}
