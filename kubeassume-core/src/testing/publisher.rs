//! What a [`Publisher`] on any store must do: [`StorePublisher`] before your own store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::keys::{self, KeyFixture};
use super::store::{overwrite, remove};
use super::{Check, Fault, FaultStore, Operation, StoreReader, VirtualClock};
use crate::clock::Clock;
use crate::public_reader::PublicReader;
use crate::publication::{
    Document, DocumentMarks, Generation, Headers, MAX_GENERATION_LEAD, Mark, Owner, Publication, digest,
};
use crate::publisher::{Authority, PublishError, Published, Publisher, StorePublisher, Verification};
use crate::state_store::StateError;
use crate::store::{DocumentPath, DocumentStore, NewDocument, StoreError, StoredDocument};
use crate::{IssuerUrl, KeySet, Timestamp};

/// A place to publish to, empty.
pub struct Place {
    /// The store.
    pub store: Arc<dyn DocumentStore>,
    /// Where the public reads what it holds.
    pub public_url: IssuerUrl,
    /// The public, in front of it.
    pub reader: Arc<dyn PublicReader>,
}

impl Place {
    /// A place whose public reads through the store itself.
    pub fn behind(store: Arc<dyn DocumentStore>, public_url: IssuerUrl) -> Self {
        Self {
            reader: Arc::new(StoreReader::new(store.clone(), &public_url)),
            store,
            public_url,
        }
    }
}

/// The promises. Each wants an empty place.
pub const CHECKS: [Check<Place>; 15] = [
    Check::new("publishes jwks first, and once", |place| {
        Box::pin(writes_jwks_first_and_only_once(Bench::at(place)))
    }),
    Check::new("never publishes discovery without jwks", |place| {
        Box::pin(discovery_never_comes_without_jwks(Bench::at(place)))
    }),
    Check::new("publishes only what changed", |place| {
        Box::pin(writes_only_what_changed(Bench::at(place)))
    }),
    Check::new("heals drift", |place| Box::pin(drift_is_healed(Bench::at(place)))),
    Check::new("yields to a newer foreign owner", |place| {
        Box::pin(a_newer_foreign_owner_occupies(Bench::at(place)))
    }),
    Check::new("heals what another foreign owner wrote", |place| {
        Box::pin(a_foreign_owner_otherwise_is_drift(Bench::at(place)))
    }),
    Check::new("heals generations that nobody drew", |place| {
        Box::pin(generations_that_nobody_drew_are_healed(Bench::at(place)))
    }),
    Check::new("never goes back behind its own generation", |place| {
        Box::pin(a_higher_generation_of_ours_is_ahead(Bench::at(place)))
    }),
    Check::new("counts a lost race only if the right document won", |place| {
        Box::pin(a_lost_race_counts_only_when_the_right_document_won(Bench::at(
            place,
        )))
    }),
    Check::new("looks after an unknown outcome", |place| {
        Box::pin(an_unknown_outcome_is_looked_at(Bench::at(place)))
    }),
    Check::new("writes only what the state says", |place| {
        Box::pin(the_authority_decides_what_is_written(Bench::at(place)))
    }),
    Check::new("follows a state that moves on", |place| {
        Box::pin(a_state_that_moves_on_between_the_documents_is_followed(
            Bench::at(place),
        ))
    }),
    Check::new("creates where absence is hidden", |place| {
        Box::pin(hidden_absence_is_decided_by_the_create(Bench::at(place)))
    }),
    Check::new("trusts only the public copy", |place| {
        Box::pin(the_public_copy_is_what_counts(Bench::at(place)))
    }),
    Check::new("validates a place without writing", |place| {
        Box::pin(validating_writes_nothing(Bench::at(place)))
    }),
];

/// Runs [every check](CHECKS). Each gets a place of its own from `fresh`.
///
/// # Panics
/// With the promise that was broken.
pub async fn conformance(fresh: impl Fn() -> Place) {
    for check in CHECKS {
        check.run(fresh()).await;
    }
}

/// One place, and the publications of one state.
struct Bench {
    place: Place,
    publisher: StorePublisher<FaultStore<Arc<dyn DocumentStore>>>,
    clock: VirtualClock,
    owner: Owner,
    headers: Headers,
    marks: DocumentMarks,
}

impl Bench {
    fn at(place: Place) -> Self {
        let clock = VirtualClock::new();
        let publisher = StorePublisher::new(
            FaultStore::new(place.store.clone()),
            place.public_url.clone(),
            place.reader.clone(),
            Arc::new(clock.clone()),
            7,
        );
        Self {
            place,
            publisher,
            clock,
            owner: Owner::from_random(1),
            headers: Headers { max_age_seconds: 300 },
            marks: DocumentMarks::NONE,
        }
    }

    fn draw(&mut self, fixtures: &[KeyFixture]) -> Publication {
        draw(
            &self.place.public_url,
            self.owner,
            &self.headers,
            &mut self.marks,
            fixtures,
            self.clock.now(),
        )
    }

    fn faults(&self) -> &FaultStore<Arc<dyn DocumentStore>> {
        self.publisher.store()
    }

    fn puts(&self) -> usize {
        self.faults().calls(Operation::Put)
    }

    async fn publish(&self, publication: &Publication) -> Result<Published, PublishError> {
        self.publisher.publish(publication, publication).await
    }

    /// Publishes, and the place must hold exactly this then.
    async fn must_publish(&self, publication: &Publication, what: &str) -> Published {
        let published = self.publish(publication).await;
        let published = published.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(published.publication, *publication, "{what}: what was published");
        self.must_hold(publication, what).await;
        published
    }

    async fn must_hold(&self, publication: &Publication, what: &str) {
        for (path, document) in publication.in_order() {
            let stored = self.stored(&path).await;
            let stored = stored.unwrap_or_else(|| panic!("{what}: there is no {path}"));
            assert!(
                document.is(publication.owner, &stored),
                "{what}: {path} is {stored:?}"
            );
        }
    }

    async fn stored(&self, path: &DocumentPath) -> Option<StoredDocument> {
        self.place.store.get(path).await.expect("a read")
    }

    /// Somebody with access replaces a document.
    async fn tamper(&self, path: &DocumentPath, change: impl FnOnce(&mut NewDocument)) {
        let stored = self.stored(path).await.expect("a document to tamper with");
        let mut document = NewDocument {
            bytes: stored.bytes,
            content_type: stored.content_type.unwrap_or_default(),
            cache_control: stored.cache_control.unwrap_or_default(),
            metadata: stored.metadata,
        };
        change(&mut document);
        overwrite(&self.place.store, path, &document).await;
    }
}

/// The next publication of these keys: new generations where a document changed.
pub fn draw(
    issuer: &IssuerUrl,
    owner: Owner,
    headers: &Headers,
    marks: &mut DocumentMarks,
    fixtures: &[KeyFixture],
    now: Timestamp,
) -> Publication {
    let keys = KeySet::new(fixtures.iter().map(KeyFixture::jwk), []).expect("distinct kids");
    Publication::draw(issuer, owner, &keys, headers, marks, now)
}

async fn writes_jwks_first_and_only_once(mut bench: Bench) {
    let publication = bench.draw(&[keys::RSA_1]);
    let published = bench.must_publish(&publication, "into an empty place").await;
    assert_eq!(
        published.written,
        [DocumentPath::JWKS, DocumentPath::DISCOVERY],
        "JWKS is written before discovery"
    );
    assert_eq!(bench.puts(), 2, "each document is written once");
    let again = bench.must_publish(&publication, "a second time").await;
    assert_eq!(again.written, [], "a second publish");
    assert_eq!(bench.puts(), 2, "a second publish writes nothing");
}

async fn discovery_never_comes_without_jwks(mut bench: Bench) {
    let publication = bench.draw(&[keys::RSA_1]);
    bench.faults().next(Operation::Put, Fault::Denied);
    let refused = bench.publish(&publication).await;
    assert!(
        matches!(&refused, Err(PublishError::Store { document, error: StoreError::Denied(_) })
            if *document == DocumentPath::JWKS),
        "a refused JWKS: {refused:?}"
    );
    assert_eq!(
        bench.stored(&DocumentPath::DISCOVERY).await,
        None,
        "discovery without a JWKS"
    );
    bench.must_publish(&publication, "once it is allowed").await;
}

async fn writes_only_what_changed(mut bench: Bench) {
    let first = bench.draw(&[keys::RSA_1]);
    bench.must_publish(&first, "the first key").await;
    bench.clock.advance(Duration::from_secs(60));
    let second = bench.draw(&[keys::RSA_1, keys::RSA_2]);
    let published = bench.must_publish(&second, "a second key").await;
    assert_eq!(
        published.written,
        [DocumentPath::JWKS],
        "discovery says the same as before"
    );
    bench.headers.max_age_seconds = 60;
    let shorter = bench.draw(&[keys::RSA_1, keys::RSA_2]);
    let published = bench.must_publish(&shorter, "another max-age").await;
    assert_eq!(published.written.len(), 2, "both documents have another header");
}

/// What somebody with access does to a document.
type Drift = (&'static str, fn(&mut NewDocument));

fn set<T: From<&'static str>>(part: &mut T, value: &'static str) {
    *part = value.into();
}

async fn drift_is_healed(mut bench: Bench) {
    let publication = bench.draw(&[keys::RSA_1]);
    for path in [DocumentPath::JWKS, DocumentPath::DISCOVERY] {
        bench.must_publish(&publication, "before the drift").await;
        remove(&bench.place.store, &path).await;
        bench
            .must_publish(&publication, &format!("{path} was deleted"))
            .await;
        let drifts: [Drift; 6] = [
            ("other bytes", |document| set(&mut document.bytes, "{}")),
            ("no bytes to speak of", |document| set(&mut document.bytes, " ")),
            ("another Content-Type", |document| {
                set(&mut document.content_type, "text/html");
            }),
            ("another Cache-Control", |document| {
                set(&mut document.cache_control, "no-store");
            }),
            ("no metadata", |document| document.metadata.clear()),
            ("another digest", |document| {
                let name = "kubeassume-digest".to_owned();
                set(document.metadata.entry(name).or_default(), "x");
            }),
        ];
        for (what, drift) in drifts {
            bench.tamper(&path, drift).await;
            let stored = bench.stored(&path).await.expect("the document");
            let document = publication.document(&path).expect("the document");
            // versitygw keeps the metadata of an object that is overwritten without any.
            let drifted = !document.is(publication.owner, &stored);
            assert!(
                drifted || what == "no metadata",
                "{path} with {what}: the drift itself"
            );
            let published = bench
                .must_publish(&publication, &format!("{path} with {what}"))
                .await;
            let expected: &[DocumentPath] = if drifted { std::slice::from_ref(&path) } else { &[] };
            assert_eq!(published.written, expected, "{path} with {what}");
        }
    }
    let foreign = keys::document(&[keys::RSA_1, keys::P256_1]);
    bench
        .tamper(&DocumentPath::JWKS, |document| document.bytes = foreign.into())
        .await;
    let published = bench.must_publish(&publication, "a foreign key").await;
    let names: Vec<&str> = published.foreign.iter().map(|key| key.kid.as_str()).collect();
    assert_eq!(names, [keys::P256_1.kid], "foreign keys are reported");
}

async fn a_newer_foreign_owner_occupies(mut bench: Bench) {
    let ours = bench.draw(&[keys::RSA_1]);
    bench.must_publish(&ours, "our own").await;
    bench.clock.advance(Duration::from_secs(60));
    let mut theirs = ours.clone();
    theirs.owner = Owner::from_random(2);
    theirs.jwks = later(&ours.jwks, keys::document(&[keys::P256_1]), 1000);
    for (path, document) in [
        (DocumentPath::JWKS, theirs.jwks.clone()),
        (
            DocumentPath::DISCOVERY,
            later(&ours.discovery, b"{}".to_vec(), 1000),
        ),
    ] {
        let document = document.to_new(theirs.owner);
        overwrite(&bench.place.store, &path, &document).await;
        let puts = bench.puts();
        let occupied = bench.publish(&ours).await;
        assert!(
            matches!(&occupied, Err(PublishError::Occupied(by))
                if by.owner == Some(theirs.owner) && by.document == path),
            "newer and another owner's {path}: {occupied:?}"
        );
        assert_eq!(bench.puts(), puts, "no war of writes");
        let restored = ours.document(&path).expect("a document").to_new(ours.owner);
        overwrite(&bench.place.store, &path, &restored).await;
    }

    let document = theirs.jwks.to_new(theirs.owner);
    overwrite(&bench.place.store, &DocumentPath::JWKS, &document).await;
    bench.publisher = bench.publisher.take_over(true);
    let ahead = bench.publish(&ours).await;
    let Err(PublishError::Ahead { found, .. }) = ahead else {
        panic!("to take over, the leader must draw a generation above: {ahead:?}");
    };
    raise(&mut bench.marks, &found.jwks);
    let above = bench.draw(&[keys::RSA_1]);
    bench.must_publish(&above, "taking over").await;
}

async fn a_foreign_owner_otherwise_is_drift(mut bench: Bench) {
    let ours = bench.draw(&[keys::RSA_1]);
    bench.must_publish(&ours, "our own").await;
    let owner = Owner::from_random(2);
    let mut older = later(&ours.jwks, keys::document(&[keys::P256_1]), 0);
    older.generation = Generation(older.generation.0 - 1);
    overwrite(&bench.place.store, &DocumentPath::JWKS, &older.to_new(owner)).await;
    bench.must_publish(&ours, "another owner's older document").await;

    // Whoever copies metadata beside other bytes publishes nothing: the leader draws above, no alarm.
    let mut copied = later(&ours.jwks, keys::document(&[keys::P256_1]), 1000).to_new(owner);
    copied.bytes = b"{}".to_vec().into();
    overwrite(&bench.place.store, &DocumentPath::JWKS, &copied).await;
    let ahead = bench.publish(&ours).await;
    assert!(
        matches!(ahead, Err(PublishError::Ahead { .. })),
        "another owner's mark without its bytes: {ahead:?}"
    );
}

async fn generations_that_nobody_drew_are_healed(mut bench: Bench) {
    let publication = bench.draw(&[keys::RSA_1]);
    bench.must_publish(&publication, "before").await;
    let week = u64::try_from(MAX_GENERATION_LEAD.as_millis()).expect("a week");
    let now = u64::try_from(bench.clock.now().as_millisecond()).expect("after 1970");
    let eight_days = (now + week / 7 * 8).to_string();
    for generation in [
        None,
        Some("garbage"),
        Some("-1"),
        Some("18446744073709551615"),
        Some(&eight_days),
    ] {
        bench
            .tamper(&DocumentPath::JWKS, |document| {
                let name = "kubeassume-generation".to_owned();
                match generation {
                    Some(value) => document.metadata.insert(name, value.to_owned()),
                    None => document.metadata.remove(&name),
                };
            })
            .await;
        bench
            .must_publish(&publication, &format!("generation {generation:?}"))
            .await;
    }
}

async fn a_higher_generation_of_ours_is_ahead(mut bench: Bench) {
    let publication = bench.draw(&[keys::RSA_1]);
    bench.must_publish(&publication, "before").await;
    let higher = later(&publication.jwks, keys::document(&[keys::RSA_2]), 5000);
    overwrite(
        &bench.place.store,
        &DocumentPath::JWKS,
        &higher.to_new(bench.owner),
    )
    .await;
    let puts = bench.puts();
    let ahead = bench.publish(&publication).await;
    let Err(PublishError::Ahead { found, document }) = ahead else {
        panic!("a higher generation of ours: {ahead:?}");
    };
    assert_eq!(document, DocumentPath::JWKS);
    assert_eq!(bench.puts(), puts, "nothing goes back");
    raise(&mut bench.marks, &found.jwks);
    let above = bench.draw(&[keys::RSA_1]);
    assert!(
        above.jwks.generation > higher.generation,
        "the leader draws above both"
    );
    bench.must_publish(&above, "above both").await;
}

async fn a_lost_race_counts_only_when_the_right_document_won(mut bench: Bench) {
    let first = bench.draw(&[keys::RSA_1]);
    let replica = first.jwks.to_new(bench.owner);
    bench.faults().next(Operation::Put, Fault::Rival(replica));
    let published = bench.must_publish(&first, "another replica was faster").await;
    assert_eq!(
        published.written,
        [DocumentPath::DISCOVERY],
        "the other replica wrote the JWKS"
    );

    bench.clock.advance(Duration::from_secs(60));
    let second = bench.draw(&[keys::RSA_1, keys::RSA_2]);
    let mut foreign = first.jwks.to_new(bench.owner);
    foreign.bytes = keys::document(&[keys::P256_1]).into();
    bench.faults().next(Operation::Put, Fault::Rival(foreign));
    let published = bench.must_publish(&second, "somebody else was faster").await;
    assert_eq!(
        published.written,
        [DocumentPath::JWKS],
        "it is written over what won the race"
    );

    for (refusal, fixtures) in [
        (Fault::PreconditionFailed, &[keys::RSA_1][..]),
        (Fault::Conflict, &[keys::RSA_2]),
        (Fault::NotFound, &[keys::RSA_3]),
        (Fault::WonThenRefused, &[keys::RSA_1]),
    ] {
        bench.clock.advance(Duration::from_secs(60));
        let next = bench.draw(fixtures);
        bench.faults().next(Operation::Put, refusal.clone());
        bench.must_publish(&next, &format!("after {refusal:?}")).await;
    }

    bench.clock.advance(Duration::from_secs(60));
    let next = bench.draw(&[keys::RSA_2]);
    for _ in 0..100 {
        bench.faults().next(Operation::Put, Fault::PreconditionFailed);
    }
    let contended = bench.publish(&next).await;
    assert!(
        matches!(contended, Err(PublishError::Contended { .. })),
        "retries are bounded, and a lost race is no success: {contended:?}"
    );
    bench.faults().heal();
    bench.must_publish(&next, "once the others stop").await;
}

async fn an_unknown_outcome_is_looked_at(mut bench: Bench) {
    let publication = bench.draw(&[keys::RSA_1]);
    bench.faults().next(Operation::Put, Fault::TimeoutAfter);
    let published = bench.must_publish(&publication, "an answer was lost").await;
    assert_eq!(bench.puts(), 2, "what happened is not done again");
    assert!(published.written.contains(&DocumentPath::DISCOVERY));

    bench.clock.advance(Duration::from_secs(60));
    let next = bench.draw(&[keys::RSA_1, keys::RSA_2]);
    let puts = bench.puts();
    bench.faults().next(Operation::Put, Fault::TimeoutBefore);
    bench.must_publish(&next, "a request was lost").await;
    assert_eq!(bench.puts(), puts + 2, "what did not happen is done again");

    for fault in [
        Fault::ServerError,
        Fault::TimeoutBefore,
        Fault::Truncated,
        Fault::NotFound,
        Fault::Stale,
    ] {
        bench.faults().next(Operation::Get, fault.clone());
        bench.must_publish(&next, &format!("a read with {fault:?}")).await;
    }
}

async fn the_authority_decides_what_is_written(mut bench: Bench) {
    struct Unreadable;
    #[async_trait]
    impl Authority for Unreadable {
        async fn current(&self) -> Result<Publication, StateError> {
            Err(StateError::Unavailable("the API server is down".to_owned()))
        }
    }

    let old = bench.draw(&[keys::RSA_1]);
    bench.clock.advance(Duration::from_secs(60));
    let new = bench.draw(&[keys::RSA_1, keys::RSA_2]);
    let unreadable = bench.publisher.publish(&old, &Unreadable).await;
    assert!(
        matches!(unreadable, Err(PublishError::Authority(_))),
        "without the state: {unreadable:?}"
    );
    assert_eq!(bench.puts(), 0, "without the state nothing is written");

    let published = bench.publisher.publish(&old, &new).await.expect("a publish");
    assert_eq!(published.publication, new, "the state has moved on");
    bench
        .must_hold(&new, "a replica that knew only the old state")
        .await;
    let puts = bench.puts();
    let published = bench.publisher.publish(&old, &new).await.expect("a publish");
    assert_eq!((published.publication, bench.puts()), (new.clone(), puts));
    let idle = bench.publisher.publish(&new, &Unreadable).await;
    assert!(
        idle.is_ok(),
        "where nothing is to be written, the state is not needed: {idle:?}"
    );
}

async fn a_state_that_moves_on_between_the_documents_is_followed(mut bench: Bench) {
    /// Says the first once, then the second.
    struct Moving(AtomicBool, [Publication; 2]);
    #[async_trait]
    impl Authority for Moving {
        async fn current(&self) -> Result<Publication, StateError> {
            let [first, second] = &self.1;
            let moved = self.0.swap(true, Ordering::Relaxed);
            Ok(if moved { second } else { first }.clone())
        }
    }

    let first = bench.draw(&[keys::RSA_1]);
    bench.clock.advance(Duration::from_secs(60));
    // Another algorithm, so that both documents differ.
    let second = bench.draw(&[keys::RSA_1, keys::P256_1]);
    let authority = Moving(AtomicBool::new(false), [first.clone(), second.clone()]);
    let published = bench
        .publisher
        .publish(&first, &authority)
        .await
        .expect("a publish");
    assert_eq!(published.publication, second, "what was published");
    bench
        .must_hold(&second, "the state moved on after the JWKS was written")
        .await;
}

async fn hidden_absence_is_decided_by_the_create(mut bench: Bench) {
    let publication = bench.draw(&[keys::RSA_1]);
    bench.faults().next(Operation::Get, Fault::Denied);
    bench.must_publish(&publication, "403 for what is absent").await;
    bench.faults().next(Operation::Get, Fault::Denied);
    let refused = bench.publish(&publication).await;
    assert!(
        matches!(
            refused,
            Err(PublishError::Store {
                error: StoreError::Denied(_),
                ..
            })
        ),
        "403 for what is there: {refused:?}"
    );
    bench.must_hold(&publication, "403 for what is there").await;
}

async fn the_public_copy_is_what_counts(mut bench: Bench) {
    let first = bench.draw(&[keys::RSA_1]);
    let nothing = bench.publisher.verify(&first).await;
    assert!(
        matches!(nothing, Verification::Failed(_)),
        "nothing is public yet: {nothing:?}"
    );
    bench.must_publish(&first, "the first").await;
    assert_eq!(bench.publisher.verify(&first).await, Verification::Verified);

    let clock: Arc<dyn Clock> = Arc::new(bench.clock.clone());
    let max_age = Duration::from_secs(bench.headers.max_age_seconds);
    let cdn =
        StoreReader::new(bench.place.store.clone(), &bench.place.public_url).caching(clock.clone(), max_age);
    let behind_cdn = StorePublisher::new(
        bench.place.store.clone(),
        bench.place.public_url.clone(),
        Arc::new(cdn),
        clock,
        7,
    );
    behind_cdn.publish(&first, &first).await.expect("nothing to do");
    assert_eq!(behind_cdn.verify(&first).await, Verification::Verified);
    bench.clock.advance(Duration::from_secs(60));
    let second = bench.draw(&[keys::RSA_1, keys::RSA_2]);
    behind_cdn.publish(&second, &second).await.expect("a publish");
    let cached = behind_cdn.verify(&second).await;
    assert!(
        matches!(cached, Verification::Propagating(left) if left <= max_age),
        "a cache still has the first: {cached:?}"
    );
    bench.clock.advance(max_age);
    assert_eq!(behind_cdn.verify(&second).await, Verification::Verified);

    bench
        .tamper(&DocumentPath::JWKS, |document| {
            document.bytes = keys::document(&[keys::P256_1]).into();
        })
        .await;
    let foreign = bench.publisher.verify(&second).await;
    assert!(
        matches!(&foreign, Verification::Failed(error) if error.document == DocumentPath::JWKS),
        "the public sees something else: {foreign:?}"
    );
}

async fn validating_writes_nothing(mut bench: Bench) {
    bench.publisher.validate().await.expect("an empty place is valid");
    assert!(
        bench.publisher.inspect().await.expect("a look").is_empty(),
        "validate left something"
    );
    let publication = bench.draw(&[keys::RSA_1]);
    bench.must_publish(&publication, "before").await;
    bench.publisher.validate().await.expect("a place in use is valid");
    bench.must_hold(&publication, "after validate").await;
    bench.faults().next(Operation::Validate, Fault::Denied);
    let denied = bench.publisher.validate().await;
    assert!(denied.is_err(), "a store that refuses is not valid: {denied:?}");
}

/// Another document, so many milliseconds of generations later.
fn later(document: &Document, bytes: Vec<u8>, millis: u64) -> Document {
    Document {
        bytes: bytes.into(),
        generation: Generation(document.generation.0 + millis),
        ..document.clone()
    }
}

fn raise(marks: &mut DocumentMarks, found: &Option<StoredDocument>) {
    let stored = found.as_ref().expect("what was found");
    assert_eq!(Mark::read(&stored.metadata).digest, Some(digest(&stored.bytes)));
    let generation = Mark::read(&stored.metadata).generation.expect("a generation");
    marks.jwks.raise_above(generation);
}
