//! Azure Blob Storage as a document store.
//!
//! A write carries `If-None-Match: *` or `If-Match: <ETag>`; there is never a HEAD before a PUT. An ETag here
//! is a moment, not a digest, so that a writer that slept is refused even if the same bytes are back. What
//! exists already is refused with 409 `BlobAlreadyExists` instead of 412; both are a lost race.
//!
//! # Metadata names
//!
//! Azure's are C# identifiers. `kubeassume-generation` is stored as `x-ms-meta-kubeassume_generation`, `-` as
//! `_` throughout, and read back the other way; our names have no `_`, so that nothing is lost.
//!
//! # Permissions
//!
//! The identity that publishes needs these data actions on the container, best in a role of its own:
//!
//! ```json
//! {
//!   "Name": "KubeAssume publisher",
//!   "Actions": [],
//!   "DataActions": [
//!     "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
//!     "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write"
//!   ],
//!   "AssignableScopes": ["/subscriptions/SUBSCRIPTION/resourceGroups/GROUP"]
//! }
//! ```
//!
//! assigned at `.../storageAccounts/ACCOUNT/blobServices/default/containers/CONTAINER`. `blobs/write` creates
//! and replaces; `blobs/add/action` alone creates and cannot replace, so it is not enough. The built-in
//! `Storage Blob Data Contributor` has more: `blobs/delete` and the container's own deletion are not needed
//! and not to be granted.
//!
//! The public reads blobs and lists nothing: access level `blob` of a container that holds nothing else, on an
//! account with `allowBlobPublicAccess`; or the container `$web`, which the static website serves whatever
//! those two say. Azure cannot limit public reading to two paths.
//!
//! # Credential
//!
//! [`AzureConfig::use_managed_identity`]; see `kubeassume_cloud::azure::AzureSource`. Only tokens of Entra ID:
//! account keys and SAS are static secrets, and the SDK has no account keys.
//!
//! # Failure
//!
//! Connecting takes at most 3 s, an attempt 10 s, a call with its token 30 s. A read is tried three times,
//! unless the server asks for more than 3 s of rest (`Retry-After`). A write is sent once; if its answer is lost, or
//! is a 5xx, it may have happened and says so.

#[cfg(feature = "azure")]
mod client;
mod config;
#[cfg(feature = "azure")]
mod error;
#[cfg(feature = "azure")]
mod store;

pub use config::AzureConfig;
#[cfg(feature = "azure")]
pub use store::AzureStore;
