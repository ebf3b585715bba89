//! What Azure's answers mean. Texts carry the server's code and message, never a header or a credential.

use std::time::Duration;

use azure_core::Error;
use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName, RETRY_AFTER};
use azure_storage_blob::StorageError;
use kubeassume_cloud::text::{causes, printable};
use kubeassume_core::store::StoreError;

use crate::meaning::{Effect, meaning, not_answered};

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// What is asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Read,
    List,
    Create,
    Replace,
    Delete,
}

impl Call {
    pub(super) fn effect(self) -> Effect {
        match self {
            Self::Read | Self::List => Effect::Read,
            Self::Create => Effect::Create,
            Self::Replace | Self::Delete => Effect::Replace,
        }
    }

    /// The data action that it takes. Azure has no other for a list than for a read.
    fn action(self) -> &'static str {
        match self {
            Self::Read | Self::List => "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
            Self::Create | Self::Replace => {
                "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write"
            }
            Self::Delete => "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete",
        }
    }
}

pub(super) fn store_error(error: &Error, call: Call) -> StoreError {
    let text = || causes(said(error));
    match error.kind() {
        ErrorKind::HttpResponse { .. } => Refusal::of(error).meaning(call),
        ErrorKind::Credential => without_credential(error),
        // A write is sent once, so that nothing happened when nothing was sent.
        ErrorKind::Connection => StoreError::Unavailable(text()),
        ErrorKind::Io => not_answered(text(), call.effect()),
        // An answer that cannot be read.
        ErrorKind::DataConversion if call.effect() != Effect::Read => StoreError::Unknown(text()),
        _ => StoreError::Misconfigured(text()),
    }
}

/// How long the server asks to be left alone; Azure says it in seconds.
pub(super) fn retry_after(error: &Error) -> Option<Duration> {
    let ErrorKind::HttpResponse {
        raw_response: Some(raw),
        ..
    } = error.kind()
    else {
        return None;
    };
    let seconds = raw.headers().get_optional_str(&RETRY_AFTER)?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// There is a container and no such blob.
pub(super) fn is_absence(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::HttpResponse { .. }) && Refusal::of(error).is_absence()
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    status: u16,
    /// `x-ms-error-code`, or empty.
    code: String,
    message: String,
}

impl Refusal {
    fn of(error: &Error) -> Self {
        let ErrorKind::HttpResponse {
            status, raw_response, ..
        } = error.kind()
        else {
            return Self {
                status: 0,
                code: String::new(),
                message: String::new(),
            };
        };
        let headers = raw_response.as_ref().map(|raw| raw.headers());
        let code = headers.and_then(|headers| headers.get_optional_str(&ERROR_CODE));
        Self {
            status: u16::from(*status),
            code: code.unwrap_or_default().to_owned(),
            message: message(error.kind()),
        }
    }

    fn is_absence(&self) -> bool {
        self.status == 404 && matches!(self.code.as_str(), "BlobNotFound" | "")
    }

    fn meaning(&self, call: Call) -> StoreError {
        let text = self.text();
        match (self.status, self.code.as_str()) {
            (_, "ContainerNotFound" | "ContainerBeingDeleted" | "ContainerDisabled") => {
                StoreError::Misconfigured(format!(
                    "there is no such container; correct azure.container ({text})"
                ))
            }
            // Azure knows who asks, and that they may not.
            (_, "AuthorizationPermissionMismatch" | "InsufficientAccountPermissions") => {
                StoreError::Denied(format!("the credential lacks {} ({text})", call.action()))
            }
            (_, "AuthorizationFailure") => StoreError::Denied(format!(
                "{text}; does the storage account's firewall let this network in?"
            )),
            // The precondition may well hold: a lease, a legal hold or a snapshot is in the way.
            (409, code) if !matches!(code, "BlobAlreadyExists" | "") => StoreError::Misconfigured(text),
            (412, code) if code.starts_with("Lease") => StoreError::Misconfigured(text),
            (404, _) if !self.is_absence() => StoreError::Misconfigured(text),
            // Refused before it was looked at, and sent once.
            (429, _) => StoreError::Unavailable(text),
            _ => meaning(self.status, text, call.effect()),
        }
    }

    fn text(&self) -> String {
        let mut text = format!("HTTP status {}", self.status);
        for part in [&self.code, &self.message] {
            if !part.is_empty() {
                text.push_str(": ");
                text.push_str(&printable(part));
            }
        }
        text
    }
}

/// Azure's own words; what is no XML of Azure's is a page of somebody in between.
fn message(kind: &ErrorKind) -> String {
    let error = StorageError::try_from(kind.clone().into_error());
    error.ok().and_then(|error| error.message).unwrap_or_default()
}

/// Worth another try only when the source of credentials was too slow, away, or broken.
fn without_credential(error: &Error) -> StoreError {
    let text = printable(&said(error).to_string());
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let transient = error
            .downcast_ref::<Error>()
            .is_some_and(|error| match error.kind() {
                ErrorKind::Io | ErrorKind::Connection => true,
                ErrorKind::HttpResponse { status, .. } => matches!(u16::from(*status), 408 | 429 | 500..),
                _ => false,
            });
        if transient {
            return StoreError::Unavailable(format!("credentials: {text}"));
        }
        cause = error.source();
    }
    StoreError::Denied(format!("no credentials: {text}"))
}

/// The error without what the SDK's retries say about themselves around it.
fn said<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let text = error.to_string();
    let around = text.starts_with("non-transport error occurred") || text.starts_with("retry policy expired");
    match error.source() {
        Some(cause) if around => said(cause),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use azure_core::http::RawResponse;
    use azure_core::http::headers::Headers;

    use super::*;

    fn refused(status: u16, code: &'static str, message: &str) -> Error {
        let mut headers = Headers::new();
        if !code.is_empty() {
            headers.insert(ERROR_CODE, code);
        }
        let body =
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
        let kind = ErrorKind::HttpResponse {
            status: status.into(),
            error_code: None,
            raw_response: Some(Box::new(RawResponse::from_bytes(status.into(), headers, body))),
        };
        Error::with_message(kind, "as the SDK says it, with the whole body")
    }

    #[test]
    fn each_answer_means_one_thing() {
        use Call::{Create, Delete, Read, Replace};
        for (status, code, call, expected) in [
            (409, "BlobAlreadyExists", Create, "precondition"),
            (412, "ConditionNotMet", Replace, "precondition"),
            (404, "BlobNotFound", Delete, "precondition"),
            (404, "BlobNotFound", Replace, "precondition"),
            (404, "ContainerNotFound", Read, "misconfigured"),
            (404, "ContainerNotFound", Create, "misconfigured"),
            (404, "ContainerNotFound", Replace, "misconfigured"),
            (404, "ResourceNotFound", Replace, "misconfigured"),
            (409, "ContainerBeingDeleted", Create, "misconfigured"),
            // In the way, and there to stay.
            (412, "LeaseIdMissing", Replace, "misconfigured"),
            (409, "BlobImmutableDueToPolicy", Replace, "misconfigured"),
            (409, "SnapshotsPresent", Delete, "misconfigured"),
            (403, "AuthorizationPermissionMismatch", Create, "denied"),
            (403, "AuthorizationFailure", Read, "denied"),
            (401, "InvalidAuthenticationInfo", Read, "denied"),
            (400, "InvalidMetadata", Create, "misconfigured"),
            (307, "", Read, "misconfigured"),
            (413, "RequestBodyTooLarge", Create, "too_large"),
            // It may have been written and then gone wrong.
            (500, "OperationTimedOut", Create, "unknown"),
            (503, "ServerBusy", Replace, "unknown"),
            (503, "ServerBusy", Read, "unavailable"),
            (429, "", Create, "unavailable"),
        ] {
            let error = store_error(&refused(status, code, "in words"), call);
            assert_eq!(error.label(), expected, "{status} {code} {call:?}");
        }
    }

    #[test]
    fn absence_is_of_the_blob_alone() {
        let absent = |code| is_absence(&refused(404, code, ""));
        assert!(absent("BlobNotFound"));
        assert!(!absent("ContainerNotFound") && !absent("ResourceNotFound"));
    }

    #[test]
    fn what_was_never_sent_has_not_happened() {
        let label = |kind, call| store_error(&Error::with_message(kind, "away"), call).label();
        assert_eq!(label(ErrorKind::Connection, Call::Create), "unavailable");
        assert_eq!(label(ErrorKind::Io, Call::Create), "unknown");
        assert_eq!(label(ErrorKind::Io, Call::Read), "unavailable");
        assert_eq!(label(ErrorKind::DataConversion, Call::Replace), "unknown");
        assert_eq!(label(ErrorKind::Credential, Call::Create), "denied");
    }

    #[test]
    fn a_slow_source_of_credentials_is_worth_another_try() {
        let slow = Error::with_message(ErrorKind::Io, "no answer within 15 s");
        let error = Error::with_error(
            ErrorKind::Credential,
            slow,
            "managed identity: no answer within 15 s",
        );
        let meaning = store_error(&error, Call::Create);
        assert!(
            matches!(&meaning, StoreError::Unavailable(text) if text.contains("15 s")),
            "{meaning}"
        );
        let error = Error::with_error(ErrorKind::Credential, refused(500, "", ""), "sign-in");
        assert_eq!(store_error(&error, Call::Read).label(), "unavailable");
        let error = Error::with_error(
            ErrorKind::Credential,
            refused(400, "", ""),
            "AADSTS70021: no match",
        );
        let meaning = store_error(&error, Call::Read);
        assert!(
            matches!(&meaning, StoreError::Denied(text) if text.contains("AADSTS70021")),
            "{meaning}"
        );
    }

    #[test]
    fn a_missing_permission_is_named_and_a_bad_credential_is_not_called_one() {
        let text = |status, code, call| store_error(&refused(status, code, "in words"), call).to_string();
        for (call, action) in [
            (Call::Read, "blobs/read"),
            (Call::List, "blobs/read"),
            (Call::Create, "blobs/write"),
            (Call::Replace, "blobs/write"),
            (Call::Delete, "blobs/delete"),
        ] {
            let denied = text(403, "AuthorizationPermissionMismatch", call);
            let expected =
                format!("lacks Microsoft.Storage/storageAccounts/blobServices/containers/{action} (HTTP");
            assert!(denied.contains(&expected), "{denied}");
        }
        assert!(!text(401, "InvalidAuthenticationInfo", Call::Read).contains("Microsoft.Storage"));
        assert!(text(403, "AuthorizationFailure", Call::Read).contains("firewall"));
    }

    #[test]
    fn a_server_cannot_write_the_log() {
        let message = format!("two\nlines{}", "x".repeat(5000));
        let error = refused(403, "AuthorizationPermissionMismatch", &message);
        let text = store_error(&error, Call::Read).to_string();
        assert!(!text.contains('\n') && text.len() < 500, "{text}");
    }
}
