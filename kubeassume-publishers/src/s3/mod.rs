//! Amazon S3 and compatible servers as a document store.
//!
//! A write carries `If-None-Match: *` or `If-Match: <ETag>`; there is never a HEAD before a PUT. The server
//! must honour both on PUT ([`S3Store::validate`](kubeassume_core::store::DocumentStore::validate) finds out
//! without leaving anything behind). Deleting needs `If-Match` on DELETE, which Amazon has for general
//! purpose buckets; publishing never deletes.
//!
//! An ETag is a digest of the body, so a writer that slept through two replacements of which the second
//! restored the body is not refused; the next comparison heals what it wrote.
//!
//! # Permissions
//!
//! The identity that publishes needs exactly this (BUCKET and PREFIX are yours; without a prefix the keys
//! begin with `.well-known/` and `openid/`):
//!
//! ```json
//! {
//!   "Version": "2012-10-17",
//!   "Statement": [
//!     {
//!       "Effect": "Allow",
//!       "Action": ["s3:GetObject", "s3:PutObject"],
//!       "Resource": [
//!         "arn:aws:s3:::BUCKET/PREFIX/.well-known/openid-configuration",
//!         "arn:aws:s3:::BUCKET/PREFIX/openid/v1/jwks"
//!       ]
//!     },
//!     {
//!       "Effect": "Allow",
//!       "Action": "s3:ListBucket",
//!       "Resource": "arn:aws:s3:::BUCKET",
//!       "Condition": {"StringLike": {"s3:prefix": ["PREFIX/*"]}}
//!     }
//!   ]
//! }
//! ```
//!
//! `s3:GetObject` is needed for `If-Match` too. Where S3 answers 403 for a key that does not exist (no
//! `s3:ListBucket`), the create decides. `s3:DeleteObject` is not needed and not to be granted.
//!
//! The public reads the two keys and nothing else, by bucket policy; object ACLs are never used:
//!
//! ```json
//! {
//!   "Version": "2012-10-17",
//!   "Statement": [
//!     {
//!       "Effect": "Allow",
//!       "Principal": "*",
//!       "Action": "s3:GetObject",
//!       "Resource": [
//!         "arn:aws:s3:::BUCKET/PREFIX/.well-known/openid-configuration",
//!         "arn:aws:s3:::BUCKET/PREFIX/openid/v1/jwks"
//!       ]
//!     }
//!   ]
//! }
//! ```
//!
//! # Failure
//!
//! Connecting takes at most 3 s, an attempt 10 s, a call with its retries 30 s. A write whose answer is
//! lost, or that ended in a 5xx, may have happened and says so. The SDK tries a failed write again by
//! itself, so that a 412 may answer a write that succeeded the first time: who gets one must read.

#[cfg(feature = "s3")]
pub(crate) mod client;
mod config;
#[cfg(feature = "s3")]
mod error;
#[cfg(feature = "s3")]
mod store;

pub use config::S3Config;
#[cfg(feature = "s3")]
pub use store::S3Store;
