//! Keeps a Kubernetes cluster's service account keys public and right.
//!
//! Pods on any cluster hold signed OpenID Connect tokens. AWS, Google Cloud, Azure, OCI and Vault accept
//! them once they can read the cluster's discovery document and key set. This crate is the part of
//! KubeAssume that decides what those two documents say and how they are replaced, without an async
//! runtime, TLS or a cloud SDK; other controllers embed it.
//!
//! A tour, in the order in which data flows:
//!
//! 1. A [`Source`] reads the keys of every API server: [`KeySet::parse`] turns bytes into keys and
//!    findings, bounded.
//! 2. A [`KeyRing`] decides which keys are public: pure, no clock, no IO (see [`rotation`]).
//! 3. A [`StateStore`] keeps its [`State`] and the [`Publication`] drawn from it, by compare-and-swap.
//! 4. A [`Publisher`] brings the publication to where the public reads it; [`StorePublisher`] does so on
//!    any [`DocumentStore`](store::DocumentStore), with conditional writes and a public read-back.
//! 5. A `verify::Verifier` (feature `verify`) does what a strict relying party does with a token.
//!
//! The merger alone, in ten lines:
//!
//! ```
//! use std::time::Duration;
//! use kubeassume_core::{Headers, KeyRing, KeySet, Observation, Owner, Policy, Retention, State, Timestamp};
//!
//! # let answer = br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
//! let state = State::new(Owner::from_random(0x5eed), Headers { max_age_seconds: 300 });
//! let retention = Retention::new(Duration::from_secs(24 * 3600));
//! let mut ring = KeyRing::new(state, Policy::new(retention));
//!
//! let observation = Observation::of("api-server-1", KeySet::parse(answer)?);
//! for event in ring.observe(&observation, Timestamp::now())? {
//!     println!("{event}");
//! }
//! let publication = ring.publication(&"https://oidc.example.com".parse()?, Timestamp::now())?;
//! assert!(publication.jwks.bytes.starts_with(br#"{"keys":[{"kty":"EC","#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | none | everything above: no IO, no runtime, no TLS |
//! | `tokio` | [`clock`]: the machine's clock |
//! | `http` | a public reader, and sources over HTTPS and from a directory |
//! | `kube` | the API server source and the ConfigMap state store |
//! | `verify` | what a relying party does with a token |
//! | `testing` | stores, faults, fixtures and conformance suites for your own implementations |

pub mod clock;
mod curve;
mod discovery;
pub mod federation;
mod health;
#[cfg(feature = "http")]
pub mod http;
mod issuer;
mod json;
mod jwk;
mod key_set;
#[cfg(feature = "kube")]
pub mod kube;
mod public_reader;
mod publication;
mod publisher;
pub mod rotation;
mod source;
mod state_store;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "verify")]
pub mod verify;

pub use clock::{Clock, Timestamp};
pub use discovery::{Discovery, DiscoveryClaims, DiscoveryError};
pub use health::Health;
pub use issuer::{IssuerError, IssuerUrl, MAX_ISSUER_BYTES};
pub use jwk::{Algorithm, Curve, Jwk, MAX_KID_BYTES, Material, Problem, Thumbprint};
pub use key_set::{
    Finding, FindingKind, KeySet, Limits, MAX_EC_KEYS, MAX_OTHER_KEYS, MAX_RSA_KEYS, Parsed, Refusal,
};
pub use public_reader::{PUBLIC_READ_TIMEOUT, PublicDocument, PublicReadError, PublicReader};
pub use publication::{
    DISCOVERY_CONTENT_TYPE, Document, DocumentMark, DocumentMarks, Generation, Headers, JWKS_CONTENT_TYPE,
    MAX_GENERATION_LEAD, Mark, Owner, Publication, digest,
};
pub use publisher::{
    Authority, PublishError, Published, Publisher, ReadBackError, ReadBackFailure, StorePublisher,
    Verification,
};
pub use rotation::{
    Claim, Clocks, Event, Found, KeyEntry, KeyName, KeyRing, KeyState, Occupied, OnStateLoss, Policy,
    Retention, RingError, State,
};
pub use source::{Addressing, Answer, Observation, Source, SourceError};
pub use state_store::{
    Corrupt, Loaded, MAX_SNAPSHOT_BYTES, SNAPSHOT_ENTRIES, Snapshot, StateError, StateStore, StateVersion,
    Stored,
};
