//! Publishing without a state: whoever runs this is the authority.
//!
//! What a state would say is taken from the sink as far as it goes: the owner, if the documents there are
//! this issuer's, and the generations, so that a controller that knows more goes on above them. What it
//! cannot say is how long a key that only the public copy has must stay. Such keys are kept, named, and the
//! administrator decides.

use std::sync::Arc;

use kubeassume_core::rotation::KeyState;
use kubeassume_core::store::StoredDocument;
use kubeassume_core::{
    DiscoveryClaims, Document, DocumentMark, DocumentMarks, Found, Generation, IssuerUrl, KeyRing, Mark,
    OnStateLoss, Policy, PublishError, Published, Publisher, State, digest,
};

use super::{Pipeline, verified};
use crate::failure::{EXIT_KEPT, Failure};
use crate::output::remark;

/// How often somebody else may publish something newer before this gives up.
const ATTEMPTS: usize = 4;

pub(super) async fn run(pipeline: Pipeline) -> Result<(), Failure> {
    let mut ring: Option<KeyRing> = None;
    loop {
        let result = pipeline.cycle(&mut ring).await;
        if pipeline.once {
            result?;
            return kept(&ring);
        }
        if let Err(failure) = result {
            failure.report();
        }
        pipeline.clock.sleep(pipeline.config.sync_period).await;
    }
}

impl Pipeline {
    /// Brings every publisher to what is observed. A broken one does not hold back another; what was wrong with
    /// the last is the result, the others are told.
    async fn cycle(&self, ring: &mut Option<KeyRing>) -> Result<(), Failure> {
        let observation = self.source.observe().await;
        self.check(&observation)?;
        let issuer = &self.config.issuer;
        let mut failures = Vec::new();
        let mut held = Vec::new();
        for publisher in &self.publishers {
            match publisher.inspect().await {
                Ok(found) => held.push((publisher, found)),
                Err(error) => {
                    let location = publisher.location();
                    failures.push(Failure::new(format!("cannot read {location}")).because(&error));
                }
            }
        }
        if let Some((_, found)) = held.first() {
            let ring = ring.get_or_insert_with(|| KeyRing::new(self.state_of(found), self.policy()));
            let mut events = ring
                .observe(&observation, self.clock.now())
                .map_err(|error| Failure::new("these keys cannot be published together").because(&error))?;
            // All claims before the first write: each may hold keys that have to stay.
            held.retain(|(publisher, found)| {
                let now = self.clock.now();
                match ring.claim(&publisher.location(), issuer, found, self.take_over, now) {
                    Ok(adopted) => {
                        events.extend(adopted);
                        ring.draw_above(found, now);
                        true
                    }
                    Err(occupied) => {
                        let failure = Failure::new("another cluster publishes there").because(&occupied);
                        failures.push(
                            failure.next(
                                "check the bucket and its prefix; --take-over overwrites what is there",
                            ),
                        );
                        false
                    }
                }
            });
            for event in &events {
                remark(&event.to_string());
            }
            let publishers: Vec<_> = held.into_iter().map(|(publisher, _)| publisher).collect();
            failures.extend(self.publish(&publishers, ring).await?);
        }
        let last = failures.pop();
        failures.iter().for_each(Failure::report);
        last.map_or(Ok(()), Err)
    }

    /// Publishes everywhere, again above what somebody else published meanwhile; says what failed.
    async fn publish(
        &self,
        publishers: &[&Arc<dyn Publisher>],
        ring: &mut KeyRing,
    ) -> Result<Vec<Failure>, Failure> {
        let mut failures = Vec::new();
        for _ in 0..ATTEMPTS {
            failures.clear();
            let mut ahead = false;
            for publisher in publishers {
                let location = publisher.location();
                let publication = ring
                    .publication(&self.config.issuer, self.clock.now())
                    .map_err(|error| Failure::new("there is nothing to publish").because(&error))?;
                match publisher.publish(&publication, &publication).await {
                    Ok(published) => {
                        tell_written(&published, &location);
                        failures.extend(verified(&publisher.verify(&published.publication).await).err());
                    }
                    Err(PublishError::Ahead { found, .. }) => {
                        ahead = true;
                        ring.draw_above(&found, self.clock.now());
                        failures.push(
                            Failure::new(format!("somebody else keeps publishing to {location}")).next(
                                "a controller runs for this issuer: publish through its state, with --context",
                            ),
                        );
                    }
                    Err(error) => {
                        failures.push(Failure::new(format!("cannot publish to {location}")).because(&error));
                    }
                }
            }
            if !ahead {
                break;
            }
        }
        Ok(failures)
    }

    /// A state that goes on from what the sink holds.
    fn state_of(&self, found: &Found) -> State {
        let owner = found.owner().filter(|_| is_of(found, &self.config.issuer));
        let mut state = State::new(owner.unwrap_or(self.owner), self.config.headers());
        state.documents = DocumentMarks {
            jwks: mark(found.jwks.as_ref()),
            discovery: mark(found.discovery.as_ref()),
        };
        state
    }

    fn policy(&self) -> Policy {
        let policy = self.config.policy();
        let on_state_loss = match self.prune {
            true => OnStateLoss::Drop,
            false => OnStateLoss::Keep,
        };
        Policy {
            on_state_loss,
            ..policy
        }
    }
}

fn tell_written(published: &Published, location: &str) {
    match published.written.as_slice() {
        [] => remark(&format!("{location} holds these documents already")),
        written => {
            let names: Vec<String> = written.iter().map(ToString::to_string).collect();
            remark(&format!("wrote {} to {location}", names.join(" and ")));
        }
    }
}

/// Whether the discovery document there is this issuer's. The owner of anything else is a stranger.
fn is_of(found: &Found, issuer: &IssuerUrl) -> bool {
    found.discovery.as_ref().is_some_and(|document| {
        DiscoveryClaims::parse(&document.bytes).is_ok_and(|claims| claims.check_issuer(issuer).is_ok())
    })
}

/// What the document there stands for, so that the same one again is no new generation.
fn mark(stored: Option<&StoredDocument>) -> DocumentMark {
    let Some(stored) = stored else {
        return DocumentMark::NONE;
    };
    let mark = Mark::read(&stored.metadata);
    if mark.digest != Some(digest(&stored.bytes)) {
        return DocumentMark::NONE;
    }
    let generation = mark.generation.unwrap_or(Generation::NONE);
    let document = Document {
        bytes: stored.bytes.clone(),
        content_type: stored.content_type.clone().unwrap_or_default(),
        cache_control: stored.cache_control.clone().unwrap_or_default(),
        generation,
    };
    DocumentMark {
        generation,
        fingerprint: document.fingerprint(),
    }
}

/// Exit code 3 if there are keys that nothing explains.
fn kept(ring: &Option<KeyRing>) -> Result<(), Failure> {
    let entries = ring.iter().flat_map(|ring| &ring.state().keys);
    let names: Vec<String> = entries
        .filter(|(_, entry)| matches!(entry.state, KeyState::Unconfirmed(_)))
        .map(|(thumbprint, entry)| format!("{} (thumbprint {thumbprint})", entry.name(thumbprint)))
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let failure = Failure::new(format!(
        "published, and kept {} that only the public copy has",
        if names.len() == 1 {
            "1 key".to_owned()
        } else {
            format!("{} keys", names.len())
        }
    ));
    Err(names
        .into_iter()
        .fold(failure, Failure::cause)
        .next("tokens that they signed may be in use; when none is any more, --prune drops them")
        .code(EXIT_KEPT))
}
