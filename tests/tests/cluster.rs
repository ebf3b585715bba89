//! The parts that speak to Kubernetes, against real API servers: the source, the state store and the
//! election, with the rights that `deploy/` gives and no others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test"
)]

use std::cell::Cell;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::coordination::v1::Lease as LeaseObject;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, Role, RoleBinding};
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::AuthInfo;
use kube::{Api, Client, Resource, ResourceExt};
use kubeassume_controller::cluster::{LEASE, Lease, Timing};
use kubeassume_core::clock::SystemClock;
use kubeassume_core::kube::{ApiServerSource, Config, ConfigMapStore, METADATA_CONFIG_MAP, Servers, client};
use kubeassume_core::testing::state_store;
use kubeassume_core::{
    Addressing, Answer, Corrupt, IssuerUrl, Observation, Source, SourceError, StateError, StateStore, Stored,
};
use kubeassume_tests::{ApiServer, ApiServerConfig, SigningKey, Testbed, until};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use xtask::testbed::Server;

const ISSUER: &str = "https://oidc.example.com/cluster1";
const NAMESPACE: &str = "kubeassume-system";
const ACCOUNT: &str = "kubeassume";
const LIMIT: Duration = Duration::from_secs(60);

fn issuer() -> IssuerUrl {
    ISSUER.parse().unwrap()
}

/// The configuration of a bearer of this token.
fn config(bed: &Testbed, api: &ApiServer, token: &str) -> Config {
    let mut config = Config::new(api.url().parse().unwrap());
    config.root_cert = Some(vec![bed.pki().ca_der().to_vec()]);
    config.auth_info = AuthInfo {
        token: Some(token.to_owned().into()),
        ..AuthInfo::default()
    };
    config
}

/// `kubectl apply -f deploy/`, and a token of its ServiceAccount.
async fn deployed(bed: &Testbed, api: &ApiServer) -> String {
    let output = Command::new(kubeassume_tests::server(Server::Kubectl).await)
        .arg("--kubeconfig")
        .arg(api.kubeconfig("admin", api.admin_token()))
        .arg("--cache-dir")
        .arg(bed.path().join("kubectl"))
        .args(["apply", "-f"])
        .arg(xtask::repository().join("deploy"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    api.token(NAMESPACE, ACCOUNT, ISSUER).await
}

fn endpoint(api: &ApiServer) -> String {
    api.url().trim_start_matches("https://").to_owned()
}

fn each(servers: &[&ApiServer]) -> Servers {
    Servers::Each {
        endpoints: servers.iter().map(|api| endpoint(api)).collect(),
        server_name: "kubernetes.default.svc".to_owned(),
    }
}

fn kids(observation: &Observation, name: &str) -> Vec<String> {
    match &observation.answers[name] {
        Answer::Read { parsed, date } => {
            assert!(date.is_some(), "{name} told no time");
            parsed.keys.iter().map(|key| key.kid().to_owned()).collect()
        }
        Answer::Failed(error) => panic!("{name}: {error}"),
    }
}

fn failure(observation: &Observation) -> SourceError {
    observation.failures().next().expect("a failure").1.clone()
}

#[tokio::test]
async fn the_source_reads_each_server_with_the_rights_of_deploy() {
    let bed = Testbed::new("source");
    let etcd = bed.etcd().await;
    let (rsa, ec) = (SigningKey::rsa(), SigningKey::p256());
    let first = bed.api_server(ApiServerConfig::new(&etcd, ISSUER, &rsa)).await;
    let both = ApiServerConfig {
        served_keys: vec![rsa.clone(), ec.clone()],
        ..ApiServerConfig::new(&etcd, ISSUER, &rsa)
    };
    let mut second = bed.api_server(both).await;
    let token = deployed(&bed, &first).await;
    let config = config(&bed, &first, &token);

    let source = ApiServerSource::new(&config, &each(&[&first, &second]), issuer()).unwrap();
    let (one, two) = (endpoint(&first), endpoint(&second));
    let observation = source.observe().await;
    assert_eq!(observation.addressing, Addressing::Each);
    assert!(observation.is_complete());
    assert_eq!(kids(&observation, &one), [rsa.kid()]);
    let mut expected = vec![rsa.kid().to_owned(), ec.kid().to_owned()];
    expected.sort();
    assert_eq!(kids(&observation, &two), expected);
    assert!(source.probe(&two).await);
    assert!(!source.probe("10.0.0.1:6443").await, "it is not listed");

    second.kill().await;
    let observation = source.observe().await;
    assert_eq!(kids(&observation, &one), [rsa.kid()]);
    assert!(matches!(failure(&observation), SourceError::Unreachable(_)));
    assert!(!source.probe(&two).await);
    second.start_again().await;
    assert!(source.probe(&two).await);

    // The one address of the configuration may stand for several servers.
    let shared = ApiServerSource::new(&config, &Servers::Shared, issuer()).unwrap();
    let observation = shared.observe().await;
    assert_eq!(observation.addressing, Addressing::Shared);
    assert_eq!(kids(&observation, &one), [rsa.kid()]);
}

/// A load balancer that gives each new connection to the next server.
struct Balancer {
    url: String,
    connections: Arc<AtomicUsize>,
}

impl Balancer {
    async fn start(servers: &[&ApiServer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let servers: Vec<String> = servers.iter().map(|api| endpoint(api)).collect();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let nth = counted.fetch_add(1, Ordering::SeqCst);
                let server = servers[nth % servers.len()].clone();
                tokio::spawn(async move {
                    // A server that is down: the client's connection just ends.
                    if let Ok(mut server) = TcpStream::connect(server).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { url, connections }
    }
}

#[tokio::test]
async fn one_address_of_several_servers_is_read_until_several_answered() {
    let bed = Testbed::new("balancer");
    let etcd = bed.etcd().await;
    let (rsa, ec) = (SigningKey::rsa(), SigningKey::p256());
    let first = bed.api_server(ApiServerConfig::new(&etcd, ISSUER, &rsa)).await;
    let mut second = bed.api_server(ApiServerConfig::new(&etcd, ISSUER, &ec)).await;
    let balancer = Balancer::start(&[&first, &second]).await;
    let mut config = config(&bed, &first, first.admin_token());
    config.cluster_url = balancer.url.parse().unwrap();
    // The token file of one server is not that of the other: what both let anybody read is enough here.
    config.auth_info = AuthInfo::default();
    for api in [&first, &second] {
        let anybody = json!({"subjects": [{
            "kind": "Group", "name": "system:unauthenticated", "apiGroup": "rbac.authorization.k8s.io",
        }]});
        let bindings: Api<ClusterRoleBinding> = Api::all(api.client());
        bindings
            .patch(
                "system:service-account-issuer-discovery",
                &PatchParams::default(),
                &Patch::Merge(anybody),
            )
            .await
            .unwrap();
    }
    let source = ApiServerSource::new(&config, &Servers::Shared, issuer()).unwrap();
    let name = balancer.url.trim_start_matches("https://");

    let mut expected = vec![rsa.kid().to_owned(), ec.kid().to_owned()];
    expected.sort();
    assert_eq!(kids(&source.observe().await, name), expected);
    assert_eq!(
        balancer.connections.load(Ordering::SeqCst),
        3,
        "a connection for each read"
    );

    second.kill().await;
    for begins_with in ["the dead", "the living"] {
        let before = balancer.connections.load(Ordering::SeqCst);
        let seen = source.observe().await;
        assert_eq!(
            kids(&seen, name),
            [rsa.kid()],
            "{begins_with} server first: it hides nobody"
        );
        let made = balancer.connections.load(Ordering::SeqCst) - before;
        assert!(made > 3, "what failed is read again, not {made} times");
        // So that the next poll begins with the other one.
        if made % 2 == 0 {
            let _ = TcpStream::connect(name).await.unwrap();
            until("the balancer to have met it", LIMIT, async || {
                let met = balancer.connections.load(Ordering::SeqCst) - before;
                if met > made { Ok(()) } else { Err("not yet") }
            })
            .await;
        }
    }
    drop(first);
    let mut first_gone = source.observe().await;
    until("nobody to be left", LIMIT, async || {
        first_gone = source.observe().await;
        if first_gone.is_complete() {
            Err("it still answers")
        } else {
            Ok(())
        }
    })
    .await;
    assert!(matches!(failure(&first_gone), SourceError::Unreachable(_)));
}

#[tokio::test]
async fn the_source_says_what_is_wrong() {
    let bed = Testbed::new("source-errors");
    let etcd = bed.etcd().await;
    let api = bed
        .api_server(ApiServerConfig::new(&etcd, ISSUER, &SigningKey::rsa()))
        .await;
    let admin = config(&bed, &api, api.admin_token());
    let observe = async |config: &Config, servers: &Servers, issuer: &str| {
        let source = ApiServerSource::new(config, servers, issuer.parse().unwrap()).unwrap();
        failure(&source.observe().await)
    };
    let servers = each(&[&api]);

    let other = "https://oidc.example.com/cluster2";
    let expected = SourceError::Issuer {
        expected: other.to_owned(),
        found: ISSUER.to_owned(),
    };
    assert_eq!(observe(&admin, &servers, other).await, expected);

    let mut wrong_ca = admin.clone();
    let stranger = Testbed::new("stranger");
    wrong_ca.root_cert = Some(vec![stranger.pki().ca_der().to_vec()]);
    let error = observe(&wrong_ca, &servers, ISSUER).await.to_string();
    assert!(error.contains("TLS") && error.contains("certificate"), "{error}");

    let wrong_name = Servers::Each {
        endpoints: vec![endpoint(&api)],
        server_name: "kubernetes.example.com".to_owned(),
    };
    let error = observe(&admin, &wrong_name, ISSUER).await.to_string();
    assert!(
        error.contains("TLS") && error.contains("kubernetes.example.com"),
        "{error}"
    );

    // Kubernetes lets every ServiceAccount read both paths; hardened clusters take that away.
    let stranger = config(&bed, &api, "not-a-token");
    assert_eq!(
        observe(&stranger, &servers, ISSUER).await,
        SourceError::Denied(401)
    );
    let mut nobody = admin.clone();
    nobody.auth_info.impersonate = Some("nobody".to_owned());
    nobody.auth_info.impersonate_groups = Some(vec!["nobodies".to_owned()]);
    let error = observe(&nobody, &servers, ISSUER).await;
    assert_eq!(error, SourceError::Denied(403));
    assert!(
        error
            .to_string()
            .contains("ClusterRole lacks get on the two discovery paths")
    );

    // An issuer that no relying party could use: the API server serves no documents at all.
    let plain = ApiServerConfig {
        etcd_prefix: "/plain".to_owned(),
        ..ApiServerConfig::new(&etcd, "kubernetes/serviceaccount", &SigningKey::rsa())
    };
    let plain = bed.api_server(plain).await;
    let admin = config(&bed, &plain, plain.admin_token());
    assert_eq!(
        observe(&admin, &each(&[&plain]), ISSUER).await,
        SourceError::NoDiscovery
    );
}

#[tokio::test]
async fn a_configuration_that_does_not_prove_whom_it_speaks_to_is_refused() {
    let bed = Testbed::new("config");
    let mut config = Config::new("https://127.0.0.1:1".parse().unwrap());
    let refusal = |config: &Config| {
        let error = ApiServerSource::new(config, &Servers::Shared, issuer()).unwrap_err();
        assert!(matches!(error, SourceError::Misconfigured(_)), "{error}");
        assert!(
            client(config).is_err(),
            "the same holds for the state and the Lease"
        );
        error.to_string()
    };
    assert!(refusal(&config).contains("names no certificate authority"));
    config.root_cert = Some(Vec::new());
    assert!(refusal(&config).contains("names no certificate authority"));
    config.root_cert = Some(vec![bed.pki().ca_der().to_vec()]);
    config.accept_invalid_certs = true;
    assert!(refusal(&config).contains("insecure-skip-tls-verify"));
    config.accept_invalid_certs = false;
    config.cluster_url = "http://127.0.0.1:1".parse().unwrap();
    assert!(refusal(&config).contains("is not https"));
    config.cluster_url = "https://127.0.0.1:1".parse().unwrap();
    ApiServerSource::new(&config, &Servers::Shared, issuer()).unwrap();
}

#[tokio::test]
async fn the_state_store_keeps_its_promises_with_the_rights_of_deploy() {
    let bed = Testbed::new("store");
    let etcd = bed.etcd().await;
    let api = bed
        .api_server(ApiServerConfig::new(&etcd, ISSUER, &SigningKey::p256()))
        .await;
    let token = deployed(&bed, &api).await;
    let client = client(&config(&bed, &api, &token)).unwrap();
    // A namespace with the same rights for every store that the suite asks for.
    let namespaces = ["check-1", "check-2", "check-3", "check-4", "check-5"];
    for namespace in namespaces {
        api.service_account(namespace, "any").await;
        copy::<Role>(&api.client(), namespace).await;
        copy::<RoleBinding>(&api.client(), namespace).await;
    }
    let given = Cell::new(0);
    state_store::conformance(&issuer(), || {
        let nth = given.replace(given.get() + 1);
        ConfigMapStore::new(client.clone(), namespaces[nth], issuer())
    })
    .await;
    assert_eq!(given.get(), namespaces.len(), "each namespace served one check");
}

/// Copies an object of `deploy/` into another namespace.
async fn copy<K>(admin: &Client, namespace: &str)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug,
    K: serde::de::DeserializeOwned + serde::Serialize,
{
    let mut object = Api::<K>::namespaced(admin.clone(), NAMESPACE)
        .get(ACCOUNT)
        .await
        .unwrap();
    *object.meta_mut() = ObjectMeta {
        name: Some(ACCOUNT.to_owned()),
        ..ObjectMeta::default()
    };
    let copies: Api<K> = Api::namespaced(admin.clone(), namespace);
    copies.create(&PostParams::default(), &object).await.unwrap();
}

#[tokio::test]
async fn what_others_do_to_the_state_is_seen() {
    let bed = Testbed::new("state");
    let etcd = bed.etcd().await;
    let mut api = bed
        .api_server(ApiServerConfig::new(&etcd, ISSUER, &SigningKey::p256()))
        .await;
    let token = deployed(&bed, &api).await;
    let store = ConfigMapStore::new(client(&config(&bed, &api, &token)).unwrap(), NAMESPACE, issuer());
    let admin: Api<ConfigMap> =
        Api::namespaced(api.client_of("kubeassume-admin", &["system:masters"]), NAMESPACE);

    let created = store
        .save(&state_store::snapshot(&issuer(), 1), None)
        .await
        .unwrap();
    let labels = json!({"metadata": {"labels": {"team": "platform"}, "annotations": {"note": "kept"}}});
    let (patch, params) = (Patch::Merge(labels), PatchParams::default());
    let patched = tokio::join!(
        store.changed(Some(&created)),
        admin.patch(METADATA_CONFIG_MAP, &params, &patch),
    );
    patched.0.expect("a change is told");
    patched.1.unwrap();
    let conflict = store
        .save(&state_store::snapshot(&issuer(), 2), Some(&created))
        .await;
    assert_eq!(conflict, Err(StateError::Conflict));

    let loaded = store.load().await.unwrap();
    let version = store
        .save(&state_store::snapshot(&issuer(), 2), loaded.version.as_ref())
        .await
        .unwrap();
    let object = admin.get(METADATA_CONFIG_MAP).await.unwrap();
    assert_eq!(object.labels()["team"], "platform");
    assert_eq!(object.labels()["app.kubernetes.io/managed-by"], "kubeassume");
    assert_eq!(object.annotations()["note"], "kept");
    assert_eq!(object.resource_version(), Some(version.0.clone()));

    let damage = json!({"data": {"jwks.json": null}});
    admin
        .patch(
            METADATA_CONFIG_MAP,
            &PatchParams::default(),
            &Patch::Merge(damage),
        )
        .await
        .unwrap();
    let loaded = store.load().await.unwrap();
    assert_eq!(loaded.stored, Stored::Corrupt(Corrupt::Missing("jwks.json")));
    let version = store
        .save(&state_store::snapshot(&issuer(), 3), loaded.version.as_ref())
        .await
        .unwrap();

    // What was seen is long forgotten by the API servers, and still no change is missed.
    compact(&bed, etcd.url()).await;
    store
        .changed(Some(&created))
        .await
        .expect("another version is there");
    let params = DeleteParams::default();
    let (changed, deleted) = tokio::join!(
        store.changed(Some(&version)),
        admin.delete(METADATA_CONFIG_MAP, &params),
    );
    changed.expect("a deletion is told");
    deleted.unwrap();
    let loaded = store.load().await.unwrap();
    assert_eq!((loaded.stored, &loaded.version), (Stored::Missing, &None));
    store.changed(Some(&version)).await.expect("it is gone already");
    let late = store
        .save(&state_store::snapshot(&issuer(), 4), Some(&version))
        .await;
    assert_eq!(late, Err(StateError::Conflict));

    // An API server that goes away breaks the watch: that is when keys rotate.
    let (changed, ()) = tokio::join!(store.changed(None), async {
        watched(&api).await;
        api.kill().await;
    });
    assert!(matches!(changed, Err(StateError::Unavailable(_))), "{changed:?}");
    assert!(matches!(store.load().await, Err(StateError::Unavailable(_))));
    let save = store.save(&state_store::snapshot(&issuer(), 5), None).await;
    assert!(
        matches!(save, Err(StateError::Unavailable(_))),
        "nothing was sent: {save:?}"
    );
}

/// Waits until the server serves a watch of ConfigMaps by our user agent's field selector.
async fn watched(api: &ApiServer) {
    until("a watch of the ConfigMap", LIMIT, async || {
        let (_, metrics) = api.get("/metrics").await;
        let watching = metrics.lines().any(|line| {
            line.starts_with("apiserver_longrunning_requests{")
                && line.contains("resource=\"configmaps\"")
                && line.contains("scope=\"resource\"")
                && !line.ends_with(" 0")
        });
        if watching {
            Ok(())
        } else {
            Err("there is none yet")
        }
    })
    .await;
}

/// Makes etcd forget all earlier revisions.
async fn compact(bed: &Testbed, etcd: &str) {
    let http = bed.http();
    let post = async |path: &str, body: serde_json::Value| -> serde_json::Value {
        let answer = http
            .post(format!("{etcd}{path}"))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success());
        answer.json().await.unwrap()
    };
    let now = post("/v3/kv/range", json!({"key": "AA=="})).await;
    let revision = now["header"]["revision"].clone();
    post(
        "/v3/kv/compaction",
        json!({"revision": revision, "physical": true}),
    )
    .await;
}

#[tokio::test]
async fn only_the_controller_and_named_administrators_write_the_state() {
    let bed = Testbed::new("policy");
    let etcd = bed.etcd().await;
    let api = bed
        .api_server(ApiServerConfig::new(&etcd, ISSUER, &SigningKey::p256()))
        .await;
    let token = deployed(&bed, &api).await;
    let masters = api.client();
    // Tried without effect: what is written before the policy is in force would be in the way afterwards.
    let maps: Api<ConfigMap> = Api::namespaced(masters.clone(), NAMESPACE);
    let mut map = ConfigMap::default();
    map.metadata.name = Some(METADATA_CONFIG_MAP.to_owned());
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    until("the policy to be in force", LIMIT, async || {
        match maps.create(&dry_run, &map).await {
            Err(kube::Error::Api(refusal)) if refusal.message.contains("kubeassume-metadata") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let store = ConfigMapStore::new(masters.clone(), NAMESPACE, issuer());
    let message = match store.save(&state_store::snapshot(&issuer(), 1), None).await {
        Err(StateError::Denied(message)) => message,
        other => panic!("{other:?}"),
    };
    for part in [
        "create configmaps",
        METADATA_CONFIG_MAP,
        NAMESPACE,
        "kubeassume-metadata",
        "admin is none of them",
    ] {
        assert!(message.contains(part), "{part:?} in {message}");
    }

    let own = ConfigMapStore::new(client(&config(&bed, &api, &token)).unwrap(), NAMESPACE, issuer());
    own.save(&state_store::snapshot(&issuer(), 1), None)
        .await
        .unwrap();
    let loaded = own.load().await.unwrap();
    let forged = ConfigMapStore::new(masters.clone(), NAMESPACE, issuer())
        .save(&state_store::snapshot(&issuer(), 2), loaded.version.as_ref())
        .await;
    assert!(matches!(forged, Err(StateError::Denied(_))), "{forged:?}");

    let all: Api<ConfigMap> = Api::namespaced(masters.clone(), NAMESPACE);
    let one = all.delete(METADATA_CONFIG_MAP, &DeleteParams::default()).await;
    assert!(one.is_err(), "the group system:masters may delete it");
    let many = all
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await;
    assert!(
        many.is_err(),
        "the group system:masters may delete all ConfigMaps there"
    );
    assert_eq!(own.load().await.unwrap().version, loaded.version);

    let group = api.client_of("somebody", &["kubeassume:admins", "system:masters"]);
    let group: Api<ConfigMap> = Api::namespaced(group, NAMESPACE);
    let empty = Patch::Merge(json!({"data": {"state.json": "{}"}}));
    group
        .patch(METADATA_CONFIG_MAP, &PatchParams::default(), &empty)
        .await
        .expect("an administrator by group");

    // Its ServiceAccount has no more rights than it needs.
    let own = client(&config(&bed, &api, &token)).unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(own, NAMESPACE);
    assert!(maps.list(&ListParams::default()).await.is_err());
    assert!(maps.get("kubeassume-config").await.is_err());
}

#[tokio::test]
async fn a_state_that_may_not_be_read_or_written_says_which_right_is_missing() {
    let bed = Testbed::new("rights");
    let etcd = bed.etcd().await;
    let api = bed
        .api_server(ApiServerConfig::new(&etcd, ISSUER, &SigningKey::p256()))
        .await;
    api.service_account("default", "app").await;
    let token = api.token("default", "app", ISSUER).await;
    let store = ConfigMapStore::new(client(&config(&bed, &api, &token)).unwrap(), "default", issuer());
    let denied = |result: Result<(), StateError>, verb: &str| match result {
        Err(StateError::Denied(text)) => {
            let begins = format!("{verb} configmaps \"{METADATA_CONFIG_MAP}\" in namespace \"default\": ");
            assert!(text.starts_with(&begins), "{text}");
        }
        other => panic!("{other:?}"),
    };
    denied(store.load().await.map(drop), "get");
    denied(store.changed(None).await, "list");
    denied(
        store
            .save(&state_store::snapshot(&issuer(), 1), None)
            .await
            .map(drop),
        "create",
    );

    let nowhere = ConfigMapStore::new(api.client(), "nowhere", issuer());
    let error = nowhere
        .save(&state_store::snapshot(&issuer(), 1), None)
        .await
        .unwrap_err();
    assert_eq!(
        error,
        StateError::Invalid("namespace \"nowhere\" does not exist".to_owned())
    );
}

/// A candidate that takes part until it is told to stop, or killed.
struct Candidate {
    leading: tokio::sync::watch::Receiver<bool>,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl Candidate {
    fn start(client: &Client, name: &str, timing: Timing) -> Self {
        let lease = Lease::new(
            client.clone(),
            NAMESPACE,
            name,
            timing,
            Arc::new(SystemClock::new()),
            1,
        );
        let (stop, stopped) = oneshot::channel();
        Self {
            leading: lease.leading(),
            stop: Some(stop),
            task: tokio::spawn(lease.run(async {
                let _ = stopped.await;
            })),
        }
    }

    async fn leads(&mut self, expected: bool) {
        let waited = tokio::time::timeout(LIMIT, self.leading.wait_for(|leads| *leads == expected));
        waited.await.expect("in time").expect("the candidate runs");
    }
}

#[tokio::test]
async fn the_lease_changes_hands_when_its_holder_dies_or_leaves() {
    let bed = Testbed::new("lease");
    let etcd = bed.etcd().await;
    let mut api = bed
        .api_server(ApiServerConfig::new(&etcd, ISSUER, &SigningKey::p256()))
        .await;
    let token = deployed(&bed, &api).await;
    let client = client(&config(&bed, &api, &token)).unwrap();
    let timing = Timing {
        lease_duration: Duration::from_secs(3),
        renew_deadline: Duration::from_secs(2),
        retry_period: Duration::from_millis(300),
    };
    let leases: Api<LeaseObject> = Api::namespaced(api.client(), NAMESPACE);
    let spec = async || leases.get(LEASE).await.unwrap().spec.unwrap();

    let mut a = Candidate::start(&client, "a", timing);
    a.leads(true).await;
    assert_eq!(spec().await.holder_identity.as_deref(), Some("a"));
    let mut b = Candidate::start(&client, "b", timing);
    until("a renewal", LIMIT, async || {
        let held = spec().await;
        if held.renew_time > held.acquire_time {
            Ok(())
        } else {
            Err("none yet")
        }
    })
    .await;
    assert!(!*b.leading.borrow());

    // Dead, without a word: the other takes over when the Lease has run out.
    a.task.abort();
    b.leads(true).await;
    let held = spec().await;
    assert_eq!(held.holder_identity.as_deref(), Some("b"));
    assert_eq!(held.lease_transitions, Some(1));

    // Leaving in good order: the Lease is free at once, whatever its duration.
    let patient = Timing {
        lease_duration: Duration::from_secs(3600),
        renew_deadline: Duration::from_secs(3000),
        ..timing
    };
    b.stop.take().unwrap().send(()).unwrap();
    b.task.await.unwrap();
    assert!(!*b.leading.borrow());
    assert_eq!(spec().await.holder_identity, None);
    let mut c = Candidate::start(&client, "c", patient);
    c.leads(true).await;
    let mut d = Candidate::start(&client, "d", timing);
    c.stop.take().unwrap().send(()).unwrap();
    d.leads(true).await;
    assert_eq!(spec().await.lease_transitions, Some(3));

    // Somebody deletes the Lease: it is made again.
    leases.delete(LEASE, &DeleteParams::default()).await.unwrap();
    until("the Lease to be there again", LIMIT, async || {
        leases.get(LEASE).await.map(drop)
    })
    .await;
    d.leads(true).await;

    // The API is gone: the loss is told without it, and leading goes on when it is back.
    api.kill().await;
    d.leads(false).await;
    api.start_again().await;
    d.leads(true).await;
}
