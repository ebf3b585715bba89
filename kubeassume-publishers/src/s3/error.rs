//! What S3's answers mean. Texts carry the server's code and message, never a header or a credential.

use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat as Format};
use kubeassume_cloud::text::{causes, printable};
use kubeassume_core::store::StoreError;

use crate::meaning::{Effect, RENEW, advised, meaning, not_answered, wrong_clock};

/// Amazon refuses a signature whose time is further from its own ("RequestTimeTooSkewed").
const PERMITTED_SKEW: Duration = Duration::from_secs(15 * 60);

/// What a server answered.
#[derive(Debug)]
pub(super) struct Refusal<'a> {
    pub(super) status: u16,
    pub(super) code: &'a str,
    pub(super) message: &'a str,
    /// `x-amz-bucket-region`.
    pub(super) region: Option<&'a str>,
    /// `Date`: the server's clock.
    pub(super) date: Option<&'a str>,
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

impl<'a> Refusal<'a> {
    pub(super) fn of<E: ProvideErrorMetadata>(error: &'a SdkError<E>) -> Self {
        let raw = error.raw_response();
        Self {
            status: raw.map_or(0, |raw| raw.status().as_u16()),
            code: error.code().unwrap_or_default(),
            message: error.message().unwrap_or_default(),
            region: raw.and_then(|raw| raw.headers().get("x-amz-bucket-region")),
            date: raw.and_then(|raw| raw.headers().get("date")),
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
            (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => {
                StoreError::Denied(advised(&self.text(), RENEW))
            }
            (_, "RequestTimeTooSkewed") => {
                let clock = wrong_clock(self.date(), SystemTime::now(), PERMITTED_SKEW);
                let advice = clock.as_deref().unwrap_or("set this machine's clock");
                StoreError::Denied(advised(&self.text(), advice))
            }
            (_, "EntityTooLarge") => StoreError::TooLarge,
            // The bucket is there, or it would have said so.
            (404, _) if effect != Effect::Read => StoreError::Precondition,
            (501, _) | (_, "NotImplemented") if effect != Effect::Read => StoreError::Misconfigured(format!(
                "the server has no conditional writes, without which two writers overwrite each other ({})",
                self.text()
            )),
            (_, "RequestTimeout" | "SlowDown") => not_answered(self.text(), effect),
            _ => meaning(self.status, self.text(), effect),
        }
    }

    fn date(&self) -> Option<SystemTime> {
        let date = DateTime::from_str(self.date?, Format::HttpDate).ok()?;
        SystemTime::try_from(date).ok()
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
                "the bucket is in another region or at another endpoint; correct s3.region or s3.endpoint ({})",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(status: u16, code: &str, effect: Effect) -> &'static str {
        let refusal = Refusal {
            status,
            code,
            message: "said\r\nso",
            region: None,
            date: None,
        };
        refusal.meaning(effect).label()
    }

    #[test]
    fn each_answer_means_one_thing() {
        use Effect::{Create, Read, Replace};
        for (status, code, effect, expected) in [
            (412, "PreconditionFailed", Create, "precondition"),
            (409, "ConditionalRequestConflict", Replace, "precondition"),
            (404, "NoSuchKey", Replace, "precondition"),
            (404, "NoSuchBucket", Replace, "misconfigured"),
            (404, "NoSuchBucket", Read, "misconfigured"),
            (403, "AccessDenied", Create, "denied"),
            (403, "SignatureDoesNotMatch", Read, "denied"),
            (401, "", Read, "denied"),
            (400, "ExpiredToken", Create, "denied"),
            (301, "PermanentRedirect", Read, "misconfigured"),
            (307, "TemporaryRedirect", Create, "misconfigured"),
            (400, "AuthorizationHeaderMalformed", Create, "misconfigured"),
            (400, "InvalidArgument", Create, "misconfigured"),
            (501, "NotImplemented", Create, "misconfigured"),
            (413, "", Create, "too_large"),
            // It may have been written and then gone wrong.
            (500, "InternalError", Create, "unknown"),
            (503, "SlowDown", Create, "unknown"),
            (502, "", Create, "unknown"),
            (429, "", Create, "unknown"),
            (400, "RequestTimeout", Create, "unknown"),
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
            date: None,
        };
        let text = |region| refusal(region).meaning(Effect::Read).to_string();
        assert!(text("eu-west-1").contains("eu-west-1"));
        assert!(!text("eu\nwest").contains("eu\nwest"));
    }

    #[test]
    fn what_a_person_must_mend_is_named() {
        let text = |status, code, date| {
            let refusal = Refusal {
                status,
                code,
                message: "m",
                region: None,
                date,
            };
            refusal.meaning(Effect::Read).to_string()
        };
        assert!(text(400, "ExpiredToken", None).contains("renew the credential"));
        assert!(text(400, "AuthorizationHeaderMalformed", None).contains("s3.region"));
        let skewed = |date| text(403, "RequestTimeTooSkewed", date);
        assert!(
            skewed(Some("Sun, 22 Nov 2009 10:00:00 GMT"))
                .contains("ahead of the server's, which permits 900")
        );
        assert!(skewed(Some("yesterday")).contains("set this machine's clock"));
        assert!(skewed(None).contains("set this machine's clock"));
    }

    #[test]
    fn a_server_cannot_write_the_log() {
        let message = format!("two\nlines{}", "x".repeat(5000));
        let refusal = Refusal {
            status: 403,
            code: "AccessDenied",
            message: &message,
            region: None,
            date: None,
        };
        let text = refusal.meaning(Effect::Read).to_string();
        assert!(!text.contains('\n') && text.len() < 500, "{text}");
    }
}
