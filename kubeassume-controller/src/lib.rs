//! The KubeAssume controller: polls API servers, keeps the state, publishes and verifies.
//!
//! [`Controller`] is one replica, made of core's traits ([`Parts`]). It knows no Kubernetes; the feature
//! `kube` adds the Lease, the Events and the configuration of the binary.
//!
//! Three kinds of loops share a replica and nothing else:
//!
//! - one follows the state: it confirms it by fresh reads and repairs it from memory;
//! - one for each sink brings it to the confirmed publication and reads it back as the public does;
//! - while the replica leads, one polls the API servers, decides and saves.
//!
//! It does not decide which keys are public ([`KeyRing`](kubeassume_core::KeyRing) does) nor how documents
//! are replaced ([`StorePublisher`](kubeassume_core::StorePublisher) does).

#[cfg(feature = "kube")]
pub mod cli;
#[cfg(feature = "kube")]
pub mod cluster;
#[cfg(feature = "config")]
pub mod config;
mod controller;
#[cfg(feature = "kube")]
pub mod http;
mod leader;
mod log;
#[cfg(feature = "kube")]
mod metrics;
mod notice;
mod replica;
mod settings;
mod sink;
mod status;
mod told;
#[cfg(feature = "kube")]
pub mod wiring;

pub use controller::Controller;
pub use log::Log;
#[cfg(feature = "kube")]
pub use metrics::{METRICS_CONTENT_TYPE, Metrics};
pub use notice::{Notice, Observer};
pub use settings::{Parts, Settings};
pub use status::{Sink, Status};
