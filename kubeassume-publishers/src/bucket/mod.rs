//! The place to publish to, made ready: a bucket or container that the public may read and one principal may
//! write.
//!
//! A [`Bucket`] is planned by reads alone: a [`Plan`] is what is missing, each [`Change`] with what is there, what
//! should be, and the call that makes it. [`Bucket::apply`] reads again, makes the changes if they still are
//! those that were shown, and stops at the first that fails; what was done stays, and the next run does the
//! rest. Run on what is right, it finds nothing to do.
//!
//! Nothing is taken away that somebody has, and nothing is granted beyond reading two documents (S3) or reading
//! without listing (GCS, Azure, OCI), and writing by one principal. Wider access that is found is told: what lets
//! everybody write, or would lay open what is private now, is [refused](BucketError::Unsafe), because who writes
//! the key set is every workload of the cluster; what lets others list or read, or somebody known write, is a
//! [`Finding`] beside the plan.
//!
//! | | public access | refuses writes without a precondition | one bucket for others too |
//! |---|---|---|---|
//! | [`S3Bucket`] | the two documents of the prefix | yes, by bucket policy | yes |
//! | [`GcsBucket`] | every object, no listing | no | no |
//! | [`AzureContainer`] | every blob, no listing | no | no |
//! | [`OciBucket`] | every object, no listing | no | no |
//!
//! Not here: identities and what else they may do, domains in front of a bucket, and taking any of it back.
//!
//! # Failure
//!
//! [`BucketError`] says which call failed with which code, which field it is about and what to do next. Reads are
//! tried again, writes never; but for S3, whose SDK repeats both, and whose writes here come to the same twice.

mod azure;
mod contents;
mod error;
mod gcs;
mod name;
mod oci;
mod plan;
mod rest;
mod s3;

pub use azure::AzureContainer;
pub use error::BucketError;
pub use gcs::GcsBucket;
pub use name::{NAME_BITS, NameError, unguessable};
pub use oci::OciBucket;
pub use plan::{Bucket, Call, Change, Finding, Grant, Plan};
pub use s3::{Dialect, S3Bucket};
