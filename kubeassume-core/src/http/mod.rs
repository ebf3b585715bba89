//! Reading over HTTPS, and the sources that need no Kubernetes client.
//!
//! - [`HttpReader`]: the anonymous GET of a relying party.
//! - [`UrlSource`]: the two documents of an API server, or of anything that serves the same two paths, by
//!   URL and without credentials.
//! - [`DirectorySource`]: key sets from files, each file standing for one API server.
//!
//! All three run inside a tokio runtime. None of them retries: a [`Source`](crate::Source) is asked again,
//! and a relying party has its own cache.

mod directory_source;
mod reader;
mod url_source;

pub use directory_source::{DirectorySource, MAX_FILES};
pub use reader::{HttpReader, HttpReaderError};
pub use url_source::UrlSource;
