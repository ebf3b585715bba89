//! The KubeAssume controller: polls API servers, keeps the state, publishes and verifies.
mod notice;
mod status;
pub use notice::{Notice, Observer};
pub use status::{Sink, Status};
