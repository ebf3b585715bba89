//! Azure: which cloud, who we are there, and the transport below Microsoft's SDK.
//!
//! [`AzureCredential`] is the chain that the SDK for Rust does not have: workload identity, then managed
//! identity, then the developer's tools. It asks only what it was told to ask: see [`AzureSource`].
//! Microsoft's own SDK does each exchange. Nothing here knows a storage account, and nothing writes: what a
//! token may do is for the service to say.
//!
//! # Failure
//!
//! Every failure to get a token is an [`azure_core::Error`] of kind
//! [`Credential`](azure_core::error::ErrorKind::Credential) whose text names each source that was asked. A
//! source that did not answer in time has an error of kind `Io` as its cause. No text holds a token.

mod cloud;
mod credential;
mod transport;

pub use cloud::AzureCloud;
pub use credential::{
    AzureCredential, AzureCredentialOptions, AzureEnvironment, AzureSource, WrongAuthority,
};
pub use transport::AzureTransport;
