//! Google's buckets and their IAM policies.

use std::sync::{Arc, Mutex};

use kubeassume_publishers::Tls;
use kubeassume_publishers::bucket::{Bucket, GcsBucket};
use kubeassume_publishers::gcs::GcsConfig;
use serde_json::{Value, json};

use super::scripted::{Request, Response, Server};
use super::{found, make, refused, said, whats, writes};

const WRITER: &str = "publisher@acme-keys.iam.gserviceaccount.com";
const TOKEN: &str = "an-administrators-token";

/// One bucket of Google's.
#[derive(Clone, Debug, Default)]
struct Google {
    bucket: Option<Value>,
    bindings: Vec<Value>,
    etag: u64,
    objects: Vec<&'static str>,
    /// What `setIamPolicy` says instead of doing it.
    refusing: Option<(u16, &'static str)>,
}

impl Google {
    fn answer(&mut self, request: &Request) -> Response {
        assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if request.method != "GET" {
            assert_eq!(request.headers["content-type"], "application/json");
        }
        let call = format!("{} {}", request.method, request.path);
        if call == "POST /storage/v1/b" {
            assert_eq!(
                (request.query.as_str(), &body["name"]),
                ("project=acme-keys", &json!("keys"))
            );
            self.bucket = Some(body);
            self.bindings = vec![
                json!({"role": "roles/storage.legacyBucketOwner", "members": ["projectOwner:acme-keys"]}),
            ];
            return Response::new(200, "{}");
        }
        let Some(bucket) = &mut self.bucket else {
            return refusal(404, "notFound", "The specified bucket does not exist.");
        };
        match call.as_str() {
            "GET /storage/v1/b/keys" => {
                let mut bucket = bucket.clone();
                bucket["metageneration"] = json!("7");
                Response::new(200, bucket.to_string())
            }
            "PATCH /storage/v1/b/keys" => {
                assert_eq!(request.query, "ifMetagenerationMatch=7");
                for (field, value) in body.as_object().unwrap() {
                    for (name, value) in value.as_object().unwrap() {
                        bucket[field][name] = value.clone();
                    }
                }
                Response::new(200, "{}")
            }
            "GET /storage/v1/b/keys/o" => {
                assert!(request.query.contains("versions=true"));
                let second = request.query.contains("pageToken=two");
                let objects = self.objects.iter().enumerate();
                let page: Vec<Value> = objects
                    .filter(|(at, _)| (*at >= 2) == second)
                    .map(|(_, name)| json!({"name": name}))
                    .collect();
                let mut list = json!({"items": page});
                if !second && self.objects.len() > 2 {
                    list["nextPageToken"] = json!("two");
                }
                Response::new(200, list.to_string())
            }
            "GET /storage/v1/b/keys/iam" => {
                assert_eq!(request.query, "optionsRequestedPolicyVersion=3");
                let policy = json!({"kind": "storage#policy", "version": 1, "etag": self.etag.to_string(),
                    "bindings": self.bindings});
                Response::new(200, policy.to_string())
            }
            "PUT /storage/v1/b/keys/iam" => {
                if let Some((status, message)) = self.refusing {
                    return refusal(status, "conditionNotMet", message);
                }
                assert_eq!(
                    body["etag"],
                    json!(self.etag.to_string()),
                    "tied to what was read"
                );
                self.bindings.clone_from(body["bindings"].as_array().unwrap());
                self.etag += 1;
                Response::new(200, "{}")
            }
            _ => panic!("{call}"),
        }
    }
}

fn refusal(status: u16, reason: &str, message: &str) -> Response {
    let error = json!({"error": {"code": status, "message": message, "errors": [{"reason": reason}]}});
    Response::new(status, error.to_string())
}

/// A ready bucket with these bindings beside ours.
fn with(bindings: &[Value]) -> Google {
    let mut all = vec![
        json!({"role": "roles/storage.legacyObjectReader", "members": ["allUsers"]}),
        json!({"role": "roles/storage.objectUser", "members": [format!("serviceAccount:{WRITER}")]}),
    ];
    all.extend_from_slice(bindings);
    Google {
        bucket: Some(
            json!({"name": "keys", "versioning": {"enabled": true}, "iamConfiguration":
            {"uniformBucketLevelAccess": {"enabled": true}, "publicAccessPrevention": "inherited"}}),
        ),
        bindings: all,
        ..Google::default()
    }
}

struct Desk {
    server: Server,
    google: Arc<Mutex<Google>>,
    bucket: GcsBucket,
    _token: tempfile::NamedTempFile,
}

async fn desk(google: Google) -> Desk {
    let google = Arc::new(Mutex::new(google));
    let state = google.clone();
    let server = Server::start(move |request| state.lock().unwrap().answer(request)).await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), format!("{TOKEN}\n")).unwrap();
    let config = GcsConfig {
        bucket: "keys".to_owned(),
        project: Some("acme-keys".to_owned()),
        endpoint: Some(server.url.clone()),
        prefix: Some("c1".to_owned()),
        ..GcsConfig::default()
    };
    let bucket = GcsBucket::new(&config, WRITER, Tls::default()).unwrap();
    Desk {
        bucket: bucket.token_file(token.path()),
        server,
        google,
        _token: token,
    }
}

#[tokio::test]
async fn a_bucket_is_made_and_what_google_granted_stays() {
    let desk = desk(Google::default()).await;
    let plan = desk.bucket.plan().await.unwrap();
    assert_eq!(whats(&plan), ["bucket", "access"]);
    desk.bucket.apply(&plan).await.unwrap();
    let again = desk.bucket.plan().await.unwrap();
    assert_eq!(whats(&again), [""; 0]);
    assert!(
        found(&again).contains("projectOwner:acme-keys has roles/storage.legacyBucketOwner"),
        "{again:#?}"
    );
    let google = desk.google.lock().unwrap();
    let bucket = google.bucket.clone().unwrap();
    assert_eq!(
        bucket["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"],
        true
    );
    assert_eq!(bucket["versioning"]["enabled"], true);
    let text = json!(google.bindings).to_string();
    assert_eq!(google.bindings.len(), 3, "{text}");
    assert!(!text.contains("objectViewer"), "{text}");
}

#[tokio::test]
async fn a_bucket_that_is_there_gets_what_is_missing_in_one_patch() {
    let mut google = with(&[]);
    google.bucket = Some(
        json!({"name": "keys", "iamConfiguration": {"publicAccessPrevention": "enforced",
        "uniformBucketLevelAccess": {"enabled": false}}}),
    );
    google.bindings.clear();
    google.objects = vec![
        "c1/openid/v1/jwks",
        "c1/.well-known/openid-configuration",
        "c2/openid/v1/jwks",
    ];
    let desk = desk(google).await;
    let plan = make(&desk.bucket).await;
    assert_eq!(whats(&plan), ["settings", "access"]);
    assert_eq!(writes(&desk.server).len(), 2);
}

#[tokio::test]
async fn what_is_not_a_document_would_be_public() {
    let mut google = with(&[]);
    google.objects = vec![
        "c1/openid/v1/jwks",
        "c1/.well-known/openid-configuration",
        "backup.tar",
    ];
    let desk = desk(google).await;
    let (field, text) = refused(&desk.bucket, &desk.server).await;
    assert!(field == "gcs.bucket" && text.contains("backup.tar"), "{text}");
}

#[tokio::test]
async fn wider_access_is_told_or_refused() {
    for member in ["allUsers", "allAuthenticatedUsers"] {
        let desk = desk(with(&[
            json!({"role": "roles/storage.objectAdmin", "members": [member]}),
        ]))
        .await;
        let (_, text) = refused(&desk.bucket, &desk.server).await;
        assert!(
            text.contains(member) && text.contains("remove-iam-policy-binding"),
            "{text}"
        );
    }
    let told = [
        json!({"role": "roles/storage.objectViewer", "members": ["allUsers"]}),
        json!({"role": "projects/p/roles/own", "members": ["user:eve@example.com"]}),
        json!({"role": "roles/storage.objectUser", "members": ["group:ops@example.com"],
            "condition": {"title": "t", "expression": "true"}}),
        json!({"role": "roles/storage.objectViewer", "members": ["user:auditor@example.com"]}),
    ];
    let desk = desk(with(&told)).await;
    let plan = make(&desk.bucket).await;
    let text = found(&plan);
    assert!(text.contains("everybody may list the bucket"), "{text}");
    assert!(
        text.contains("user:eve@example.com") && text.contains("group:ops@example.com"),
        "{text}"
    );
    assert!(!text.contains("auditor") && !text.contains(WRITER), "{text}");
    assert!(writes(&desk.server).is_empty());
}

#[tokio::test]
async fn a_grant_under_a_condition_is_not_the_grant() {
    let mut google = with(&[]);
    google.bindings[1]["condition"] = json!({"title": "t", "expression": "false"});
    let desk = desk(google).await;
    assert_eq!(whats(&make(&desk.bucket).await), ["access"]);
    assert_eq!(desk.google.lock().unwrap().bindings.len(), 3);
}

#[tokio::test]
async fn what_an_organization_forbids_is_explained() {
    let prevented = "The member bindings allUsers and allAuthenticatedUsers are not allowed since public access \
                     prevention is enforced.";
    for (refusing, field, words) in [
        ((412, prevented), "gcs.bucket", "storage.publicAccessPrevention"),
        (
            (
                412,
                "One or more users named in the policy do not belong to a permitted customer.",
            ),
            "gcs.bucket",
            "allowedPolicyMemberDomains",
        ),
        ((400, "Service account does not exist."), "gcs.writer", WRITER),
        (
            (403, "admin@example.com does not have access"),
            "gcs.bucket",
            "storage.buckets.setIamPolicy",
        ),
        ((409, "Conflict."), "gcs.bucket", "run it again"),
    ] {
        let google = Google {
            refusing: Some(refusing),
            ..Google::default()
        };
        let desk = desk(google).await;
        let plan = desk.bucket.plan().await.unwrap();
        let error = desk.bucket.apply(&plan).await.expect_err(words);
        let (named, text) = said(&error);
        assert!(named == field && text.contains(words), "{text}");
        assert!(
            text.contains("storage.buckets.setIamPolicy: HTTP status") && !text.contains(TOKEN),
            "{text}"
        );
    }
}
