//! The places to which KubeAssume publishes: one [`DocumentStore`](kubeassume_core::store::DocumentStore)
//! per backend.
//!
//! A store here reads and writes one document at a time, each write tied to a version, and says plainly
//! what went wrong. It does not order writes, compare contents or retry lost races: that is
//! [`StorePublisher`](kubeassume_core::StorePublisher), once for all of them.
//!
//! | feature | backend | how a stale write is refused |
//! |---|---|---|
//! | `azure` | `azure::AzureStore`: Azure Blob Storage | `If-None-Match: *`, `If-Match: <ETag>` |
//! | `endpoint` | `endpoint::EndpointStore`: this replica's memory, behind a built-in HTTPS server | a version that is never used twice |
//! | `file` | `file::FileStore`: a directory that a web server serves | a lock file, the contents' digest |
//! | `gcs` | `gcs::GcsStore`: Google Cloud Storage | `ifGenerationMatch=0`, `ifGenerationMatch=<generation>` |
//! | `oci` | `oci::OciStore`: Oracle Cloud's Object Storage | `if-none-match: *`, `if-match: <ETag>` |
//! | `s3` | `s3::S3Store`: Amazon S3 and compatible servers | `If-None-Match: *`, `If-Match: <ETag>` |
//!
//! With feature `bucket` (and so the four clouds') `bucket::Bucket` makes the place ready to publish to.
//!
//! No feature is on by default. [`open`] makes a publisher of a [`PublisherConfig`]; a kind that was not
//! built in is an error that names the missing feature.

pub mod azure;
#[cfg(feature = "bucket")]
pub mod bucket;
pub mod endpoint;
mod fields;
pub mod file;
pub mod gcs;
#[cfg(any(feature = "azure", feature = "gcs", feature = "oci", feature = "s3"))]
mod meaning;
pub mod oci;
mod open;
#[cfg(any(feature = "azure", feature = "gcs", feature = "oci", feature = "s3"))]
mod patience;
#[cfg(any(feature = "azure", feature = "gcs", feature = "s3"))]
mod probe;
pub mod s3;

pub use fields::shown;
pub use open::{Invalid, OpenError, Options, PublisherConfig, Tls, open};
#[cfg(any(feature = "azure", feature = "gcs", feature = "oci", feature = "s3"))]
pub use patience::Patience;
