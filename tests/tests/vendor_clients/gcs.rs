//! Cloud Storage, against google-cloud-storage. Whatever is sent is held to Google's discovery document too.

use kubeassume_cloud::google;
use kubeassume_publishers::gcs::{GcsConfig, GcsStore};
use kubeassume_tests::{Essence, FakeGcs, GoogleFake, Recorded, Row, Testbed, essence, vendor};
use serde_json::{Value, json};

use super::{BUCKET, KEY, assert_differences, create_bucket, json_of, tls, use_store};

const WRITER: &str = "serviceAccount:publisher@project-1.iam.gserviceaccount.com";

/// Without the token, and without generations and checksums, which are new each time.
fn gcs_parts(request: &Recorded) -> Essence {
    essence(request, |name, value| match name {
        "authorization" => value.split(' ').next().unwrap().to_owned(),
        "?ifGenerationMatch" | "?generation" if value != "0" => "<generation>".to_owned(),
        "part 0.crc32c" => "<checksum>".to_owned(),
        _ => value.to_owned(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn our_gcs_requests_are_those_of_googles_own_client() {
    let row = Row::begin("gcs", "requests equal google-cloud-storage's", FakeGcs::VERSION);
    let bed = Testbed::new("google-requests");
    let google = bed.google().await;
    google.create_bucket(BUCKET, &[]).await;
    let upload = |body: &str, generation: Value| {
        json!({"does": "upload", "name": KEY, "body": body, "generation": generation,
            "content_type": "application/jwk-set+json", "cache_control": "public, max-age=300",
            "metadata": {"kubeassume-generation": "7"}})
    };
    let named = |does: &str| json!({"does": does, "name": KEY, "generation": "<last>"});
    let order = json!({"endpoint": google.url(), "ca_file": bed.pki().ca_file(), "token": google.administrator(),
        "project": "project-1", "bucket": BUCKET, "calls": [upload("one", json!(0)), upload("two", json!(0)),
        named("attributes"), named("download"), {"does": "list", "prefix": "c1/"},
        upload("three", json!("<last>")), named("delete")]});
    let outcomes = vendor("gcs", &order, &[]).await;
    let statuses: Vec<_> = outcomes
        .as_array()
        .unwrap()
        .iter()
        .map(|outcome| &outcome["status"])
        .collect();
    assert_eq!(statuses, [200, 412, 200, 200, 200, 200, 200], "{outcomes:#}");
    assert_eq!(outcomes[3]["body"], "one");
    assert_eq!(outcomes[4]["names"], json!([KEY]));
    let mut theirs: Vec<Essence> = google.take().iter().map(gcs_parts).collect();
    // Before its first upload it looks at the bucket; ours needs no permission for that.
    assert_eq!(theirs.remove(0)["path"], "/storage/v1/b/issuer");

    let config = GcsConfig {
        bucket: BUCKET.to_owned(),
        endpoint: Some(google.url()),
        prefix: Some("c1".to_owned()),
        ..GcsConfig::default()
    };
    let token = google::Credentials::token(google.administrator().to_owned().into());
    use_store(&GcsStore::open_with(&config, &tls(&bed), token).unwrap()).await;
    let ours: Vec<Essence> = google.take().iter().map(gcs_parts).collect();
    assert_differences(&ours, &theirs, &GCS);
    row.passed();
}

/// We ask for the fields that we read, where theirs takes all; theirs adds a checksum, and downloads from another of the
/// two paths. The rest is what it says by default.
const GCS: [&str; 10] = [
    "?fields: ours alone, generation",
    "?fields: ours alone, generation,contentType,cacheControl,metadata",
    "?prettyPrint: theirs alone, false",
    "?projection: theirs alone, noAcl",
    "content-type: theirs alone, application/json; charset=UTF-8",
    "part 0.contentType: ours alone, application/jwk-set+json",
    "part 0.crc32c: theirs alone, <checksum>",
    "path: ours /storage/v1/b/issuer/o/c1%2Fopenid%2Fv1%2Fjwks, theirs /download/storage/v1/b/issuer/o/c1%2Fopenid%2Fv1%2Fjwks",
    "x-upload-content-type: theirs alone, application/json; charset=UTF-8",
    "x-upload-content-type: theirs alone, application/jwk-set+json",
];

/// An administrator's token in a file, and what says where the stand-in is.
struct Administrator {
    bed: Testbed,
    google: GoogleFake,
    token_file: String,
}

impl Administrator {
    async fn start(name: &str) -> Self {
        let bed = Testbed::new(name);
        let google = bed.google().await;
        let token_file = bed.path().join("administrator");
        std::fs::write(&token_file, google.administrator()).unwrap();
        Self {
            token_file: token_file.to_str().unwrap().to_owned(),
            bed,
            google,
        }
    }

    async fn create(&self) -> std::process::Output {
        let url = self.google.url();
        let arguments = [
            "--bucket",
            BUCKET,
            "--project",
            "project-1",
            "--location",
            "EU",
            "--writer",
            WRITER,
            "--endpoint",
            &url,
            "--access-token-file",
            &self.token_file,
            "--cacert",
            self.bed.pki().ca_file().to_str().unwrap(),
        ];
        create_bucket("gcs", &arguments, &[]).await
    }

    /// Those that change something, and the reading of the policy, which is changed as it was read.
    fn changes(&self) -> Vec<Essence> {
        let requests = self.google.take().into_iter();
        let kept = requests.filter(|request| request.method != "GET" || request.path().ends_with("/iam"));
        kept.map(|request| gcs_parts(&request)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_made_as_google_describes_it_and_does_what_it_is_for() {
    let row = Row::begin(
        "bucket gcs",
        "makes a bucket within Google's contract",
        GoogleFake::VERSION,
    );
    let admin = Administrator::start("gcs-bucket").await;
    let made = json_of(&admin.create().await);
    assert_eq!(made["changes"].as_array().unwrap().len(), 2, "{made:#}");
    let again = json_of(&admin.create().await);
    assert_eq!(again["changes"], json!([]), "{again:#}");
    let writer = google::Credentials::token(admin.google.token_of(WRITER).into());
    let config = GcsConfig {
        bucket: BUCKET.to_owned(),
        endpoint: Some(admin.google.url()),
        prefix: Some("c1".to_owned()),
        ..GcsConfig::default()
    };
    use_store(&GcsStore::open_with(&config, &tls(&admin.bed), writer).unwrap()).await;
    let anonymous = async |target: &str| {
        let url = format!("{}{target}", admin.google.url());
        admin.bed.http().get(url).send().await.unwrap().status().as_u16()
    };
    assert_eq!(
        anonymous("/issuer/c1/openid/v1/jwks").await,
        404,
        "nothing there, and readable"
    );
    assert_eq!(anonymous("/storage/v1/b/issuer/o").await, 401, "and no list");
    row.passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_the_policy_in_between_is_not_overwritten() {
    let row = Row::begin(
        "bucket gcs",
        "a policy changed in between is not overwritten",
        GoogleFake::VERSION,
    );
    let admin = Administrator::start("gcs-bucket-race").await;
    admin.google.create_bucket(BUCKET, &[]).await;
    let (role, member) = ("roles/storage.objectViewer", "user:auditor@example.com");
    // It looks, looks again before it acts, and reads what it then writes back.
    for (reading, expected) in [
        (1, "has changed since it was looked at"),
        (3, "storage.buckets.setIamPolicy"),
    ] {
        let member = format!("{member}{reading}");
        admin.google.bind_behind(BUCKET, role, &member, reading);
        let ended = admin.create().await;
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains(expected), "{said}");
        let bindings = admin.google.policy(BUCKET)["bindings"].to_string();
        assert!(
            bindings.contains(&member) && !bindings.contains(WRITER),
            "{bindings}"
        );
    }
    let mended = json_of(&admin.create().await);
    assert_eq!(mended["changes"][0]["what"], "access", "{mended:#}");
    let bindings = admin.google.policy(BUCKET)["bindings"].to_string();
    for kept in ["auditor@example.com1", "auditor@example.com3", WRITER, "allUsers"] {
        assert!(bindings.contains(kept), "{bindings}");
    }
    row.passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn our_requests_that_make_a_bucket_are_those_of_googles_own_client() {
    let row = Row::begin(
        "bucket gcs",
        "requests equal google-cloud-storage's",
        GoogleFake::VERSION,
    );
    let admin = Administrator::start("gcs-bucket-ours").await;
    json_of(&admin.create().await);
    let ours = admin.changes();
    let theirs = Administrator::start("gcs-bucket-theirs").await;
    let order = json!({"endpoint": theirs.google.url(), "ca_file": theirs.bed.pki().ca_file(),
        "token": theirs.google.administrator(), "project": "project-1", "bucket": BUCKET, "location": "EU",
        "properties": {"versioning_enabled": true}, "bindings": [
        {"role": "roles/storage.legacyObjectReader", "members": ["allUsers"]},
        {"role": "roles/storage.objectUser", "members": [WRITER]}]});
    vendor("gcs_bucket", &order, &[]).await;
    assert_differences(&without_host(ours), &without_host(theirs.changes()), &MAKING);
    row.passed();
}

/// The policy goes back as it was read, with what the server said of itself; theirs makes that up anew.
const MAKING: [&str; 3] = [
    "?prettyPrint: theirs alone, false",
    "body.kind: ours alone, storage#policy",
    "body.resourceId: ours projects/_/buckets/issuer, theirs /b/issuer",
];

/// Two stand-ins, so two hosts.
fn without_host(mut requests: Vec<Essence>) -> Vec<Essence> {
    for request in &mut requests {
        request.remove("host");
    }
    requests
}
