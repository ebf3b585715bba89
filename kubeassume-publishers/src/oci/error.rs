//! What Object Storage's answers mean, where they are not every store's.
//!
//! OCI hides what a caller may not see: an unknown bucket and a bucket in which nothing is granted are both 404
//! `BucketNotFound`, and other services' `NotAuthorizedOrNotFound` says so in its name
//! (<https://docs.oracle.com/iaas/Content/API/References/apierrors.htm>).

use std::time::{Duration, SystemTime};

use kubeassume_cloud::http::{CallError, Refusal};
use kubeassume_core::store::StoreError;

use crate::meaning::{Bucket, Effect, RENEW, advised, store_error, wrong_clock};

/// OCI refuses a `Date` that is further from its own clock ("Request Signatures").
const PERMITTED_SKEW: Duration = Duration::from_secs(5 * 60);

const BUCKET: Bucket = Bucket {
    field: "oci.bucket or oci.namespace",
    is_missing: hides_bucket,
};

/// There is a bucket and no such object in it.
pub(super) fn is_absence(error: &CallError) -> bool {
    matches!(error, CallError::Refused(refusal) if refusal.status == 404 && refusal.code == "ObjectNotFound")
}

/// Not allowed, or not to be told that there is nothing.
pub(super) fn is_refusal(error: &CallError) -> bool {
    match error {
        CallError::Refused(refusal) => {
            refusal.status == 403 || refusal.status == 404 && refusal.code != "ObjectNotFound"
        }
        _ => false,
    }
}

pub(super) fn meaning(error: CallError, effect: Effect, now: SystemTime) -> StoreError {
    match &error {
        CallError::Refused(refusal) if hides_bucket(refusal) => StoreError::Misconfigured(hidden(&error)),
        CallError::Refused(refusal) if refusal.code == "NotAuthorizedOrNotFound" => {
            StoreError::Denied(error.to_string())
        }
        CallError::Refused(refusal) if refusal.status == 401 => {
            // Said of a wrong clock too, which is the more common cause.
            let clock = wrong_clock(refusal.date, now, PERMITTED_SKEW);
            StoreError::Denied(advised(&error.to_string(), clock.as_deref().unwrap_or(RENEW)))
        }
        _ => store_error(error, effect, &BUCKET),
    }
}

/// The two things that OCI does not tell apart, and where to look.
pub(super) fn hidden(error: &CallError) -> String {
    format!(
        "there is no such bucket, or nothing in it is granted to this credential (OCI answers both alike); check \
         oci.bucket, oci.namespace, oci.region and the policy ({error})"
    )
}

fn hides_bucket(refusal: &Refusal) -> bool {
    matches!(refusal.code.as_str(), "BucketNotFound" | "NamespaceNotFound")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str, date: Option<SystemTime>) -> CallError {
        CallError::Refused(Box::new(Refusal {
            status,
            code: code.to_owned(),
            message: "in words".to_owned(),
            retry_after: None,
            date,
        }))
    }

    #[test]
    fn each_answer_means_one_thing() {
        use Effect::{Create, Read, Replace};
        for (status, code, effect, expected) in [
            (412, "IfMatchFailed", Replace, "precondition"),
            (412, "IfNoneMatchFailed", Create, "precondition"),
            (404, "ObjectNotFound", Replace, "precondition"),
            (409, "ConcurrentObjectUpdate", Replace, "precondition"),
            (404, "BucketNotFound", Read, "misconfigured"),
            (404, "BucketNotFound", Create, "misconfigured"),
            (404, "BucketNotFound", Replace, "misconfigured"),
            (404, "NamespaceNotFound", Replace, "misconfigured"),
            (404, "NotAuthorizedOrNotFound", Read, "denied"),
            (404, "NotAuthorizedOrNotFound", Create, "denied"),
            (404, "NotAuthorizedOrNotFound", Replace, "denied"),
            (401, "NotAuthenticated", Read, "denied"),
            (403, "NotAllowed", Create, "denied"),
            (429, "TooManyRequests", Read, "unavailable"),
            (429, "TooManyRequests", Create, "unavailable"),
            (500, "InternalServerError", Read, "unavailable"),
            (500, "InternalServerError", Create, "unknown"),
            (503, "ServiceUnavailable", Replace, "unknown"),
            (400, "InvalidParameter", Create, "misconfigured"),
            (413, "", Create, "too_large"),
        ] {
            let label = meaning(refused(status, code, None), effect, SystemTime::now()).label();
            assert_eq!(label, expected, "{status} {code} {effect:?}");
        }
    }

    #[test]
    fn a_wrong_clock_is_named() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let text = |theirs| meaning(refused(401, "NotAuthenticated", theirs), Effect::Read, now).to_string();
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert!(text(Some(now - minutes(7))).contains("420 seconds ahead of"));
        assert!(text(Some(now + minutes(10))).contains("600 seconds behind"));
        for right in [None, Some(now), Some(now - minutes(5)), Some(now + minutes(5))] {
            assert!(!text(right).contains("clock"), "{right:?}");
        }
    }
}
