//! What `deploy/` allows: enough for the controller, nothing beyond it, and the state to nobody else.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use kubeassume_tests::{NAMESPACE, until};
use serde_json::json;

use crate::LIMIT;
use crate::cluster::Cluster;
use crate::view::CONFIG_MAP;
use crate::world::World;

/// Whom the policy of `deploy/` names.
const ADMINISTRATOR: &str = "kubeassume-admin";

/// A client of an administrator whom the policy names.
pub(crate) fn administrator(cluster: &Cluster) -> Client {
    cluster.servers[0].client_of(ADMINISTRATOR, &["system:masters"])
}

#[tokio::test]
async fn deploy_gives_the_controller_what_it_needs_and_no_more() {
    let world = World::running("rights", 1, Duration::from_secs(60)).await;
    // That it works at all is seen by now: the state is saved, the Lease held, Events are written.
    world.cluster.view.tells("NewKey", world.cluster.key.kid()).await;
    assert!(!world.cluster.view.holder().await.unwrap().is_empty());

    let own = world.cluster.servers[0].client_as(&world.cluster.token);
    let maps: Api<ConfigMap> = Api::namespaced(own.clone(), NAMESPACE);
    maps.get(CONFIG_MAP).await.expect("its own ConfigMap");
    let all = ListParams::default();
    let forbidden = [
        ("list ConfigMaps", code(maps.list(&all).await)),
        ("get another ConfigMap", code(maps.get("kube-root-ca.crt").await)),
        (
            "delete its ConfigMap",
            code(maps.delete(CONFIG_MAP, &DeleteParams::default()).await),
        ),
        (
            "list all ConfigMaps",
            code(Api::<ConfigMap>::all(own.clone()).list(&all).await),
        ),
        (
            "list all Secrets",
            code(Api::<Secret>::all(own.clone()).list(&all).await),
        ),
        (
            "get a Secret",
            code(Api::<Secret>::namespaced(own.clone(), NAMESPACE).get("any").await),
        ),
        (
            "list Leases",
            code(Api::<Lease>::namespaced(own.clone(), NAMESPACE).list(&all).await),
        ),
        (
            "list all Pods",
            code(Api::<Pod>::all(own.clone()).list(&all).await),
        ),
        (
            "create a ConfigMap elsewhere",
            code(create(&own, "default", "any").await),
        ),
    ];
    for (what, code) in forbidden {
        assert_eq!(code, Some(403), "the controller may {what}");
    }
    let (status, _) = get(&world, "/openid/v1/jwks").await;
    assert_eq!(status, 200);
    for path in ["/metrics", "/logs/"] {
        assert_eq!(get(&world, path).await.0, 403, "the controller may read {path}");
    }
}

#[tokio::test]
async fn the_policy_keeps_ordinary_cluster_admins_away_from_the_state() {
    let world = World::running("policy", 1, Duration::from_secs(60)).await;
    let (watch, writes) = (world.watch(), world.writes());
    let before = world.cluster.view.state().await.unwrap();
    let admin: Api<ConfigMap> = Api::namespaced(world.cluster.admin(), NAMESPACE);
    let patch = Patch::Merge(json!({"data": {"jwks.json": "{}"}}));
    let params = PatchParams::default();
    let refusal = |result: kube::Result<ConfigMap>| match result {
        Err(kube::Error::Api(status)) => format!("{}: {}", status.code, status.message),
        other => panic!("an ordinary administrator may write the state: {other:?}"),
    };
    let refused = refusal(admin.patch(CONFIG_MAP, &params, &patch).await);
    assert!(
        refused.contains("ValidatingAdmissionPolicy") && refused.contains(CONFIG_MAP),
        "{refused}"
    );
    let deleted = admin.delete(CONFIG_MAP, &DeleteParams::default()).await;
    assert!(deleted.is_err(), "an ordinary administrator may delete the state");
    assert_eq!(world.cluster.view.state().await.unwrap(), before);

    // What the policy does not speak of stays possible, and whom it names may write.
    create(&world.cluster.admin(), NAMESPACE, "another")
        .await
        .unwrap();
    let named: Api<ConfigMap> = Api::namespaced(administrator(&world.cluster), NAMESPACE);
    named
        .patch(CONFIG_MAP, &params, &patch)
        .await
        .expect("a named administrator");
    until("the controller to repair it", LIMIT, async || {
        let state = world.cluster.view.state().await?;
        let jwks = world.cluster.view.entry("jwks.json").await?;
        let repaired = state["revision"].as_u64() > before["revision"].as_u64() && jwks != "{}";
        if repaired { Ok(()) } else { Err(jwks) }
    })
    .await;
    assert_eq!(world.writes(), writes);
    watch.end().await;
}

/// The HTTP status of a refusal.
fn code<T>(result: kube::Result<T>) -> Option<u16> {
    match result {
        Err(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
}

async fn create(client: &Client, namespace: &str, name: &str) -> kube::Result<ConfigMap> {
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::new()),
        ..ConfigMap::default()
    };
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    maps.create(&PostParams::default(), &map).await
}

/// GET of a path with the controller's token.
async fn get(world: &World, path: &str) -> (u16, String) {
    let url = format!("{}{path}", world.cluster.servers[0].url());
    let answer = world
        .bed
        .http()
        .get(url)
        .bearer_auth(&world.cluster.token)
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}
