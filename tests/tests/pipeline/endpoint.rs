//! The built-in HTTPS server: two replicas behind a Service, and no object storage anywhere.

use std::fs;
use std::time::Duration;

use kubeassume_tests::{ApiServer, Etcd, Leaf, Replica, SigningKey, Testbed, free_port, until};
use tokio::net::TcpListener;

use crate::LIMIT;
use crate::book::Book;
use crate::cluster::Cluster;
use crate::public::Public;
use crate::service::{Backend, Service};
use crate::traffic::{AUDIENCE, Party, Traffic};
use crate::world::{CACHE_MAX_AGE, ROOM};

const PATH: &str = "clusters/one";

/// Everything of one test; what is declared first ends first.
struct World {
    replicas: Vec<Replica>,
    /// What each replica itself serves, past the Service.
    own: Vec<Public>,
    cluster: Cluster,
    public: Public,
    book: Book,
    overlap: Duration,
    leaf: Leaf,
    ports: Vec<u16>,
    bed: Testbed,
    _service: Service,
    _etcd: Etcd,
    _room: tokio::sync::SemaphorePermit<'static>,
}

impl World {
    /// A cluster of two API servers and two replicas that do not run yet, each on an API server of its own.
    async fn new(name: &str, overlap: Duration) -> Self {
        let room = ROOM.acquire().await.unwrap();
        let bed = Testbed::new(name);
        let etcd = bed.etcd().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = |port: u16| format!("https://localhost:{port}/{PATH}");
        let public = Public::new(at(listener.local_addr().unwrap().port()), bed.http());
        let book = Book::new(overlap);
        let cluster = Cluster::start(&bed, &etcd, "/registry", 2, &public, &book).await;
        let leaf = bed.pki().leaf(bed.path(), "endpoint");
        let ports = vec![free_port(), free_port()];
        let replicas: Vec<Replica> = (0..2)
            .map(|nth| {
                let name = format!("kubeassume-{nth}");
                let kubeconfig = cluster.servers[nth].kubeconfig(&name, &cluster.token);
                let config = bed.path().join(format!("{name}.yaml"));
                Replica::new(&bed, &name, &config, &kubeconfig, &[])
            })
            .collect();
        let backends = replicas.iter().zip(&ports).map(|(replica, port)| Backend {
            port: *port,
            readiness: replica.health_url("/readyz"),
        });
        let service = Service::start(listener, backends.collect(), bed.http());
        let world = Self {
            own: ports
                .iter()
                .map(|port| Public::new(at(*port), bed.http()))
                .collect(),
            replicas,
            cluster,
            public,
            book,
            overlap,
            leaf,
            ports,
            bed,
            _service: service,
            _etcd: etcd,
            _room: room,
        };
        (0..2).for_each(|nth| world.configure(nth, &[]));
        world
    }

    /// Writes the configuration of a replica, with these thumbprints revoked.
    fn configure(&self, nth: usize, revoked: &[&str]) {
        let endpoints: Vec<String> = self.cluster.servers.iter().map(ApiServer::url).collect();
        let config = format!(
            "issuer: {issuer}
source: {{endpoints: {endpoints:?}}}
publisher:
  type: endpoint
  cacheMaxAge: {CACHE_MAX_AGE}s
  endpoint: {{listen: \"127.0.0.1:{port}\", certFile: {cert:?}, keyFile: {key:?}, publicURL: \"{issuer}\"}}
tls: {{caFile: {ca:?}}}
controller:
  syncPeriod: 1s
  rotation: {{overlapPeriod: {overlap}s, revoked: {revoked:?}}}
  leaderElection: {{leaseDuration: 3s, renewDeadline: 2s, retryPeriod: 500ms}}
",
            issuer = self.public.issuer(),
            port = self.ports[nth],
            cert = self.leaf.cert,
            key = self.leaf.key,
            ca = self.bed.pki().ca_file(),
            overlap = self.overlap.as_secs(),
        );
        fs::write(self.bed.path().join(format!("kubeassume-{nth}.yaml")), config).unwrap();
    }

    async fn start(&mut self) {
        self.replicas.iter_mut().for_each(Replica::start);
        self.cluster.is_public(&self.cluster.key).await;
        self.cluster.is_public(&self.cluster.bootstrap).await;
        for replica in &self.replicas {
            replica.answers("/verifiedz", 200).await;
        }
    }

    /// Pods, and go-oidc with memory and without.
    async fn traffic(&self) -> Traffic {
        let issuers = self.cluster.servers.iter().map(ApiServer::client).collect();
        let (issuer, bed) = (self.public.issuer(), &self.bed);
        let parties = vec![
            (
                "go-oidc",
                Party::Library(Box::new(bed.relying_party(issuer, AUDIENCE).await)),
            ),
            (
                "go-oidc without memory",
                Party::Library(Box::new(bed.fresh_relying_party(issuer, AUDIENCE).await)),
            ),
        ];
        Traffic::start(issuers, parties, &self.book)
    }

    async fn thumbprint(&self, key: &SigningKey) -> String {
        let state = self.cluster.view.state().await.unwrap();
        let entries = state["keys"].as_object().unwrap();
        let entry = entries.iter().find(|(_, entry)| entry["kid"] == key.kid());
        entry.expect("the key is in the state").0.clone()
    }
}

#[tokio::test]
async fn a_rotation_needs_no_object_storage() {
    let mut world = World::new("endpoint", Duration::from_secs(15)).await;
    world.start().await;
    for (path, content_type) in [
        (".well-known/openid-configuration", "application/json"),
        ("openid/v1/jwks", "application/jwk-set+json"),
    ] {
        let (status, headers, body) = world.public.get(path).await.unwrap();
        assert_eq!(
            (status, &headers["content-type"]),
            (200, &content_type.parse().unwrap())
        );
        assert_eq!(
            headers["cache-control"],
            format!("public, max-age={CACHE_MAX_AGE}")
        );
        // Whichever replica answers.
        for own in &world.own {
            let (_, own_headers, own_body) = own.get(path).await.unwrap();
            assert_eq!((&own_headers["etag"], own_body), (&headers["etag"], body.clone()));
        }
    }

    let traffic = world.traffic().await;
    traffic.minted(10).await;
    let (old, new) = (world.cluster.key.clone(), SigningKey::p256());
    world.cluster.roll(&old, &new).await;
    // The leader dies while the old key is on its way out; the Service goes on with the other replica.
    world.cluster.serve(&new, &[&new]).await;
    let leader = world.cluster.view.leader(&world.replicas).await;
    world.replicas[leader].kill().await;
    traffic.minted(10).await;
    world.replicas[leader].start();
    let stays = [new.kid(), world.cluster.bootstrap.kid()];
    world.public.shows(&stays).await;
    for own in &world.own {
        own.shows(&stays).await;
    }
    traffic.minted(10).await;
    for tally in traffic.end().await {
        assert!(
            tally.kids.contains(old.kid()) && tally.kids.contains(new.kid()),
            "{tally:?}"
        );
    }
    let state = world.cluster.view.state().await.unwrap();
    assert_eq!(
        state["claims"],
        serde_json::json!({}),
        "there is nothing to share"
    );
}

#[tokio::test]
async fn a_replica_that_is_cut_off_leaves_the_service_before_it_serves_a_revoked_key() {
    let mut world = World::new("endpoint-cut-off", Duration::from_secs(300)).await;
    // Without a state there is nothing to serve, and that is said in a way that nobody keeps.
    for server in &mut world.cluster.servers {
        server.kill().await;
    }
    world.replicas.iter_mut().for_each(Replica::start);
    for (replica, own) in world.replicas.iter().zip(&world.own) {
        let (status, headers, _) = until("the endpoint to listen", LIMIT, async || {
            own.get("openid/v1/jwks").await
        })
        .await;
        assert_eq!((status, &headers["retry-after"]), (503, &"5".parse().unwrap()));
        assert_eq!(headers["cache-control"], "no-store");
        replica.answers("/readyz", 503).await;
        replica.answers("/healthz", 200).await;
    }
    for server in &mut world.cluster.servers {
        server.start_again().await;
    }
    world.cluster.is_public(&world.cluster.key).await;
    for replica in &world.replicas {
        replica.answers("/verifiedz", 200).await;
    }

    let (stolen, safe) = (world.cluster.key.clone(), world.cluster.bootstrap.clone());
    let revoked = world.thumbprint(&stolen).await;
    world.cluster.servers[1].kill().await;
    world.replicas[1].answers("/readyz", 503).await;
    world.configure(0, &[&revoked]);
    assert_eq!(world.replicas[0].stop().await, Some(0));
    world.replicas[0].start();
    // The first that the public sees of this replica is without the key.
    world.public.shows(&[safe.kid()]).await;
    let cut_off = world.own[1].kids().await.unwrap();
    assert!(
        cut_off.iter().any(|kid| kid == stolen.kid()),
        "it cannot know: {cut_off:?}"
    );
    for _ in 0..20 {
        assert_eq!(
            world.public.kids().await.unwrap(),
            [safe.kid()],
            "nobody is sent there"
        );
    }
    world.cluster.servers[1].start_again().await;
    world.own[1].shows(&[safe.kid()]).await;
    world.replicas[1].answers("/readyz", 200).await;
}
