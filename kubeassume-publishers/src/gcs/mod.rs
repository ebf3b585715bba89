//! Google Cloud Storage as a document store, over its JSON interface.
//!
//! Every version of an object has a generation, a number that is never used twice. A write carries
//! `ifGenerationMatch`: 0 to create, the generation that was read to replace. Bytes, headers and metadata
//! go up in one request (`multipart`). They come down in two, the second tied to the first by the
//! generation, because a download over this interface carries no metadata.
//!
//! # Permissions
//!
//! The identity that publishes needs `roles/storage.objectUser` on the bucket, or a role of its own with
//! `storage.objects.get`, `storage.objects.create`, `storage.objects.delete` (without which an object
//! cannot be replaced) and `storage.objects.list` (without which absence looks like a refusal).
//! `gs://BUCKET/PREFIX` can be narrowed by an IAM condition on `resource.name`. With the right to replace
//! goes the right to delete: keep object versioning or soft delete on.
//!
//! The public reads by `allUsers: roles/storage.legacyObjectReader`, which is reading without listing, on a
//! bucket that holds nothing else, with uniform bucket-level access. Object ACLs are never used.
//!
//! # Credentials
//!
//! See [`GcsConfig::use_workload_identity`]. With `STORAGE_EMULATOR_HOST`, or an endpoint of plain http,
//! nothing is sent that would authorize anybody.
//!
//! # Failure
//!
//! Connecting takes at most 3 s, a call 10 s. A read is tried three times; a write once: if its answer is
//! lost, or is a 5xx, it may have happened and says so.

#[cfg(feature = "gcs")]
mod client;
mod config;
#[cfg(feature = "gcs")]
mod store;

pub use config::GcsConfig;
#[cfg(feature = "gcs")]
pub use store::GcsStore;
#[cfg(feature = "bucket")]
pub(crate) use store::server;
