//! The API servers and the operator who rolls their keys.

use kubeassume_tests::{ApiServer, Etcd, SigningKey};
use tokio::sync::mpsc;

use super::{FIRST, Tell};
use crate::event::{Command, Event, KeyId, SERVERS};
use crate::model::server_name;

pub(super) struct ControlPlane {
    servers: [ApiServer; SERVERS],
    keys: Vec<SigningKey>,
    signs: KeyId,
    serves: Vec<KeyId>,
    /// Ends after the API servers.
    _etcd: Etcd,
    tell: Tell,
}

impl ControlPlane {
    pub(super) fn new(servers: [ApiServer; SERVERS], first: SigningKey, etcd: Etcd, tell: Tell) -> Self {
        let plane = Self {
            servers,
            keys: vec![first],
            signs: FIRST,
            serves: vec![FIRST],
            _etcd: etcd,
            tell,
        };
        plane.made(FIRST, RSA);
        (0..SERVERS).for_each(|nth| plane.stands(nth, true));
        plane
    }

    pub(super) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Command>) {
        while let Some(order) = orders.recv().await {
            let what = match order {
                Command::Stage => self.stage(),
                Command::Switch(key) if self.serves.contains(&key) => {
                    self.signs = key;
                    format!("switching the signer to {key}")
                }
                // The last key stays: an API server does not start without one.
                Command::Drop(key) if self.serves.len() > 1 => {
                    self.serves.retain(|served| *served != key);
                    format!("dropping {key}")
                }
                // Overtaken by an order that came before.
                _ => continue,
            };
            self.roll(&what).await;
            self.tell.event(Event::Busy(None));
        }
    }

    /// Makes a key, EC and RSA in turn.
    fn stage(&mut self) -> String {
        let key = KeyId(self.keys.len());
        let (made, kind) = match key.0 % 2 {
            0 => (SigningKey::rsa(), RSA),
            _ => (SigningKey::p256(), EC),
        };
        self.keys.push(made);
        self.serves.push(key);
        self.made(key, kind);
        format!("staging {key}")
    }

    /// Restarts the API servers hard, one after the other.
    async fn roll(&mut self, what: &str) {
        for nth in 0..SERVERS {
            self.tell.event(Event::Busy(Some(format!(
                "{what}: {} restarts",
                server_name(nth)
            ))));
            self.stands(nth, false);
            let signing = self.keys[self.signs.0].clone();
            let served: Vec<&SigningKey> = self.serves.iter().map(|key| &self.keys[key.0]).collect();
            let server = &mut self.servers[nth];
            server.kill().await;
            server.start_with(&signing, &served).await;
            self.stands(nth, true);
        }
    }

    fn made(&self, key: KeyId, kind: &'static str) {
        let kid = self.keys[key.0].kid().to_owned();
        self.tell.event(Event::Made { key, kid, kind });
    }

    fn stands(&self, nth: usize, serving: bool) {
        self.tell.event(Event::Server {
            nth,
            serving,
            signs: self.signs,
            serves: self.serves.clone(),
        });
    }
}

const RSA: &str = "RSA 2048";
const EC: &str = "EC P-256";
