//! Kubernetes: keys read from API servers, the state kept in a ConfigMap.
//!
//! [`ApiServerSource`] reads `/openid/v1/jwks` of each API server over connections of its own;
//! [`ConfigMapStore`] keeps the state in one ConfigMap by `resourceVersion`. Nothing here watches more than
//! that one object, caches, retries or decides: retries belong to the caller, decisions to
//! [`KeyRing`](crate::KeyRing).
//!
//! Both speak https to servers that the cluster's own certificate authority vouches for, and to nobody
//! else: a configuration without one, or one that skips the check, is refused, because the bearer token
//! would go to whoever answers.
//!
//! [`Config`] and [`Client`] are those of the crate `kube`, whose major version is part of this module's
//! interface. Its types appear nowhere else in this crate.

mod config;
mod connection;
mod source;
mod state_store;

pub use ::kube::{Client, Config};

pub use config::{ConfigError, client, load_config};
pub use source::{ApiServerSource, Servers};
pub use state_store::{ConfigMapStore, METADATA_CONFIG_MAP};

/// An error with all its causes: the outermost says little. What already says its cause is not repeated.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}
