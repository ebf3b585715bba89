//! Oracle Cloud Infrastructure: credentials, and signed requests.
//!
//! [`Credentials`] is one of four kinds ([`Auth`]); [`Credentials::load`] gives the [`Credential`] that holds
//! now, and [`Credential::sign`] signs a request with it. Who only needs a signature brings the key as
//! [`SigningKey`].
//!
//! Not here: OKE workload identity (a cluster of OCI's own has another way), delegation tokens, resource
//! principals other than version 2.2, and the exchange of a pod's token for a session, which needs an OAuth
//! client and so a secret. Nothing is written to disk. Keys and tokens stand in types that do not print and
//! that wipe their memory; a token lives in the request's headers while it is sent.

mod credentials;
mod environment;
mod error;
mod instance_principal;
mod key;
mod profile;
mod resource_principal;
mod sign;
mod token;

pub use credentials::{Auth, Credentials};
pub use environment::Environment;
pub use error::CredentialError;
pub use instance_principal::METADATA_HOST;
pub use key::{KeyError, SigningKey};
pub use sign::{Content, Credential};
pub use token::SecurityToken;
