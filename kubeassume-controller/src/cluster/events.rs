//! [`Events`]: what happens, as Kubernetes Events of the ConfigMap.
//!
//! They are for people who type `kubectl events`; nothing depends on them. Whoever notices something is never
//! kept waiting: at most 64 wait to be written, at most 25 are written at once and one every 5 seconds
//! after that, and a warning in the same words is written once in ten minutes. What is left out stands in
//! the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use kubeassume_core::kube::METADATA_CONFIG_MAP;
use kubeassume_core::{Clock, Timestamp};
use tokio::sync::mpsc;

use crate::told::Told;
use crate::{Notice, Observer};

const CONTROLLER: &str = "kubeassume-controller";
const WAITING: usize = 64;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The API refuses longer notes.
const MAX_NOTE_BYTES: usize = 1024;

/// Passes notices on to a [`Writer`].
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<(Told, Timestamp)>,
    clock: Arc<dyn Clock>,
}

impl Events {
    /// Both ends: one that is told, and one to spawn. `instance` is this replica's name.
    pub fn new(client: Client, namespace: &str, instance: &str, clock: Arc<dyn Clock>) -> (Self, Writer) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let writer = Writer {
            queue: receiver,
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            instance: instance.to_owned(),
            clock: clock.clone(),
        };
        let events = Self { queue: sender, clock };
        (events, writer)
    }
}

impl Observer for Events {
    fn notice(&self, notice: &Notice<'_>) {
        if let Some(told) = Told::of(notice) {
            // Full: the log has it.
            let _ = self.queue.try_send((told, self.clock.now()));
        }
    }
}

/// Writes what [`Events`] passes on. Needs `create` on events of `events.k8s.io` in its namespace.
pub struct Writer {
    queue: mpsc::Receiver<(Told, Timestamp)>,
    api: Api<Event>,
    namespace: String,
    instance: String,
    clock: Arc<dyn Clock>,
}

impl Writer {
    /// Writes until all [`Events`] are gone.
    pub async fn run(mut self) {
        let mut bounds = Bounds::new(self.clock.monotonic());
        while let Some((told, at)) = self.queue.recv().await {
            if !bounds.admit(&told, self.clock.monotonic()) {
                continue;
            }
            let event = self.event(&told, at);
            let params = PostParams::default();
            let created = tokio::time::timeout(REQUEST_TIMEOUT, self.api.create(&params, &event)).await;
            match created {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::debug!(%error, "an Event was not written"),
                Err(_) => tracing::debug!("an Event was not written: no answer within {REQUEST_TIMEOUT:?}"),
            }
        }
    }

    fn event(&self, told: &Told, at: Timestamp) -> Event {
        Event {
            metadata: ObjectMeta {
                generate_name: Some("kubeassume-".to_owned()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(at)),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(cut(&self.instance, 128)),
            action: Some("Publish".to_owned()),
            reason: Some(told.reason.to_owned()),
            note: Some(cut(&told.text, MAX_NOTE_BYTES)),
            regarding: Some(ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("ConfigMap".to_owned()),
                name: Some(METADATA_CONFIG_MAP.to_owned()),
                namespace: Some(self.namespace.clone()),
                ..ObjectReference::default()
            }),
            type_: Some(if told.warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        }
    }
}

/// How many Events may be written.
struct Bounds {
    tokens: f64,
    counted: Duration,
    said: BTreeMap<(&'static str, String), Duration>,
}

impl Bounds {
    const BURST: f64 = 25.0;
    const PER_SECOND: f64 = 0.2;
    const SILENCE: Duration = Duration::from_secs(600);

    fn new(now: Duration) -> Self {
        Self {
            tokens: Self::BURST,
            counted: now,
            said: BTreeMap::new(),
        }
    }

    fn admit(&mut self, told: &Told, now: Duration) -> bool {
        self.said.retain(|_, at| now.saturating_sub(*at) < Self::SILENCE);
        let words = (told.reason, told.text.clone());
        if told.repeats && self.said.contains_key(&words) {
            return false;
        }
        let earned = now.saturating_sub(self.counted).as_secs_f64() * Self::PER_SECOND;
        self.counted = now;
        self.tokens = (self.tokens + earned).min(Self::BURST);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        if told.repeats {
            // At most as many entries as tokens are given out within the silence.
            self.said.insert(words, now);
        }
        true
    }
}

fn cut(text: &str, bytes: usize) -> String {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, repeats: bool) -> Told {
        Told {
            warning: repeats,
            reason: "Test",
            text: text.to_owned(),
            repeats,
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_burst_is_admitted_and_then_one_every_five_seconds() {
        let mut bounds = Bounds::new(at(0));
        let admitted = (0..100)
            .filter(|n| bounds.admit(&told(&n.to_string(), false), at(0)))
            .count();
        assert_eq!(admitted, 25);
        assert!(!bounds.admit(&told("x", false), at(4)));
        assert!(bounds.admit(&told("x", false), at(5)));
        let admitted = (0..100)
            .filter(|n| bounds.admit(&told(&n.to_string(), false), at(10_000)))
            .count();
        assert_eq!(admitted, 25, "what was not used is not saved up without limit");
    }

    #[test]
    fn a_warning_in_the_same_words_is_silent_for_ten_minutes() {
        let mut bounds = Bounds::new(at(0));
        assert!(bounds.admit(&told("down", true), at(0)));
        assert!(!bounds.admit(&told("down", true), at(599)));
        assert!(bounds.admit(&told("down otherwise", true), at(599)));
        assert!(bounds.admit(&told("down", true), at(600)));
        assert!(bounds.admit(&told("new key", false), at(600)));
        assert!(
            bounds.admit(&told("new key", false), at(600)),
            "a step of a rotation is always told"
        );
    }

    #[test]
    fn a_note_is_cut_between_characters() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
    }
}
