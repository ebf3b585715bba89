//! The same pipeline on each cloud's storage, and on three at once of which one is down.

use std::fs;
use std::time::Duration;

use kubeassume_tests::{
    ApiServer, Azurite, Etcd, FakeGcs, OciFake, Replica, Row, SigningKey, Testbed, Versitygw,
};
use serde_json::{Value, json};

use crate::book::Book;
use crate::cluster::Cluster;
use crate::public::Public;
use crate::storage::Storage;
use crate::traffic::{AUDIENCE, Party, Traffic};
use crate::world::{CACHE_MAX_AGE, ROOM, periods};

/// Everything of one test; what is declared first ends first.
struct World {
    replicas: Vec<Replica>,
    cluster: Cluster,
    /// The first is read below the issuer.
    storage: Vec<Storage>,
    public: Public,
    book: Book,
    _etcd: Etcd,
    bed: Testbed,
    _room: tokio::sync::SemaphorePermit<'static>,
}

impl World {
    /// A cluster of two API servers and two replicas that do not run yet; what vanished stays public for
    /// `overlap`.
    async fn new<F>(name: &str, overlap: Duration, storage: F) -> Self
    where
        F: AsyncFnOnce(&Testbed) -> Vec<Storage>,
    {
        let room = ROOM.acquire().await.unwrap();
        let bed = Testbed::new(name);
        let (storage, etcd) = tokio::join!(storage(&bed), bed.etcd());
        let (public, book) = (storage[0].public(&bed), Book::new(overlap));
        let cluster = Cluster::start(&bed, &etcd, "/registry", 2, &public, &book).await;
        let endpoints: Vec<String> = cluster.servers.iter().map(ApiServer::url).collect();
        let config = json!({
            "issuer": public.issuer(),
            "source": {"endpoints": endpoints},
            "publishers": entries(&storage),
            "tls": {"caFile": bed.pki().ca_file()},
            "controller": {
                "syncPeriod": "1s",
                "rotation": {"overlapPeriod": format!("{}s", overlap.as_secs())},
                "leaderElection": {"leaseDuration": "3s", "renewDeadline": "2s", "retryPeriod": "500ms"},
            },
        });
        let file = bed.path().join("kubeassume.yaml");
        fs::write(&file, config.to_string()).unwrap();
        let environment: Vec<_> = storage.iter().flat_map(|one| one.environment(&bed)).collect();
        let replicas = (0..2).map(|nth| {
            let name = format!("kubeassume-{nth}");
            let kubeconfig = cluster.servers[nth].kubeconfig(&name, &cluster.token);
            Replica::new(&bed, &name, &file, &kubeconfig, &environment)
        });
        Self {
            replicas: replicas.collect(),
            cluster,
            storage,
            public,
            book,
            _etcd: etcd,
            bed,
            _room: room,
        }
    }

    async fn start(&mut self) {
        self.replicas.iter_mut().for_each(Replica::start);
        self.cluster.is_public(&self.cluster.key).await;
        self.cluster.is_public(&self.cluster.bootstrap).await;
        self.all_answer("/verifiedz", 200).await;
    }

    async fn all_answer(&self, path: &str, status: u16) {
        for replica in &self.replicas {
            replica.answers(path, status).await;
        }
    }

    /// Pods, and go-oidc with memory and without.
    async fn traffic(&self) -> Traffic {
        let issuers = self.cluster.servers.iter().map(ApiServer::client).collect();
        let (issuer, bed) = (self.public.issuer(), &self.bed);
        let remembering = bed.relying_party(issuer, AUDIENCE).await;
        let fresh = bed.fresh_relying_party(issuer, AUDIENCE).await;
        let parties = vec![
            ("go-oidc", Party::Library(Box::new(remembering))),
            ("go-oidc without memory", Party::Library(Box::new(fresh))),
        ];
        Traffic::start(issuers, parties, &self.book)
    }

    fn writes(&self) -> Vec<usize> {
        self.storage.iter().map(Storage::writes).collect()
    }

    /// The same bytes in each place, by what the public sees.
    async fn same_everywhere(&self) {
        for path in [".well-known/openid-configuration", "openid/v1/jwks"] {
            let (_, _, first) = self.public.get(path).await.unwrap();
            for storage in &self.storage {
                let (status, headers, body) = storage.public(&self.bed).get(path).await.unwrap();
                assert_eq!(
                    (status, &body),
                    (200, &first),
                    "{path} at {}",
                    storage.public_url()
                );
                assert_eq!(
                    headers["cache-control"],
                    format!("public, max-age={CACHE_MAX_AGE}")
                );
            }
        }
    }
}

fn entries(storage: &[Storage]) -> Vec<Value> {
    let mut entries: Vec<Value> = storage.iter().map(Storage::entry).collect();
    for (nth, entry) in entries.iter_mut().enumerate() {
        match nth {
            0 => entry["cacheMaxAge"] = json!(format!("{CACHE_MAX_AGE}s")),
            _ => entry["mirror"] = json!(true),
        }
    }
    entries
}

/// Two API servers roll from RSA to EC and drop the old key, while pods use their tokens.
async fn rotation(mut world: World) {
    world.start().await;
    let traffic = world.traffic().await;
    traffic.minted(10).await;
    let (old, new) = (world.cluster.key.clone(), SigningKey::p256());
    let bootstrap = world.cluster.bootstrap.clone();
    world.cluster.roll(&old, &new).await;
    traffic.minted(10).await;
    world.cluster.serve(&new, &[&new]).await;
    world.cluster.view.key_becomes(old.kid(), "retiring").await;
    world.public.shows(&[old.kid(), new.kid(), bootstrap.kid()]).await;
    world.cluster.view.key_becomes(old.kid(), "removed").await;
    world.public.shows(&[new.kid(), bootstrap.kid()]).await;
    traffic.minted(10).await;
    for tally in traffic.end().await {
        assert!(
            tally.kids.contains(old.kid()) && tally.kids.contains(new.kid()),
            "{tally:?}"
        );
    }
    world.all_answer("/verifiedz", 200).await;
    world.same_everywhere().await;
    // The key set at first, with the new key and without the old one, discovery at first and with ES256; each once
    // more if the old key's retirement puts the keys into another order.
    let written = world.writes();
    assert!(
        matches!(written[..], [5..=7]),
        "one write per changed document: {written:?}"
    );
    periods(&world.replicas, 3).await;
    assert_eq!(world.writes(), written, "nothing changed, nothing is written");
}

#[tokio::test]
async fn keys_roll_on_google_cloud_storage() {
    let row = Row::begin("gcs", "a rotation end to end", FakeGcs::VERSION);
    rotation(World::new("gcs", OVERLAP, async |bed| vec![Storage::gcs(bed).await]).await).await;
    row.passed();
}

#[tokio::test]
async fn keys_roll_on_azure_blob_storage() {
    let row = Row::begin("azure", "a rotation end to end", Azurite::VERSION);
    rotation(World::new("azure", OVERLAP, async |bed| vec![Storage::azure(bed).await]).await).await;
    row.passed();
}

#[tokio::test]
async fn keys_roll_on_oracle_cloud() {
    let row = Row::begin("oci", "a rotation end to end", OciFake::VERSION);
    rotation(World::new("oci", OVERLAP, async |bed| vec![Storage::oci(bed).await]).await).await;
    row.passed();
}

#[tokio::test]
async fn one_of_three_places_is_down_and_the_others_go_on() {
    let row = Row::begin(
        "several",
        "a rotation on three sinks, one of them down",
        &[Azurite::VERSION, FakeGcs::VERSION, Versitygw::VERSION].join(", "),
    );
    let three = async |bed: &Testbed| {
        vec![
            Storage::azure(bed).await,
            Storage::gcs(bed).await,
            Storage::s3(bed).await,
        ]
    };
    let mut world = World::new("three", Duration::from_secs(300), three).await;
    world.start().await;
    world.same_everywhere().await;

    let Storage::S3(gateway) = &mut world.storage[2] else {
        panic!("the third is S3")
    };
    gateway.kill().await;
    let [azure, gcs, s3] = [0, 1, 2].map(|nth| world.storage[nth].public(&world.bed));
    world.all_answer("/verifiedz", 503).await;
    world.all_answer("/readyz", 200).await;
    let (old, new) = (world.cluster.key.clone(), SigningKey::p256());
    // A restart forgets what it knew of the broken place, and begins with it all the same.
    assert_eq!(world.replicas[0].stop().await, Some(0));
    world.replicas[0].start();
    world.cluster.roll(&old, &new).await;
    let all = [old.kid(), new.kid(), world.cluster.bootstrap.kid()];
    azure.shows(&all).await;
    gcs.shows(&all).await;
    let (_, said) = world.replicas[1].health("/verifiedz").await.unwrap();
    assert!(said.contains("s3://oidc/"), "it names what is down: {said}");
    for fine in ["azure", "gs://"] {
        assert!(!said.contains(fine), "and nothing else: {said}");
    }
    const ERRORS: &str = "kubeassume_publish_errors_total";
    world.replicas[1]
        .counts(ERRORS, &[("publisher", "s3")], 1.0)
        .await;
    let metrics = world.replicas[1].metrics().await.unwrap();
    for kind in ["azure", "gcs"] {
        let errors = metrics.sum(ERRORS, &[("publisher", kind)]);
        assert!(errors < 1.0, "{kind}: {}", metrics.0);
    }

    let Storage::S3(gateway) = &mut world.storage[2] else {
        panic!("the third is S3")
    };
    gateway.start_again().await;
    s3.shows(&all).await;
    world.all_answer("/verifiedz", 200).await;
    world.same_everywhere().await;
    row.passed();
}

/// Long enough to look at a key that left the API servers, short enough to wait for its end.
const OVERLAP: Duration = Duration::from_secs(15);
