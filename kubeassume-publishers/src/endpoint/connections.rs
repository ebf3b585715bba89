//! The open connections of a server, in the order in which they were last of use.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// As many as are allowed. When one more comes, the one that was of no use for longest has to go: that is
/// somebody who holds connections to keep others out, sooner than a relying party that asks something.
pub(super) struct Connections {
    limit: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// By the turn of the last request, or of the arrival.
    by_turn: BTreeMap<u64, Arc<Notify>>,
    turns: u64,
}

/// A connection's place; given back when dropped.
pub(super) struct Place {
    connections: Arc<Connections>,
    turn: AtomicU64,
    lost: Arc<Notify>,
}

impl Connections {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.max(1),
            open: Mutex::default(),
        })
    }

    /// A place for one more.
    pub(super) fn enter(self: &Arc<Self>) -> Place {
        let mut open = self.open();
        while open.by_turn.len() >= self.limit {
            if let Some((_, idle)) = open.by_turn.pop_first() {
                idle.notify_one();
            }
        }
        let lost = Arc::new(Notify::new());
        let turn = open.take(lost.clone());
        Place {
            connections: self.clone(),
            turn: AtomicU64::new(turn),
            lost,
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn take(&mut self, place: Arc<Notify>) -> u64 {
        let turn = self.turns;
        self.turns += 1;
        self.by_turn.insert(turn, place);
        turn
    }
}

impl Place {
    /// A whole request came in.
    pub(super) fn used(&self) {
        let mut open = self.connections.open();
        // Gone already when somebody else needed it meanwhile.
        if let Some(place) = open.by_turn.remove(&self.turn.load(Ordering::Relaxed)) {
            let turn = open.take(place);
            self.turn.store(turn, Ordering::Relaxed);
        }
    }

    /// Resolves when another connection needed the place.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let turn = self.turn.load(Ordering::Relaxed);
        self.connections.open().by_turn.remove(&turn);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn is_lost(place: &Place) -> bool {
        tokio::time::timeout(Duration::ZERO, place.lost()).await.is_ok()
    }

    #[tokio::test]
    async fn the_one_idle_for_longest_gives_way() {
        let connections = Connections::new(3);
        let (first, second, third) = (connections.enter(), connections.enter(), connections.enter());
        first.used();
        let _fourth = connections.enter();
        assert!(
            is_lost(&second).await,
            "it asked nothing and came before the third"
        );
        assert!(!is_lost(&first).await && !is_lost(&third).await);
        second.used();
        let _fifth = connections.enter();
        assert!(is_lost(&third).await, "a lost place is not won back");
        assert!(!is_lost(&first).await);
    }

    #[tokio::test]
    async fn a_place_given_back_is_free() {
        let connections = Connections::new(2);
        let first = connections.enter();
        drop(connections.enter());
        let _third = connections.enter();
        assert!(!is_lost(&first).await);
        assert_eq!(connections.open().by_turn.len(), 2);
    }
}
