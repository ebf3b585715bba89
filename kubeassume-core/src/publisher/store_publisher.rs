//! The publish algorithm: JWKS before discovery, each written only against the version that was read with
//! the bytes that were compared, and only what a fresh read of the state says.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::read_back::{ReadBack, Verification};
use super::{Authority, PublishError, Published, Publisher};
use crate::clock::{Clock, Jitter};
use crate::public_reader::PublicReader;
use crate::publication::{Document, Mark, Publication, digest};
use crate::rotation::{Found, KeyName, Occupied};
use crate::store::{DocumentPath, DocumentStore, Precondition, StoreError, StoredDocument};
use crate::{IssuerUrl, KeySet};

/// How often a document is tried before others are let win.
const ATTEMPTS: u32 = 8;
/// The first pause after a lost race; it doubles up to [`LONGEST_PAUSE`], each drawn from zero up.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often both documents are gone through when the state moves on meanwhile.
const PASSES: u32 = 4;

/// A [`Publisher`] on any [`DocumentStore`].
pub struct StorePublisher<S> {
    store: S,
    public_url: IssuerUrl,
    clock: Arc<dyn Clock>,
    jitter: Mutex<Jitter>,
    read_back: ReadBack,
    mirror: bool,
    take_over: bool,
}

impl<S: DocumentStore> StorePublisher<S> {
    /// A publisher that writes to `store` what the public reads at `public_url`. The seed spreads the
    /// retries of replicas and repeats a test's schedule.
    pub fn new(
        store: S,
        public_url: IssuerUrl,
        reader: Arc<dyn PublicReader>,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Self {
        let read_back = ReadBack::new(public_url.clone(), reader, clock.clone());
        Self {
            store,
            public_url,
            clock,
            jitter: Mutex::new(Jitter::new(seed)),
            read_back,
            mirror: false,
            take_over: false,
        }
    }

    /// A copy beside the one below the issuer: the same documents, which the public reads at this publisher's
    /// own URL. Without it, that URL has to be the issuer.
    #[must_use]
    pub fn mirror(mut self, mirror: bool) -> Self {
        self.mirror = mirror;
        self
    }

    /// Publishes even where another owner published something newer: on an administrator's order.
    #[must_use]
    pub fn take_over(mut self, take_over: bool) -> Self {
        self.take_over = take_over;
        self
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Brings one document to the target; the target moves on with the authority.
    async fn settle(&self, path: &DocumentPath, run: &mut Run<'_>) -> Result<(), PublishError> {
        let failed = |error| PublishError::Store {
            document: path.clone(),
            error,
        };
        for attempt in 0..ATTEMPTS {
            let found = match self.store.get(path).await {
                Ok(None) => Object::Absent,
                Ok(Some(stored)) => Object::Stored(stored),
                // S3 answers 403 for a missing key to whoever may not list: the create decides.
                Err(StoreError::Denied(reason)) => Object::Unreadable(reason),
                Err(error) if error.is_retryable() => {
                    self.pause(attempt).await;
                    if attempt + 1 == ATTEMPTS {
                        return Err(failed(error));
                    }
                    continue;
                }
                Err(error) => return Err(failed(error)),
            };
            if run.is_there(path, &found) {
                return Ok(());
            }
            run.target = run.authority.current().await?;
            self.check_issuer(&run.target)?;
            if run.is_there(path, &found) {
                return Ok(());
            }
            let Some(document) = run.target.document(path).cloned() else {
                return Ok(());
            };
            if let Object::Stored(stored) = &found {
                self.yield_to_newer(path, &document, stored, run).await?;
                self.read_back
                    .replaced(path, &stored.bytes, stored.cache_control.as_deref());
            }
            let precondition = match &found {
                Object::Stored(stored) => Precondition::Matches(stored.version.clone()),
                Object::Absent | Object::Unreadable(_) => Precondition::Absent,
            };
            match (
                self.store
                    .put(path, &document.to_new(run.target.owner), &precondition)
                    .await,
                found,
            ) {
                (Ok(_), found) => {
                    // Told by the replica that replaced it, so that it is told once.
                    if let Object::Stored(stored) = &found {
                        run.note_foreign(path, stored);
                    }
                    run.written.push(path.clone());
                    return Ok(());
                }
                // It exists and we may not read it.
                (Err(StoreError::Precondition), Object::Unreadable(reason)) => {
                    return Err(failed(StoreError::Denied(reason)));
                }
                (Err(error), _) if error.is_retryable() => {
                    self.pause(attempt).await;
                    if attempt + 1 == ATTEMPTS && error != StoreError::Precondition {
                        return Err(failed(error));
                    }
                }
                (Err(error), _) => return Err(failed(error)),
            }
        }
        Err(PublishError::Contended {
            document: path.clone(),
            attempts: ATTEMPTS,
        })
    }

    /// Never writes below a generation that a leader can have drawn.
    async fn yield_to_newer(
        &self,
        path: &DocumentPath,
        document: &Document,
        stored: &StoredDocument,
        run: &Run<'_>,
    ) -> Result<(), PublishError> {
        let mark = Mark::read(&stored.metadata);
        let newer = mark.generation.is_some_and(|g| {
            g > document.generation && g.is_plausible(document.generation, self.clock.now())
        });
        if !newer {
            return Ok(());
        }
        match mark.owner {
            Some(owner)
                if owner != run.target.owner
                    && mark.digest == Some(digest(&stored.bytes))
                    && !self.take_over =>
            {
                let (location, document) = (self.store.location(), path.clone());
                Err(Occupied {
                    location,
                    document,
                    owner: Some(owner),
                }
                .into())
            }
            _ => Err(PublishError::Ahead {
                document: path.clone(),
                found: Box::new(self.inspect().await?),
            }),
        }
    }

    fn check_issuer(&self, publication: &Publication) -> Result<(), PublishError> {
        if self.mirror || publication.issuer == self.public_url {
            return Ok(());
        }
        Err(PublishError::PublicUrl {
            public_url: self.public_url.to_string(),
            issuer: publication.issuer.to_string(),
        })
    }

    async fn pause(&self, attempt: u32) {
        let limit = FIRST_PAUSE.saturating_mul(1 << attempt.min(8)).min(LONGEST_PAUSE);
        let pause = self
            .jitter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .up_to(limit);
        self.clock.sleep(pause).await;
    }
}

#[async_trait]
impl<S: DocumentStore> Publisher for StorePublisher<S> {
    fn kind(&self) -> &'static str {
        self.store.kind()
    }

    fn location(&self) -> String {
        self.store.location()
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn public_url(&self) -> &IssuerUrl {
        &self.public_url
    }

    async fn inspect(&self) -> Result<Found, PublishError> {
        let read = async |path: DocumentPath| match self.store.get(&path).await {
            Ok(found) => Ok(found),
            // May be absence; the conditional create decides later.
            Err(StoreError::Denied(_)) => Ok(None),
            Err(error) => Err(PublishError::Store {
                document: path,
                error,
            }),
        };
        Ok(Found {
            jwks: read(DocumentPath::JWKS).await?,
            discovery: read(DocumentPath::DISCOVERY).await?,
        })
    }

    async fn publish(
        &self,
        publication: &Publication,
        authority: &dyn Authority,
    ) -> Result<Published, PublishError> {
        self.check_issuer(publication)?;
        let mut run = Run {
            target: publication.clone(),
            authority,
            written: Vec::new(),
            foreign: Vec::new(),
        };
        for _ in 0..PASSES {
            self.settle(&DocumentPath::JWKS, &mut run).await?;
            let jwks = run.target.jwks.clone();
            self.settle(&DocumentPath::DISCOVERY, &mut run).await?;
            if run.target.jwks == jwks {
                break;
            }
        }
        self.read_back.published(&run.target);
        Ok(Published {
            publication: run.target,
            written: run.written,
            foreign: run.foreign,
        })
    }

    async fn verify(&self, publication: &Publication) -> Verification {
        self.read_back.verify(publication).await
    }

    async fn validate(&self) -> Result<(), PublishError> {
        let failed = |error| PublishError::Store {
            document: DocumentPath::JWKS,
            error,
        };
        self.store.validate().await.map_err(failed)
    }

    async fn warnings(&self) -> Vec<String> {
        self.store.warnings(&self.public_url).await
    }
}

/// One call of `publish`.
struct Run<'a> {
    target: Publication,
    authority: &'a dyn Authority,
    written: Vec<DocumentPath>,
    foreign: Vec<KeyName>,
}

impl Run<'_> {
    fn is_there(&self, path: &DocumentPath, found: &Object) -> bool {
        match (found, self.target.document(path)) {
            (Object::Stored(stored), Some(document)) => document.is(self.target.owner, stored),
            _ => false,
        }
    }

    /// Keys that somebody put there. An older publication of ours, unchanged, holds none.
    fn note_foreign(&mut self, path: &DocumentPath, stored: &StoredDocument) {
        let mark = Mark::read(&stored.metadata);
        let ours = mark.owner == Some(self.target.owner) && mark.digest == Some(digest(&stored.bytes));
        if *path != DocumentPath::JWKS || ours {
            return;
        }
        let published = KeySet::parse(&self.target.jwks.bytes)
            .map(|parsed| parsed.keys)
            .unwrap_or_default();
        let Ok(there) = KeySet::parse(&stored.bytes) else {
            return;
        };
        for key in &there.keys {
            let name = KeyName::from(key);
            if !published.iter().any(|own| own.thumbprint() == name.thumbprint)
                && !self.foreign.contains(&name)
            {
                self.foreign.push(name);
            }
        }
    }
}

/// What a read found.
enum Object {
    Absent,
    Stored(StoredDocument),
    Unreadable(String),
}
