//! A directory as a document store; a web server beside it makes it public.
//!
//! ```text
//! openid/v1/jwks                         the document
//! openid/v1/.jwks.kubeassume.json        its headers and metadata, and the digest of the body they belong to
//! .kubeassume.lock                       empty; locked by whoever reads or writes
//! ```
//!
//! A document and its sidecar are two files and cannot be replaced in one step. Both are written beside
//! their final names and flushed, then the sidecar is renamed, then the document, then the directory is
//! flushed; the document's rename is what publishes. A sidecar speaks only for the body whose digest it has.
//! So whatever a crash or a power failure leaves behind is read as an old or a new body, whole, at worst
//! without metadata; its version is neither the old nor the new one, and the next publish heals it.
//!
//! The version is a digest of both files. Writers of all processes exclude each other through the lock
//! file, whose lock the kernel gives back when a process dies. The file system must support such locks
//! across all machines that mount it: NFS and local ones do, many FUSE ones do not.
//!
//! Directories are made with mode 0755 and files with 0644, so that a web server of another user can read
//! them. Nothing is written through a symbolic link. This protects from mistakes, not from somebody who may
//! write to the directory: he can publish what he likes anyway.
//!
//! The web server must give `Content-Type` and `Cache-Control` itself; the public read-back compares bodies
//! only. It should not serve names that begin with `.kubeassume` or `.jwks`; they hold nothing secret.
//!
//! For Unix only.

mod config;
#[cfg(feature = "file")]
mod disk;
#[cfg(feature = "file")]
mod store;

pub use config::FileConfig;
#[cfg(feature = "file")]
pub use store::FileStore;
