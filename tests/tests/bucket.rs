//! `kubeassume bucket create` as an administrator runs it: S3 against a real server, Google's against
//! fake-gcs-server, OCI against the stand-in that knows the vendor's contract.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests say plainly what they expect"
)]

use std::process::Command;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use kubeassume_tests::{Binary, OCI_BUCKET, OCI_NAMESPACE, OciFake, Row, Testbed, Versitygw, binary};
use serde_json::{Value, json};

const VERSITYGW: &str = "versitygw 1.8.0";
const FAKE_GCS: &str = "fake-gcs-server 1.56.1";
const OCI: &str = "stand-in (OCI SDK is the contract)";
const DOCUMENTS: [&str; 2] = [".well-known/openid-configuration", "openid/v1/jwks"];

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{}{}", self.stdout, self.stderr))
    }

    fn whats(&self) -> Vec<String> {
        let json = self.json();
        let changes = json["changes"].as_array().unwrap().iter();
        changes
            .map(|change| change["what"].as_str().unwrap().to_owned())
            .collect()
    }

    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }
}

/// Runs `kubeassume bucket create CLOUD ARGUMENTS -o json`, with nothing of the machine's environment.
async fn create(cloud: &str, arguments: &[&str], environment: &[(&str, String)]) -> Ended {
    let mut command = Command::new(binary(Binary::Cli));
    command
        .args(["bucket", "create", cloud, "-o", "json"])
        .args(arguments)
        .env_clear()
        .env("HOME", "/nonexistent")
        .envs(environment.iter().map(|(name, value)| (*name, value)));
    let output = tokio::task::spawn_blocking(move || command.output().expect("it starts"))
        .await
        .unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// An administrator of an S3 server.
struct S3 {
    bed: Testbed,
    gateway: Versitygw,
}

impl S3 {
    async fn start(name: &str) -> Self {
        let bed = Testbed::new(name);
        let gateway = bed.shared_versitygw().await;
        Self { bed, gateway }
    }

    async fn create(&self, prefix: &str, more: &[&str]) -> Ended {
        let (url, ca_file) = (
            self.gateway.url(),
            self.bed.pki().ca_file().to_str().unwrap().to_owned(),
        );
        let (writer, _) = self.gateway.writer();
        let mut arguments = vec![
            "--bucket",
            "keys",
            "--region",
            self.gateway.region(),
            "--force-path-style",
        ];
        arguments.extend(["--endpoint", &url, "--cacert", &ca_file, "--prefix", prefix]);
        if !more.contains(&"--writer") {
            arguments.extend(["--writer", writer]);
        }
        arguments.extend(more);
        create("s3", &arguments, &self.gateway.environment()).await
    }

    fn writer(&self) -> Client {
        let (access, secret) = self.gateway.writer();
        self.gateway.client_of(access, secret)
    }

    async fn status(&self, method: reqwest::Method, path: &str) -> u16 {
        let request = self
            .bed
            .http()
            .request(method, format!("{}/{path}", self.gateway.url()));
        request.send().await.expect("an answer").status().as_u16()
    }

    async fn policy(&self) -> Value {
        let policy = self
            .gateway
            .client()
            .get_bucket_policy()
            .bucket("keys")
            .send()
            .await
            .unwrap();
        serde_json::from_str(&policy.policy.unwrap()).unwrap()
    }

    fn puts(&self) -> usize {
        self.gateway
            .access_log()
            .iter()
            .filter(|access| access.method == "PUT")
            .count()
    }
}

async fn put(client: &Client, key: &str, create_only: bool) -> Result<(), u16> {
    let request = client
        .put_object()
        .bucket("keys")
        .key(key)
        .body(ByteStream::from_static(b"{}"));
    let request = match create_only {
        true => request.if_none_match("*"),
        false => request,
    };
    let status = |error: &aws_sdk_s3::error::SdkError<_>| error.raw_response().unwrap().status().as_u16();
    request.send().await.map(drop).map_err(|error| status(&error))
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_public_is_exactly_two_documents_and_one_user_writes_them() {
    let s3 = S3::start("bucket-s3").await;

    let row = Row::begin(
        "bucket s3",
        "a dry run changes nothing and ends with 3",
        VERSITYGW,
    );
    let dry = s3.create("c1", &["--dry-run"]).await.expect(3);
    assert_eq!(dry.whats(), ["bucket", "versioning", "policy"]);
    assert_eq!(dry.json()["applied"], false);
    assert_eq!(dry.stderr, "");
    assert_eq!(s3.puts(), 0);
    row.passed();

    let row = Row::begin(
        "bucket s3",
        "creates what is missing, and nothing twice",
        VERSITYGW,
    );
    let issuer = format!("{}/keys/c1", s3.gateway.url());
    let made = s3.create("c1", &["--issuer", &issuer]).await.expect(0);
    assert_eq!(made.whats(), dry.whats());
    assert_eq!(made.json()["issuer"], issuer);
    let puts = s3.puts();
    assert_eq!(puts, 3);
    for arguments in [&["--dry-run"][..], &[]] {
        assert_eq!(s3.create("c1", arguments).await.expect(0).whats(), [""; 0]);
    }
    assert_eq!(s3.puts(), puts);
    let versioning = s3
        .gateway
        .client()
        .get_bucket_versioning()
        .bucket("keys")
        .send()
        .await
        .unwrap();
    assert_eq!(versioning.status.unwrap().as_str(), "Enabled");
    row.passed();

    let row = Row::begin(
        "bucket s3",
        "the public reads the two documents and nothing else",
        VERSITYGW,
    );
    let (administrator, writer) = (s3.gateway.client(), s3.writer());
    for key in [
        "c1/other",
        "c1/openid/v1/jwks.bak",
        "other/openid/v1/jwks",
        "openid/v1/jwks",
    ] {
        put(&administrator, key, true).await.unwrap();
        assert_eq!(
            s3.status(reqwest::Method::GET, &format!("keys/{key}")).await,
            403,
            "{key}"
        );
    }
    for document in DOCUMENTS {
        put(&writer, &format!("c1/{document}"), true).await.unwrap();
        assert_eq!(
            s3.status(reqwest::Method::GET, &format!("keys/c1/{document}"))
                .await,
            200
        );
        for method in [reqwest::Method::PUT, reqwest::Method::DELETE] {
            assert_eq!(s3.status(method, &format!("keys/c1/{document}")).await, 403);
        }
    }
    for list in [
        "keys",
        "keys/",
        "keys?list-type=2&prefix=c1/",
        "keys?versions",
        "keys?policy",
    ] {
        assert_eq!(s3.status(reqwest::Method::GET, list).await, 403, "{list}");
    }
    row.passed();

    let row = Row::begin(
        "bucket s3",
        "the writer writes the two documents and nothing else",
        VERSITYGW,
    );
    for key in ["c1/other", "c2/openid/v1/jwks", "new"] {
        assert_eq!(put(&writer, key, false).await, Err(403), "{key}");
    }
    let deleted = writer
        .delete_object()
        .bucket("keys")
        .key("c1/openid/v1/jwks")
        .send()
        .await;
    assert_eq!(
        deleted.unwrap_err().raw_response().unwrap().status().as_u16(),
        403
    );
    row.passed();

    let row = Row::begin(
        "bucket s3",
        "another cluster's prefix is left as it is",
        VERSITYGW,
    );
    let before = s3.policy().await;
    let other = s3.create("c2", &[]).await.expect(0);
    assert_eq!(other.whats(), ["policy"]);
    let after = s3.policy().await;
    let statements = after["Statement"].as_array().unwrap();
    assert!(
        before["Statement"]
            .as_array()
            .unwrap()
            .iter()
            .all(|statement| statements.contains(statement))
    );
    put(&writer, "c2/openid/v1/jwks", true).await.unwrap();
    for prefix in ["c1", "c2"] {
        assert_eq!(
            s3.status(reqwest::Method::GET, &format!("keys/{prefix}/openid/v1/jwks"))
                .await,
            200
        );
        assert_eq!(s3.create(prefix, &["--dry-run"]).await.expect(0).whats(), [""; 0]);
    }
    row.passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_refuses_what_is_unsafe_and_names_what_the_server_said() {
    let s3 = S3::start("bucket-s3-refusals").await;
    s3.create("c1", &[]).await.expect(0);
    let puts = s3.puts();

    let row = Row::begin("bucket s3", "refuses an unconditional write", VERSITYGW);
    put(&s3.writer(), "c1/openid/v1/jwks", true).await.unwrap();
    let unconditional = put(&s3.writer(), "c1/openid/v1/jwks", false).await;
    assert_eq!(
        unconditional,
        Ok(()),
        "it has learnt the condition keys: show it, then"
    );
    let amazon = s3.create(
        "c1",
        &[
            "--dialect",
            "amazon",
            "--writer",
            "arn:aws:iam::123456789012:role/kubeassume",
        ],
    );
    let refused = amazon.await.expect(1);
    for words in ["PutBucketPolicy failed", "MalformedPolicy"] {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    row.not_shown("the server knows no condition keys s3:if-match and s3:if-none-match");

    let row = Row::begin(
        "bucket s3",
        "names a writer that the server does not know",
        VERSITYGW,
    );
    let unknown = s3.create("c1", &["--writer", "AKIANOBODY"]).await.expect(1);
    for words in [
        "(--writer)",
        "MalformedPolicy: Invalid principal in policy",
        "create AKIANOBODY first",
    ] {
        assert!(unknown.stderr.contains(words), "{}", unknown.stderr);
    }
    assert_eq!(s3.create("c1", &["--dry-run"]).await.expect(0).whats(), [""; 0]);
    row.passed();

    let row = Row::begin(
        "bucket s3",
        "refuses a bucket that everybody may write",
        VERSITYGW,
    );
    let mut policy = s3.policy().await;
    let open = json!({"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::keys/*"});
    policy["Statement"].as_array_mut().unwrap().push(open);
    let administrator = s3.gateway.client();
    administrator
        .put_bucket_policy()
        .bucket("keys")
        .policy(policy.to_string())
        .send()
        .await
        .unwrap();
    let before = s3.puts();
    let refused = s3.create("c2", &[]).await.expect(1);
    assert!(
        refused.stderr.contains("\"Open\"") && refused.stderr.contains("everybody s3:PutObject"),
        "{}",
        refused.stderr
    );
    assert_eq!(s3.puts(), before);
    row.passed();

    let row = Row::begin(
        "bucket s3",
        "names the call, the code and the field of a refusal",
        VERSITYGW,
    );
    let mut environment = s3.gateway.environment();
    environment[1].1 = "not-the-secret-of-this-key".to_owned();
    let (url, ca_file) = (
        s3.gateway.url(),
        s3.bed.pki().ca_file().to_str().unwrap().to_owned(),
    );
    let arguments = [
        "--bucket",
        "keys",
        "--region",
        "us-east-1",
        "--force-path-style",
        "--endpoint",
        &url,
        "--cacert",
        &ca_file,
        "--writer",
        "AKIAWRITER",
    ];
    let refused = create("s3", &arguments, &environment).await.expect(1);
    for words in [
        "GetBucketLocation failed",
        "HTTP status 403: SignatureDoesNotMatch",
        "next: sign in again",
    ] {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    assert!(!refused.stderr.contains("not-the-secret"));
    row.passed();
    assert!(s3.puts() > puts);
}

#[tokio::test(flavor = "multi_thread")]
async fn gcs_creates_a_bucket_and_refuses_one_with_something_in_it() {
    let bed = Testbed::new("bucket-gcs");
    let gcs = bed.fake_gcs().await;
    let arguments = |bucket: &'static str| {
        let ca_file = bed.pki().ca_file().to_str().unwrap().to_owned();
        move |more: &[&str]| {
            let fixed = [
                "--bucket",
                bucket,
                "--project",
                "acme-keys",
                "--cacert",
                &ca_file,
                "--writer",
                "publisher@acme-keys.iam.gserviceaccount.com",
            ];
            fixed
                .iter()
                .chain(more)
                .map(|argument| (*argument).to_owned())
                .collect::<Vec<String>>()
        }
    };
    let run = async |bucket: &'static str, more: &[&str]| {
        let arguments = arguments(bucket)(more);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        create("gcs", &arguments, &[("STORAGE_EMULATOR_HOST", gcs.front().url())]).await
    };
    let writes = || {
        gcs.front()
            .requests()
            .iter()
            .filter(|request| request.method != "GET")
            .count()
    };

    let row = Row::begin(
        "bucket gcs",
        "a dry run changes nothing and ends with 3",
        FAKE_GCS,
    );
    let dry = run("keys", &["--dry-run"]).await.expect(3);
    assert_eq!(dry.whats(), ["bucket", "access"]);
    assert_eq!(writes(), 0);
    row.passed();

    let row = Row::begin("bucket gcs", "creates the bucket with versions kept", FAKE_GCS);
    let ended = run("keys", &[]).await.expect(1);
    assert!(
        ended.stderr.contains("storage.buckets.getIamPolicy failed"),
        "{}",
        ended.stderr
    );
    let (status, bucket, _) = gcs.ask(reqwest::Method::GET, "/storage/v1/b/keys").await;
    assert_eq!(
        (status, &bucket["versioning"]["enabled"]),
        (200, &json!(true)),
        "{bucket}"
    );
    row.passed();

    let row = Row::begin(
        "bucket gcs",
        "grants reading to everybody and writing to one",
        FAKE_GCS,
    );
    row.not_shown("the server has no IAM policies of buckets; scripted answers show it");

    let row = Row::begin(
        "bucket gcs",
        "refuses a bucket that holds something else",
        FAKE_GCS,
    );
    gcs.bucket("full").await;
    for name in ["c1%2Fopenid%2Fv1%2Fjwks", "backup.tar"] {
        let upload = format!("/upload/storage/v1/b/full/o?uploadType=media&name={name}");
        assert_eq!(gcs.ask(reqwest::Method::POST, &upload).await.0, 200);
    }
    let before = writes();
    let refused = run("full", &[]).await.expect(1);
    assert!(
        refused.stderr.contains("\"backup.tar\", which would be public"),
        "{}",
        refused.stderr
    );
    assert_eq!(writes(), before);
    row.passed();
}

/// An administrator of the tenancy.
async fn oci(bed: &Testbed, oci: &OciFake, more: &[&str]) -> Ended {
    let key = oci.key();
    let environment = [
        ("OCI_CLI_AUTH", "api_key".to_owned()),
        ("OCI_CLI_TENANCY", key.tenancy.to_owned()),
        ("OCI_CLI_USER", key.user.to_owned()),
        ("OCI_CLI_FINGERPRINT", key.fingerprint.to_owned()),
        ("OCI_CLI_KEY_CONTENT", key.pem.clone()),
    ];
    let (url, ca_file) = (oci.url(), bed.pki().ca_file().to_str().unwrap().to_owned());
    let mut arguments = vec![
        "--bucket",
        OCI_BUCKET,
        "--namespace",
        OCI_NAMESPACE,
        "--region",
        "eu-frankfurt-1",
        "--endpoint",
        &url,
    ];
    arguments.extend([
        "--compartment-id",
        "ocid1.compartment.oc1..aaaa",
        "--writer",
        "dynamic-group kubeassume",
        "--cacert",
        &ca_file,
    ]);
    arguments.extend(more);
    create("oci", &arguments, &environment).await
}

#[tokio::test(flavor = "multi_thread")]
async fn oci_creates_a_bucket_that_may_be_read_and_not_listed() {
    let bed = Testbed::new("bucket-oci");
    let fake = bed.oci().await;
    fake.remove_bucket();
    let writes = || {
        fake.requests()
            .iter()
            .filter(|request| request.method != "GET")
            .count()
    };

    let row = Row::begin("bucket oci", "a dry run changes nothing and ends with 3", OCI);
    let dry = oci(&bed, &fake, &["--dry-run"]).await.expect(3);
    assert_eq!((dry.whats(), writes()), (vec!["bucket".to_owned()], 0));
    row.passed();

    let row = Row::begin("bucket oci", "creates what is missing, and nothing twice", OCI);
    let made = oci(&bed, &fake, &[]).await.expect(0).json();
    let after = &made["changes"][0]["after"];
    assert_eq!(after["publicAccessType"], "ObjectReadWithoutList");
    assert_eq!(after["versioning"], "Enabled");
    assert!(
        made["byHand"][0]
            .as_str()
            .unwrap()
            .starts_with("Allow dynamic-group kubeassume to manage objects")
    );
    assert_eq!(oci(&bed, &fake, &[]).await.expect(0).whats(), [""; 0]);
    assert_eq!(writes(), 1);
    row.passed();

    let row = Row::begin(
        "bucket oci",
        "updates what is private or unversioned, tied to what was read",
        OCI,
    );
    fake.set_bucket("publicAccessType", "NoPublicAccess");
    fake.set_bucket("versioning", "Suspended");
    let updated = oci(&bed, &fake, &[]).await.expect(0).json();
    assert_eq!(
        updated["changes"][0]["before"],
        json!({"publicAccessType": "NoPublicAccess", "versioning": "Suspended"})
    );
    let update = fake
        .requests()
        .into_iter()
        .rfind(|request| request.method == "POST")
        .unwrap();
    assert!(
        update.headers.contains_key("if-match") && update.target.ends_with("/b/keys"),
        "{update:?}"
    );
    row.passed();

    let row = Row::begin(
        "bucket oci",
        "tells of public listing and does not take it away",
        OCI,
    );
    fake.set_bucket("publicAccessType", "ObjectRead");
    let told = oci(&bed, &fake, &[]).await.expect(0).json();
    assert!(
        told["findings"]
            .to_string()
            .contains("everybody may list the bucket"),
        "{told}"
    );
    assert_eq!(writes(), 2);
    row.passed();

    let row = Row::begin(
        "bucket oci",
        "tells of pre-authenticated requests that may write",
        OCI,
    );
    fake.preauthenticate("reader", "AnyObjectRead");
    fake.preauthenticate("ci", "AnyObjectReadWrite");
    let told = oci(&bed, &fake, &["--dry-run"]).await.expect(0).json()["findings"].to_string();
    assert!(
        told.contains("\\\"ci\\\" may write too") && !told.contains("reader"),
        "{told}"
    );
    fake.grant(&["BUCKET_READ", "OBJECT_INSPECT"]);
    let unseen = oci(&bed, &fake, &["--dry-run"]).await.expect(0).json()["findings"].to_string();
    assert!(unseen.contains("cannot be seen"), "{unseen}");
    row.passed();

    let row = Row::begin(
        "bucket oci",
        "names the call, the code and the field of a refusal",
        OCI,
    );
    fake.grant(&["BUCKET_READ"]);
    let refused = oci(&bed, &fake, &[]).await.expect(1);
    for words in [
        "ListObjects failed (--bucket)",
        "HTTP status 404: BucketNotFound",
        "next: the credential needs",
    ] {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    row.passed();

    let row = Row::begin("bucket oci", "a misspelt field is against the contract", OCI);
    let before = fake.take_violations();
    assert_eq!(before, [""; 0]);
    fake.check(
        "CreateBucketDetails",
        &json!({"name": "keys", "compartmentId": "c", "publicAccesType": "ObjectRead"}),
    );
    fake.check(
        "UpdateBucketDetails",
        &json!({"publicAccessType": "ReadWithoutList"}),
    );
    let violations = fake.take_violations();
    assert_eq!(
        violations,
        [
            "CreateBucketDetails has no field publicAccesType",
            "UpdateBucketDetails.publicAccessType cannot be ReadWithoutList"
        ]
    );
    row.passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_prints_its_commands_without_a_token() {
    let server = "no server";
    let row = Row::begin(
        "bucket azure",
        "prints the commands without a token, and asks nobody",
        server,
    );
    let arguments = [
        "--subscription",
        "11111111-2222-3333-4444-555555555555",
        "--resource-group",
        "keys",
        "--storage-account",
        "acmekeys",
        "--container",
        "oidc",
        "--writer",
        "66666666-7777-8888-9999-000000000000",
    ];
    let printed = create("azure", &arguments, &[]).await.expect(3).json();
    let commands = printed["commands"].to_string();
    for words in [
        "--public-access blob",
        "--enable-versioning true",
        "az role assignment create",
    ] {
        assert!(commands.contains(words), "{commands}");
    }
    row.passed();
}
