//! What publishers and federation share for each cloud: an HTTP client, when to call again, credentials.
//!
//! It knows how to ask a cloud and what went wrong with asking. What is asked, in which order, and what an
//! answer means for a publication is not its business.
//!
//! | feature | what |
//! |---|---|
//! | none | [`text`]: other people's words, fit for one line of a log |
//! | `http` | `http`: a bounded client for REST interfaces; `retry`: when a call is worth another try |
//! | `token` | `token`: who issued a token |
//! | `azure` | `azure`: where a token of Entra ID comes from, the clouds, the transport below Microsoft's SDK |
//! | `google` | `google`: where a Google access token comes from |
//! | `oci` | `oci`: Oracle Cloud's credentials, and how they sign a request |
//!
//! No feature is on by default. What does IO needs a tokio runtime. Nothing here keeps state beyond
//! connections and tokens, and no error, `Debug` or log line holds a credential.

#[cfg(feature = "azure")]
pub mod azure;
#[cfg(feature = "google")]
pub mod google;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "oci")]
pub mod oci;
#[cfg(feature = "http")]
pub mod retry;
pub mod text;
#[cfg(feature = "token")]
pub mod token;
