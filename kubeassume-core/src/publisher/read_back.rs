//! Reading back as the public does: only that makes a publication verified.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use crate::IssuerUrl;
use crate::clock::Clock;
use crate::public_reader::{PublicReadError, PublicReader, max_age};
use crate::publication::{Publication, digest};
use crate::store::{DocumentPath, MAX_DOCUMENT_BYTES};

/// The most replaced versions that are remembered; more than a rotation leaves within one `max-age`.
const REMEMBERED: usize = 64;
/// No cache is believed to hold a document for longer than this.
const LONGEST_CACHED: Duration = Duration::from_secs(7 * 24 * 3600);

/// What the public sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Both documents, byte for byte.
    Verified,
    /// An older publication of ours that a cache may still hold, at most so much longer.
    Propagating(Duration),
    /// Something else, or nothing.
    Failed(ReadBackError),
}

/// What is wrong with the public copy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{url}: {reason}")]
pub struct ReadBackError {
    /// Which of the two documents.
    pub document: DocumentPath,
    /// Where it was read.
    pub url: String,
    /// What the public sees.
    pub reason: ReadBackFailure,
}

/// What the public sees instead of the document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadBackFailure {
    /// Nothing.
    #[error(transparent)]
    Unreadable(PublicReadError),
    /// Other bytes than were published.
    #[error("the public sees other content than was published")]
    Different,
}

impl ReadBackError {
    /// A short name for metrics: which hop of a relying party fails.
    pub fn hop(&self) -> &'static str {
        if self.document == DocumentPath::JWKS {
            "jwks"
        } else {
            "discovery"
        }
    }
}

/// Reads back, and remembers what caches may still hold.
pub(super) struct ReadBack {
    public_url: IssuerUrl,
    reader: Arc<dyn PublicReader>,
    clock: Arc<dyn Clock>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    last: Option<Publication>,
    replaced: Vec<Replaced>,
}

struct Replaced {
    path: DocumentPath,
    digest: String,
    /// Monotonic time at which no cache may hold it any more.
    until: Duration,
}

impl ReadBack {
    pub(super) fn new(public_url: IssuerUrl, reader: Arc<dyn PublicReader>, clock: Arc<dyn Clock>) -> Self {
        Self {
            public_url,
            reader,
            clock,
            memory: Mutex::default(),
        }
    }

    /// These bytes are about to be replaced, or were.
    pub(super) fn replaced(&self, path: &DocumentPath, bytes: &[u8], cache_control: Option<&str>) {
        let now = self.clock.monotonic();
        let until = now.saturating_add(max_age(cache_control).unwrap_or_default().min(LONGEST_CACHED));
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.replaced.retain(|old| old.until > now);
        if memory.replaced.len() == REMEMBERED {
            memory.replaced.remove(0);
        }
        memory.replaced.push(Replaced {
            path: path.clone(),
            digest: digest(bytes),
            until,
        });
    }

    /// This is what the sink holds now, whoever wrote it.
    pub(super) fn published(&self, publication: &Publication) {
        let last = {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.last.replace(publication.clone())
        };
        for (path, document) in last.iter().flat_map(Publication::in_order) {
            if publication.document(&path).map(|current| &current.bytes) != Some(&document.bytes) {
                self.replaced(&path, &document.bytes, Some(&document.cache_control));
            }
        }
    }

    pub(super) async fn verify(&self, publication: &Publication) -> Verification {
        let mut propagating: Option<Duration> = None;
        for (path, document) in publication.in_order() {
            // Never a `jwks_uri` from a fetched document: that would let the sink choose what is checked.
            let url = self.public_url.document_url(&path);
            let reason = match self.reader.get(&url, MAX_DOCUMENT_BYTES).await {
                Ok(read) if read.bytes == document.bytes => continue,
                Ok(read) => match self.may_be_cached(&path, &read.bytes) {
                    Some(left) => {
                        propagating = propagating.max(Some(left));
                        continue;
                    }
                    None => ReadBackFailure::Different,
                },
                Err(error) => ReadBackFailure::Unreadable(error),
            };
            return Verification::Failed(ReadBackError {
                document: path,
                url,
                reason,
            });
        }
        propagating.map_or(Verification::Verified, Verification::Propagating)
    }

    fn may_be_cached(&self, path: &DocumentPath, bytes: &[u8]) -> Option<Duration> {
        let now = self.clock.monotonic();
        let digest = digest(bytes);
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory
            .replaced
            .iter()
            .filter(|old| old.path == *path && old.digest == digest)
            .filter_map(|old| old.until.checked_sub(now))
            .filter(|left| !left.is_zero())
            .max()
    }
}
