//! All that plays a part in the demo, and how it is put together.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kubeassume_controller::{Parts, Settings};
use kubeassume_core::clock::SystemClock;
use kubeassume_core::http::{HttpReader, UrlSource};
use kubeassume_core::testing::MemoryStateStore;
use kubeassume_core::verify::{Verifier, check_documents};
use kubeassume_core::{Clock, Headers, IssuerUrl, OnStateLoss, Owner, Policy, Retention, StorePublisher};
use kubeassume_publishers::endpoint::{Server, Site};
use kubeassume_publishers::file::FileStore;

use super::control_plane::{AUDIENCE, ApiServer, ControlPlane};
use super::live::Live;
use super::pace::Pace;
use super::pods::{self, World};
use super::replicas::{Lease, Replica};
use super::rollout::{Operator, generate};
use super::signing_key::{Kind, SigningKey};
use super::timeline::{History, Timeline, Watch};
use super::tls::{Authority, Bound};
use crate::failure::Failure;

/// How many relying parties there are, each with a key cache of its own.
const RELYING_PARTIES: usize = 3;

/// A control plane, a bucket that the public can read, and nobody acting yet.
pub(super) struct Stage {
    pace: Pace,
    issuer: IssuerUrl,
    endpoints: Vec<IssuerUrl>,
    control_plane: Arc<ControlPlane>,
    first: Arc<SigningKey>,
    state: MemoryStateStore,
    lease: Arc<Lease>,
    clock: Arc<dyn Clock>,
    reader: Arc<HttpReader>,
    timeline: Arc<Timeline>,
    store: FileStore,
    /// They end when they are dropped.
    _servers: Vec<Server>,
}

impl Stage {
    /// Sets it up, on ports that are free, with the store in a directory that outlives the async runtime: its
    /// threads may still write when this is gone.
    pub(super) async fn set(pace: Pace, bucket: &Path) -> Result<Self, Failure> {
        let timeline = Arc::new(Timeline::new());
        let authority = Authority::new()?;
        let store = FileStore::open(bucket)
            .map_err(|error| Failure::new("cannot use the temporary directory as a store").because(&error))?;
        let site = Bound::new(&authority).await?;
        let issuer = url(&site.url())?;
        let mut servers = vec![site.serve(Arc::new(Site::new(store.clone(), &issuer)))];

        let first = generate(Kind::of_rotation(0)).await?;
        timeline.key(first.jwk());
        let mut control_plane = ControlPlane { servers: Vec::new() };
        let mut endpoints = Vec::new();
        for number in 1..=Pace::API_SERVERS {
            let name = format!("api-server-{number}");
            let server = Arc::new(ApiServer::new(
                name,
                issuer.clone(),
                first.clone(),
                timeline.clone(),
            ));
            let bound = Bound::new(&authority).await?;
            endpoints.push(url(&bound.url())?);
            servers.push(bound.serve(server.clone()));
            control_plane.servers.push(server);
        }
        let reader = HttpReader::new(Some(authority.pem().as_bytes()))
            .map_err(|error| Failure::new("cannot read over HTTPS").because(&error))?;
        Ok(Self {
            pace,
            state: MemoryStateStore::new(&issuer),
            issuer,
            endpoints,
            control_plane: Arc::new(control_plane),
            first,
            lease: Arc::default(),
            clock: Arc::new(SystemClock::new()),
            reader: Arc::new(reader),
            timeline,
            store,
            _servers: servers,
        })
    }

    /// Plays until the time is over; how long that was.
    pub(super) async fn play(&self, lines: bool) -> Result<Duration, Failure> {
        let live = Live {
            timeline: self.timeline.clone(),
            lease: self.lease.clone(),
            pace: self.pace,
            lines,
        };
        tokio::select! {
            () = tokio::time::sleep(self.pace.run.saturating_sub(self.timeline.elapsed())) => {}
            () = live.run() => {}
            ended = self.act() => ended?,
        }
        Ok(self.timeline.elapsed())
    }

    /// All that happened.
    pub(super) fn history(&self) -> History {
        self.timeline.history()
    }

    /// Everybody acts at once; ends only when something cannot go on.
    async fn act(&self) -> Result<(), Failure> {
        let mut replicas = vec![self.replica(1)?, self.replica(2)?];
        while check_documents(&self.issuer, &*self.reader).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let operator = Operator {
            control_plane: self.control_plane.clone(),
            issuer: self.issuer.clone(),
            reader: self.reader.clone(),
            timeline: self.timeline.clone(),
            pace: self.pace,
        };
        let mut pods = pods::start(&self.world());
        let pods = async {
            while let Some(ended) = pods.join_next().await {
                ended.map_err(|error| Failure::new("a pod ended").because(&error))??;
            }
            Ok(())
        };
        tokio::try_join!(
            pods,
            operator.run(self.first.clone()),
            self.accident(&mut replicas)
        )?;
        Ok(())
    }

    /// In the middle of the run the leader dies; a while later there is a replica in its place.
    async fn accident(&self, replicas: &mut Vec<Replica>) -> Result<(), Failure> {
        tokio::time::sleep(self.pace.crash().saturating_sub(self.timeline.elapsed())).await;
        let leads = |replica: &Replica| self.lease.holder().as_deref() == Some(replica.name());
        while !replicas.iter().any(leads) {
            tokio::time::sleep(Pace::RENEW).await;
        }
        let (dies, stay): (Vec<_>, Vec<_>) = replicas.drain(..).partition(leads);
        *replicas = stay;
        dies.into_iter().for_each(Replica::kill);
        tokio::time::sleep(Pace::REPLACEMENT).await;
        replicas.push(self.replica(3)?);
        // They live for as long as this future does.
        std::future::pending().await
    }

    fn replica(&self, number: u64) -> Result<Replica, Failure> {
        let name = format!("replica-{number}");
        let publisher = StorePublisher::new(
            self.store.clone(),
            self.issuer.clone(),
            self.reader.clone(),
            self.clock.clone(),
            number,
        );
        let parts = Parts {
            issuer: self.issuer.clone(),
            source: Arc::new(UrlSource::each(
                self.issuer.clone(),
                self.endpoints.clone(),
                self.reader.clone(),
            )),
            state: Arc::new(self.state.clone()),
            publishers: vec![Arc::new(publisher)],
            clock: self.clock.clone(),
            observer: Arc::new(Watch {
                replica: name.clone(),
                timeline: self.timeline.clone(),
            }),
        };
        let settings = Settings {
            sync_period: Pace::SYNC,
            policy: Policy {
                retention: Retention::new(self.pace.overlap),
                revoked: [].into(),
                on_state_loss: OnStateLoss::Keep,
            },
            headers: Headers {
                max_age_seconds: Pace::MAX_AGE.as_secs(),
            },
            lease_duration: Pace::LEASE,
            renew_deadline: Pace::LEASE,
            follower_grace: Pace::SYNC,
            take_over: false,
            owner: Owner::from_random(random()?),
            seed: number,
        };
        Ok(Replica::start(
            name,
            parts,
            settings,
            self.lease.clone(),
            self.timeline.clone(),
        ))
    }

    fn world(&self) -> World {
        let relying_party = || {
            Verifier::new(
                self.issuer.clone(),
                AUDIENCE,
                self.reader.clone(),
                self.clock.clone(),
            )
        };
        World {
            control_plane: self.control_plane.clone(),
            relying_parties: std::iter::repeat_with(relying_party)
                .take(RELYING_PARTIES)
                .collect(),
            clock: self.clock.clone(),
            timeline: self.timeline.clone(),
        }
    }
}

fn url(text: &str) -> Result<IssuerUrl, Failure> {
    text.parse::<IssuerUrl>()
        .map_err(|error| Failure::new(format!("{text} cannot be an issuer")).because(&error))
}

fn random() -> Result<u128, Failure> {
    let mut bits = [0; 16];
    aws_lc_rs::rand::fill(&mut bits).map_err(|_| Failure::new("this machine has no random numbers"))?;
    Ok(u128::from_be_bytes(bits))
}
