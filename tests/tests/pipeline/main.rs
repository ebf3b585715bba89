//! End to end, with real processes only: etcd and kube-apiserver, two replicas of `kubeassume-controller`
//! with the RBAC and the policy of `deploy/`, versitygw over TLS with a public-read policy on exactly the
//! two documents, and relying parties that share no code with the product: go-oidc, with memory and
//! without, and another cluster's kube-apiserver.
//!
//! What must always hold is checked from outside, all the time: [`watch`] looks at the bucket, [`traffic`]
//! uses every token for as long as it lives, and both ask the [`book`] of the operator who rolls the keys.
//! Nothing is asked of the product but its documents, its health and its metrics. All waiting is for a
//! condition, within generous limits; the only moments drawn at random are those of the crashes, from a
//! seed that is printed and that `KUBEASSUME_SEED` repeats.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod book;
mod bucket;
mod cluster;
mod public;
mod service;
mod storage;
mod traffic;
mod view;
mod watch;
mod world;

mod access;
mod clouds;
mod crashes;
mod damage;
mod endpoint;
mod leaving;
mod occupied;
mod oracle;
mod outage;
mod publishing;
mod rotation;

/// Long enough for a busy machine; what waits ends as soon as it may.
pub(crate) const LIMIT: std::time::Duration = std::time::Duration::from_secs(90);
