//! The operator: rolls one new key after the other through the API servers, as the Kubernetes documentation
//! tells to, except that nobody waits for old tokens to expire before the old key goes. Keeping the old key
//! public for as long as its tokens live is what the controller is for.

use std::sync::Arc;
use std::time::Duration;

use kubeassume_core::verify::check_documents;
use kubeassume_core::{IssuerUrl, PublicReader};

use super::control_plane::ControlPlane;
use super::pace::Pace;
use super::signing_key::{Kind, SigningKey};
use super::timeline::{Step, Timeline};
use crate::failure::Failure;

/// Who rotates.
pub(super) struct Operator {
    pub(super) control_plane: Arc<ControlPlane>,
    pub(super) issuer: IssuerUrl,
    pub(super) reader: Arc<dyn PublicReader>,
    pub(super) timeline: Arc<Timeline>,
    pub(super) pace: Pace,
}

impl Operator {
    /// Rotates for as long as another rotation can end in time, and at least once.
    pub(super) async fn run(self, first: Arc<SigningKey>) -> Result<(), Failure> {
        let mut old = first;
        for nth in 1.. {
            if nth > 1 && !self.pace.fits(self.timeline.elapsed()) {
                break;
            }
            old = self.rotate(nth, &old).await?;
            tokio::time::sleep(Pace::REST).await;
        }
        Ok(())
    }

    async fn rotate(&self, nth: usize, old: &SigningKey) -> Result<Arc<SigningKey>, Failure> {
        let new = generate(Kind::of_rotation(nth)).await?;
        self.timeline.key(new.jwk());
        let servers = &self.control_plane.servers;
        for server in servers {
            server.add(new.clone()).await;
            tokio::time::sleep(Pace::STEP).await;
        }
        self.until_ready(new.kid()).await;
        for server in servers {
            server.sign_with(new.clone()).await;
            tokio::time::sleep(Pace::STEP).await;
        }
        for server in servers {
            server.withdraw(old.kid()).await;
            tokio::time::sleep(Pace::STEP).await;
        }
        Ok(new)
    }

    /// Waits until the public sees the key, and then as long as relying parties may keep what they read before.
    async fn until_ready(&self, kid: &str) {
        loop {
            let copy = check_documents(&self.issuer, &*self.reader).await;
            if copy.is_ok_and(|copy| copy.keys.by_kid(kid).is_some()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Pace::MAX_AGE + Duration::from_millis(200)).await;
        self.timeline.add(Step::Ready { kid: kid.to_owned() });
    }
}

/// A fresh key, made where it holds nobody up.
pub(super) async fn generate(kind: Kind) -> Result<Arc<SigningKey>, Failure> {
    let key = tokio::task::spawn_blocking(move || SigningKey::generate(kind)).await;
    match key {
        Ok(key) => key.map(Arc::new),
        Err(error) => Err(Failure::new("cannot generate a signing key").because(&error)),
    }
}
