//! Making a container through Resource Manager, against azure-mgmt-storage and azure-mgmt-authorization.

use std::fs;

use kubeassume_tests::{ArmFake, Essence, Recorded, Row, Testbed, essence, vendor};
use serde_json::{Value, json};

use super::{assert_differences, create_bucket, json_of};

const CONTAINER: &str = "oidc";
const WRITER: &str = "66666666-7777-8888-9999-000000000000";
/// Storage Blob Data Contributor.
const ROLE: &str = "ba92f5b4-2d11-453d-a403-e96b0029c9fe";

/// `kubeassume bucket create azure`, as an administrator.
async fn create(bed: &Testbed, arm: &ArmFake) -> Value {
    let token = bed.path().join("token");
    fs::write(&token, ArmFake::TOKEN).unwrap();
    let (url, ca, token) = (arm.url(), bed.pki().ca_file(), token.to_str().unwrap());
    let arguments = [
        "--subscription",
        ArmFake::SUBSCRIPTION,
        "--resource-group",
        ArmFake::RESOURCE_GROUP,
        "--storage-account",
        ArmFake::ACCOUNT,
        "--container",
        CONTAINER,
        "--writer",
        WRITER,
        "--endpoint",
        &url,
        "--cacert",
        ca.to_str().unwrap(),
        "--access-token-file",
        token,
    ];
    json_of(&create_bucket("azure", &arguments, &[]).await)
}

/// Those that change something.
fn changes(requests: &[Recorded]) -> Vec<Essence> {
    let kept = requests.iter().filter(|request| request.method != "GET");
    let parts = kept.map(|request| {
        essence(request, |name, value| match name {
            "host" => "<host>".to_owned(),
            _ => value.to_owned(),
        })
    });
    parts.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn our_requests_that_make_a_container_are_those_of_azures_own_clients() {
    let making = Row::begin(
        "bucket azure",
        "sets the access level, versions and the writer's role",
        ArmFake::VERSION,
    );
    let row = Row::begin(
        "bucket azure",
        "requests equal azure-mgmt-storage's",
        ArmFake::VERSION,
    );
    let bed = Testbed::new("azure-container");
    let arm = bed.arm().await;
    let made = create(&bed, &arm).await;
    let what: Vec<&Value> = made["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["what"])
        .collect();
    assert_eq!(what, ["versioning", "container", "writer"], "{made:#}");
    let requests = arm.take();
    let assignment = requests
        .iter()
        .find(|request| request.path().contains("/roleAssignments/"));
    let name = assignment.unwrap().path().rsplit('/').next().unwrap().to_owned();
    let ours = changes(&requests);
    let again = create(&bed, &arm).await;
    assert_eq!(again["changes"], json!([]), "{again:#}");
    assert_eq!(changes(&arm.take()), [], "nothing to do, nothing written");
    making.passed();

    let theirs = bed.arm().await;
    let account = ArmFake::account();
    let order = json!({"endpoint": theirs.url(), "ca_file": bed.pki().ca_file(), "token": ArmFake::TOKEN,
        "subscription": ArmFake::SUBSCRIPTION, "resource_group": ArmFake::RESOURCE_GROUP,
        "account": ArmFake::ACCOUNT, "container": CONTAINER, "storage_api": "2023-05-01", "name": name,
        "scope": format!("{account}/blobServices/default/containers/{CONTAINER}"), "writer": WRITER,
        "role": format!("/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{ROLE}",
            ArmFake::SUBSCRIPTION)});
    vendor("azure_container", &order, &[]).await;
    assert_differences(&ours, &changes(&theirs.take()), &[]);
    row.passed();
}
