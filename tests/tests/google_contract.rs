//! Google's interfaces as Google describes them: what the validator finds, and how the stand-in behind it behaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::collections::BTreeMap;

use kubeassume_tests::{Contract, GoogleFake, Recorded, Row, Testbed};
use reqwest::Method;
use serde_json::{Value, json};

const BUCKET: &str = "issuer";

/// A request that was never sent.
fn request(method: &str, target: &str, body: &Value) -> Recorded {
    Recorded {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
        body: if body.is_null() {
            "".into()
        } else {
            body.to_string().into()
        },
        status: 0,
    }
}

/// Everything here but one word is as Google has it, so that each word of it is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn one_misspelt_word_is_a_violation() {
    let row = Row::begin(
        "gcs",
        "the contract refuses a misspelt field",
        "google-api-python-client 2.202.0",
    );
    let storage = Contract::of_google("storage.v1").await;
    let insert = json!({"name": "b", "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": true}}});
    let target = "/storage/v1/b?project=p";
    let call = storage.check_request(&request("POST", target, &insert)).unwrap();
    assert_eq!(
        (call.id.as_str(), call.body),
        ("storage.buckets.insert", insert.clone())
    );

    let violations = |request: Recorded| storage.check_request(&request).unwrap_err().join("; ");
    let wrong = |path: &str, value: Value| {
        let mut body = insert.clone();
        let (parent, field) = path.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[field] = value;
        violations(request("POST", target, &body))
    };
    let access = "/iamConfiguration/uniformBucketLevelAccess";
    for (path, value, expected) in [
        ("/iamConfigurations", json!({}), "no field iamConfigurations"),
        (
            &format!("{access}/enable"),
            json!(true),
            "no field iamConfiguration.uniformBucketLevelAccess.enable",
        ),
        (
            &format!("{access}/enabled"),
            json!("true"),
            "enabled is no boolean",
        ),
        ("/versioning", json!([]), "versioning is no object"),
        ("/metageneration", json!("x"), "metageneration is no string int64"),
        (
            "/timeCreated",
            json!("yesterday"),
            "timeCreated is no string date-time",
        ),
    ] {
        let found = wrong(path, value);
        assert!(
            found.contains(expected) && found.starts_with("storage.buckets.insert: "),
            "{found}"
        );
    }
    let nothing = json!({});
    for (method, target, body, expected) in [
        ("POST", target, &nothing, "name is required"),
        (
            "POST",
            "/storage/v1/b",
            &insert,
            "the parameter project is required",
        ),
        (
            "POST",
            "/storage/v1/b?project=p&projct=q",
            &insert,
            "no parameter projct",
        ),
        (
            "POST",
            "/storage/v1/b?project=p&projection=half",
            &insert,
            "projection cannot be \"half\"",
        ),
        (
            "POST",
            "/storage/v1/buckets?project=p",
            &insert,
            "no method POST /storage/v1/buckets",
        ),
        (
            "DELETE",
            "/storage/v1/b/x/o/y?ifGenerationMatch=z",
            &Value::Null,
            "ifGenerationMatch cannot be",
        ),
        (
            "GET",
            "/storage/v1/b/x/iam",
            &insert,
            "a body where there is none",
        ),
        (
            "PUT",
            "/storage/v1/b/x/iam",
            &json!({"bindings": [{"role": "r", "member": []}]}),
            "no field bindings[0].member",
        ),
        ("PUT", "/storage/v1/b/x/iam", &Value::Null, "there is no body"),
    ] {
        let found = violations(request(method, target, body));
        assert!(found.contains(expected), "{found}");
    }

    // A form, of which RFC 8693 has the names; a path with a pattern; a duration.
    let sts = Contract::of_google("sts.v1").await;
    let mut form = request("POST", "/v1/token", &Value::Null);
    form.headers.insert(
        "content-type".to_owned(),
        "application/x-www-form-urlencoded".to_owned(),
    );
    form.body = "grant_type=a&subject_token=b".into();
    assert_eq!(
        sts.check_request(&form).unwrap().body,
        json!({"grantType": "a", "subjectToken": "b"})
    );
    form.body = "grant_type=a&subject_tokens=b".into();
    assert_eq!(
        sts.check_request(&form).unwrap_err(),
        ["sts.token: there is no field subjectTokens"]
    );
    let credentials = Contract::of_google("iamcredentials.v1").await;
    let target = "/v1/projects/-/serviceAccounts/a@b.example.com:generateAccessToken";
    let body = json!({"lifetime": "3600s", "scope": ["s"]});
    let call = credentials
        .check_request(&request("POST", target, &body))
        .unwrap();
    assert_eq!(
        call.parameters["name"],
        "projects/-/serviceAccounts/a@b.example.com"
    );
    let hour = json!({"lifetime": "an hour"});
    assert!(
        credentials
            .check_request(&request("POST", target, &hour))
            .is_err()
    );
    row.passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_to_the_stand_in_is_a_violation_that_is_kept() {
    let bed = Testbed::new("google-violation");
    let google = bed.google().await;
    let answer = ask(
        &bed,
        &google,
        Method::POST,
        "/storage/v1/b?project=p",
        json!({"nam": "issuer"}),
    )
    .await;
    assert_eq!(answer.0, 400);
    let violations = google.take_violations().join("; ");
    assert!(violations.contains("there is no field nam"), "{violations}");
    assert_eq!(google.bucket("issuer"), Value::Null);
}

/// As the administrator.
async fn ask(bed: &Testbed, google: &GoogleFake, method: Method, target: &str, body: Value) -> (u16, Value) {
    let mut request = bed
        .http()
        .request(method, format!("{}{target}", google.url()))
        .bearer_auth(google.administrator());
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_changed_by_who_read_it_last() {
    let row = Row::begin(
        "bucket gcs",
        "the stand-in refuses a stale policy",
        GoogleFake::VERSION,
    );
    let bed = Testbed::new("google-policy");
    let google = bed.google().await;
    google
        .create_bucket(BUCKET, &[("roles/storage.legacyObjectReader", "allUsers")])
        .await;
    let again = ask(
        &bed,
        &google,
        Method::POST,
        "/storage/v1/b?project=p",
        json!({"name": BUCKET}),
    )
    .await;
    assert_eq!(again.0, 409);

    let target = format!("/storage/v1/b/{BUCKET}/iam");
    google.bind_behind(BUCKET, "roles/storage.objectAdmin", "user:other@example.com", 1);
    let (_, policy) = ask(&bed, &google, Method::GET, &target, Value::Null).await;
    let stale = ask(&bed, &google, Method::PUT, &target, policy).await;
    assert_eq!(stale.0, 412, "{stale:?}");
    let bound = google.policy(BUCKET)["bindings"].to_string();
    assert!(
        bound.contains("other@example.com") && bound.contains("allUsers"),
        "{bound}"
    );

    let (_, policy) = ask(&bed, &google, Method::GET, &target, Value::Null).await;
    assert_eq!(ask(&bed, &google, Method::PUT, &target, policy).await.0, 200);
    let (status, list) = ask(
        &bed,
        &google,
        Method::GET,
        &format!("/storage/v1/b/{BUCKET}/o"),
        Value::Null,
    )
    .await;
    assert!(status == 200 && list.get("items").is_none(), "{list}");
    row.passed();
}
