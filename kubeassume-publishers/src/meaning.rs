//! What an answer means for a document, for all stores that ask a server.

#[cfg(any(feature = "oci", feature = "s3"))]
use std::time::{Duration, SystemTime};

use kubeassume_core::store::StoreError;

/// What the call that failed was to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    Read,
    /// Put a document where there is none.
    Create,
    /// Put one in the place of another, or take it away.
    Replace,
}

/// What to do about a credential that is not accepted.
pub(crate) const RENEW: &str = "renew the credential if it has expired, else correct it";

/// A server's words, and what to do.
pub(crate) fn advised(text: &str, advice: &str) -> String {
    format!("{}; {advice}", text.trim_end_matches('.'))
}

/// What a refusal may be due to whatever the credential: a clock that is further from the server's than it permits.
#[cfg(any(feature = "oci", feature = "s3"))]
pub(crate) fn wrong_clock(
    theirs: Option<SystemTime>,
    now: SystemTime,
    permitted: Duration,
) -> Option<String> {
    let theirs = theirs?;
    let (ahead, by) = match now.duration_since(theirs) {
        Ok(by) => ("ahead of", by),
        Err(error) => ("behind", error.duration()),
    };
    (by > permitted).then(|| {
        format!(
            "this machine's clock is {} seconds {ahead} the server's, which permits {}: set the clock",
            by.as_secs(),
            permitted.as_secs()
        )
    })
}

/// No answer, or none that says what happened.
pub(crate) fn not_answered(text: String, effect: Effect) -> StoreError {
    match effect {
        Effect::Read => StoreError::Unavailable(text),
        Effect::Create | Effect::Replace => StoreError::Unknown(text),
    }
}

/// What an HTTP status means (0: there was none), once a store has sorted out the codes that are its own.
/// `text` is the server's, [printable](kubeassume_cloud::text::printable).
pub(crate) fn meaning(status: u16, text: String, effect: Effect) -> StoreError {
    match status {
        401 => StoreError::Denied(advised(&text, RENEW)),
        403 => StoreError::Denied(text),
        409 | 412 => StoreError::Precondition,
        404 if effect == Effect::Replace => StoreError::Precondition,
        413 => StoreError::TooLarge,
        0 | 408 | 429 | 500.. => not_answered(text, effect),
        _ => StoreError::Misconfigured(text),
    }
}

#[cfg(any(feature = "gcs", feature = "oci"))]
pub(crate) use call::{Bucket, store_error};

#[cfg(any(feature = "gcs", feature = "oci"))]
mod call {
    use kubeassume_cloud::http::{CallError, Refusal};
    use kubeassume_core::store::StoreError;

    use super::{Effect, meaning, not_answered};

    /// What one cloud calls its buckets.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Bucket {
        /// The field that names it: `gcs.bucket`.
        pub(crate) field: &'static str,
        /// Whether this refusal says that there is no such bucket. Where a document is created, 404 says so anyway.
        pub(crate) is_missing: fn(&Refusal) -> bool,
    }

    /// What the failure of a call to a REST interface means, for clients that send a write once.
    pub(crate) fn store_error(error: CallError, effect: Effect, bucket: &Bucket) -> StoreError {
        let text = error.to_string();
        let refusal = match error {
            CallError::Credential {
                transient: true,
                reason,
            } => return StoreError::Unavailable(format!("credentials: {reason}")),
            CallError::Credential { .. } => return StoreError::Denied(text),
            CallError::Unsendable(_) => return StoreError::Misconfigured(text),
            CallError::NotSent(_) => return StoreError::Unavailable(text),
            CallError::TooLarge(_) if effect == Effect::Read => return StoreError::Misconfigured(text),
            CallError::Refused(refusal) => refusal,
            _ => return not_answered(text, effect),
        };
        let missing = (bucket.is_missing)(&refusal) || refusal.status == 404 && effect == Effect::Create;
        if missing {
            let field = bucket.field;
            return StoreError::Misconfigured(format!("there is no such bucket; correct {field} ({text})"));
        }
        if refusal.is_retryable() && !refusal.may_have_happened() {
            return StoreError::Unavailable(text);
        }
        meaning(refusal.status, text, effect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_means_one_thing() {
        use Effect::{Create, Read, Replace};
        for (status, read, create, replace) in [
            (0, "unavailable", "unknown", "unknown"),
            (307, "misconfigured", "misconfigured", "misconfigured"),
            (400, "misconfigured", "misconfigured", "misconfigured"),
            (401, "denied", "denied", "denied"),
            (403, "denied", "denied", "denied"),
            (404, "misconfigured", "misconfigured", "precondition"),
            (408, "unavailable", "unknown", "unknown"),
            (409, "precondition", "precondition", "precondition"),
            (412, "precondition", "precondition", "precondition"),
            (413, "too_large", "too_large", "too_large"),
            (500, "unavailable", "unknown", "unknown"),
            (501, "unavailable", "unknown", "unknown"),
            (503, "unavailable", "unknown", "unknown"),
        ] {
            for (effect, expected) in [(Read, read), (Create, create), (Replace, replace)] {
                let error = meaning(status, String::new(), effect);
                assert_eq!(error.label(), expected, "{status} {effect:?}");
            }
        }
    }

    #[cfg(any(feature = "gcs", feature = "oci"))]
    mod call {
        use kubeassume_cloud::http::{CallError, Refusal};

        use super::super::*;

        const BUCKET: Bucket = Bucket {
            field: "x.bucket",
            is_missing: |refusal| refusal.code == "NoBucket",
        };

        fn refused(status: u16, code: &str) -> CallError {
            CallError::Refused(Box::new(Refusal {
                status,
                code: code.to_owned(),
                message: "in words".to_owned(),
                retry_after: None,
                date: None,
            }))
        }

        fn credential(transient: bool) -> CallError {
            CallError::Credential {
                reason: "away".to_owned(),
                transient,
            }
        }

        #[test]
        fn each_failure_of_a_call_means_one_thing() {
            use Effect::{Create, Read, Replace};
            for (error, effect, expected) in [
                (refused(412, ""), Create, "precondition"),
                (refused(409, ""), Replace, "precondition"),
                (refused(404, ""), Replace, "precondition"),
                (refused(404, "NoBucket"), Replace, "misconfigured"),
                (refused(404, "NoBucket"), Read, "misconfigured"),
                (refused(404, ""), Create, "misconfigured"),
                (refused(403, ""), Create, "denied"),
                (refused(401, ""), Read, "denied"),
                // Refused before it was looked at, and nobody has tried it before.
                (refused(429, ""), Create, "unavailable"),
                (refused(403, "rateLimitExceeded"), Replace, "unavailable"),
                (refused(503, ""), Create, "unknown"),
                (refused(503, ""), Read, "unavailable"),
                (CallError::Lost(String::new()), Replace, "unknown"),
                (CallError::Lost(String::new()), Read, "unavailable"),
                (CallError::NotSent(String::new()), Replace, "unavailable"),
                (CallError::Unsendable(String::new()), Create, "misconfigured"),
                (CallError::TooLarge(1), Create, "unknown"),
                (CallError::TooLarge(1), Read, "misconfigured"),
                (credential(true), Create, "unavailable"),
                (credential(false), Create, "denied"),
            ] {
                let text = format!("{error:?} {effect:?}");
                assert_eq!(store_error(error, effect, &BUCKET).label(), expected, "{text}");
            }
        }

        #[test]
        fn a_missing_bucket_names_the_field_and_a_refusal_its_words() {
            let text = |error, effect| store_error(error, effect, &BUCKET).to_string();
            assert!(text(refused(404, "NoBucket"), Effect::Read).contains("x.bucket"));
            assert!(text(refused(404, ""), Effect::Create).contains("x.bucket"));
            assert!(text(refused(403, "forbidden"), Effect::Create).contains("403: forbidden: in words"));
        }
    }
}
