//! The harness of the end-to-end tests: real servers, started and ended by a test.
//!
//! A [`Testbed`] is one test's own folder, certificate authority and servers on 127.0.0.1:
//!
//! ```no_run
//! use kubeassume_tests::{ApiServerConfig, SigningKey, Testbed};
//!
//! # async fn test() {
//! let bed = Testbed::new("rotation");
//! let etcd = bed.etcd().await;
//! let (old, new) = (SigningKey::rsa(), SigningKey::p256());
//! let config = ApiServerConfig::new(&etcd, "https://localhost:8443/cluster", &old);
//! let mut api = bed.api_server(config).await;
//!
//! api.service_account("default", "app").await;
//! let token = api.token("default", "app", "sts.amazonaws.com").await;
//!
//! api.kill().await; // kill -9, same port afterwards
//! api.start_with(&new, &[&old, &new]).await;
//! assert_eq!(api.served_kids().await, [old.kid(), new.kid()]);
//! # }
//! ```
//!
//! Whatever happens to the test, its servers end: see [`Process`]. The folder with every log goes with a test
//! that passes and stays, with its path printed, for one that fails. A server that does not start is a
//! panic that carries the end of its log; a missing tool is a panic that says what to install. Nothing is
//! skipped. The harness asserts nothing about KubeAssume and shares no code with it.
// A harness for tests: what cannot be had ends the test, with a message.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout
)]

mod api_server;
mod arm;
mod azurite;
mod bed;
mod binaries;
mod contract;
mod entra;
mod etcd;
mod fake_gcs;
mod fault_proxy;
mod google;
mod installation;
mod keys;
mod kubernetes;
mod moto;
mod oci;
mod pki;
mod port;
mod process;
mod python;
mod recorder;
mod relying_party;
mod replica;
mod row;
mod versitygw;
mod wait;

pub use api_server::{ApiServer, ApiServerConfig, StaticUser, trust_issuer};
pub use arm::ArmFake;
pub use azurite::{Azurite, BlobRequest};
pub use bed::Testbed;
pub use binaries::{Binary, binary, server};
pub use contract::{Call, Contract};
pub use entra::Entra;
pub use etcd::Etcd;
pub use fake_gcs::{FakeGcs, google_refusal};
pub use fault_proxy::{Certificate, Fault, FaultProxy};
pub use google::GoogleFake;
pub use installation::{ACCOUNT, NAMESPACE};
pub use keys::{SigningKey, token_kid};
pub use kubernetes::write_kubeconfig;
pub use moto::Moto;
pub use oci::{OCI_BUCKET, OCI_NAMESPACE, OciFake, OciKey};
pub use pki::{Leaf, Pki};
pub use port::free_port;
pub use process::{Launch, Process};
pub use python::{sdk, vendor};
pub use recorder::{
    Answer, Content, Essence, Part, Recorded, Recorder, differences, essence, listen, listen_tls, query,
};
pub use relying_party::{RelyingParty, Verdict};
pub use replica::{Metrics, Replica};
pub use row::Row;
pub use versitygw::{Access, Versitygw};
pub use wait::until;
