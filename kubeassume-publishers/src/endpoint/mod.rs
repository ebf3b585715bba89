//! The built-in HTTPS server: for clusters without any object storage.
//!
//! ```text
//! state ─> StorePublisher ─> EndpointStore (memory) ─> Site (two paths) ─> Server (TLS, limits) ─> public
//! ```
//!
//! Each replica has its own [`EndpointStore`], filled by the same algorithm as a bucket and from the same fresh
//! read of the state, so that a replica that just started answers 503 with `Retry-After` and never an old key.
//! Nothing is shared between replicas: nobody waits for the leader to write first and nothing is claimed.
//! [`Site`] answers GET and HEAD of the discovery document and the key set below the issuer's path, from any
//! [`DocumentStore`](kubeassume_core::store::DocumentStore): in memory here, a directory in the demo.
//! [`Server`] bounds what strangers can make it do: connections, header bytes, and how long each part of a
//! request may take. The [`Certificate`] is read anew when its files change.
//!
//! It does not decide whether a replica should be asked: that is the controller's `/readyz`, which fails once
//! the state was not confirmed for three periods, so that a replica that is cut off leaves the Service instead
//! of serving a revoked key. Connections are closed after a minute at most, for the same reason. It speaks
//! HTTP/1.1 only, and knows no client certificates, compression, ranges or HTTP/2.

#[cfg(feature = "endpoint")]
mod certificate;
mod config;
#[cfg(feature = "endpoint")]
mod connections;
#[cfg(feature = "endpoint")]
mod server;
#[cfg(feature = "endpoint")]
mod site;
#[cfg(feature = "endpoint")]
mod store;

#[cfg(feature = "endpoint")]
pub use certificate::{Certificate, CertificateError};
pub use config::EndpointConfig;
#[cfg(feature = "endpoint")]
pub use server::{Answer, Body, Limits, Server, status};
#[cfg(feature = "endpoint")]
pub use site::Site;
#[cfg(feature = "endpoint")]
pub use store::EndpointStore;
