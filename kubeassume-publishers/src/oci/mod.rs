//! Oracle Cloud's Object Storage as a document store.
//!
//! A write carries `if-none-match: *` or `if-match: <ETag>`; there is never a HEAD before a PUT. `Cache-Control` and
//! `Content-Type` are the object's real headers, not `opc-meta-*`, which browsers and relying parties do not
//! look at. An object's name goes into the path as one segment (`openid%2Fv1%2Fjwks`) and is signed so.
//!
//! # What relying parties read
//!
//! `https://objectstorage.REGION.oraclecloud.com/n/NAMESPACE/b/BUCKET/o[/PREFIX]` is the issuer, and
//! `<issuer>/openid/v1/jwks` with plain slashes is what they ask for. Object Storage takes a name with plain
//! slashes as the same object: OCI's own Python SDK sends them so unless it is told otherwise
//! (`enable_strict_url_encoding`). Regions outside the commercial realm are under other domains, see
//! [`OciConfig::public_url`]; for a dedicated endpoint
//! (`https://NAMESPACE.objectstorage.REGION.oci.customer-oci.com`) set `endpoint`.
//!
//! # Permissions
//!
//! The identity that publishes needs exactly this; `group` may be `dynamic-group` (instance and resource
//! principals). `OBJECT_DELETE` and the bucket's own permissions are not needed and not to be granted:
//!
//! ```text
//! Allow group PUBLISHERS to manage objects in compartment COMPARTMENT where all {
//!   target.bucket.name = 'BUCKET',
//!   any {request.permission = 'OBJECT_READ', request.permission = 'OBJECT_CREATE',
//!        request.permission = 'OBJECT_OVERWRITE'}}
//! ```
//!
//! Listing ([`DocumentStore::list`](kubeassume_core::store::DocumentStore::list)) needs `OBJECT_INSPECT`; publishing
//! does not list. The public reads by the bucket's access type `ObjectReadWithoutList`. It holds for every object in
//! the bucket, so the bucket is for nothing else.
//!
//! What [`validate`](kubeassume_core::store::DocumentStore::validate) shows: `OBJECT_READ` of each document, then
//! `OBJECT_CREATE` of what is absent or `OBJECT_OVERWRITE` of what is there, by writes whose precondition cannot hold.
//! The other of the two cannot be shown without writing.
//!
//! # Failure
//!
//! A call connects within 3 s and ends within 10 s; it is made once. A write whose answer is lost, or that ended in
//! a 5xx, may have happened and says so. OCI does not tell a missing bucket from one in which nothing is granted,
//! and says 401 for a wrong key and a wrong clock alike: the error compares the clocks.

mod config;
#[cfg(feature = "oci")]
mod error;
mod region;
#[cfg(feature = "oci")]
mod store;

pub use config::{OciAuth, OciConfig};
#[cfg(feature = "oci")]
pub use store::OciStore;
