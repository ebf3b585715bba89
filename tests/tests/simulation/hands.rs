//! What people do: roll keys, revoke them, and lay hands on the state and on the documents.

use std::collections::BTreeSet;

use super::keys;
use super::schedule::Schedule;
use super::world::{DIGEST, DISCOVERY, EPOCH_MS, GENERATION, ISSUER, JWKS, OWNER, Object};

impl Schedule {
    /// Documents of an earlier installation: its state is gone, its keys partly too.
    pub(super) fn leave_over(&mut self) {
        let old = [0, 1].into();
        let (jwks, discovery) = foreign_documents(&old, 7, 1_800_000_000_000);
        self.world.step(|world| {
            world.meddle_with_object("left over", JWKS, Some(jwks));
            world.meddle_with_object("left over", DISCOVERY, Some(discovery));
        });
    }

    /// One server gets a key, or loses one; in the end they all agree, or not.
    pub(super) fn roll_a_key(&mut self) {
        let rng = &mut self.rng;
        self.world.clone().step(|world| {
            let server = rng.usize(..world.servers.len());
            let mut keys = world.servers[server].keys.clone();
            let others: Vec<usize> = world.served().difference(&keys).copied().collect();
            match rng.u8(..5) {
                // Follow the others.
                0 | 1 if !others.is_empty() => {
                    keys.insert(others[rng.usize(..others.len())]);
                }
                0..=2 => {
                    keys.insert(rng.usize(..keys::OWN));
                }
                _ if keys.len() > 1 => {
                    let gone = *keys.iter().nth(rng.usize(..keys.len())).unwrap();
                    keys.remove(&gone);
                }
                // All move to another at once.
                _ => keys = [rng.usize(..keys::OWN)].into(),
            }
            world.set_keys(server, keys);
        });
    }

    /// The configuration now revokes a key; replicas are restarted with it later, one by one.
    pub(super) fn revoke(&mut self) {
        let rng = &mut self.rng;
        let nth = rng.usize(..keys::OWN);
        if self.revoked.len() >= 3 {
            return;
        }
        self.revoked.insert(nth);
        self.world.step(|world| {
            let now = world.now;
            world.note(|| format!("the configuration revokes k{nth}"));
            world.oracle.revoked(now, nth, false);
        });
    }

    pub(super) fn meddle_with_state(&mut self) {
        if !self.state_is_touched {
            return;
        }
        let rng = &mut self.rng;
        self.world.clone().step(|world| {
            let choice = rng.u8(..5);
            if choice == 0 {
                return world.meddle_with_state("deleted", None);
            }
            if choice <= 2 && !world.old_states.is_empty() {
                let back = rng.usize(1..=world.old_states.len().min(12));
                let old = world.old_states[world.old_states.len() - back].clone();
                return world.meddle_with_state(
                    &format!("rolled back to v{}", old.version),
                    Some((old.entries, old.includes)),
                );
            }
            let Some(stored) = world.stored.clone() else {
                return;
            };
            let mut entries = stored.entries;
            let part = rng.usize(..3);
            match rng.u8(..3) {
                0 => entries[part].clear(),
                1 => entries[part] = "{}".to_owned(),
                _ => {
                    let half = entries[part].len() / 2;
                    entries[part].truncate(half);
                }
            }
            world.meddle_with_state(
                &format!("damaged in entry {part}"),
                Some((entries, BTreeSet::new())),
            );
        });
    }

    pub(super) fn meddle_with_objects(&mut self) {
        if !self.documents_are_touched {
            return;
        }
        let rng = &mut self.rng;
        self.world.clone().step(|world| {
            let path = if rng.bool() { JWKS } else { DISCOVERY };
            let current = world.objects.get(path).cloned();
            let unix_ms = u64::try_from(EPOCH_MS).unwrap() + world.now;
            match (rng.u8(..8), current) {
                (0, _) => world.meddle_with_object("deleted", path, None),
                (1, _) => {
                    world.meddle_with_object("deleted", JWKS, None);
                    world.meddle_with_object("deleted", DISCOVERY, None);
                }
                (2, _) => world.meddle_with_object(
                    "overwritten",
                    path,
                    Some(Object::by_hand("{}", Default::default())),
                ),
                (3, Some(mut object)) => {
                    object.metadata.clear();
                    world.meddle_with_object("stripped of its metadata", path, Some(object));
                }
                (4, Some(mut object)) => {
                    object.cache_control = "no-store".to_owned();
                    world.meddle_with_object("given other headers", path, Some(object));
                }
                (5, Some(mut object)) => {
                    // A backup was restored, or somebody counts on.
                    let ahead = [0, 3_600_000, 90 * 86_400_000][rng.usize(..3)];
                    object
                        .metadata
                        .insert(GENERATION.to_owned(), (unix_ms + ahead).to_string());
                    world.meddle_with_object(
                        &format!("given a generation {ahead} ms ahead"),
                        path,
                        Some(object),
                    );
                }
                (6, _) => {
                    let old = world.old_objects.get(path).cloned().unwrap_or_default();
                    let old: Vec<Object> = old.into_iter().flatten().collect();
                    if !old.is_empty() {
                        let object = old[rng.usize(..old.len())].clone();
                        world.meddle_with_object("restored from a backup", path, Some(object));
                    }
                }
                (_, _) => {
                    let key = keys::OWN + rng.usize(..keys::FOREIGN);
                    let offset: i64 = [-3_600_000, 0, 3_600_000][rng.usize(..3)];
                    let generation = unix_ms.saturating_add_signed(offset);
                    let (jwks, discovery) = foreign_documents(&[key].into(), 9, generation);
                    world.meddle_with_object("another cluster's", JWKS, Some(jwks));
                    if rng.bool() {
                        world.meddle_with_object("another cluster's", DISCOVERY, Some(discovery));
                    }
                }
            }
        });
    }
}

/// Documents as another installation writes them.
fn foreign_documents(keys: &BTreeSet<usize>, owner: u128, generation: u64) -> (Object, Object) {
    let document = |bytes: String| {
        let metadata = [
            (GENERATION.to_owned(), generation.to_string()),
            (DIGEST.to_owned(), kubeassume_core::digest(bytes.as_bytes())),
            (OWNER.to_owned(), format!("{owner:032x}")),
        ];
        Object::by_hand(bytes, metadata.into())
    };
    let discovery = format!(
        r#"{{"issuer":"{ISSUER}","jwks_uri":"{ISSUER}/{JWKS}","response_types_supported":["id_token"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["ES256"]}}"#
    );
    (document(keys::document(keys)), document(discovery))
}
