//! Claiming a location: whether this state may write there, and what it finds.

use thiserror::Error;

use super::{Claim, Event, KeyEntry, KeyRing, KeyState, OnStateLoss};
use crate::clock::Timestamp;
use crate::publication::{Mark, Owner};
use crate::store::{DocumentPath, StoredDocument};
use crate::{DiscoveryClaims, IssuerUrl, KeySet};

/// What a location holds, before anything is written there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The key set, if there is one.
    pub jwks: Option<StoredDocument>,
    /// The discovery document, if there is one.
    pub discovery: Option<StoredDocument>,
}

impl Found {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.jwks.is_none() && self.discovery.is_none()
    }

    /// The owner that the documents name, if they agree.
    pub fn owner(&self) -> Option<Owner> {
        let mut owners = [&self.jwks, &self.discovery]
            .into_iter()
            .flatten()
            .map(|document| Mark::read(&document.metadata).owner);
        let first = owners.next()??;
        owners.all(|owner| owner == Some(first)).then_some(first)
    }

    /// The usable keys of the key set; none when it cannot be parsed.
    pub fn keys(&self) -> KeySet {
        let parsed = self
            .jwks
            .as_ref()
            .and_then(|document| KeySet::parse(&document.bytes).ok());
        parsed.map(|parsed| parsed.keys).unwrap_or_default()
    }
}

/// The location belongs to somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{location} is occupied: its {document} belongs to {}; another cluster may publish there \
     (--take-over overrides this)",
    .owner.map_or("an unknown owner".to_owned(), |owner| format!("owner {owner}"))
)]
pub struct Occupied {
    /// Which location.
    pub location: String,
    /// Which document there.
    pub document: DocumentPath,
    /// Whom its metadata names.
    pub owner: Option<Owner>,
}

impl KeyRing {
    /// Claims a location, unless it is claimed already. Each document there must be absent, carry our
    /// owner, name our issuer or hold a key that our API servers serve now. Keys that only the location
    /// holds become unconfirmed, and the next publication is drawn above what is there.
    ///
    /// # Errors
    /// [`Occupied`] when the location is somebody else's and `take_over` does not say otherwise. What is
    /// taken over is not trusted: its keys are not kept.
    pub fn claim(
        &mut self,
        location: &str,
        issuer: &IssuerUrl,
        found: &Found,
        take_over: bool,
        now: Timestamp,
    ) -> Result<Vec<Event>, Occupied> {
        if self.state.claims.contains_key(location) {
            return Ok(Vec::new());
        }
        let occupied = self.occupied(location, issuer, found);
        if let (Some(occupied), false) = (&occupied, take_over) {
            return Err(occupied.clone());
        }
        self.state.revision = self.state.revision.saturating_add(1);
        let claim = Claim {
            since: now,
            taken_over: occupied.is_some(),
        };
        self.state.claims.insert(location.to_owned(), claim);
        self.draw_above(found, now);
        if occupied.is_some() || self.policy.on_state_loss == OnStateLoss::Drop {
            return Ok(Vec::new());
        }
        Ok(self.adopt(&found.keys(), now))
    }

    /// Makes the next publication of each document draw a generation above a plausible one that a sink
    /// holds. Raises the revision only where that changes anything.
    pub fn draw_above(&mut self, found: &Found, now: Timestamp) {
        let before = self.state.documents.clone();
        let documents = &mut self.state.documents;
        for (mark, document) in [
            (&mut documents.jwks, &found.jwks),
            (&mut documents.discovery, &found.discovery),
        ] {
            let generation = document
                .as_ref()
                .and_then(|document| Mark::read(&document.metadata).generation);
            if let Some(generation) = generation.filter(|g| g.is_plausible(mark.generation, now)) {
                mark.raise_above(generation);
            }
        }
        if self.state.documents != before {
            self.state.revision = self.state.revision.saturating_add(1);
        }
    }

    fn occupied(&self, location: &str, issuer: &IssuerUrl, found: &Found) -> Option<Occupied> {
        let ours = |document: &StoredDocument| Mark::read(&document.metadata).owner == Some(self.state.owner);
        let names_issuer = |document: &StoredDocument| {
            DiscoveryClaims::parse(&document.bytes).is_ok_and(|claims| claims.check_issuer(issuer).is_ok())
        };
        let holds_live_key = || {
            found.keys().iter().any(|key| {
                let entry = self.state.keys.get(&key.thumbprint());
                entry.is_some_and(|entry| matches!(entry.state, KeyState::Live(_)))
            })
        };
        let occupied = |document: DocumentPath, stored: &StoredDocument| Occupied {
            location: location.to_owned(),
            document,
            owner: Mark::read(&stored.metadata).owner,
        };
        match (&found.jwks, &found.discovery) {
            (Some(jwks), _) if !ours(jwks) && !holds_live_key() => Some(occupied(DocumentPath::JWKS, jwks)),
            (_, Some(discovery)) if !ours(discovery) && !names_issuer(discovery) => {
                Some(occupied(DocumentPath::DISCOVERY, discovery))
            }
            _ => None,
        }
    }

    fn adopt(&mut self, keys: &KeySet, now: Timestamp) -> Vec<Event> {
        let mut events = Vec::new();
        let until = self.policy.retention.ends(now);
        for key in keys {
            let thumbprint = key.thumbprint();
            let clashes = |entry: &KeyEntry| entry.kid == key.kid() && entry.state.is_published();
            if self.state.keys.contains_key(&thumbprint)
                || self.policy.revoked.contains(&thumbprint)
                || self.state.keys.values().any(clashes)
            {
                continue;
            }
            let entry = KeyEntry {
                revision: self.state.revision,
                kid: key.kid().to_owned(),
                state: KeyState::Unconfirmed(now),
                jwk: Some(key.clone()),
                unknown: serde_json::Map::new(),
            };
            self.state.keys.insert(thumbprint.clone(), entry);
            // Published keys are bounded; a full set keeps what API servers serve.
            if self.publishable().is_err() {
                self.state.keys.remove(&thumbprint);
                continue;
            }
            events.push(Event::Unconfirmed {
                key: key.into(),
                until,
            });
        }
        events
    }
}
