//! What `GcsStore` asks of a server and makes of its answers, in front of a server that says what a test
//! wants. Whether another one agrees is for the conformance test of the workspace's `tests` package.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use kubeassume_cloud::google::Credentials;
use kubeassume_core::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition, StoreError, Version,
};
use kubeassume_publishers::gcs::{GcsConfig, GcsStore};
use kubeassume_publishers::{OpenError, Tls};
use secrecy::SecretString;
use serde_json::{Value, json};

mod scripted;

use scripted::{Request, Response, Server};

const SECRET: &str = "the-token-that-nobody-may-read";
const JWKS: &str = "/storage/v1/b/keys/o/c1%2Fopenid%2Fv1%2Fjwks";

/// As the service says no.
fn refusal(status: u16, reason: &str, message: &str) -> Response {
    let error = json!({ "error": { "code": status, "message": message, "errors": [{ "reason": reason }] } });
    Response::new(status, error.to_string())
}

fn absent() -> Response {
    refusal(404, "notFound", "No such object: keys/c1/openid/v1/jwks")
}

fn generation(number: u64) -> Response {
    Response::new(200, json!({ "generation": number.to_string() }).to_string())
}

fn config(server: &Server) -> GcsConfig {
    GcsConfig {
        bucket: "keys".to_owned(),
        endpoint: Some(server.url.clone()),
        prefix: Some("c1".to_owned()),
        ..GcsConfig::default()
    }
}

fn open(server: &Server) -> GcsStore {
    let credentials = Credentials::token(SecretString::from(SECRET));
    GcsStore::open_with(&config(server), &Tls::default(), credentials).unwrap()
}

fn document(body: &'static str) -> NewDocument {
    NewDocument {
        bytes: body.into(),
        content_type: "application/jwk-set+json".to_owned(),
        cache_control: "public, max-age=300".to_owned(),
        metadata: [("kubeassume-generation".to_owned(), "7".to_owned())].into(),
    }
}

fn is_media(request: &Request) -> bool {
    request.query.contains("alt=media")
}

/// Attributes and bytes of one upload.
fn parts(request: &Request) -> (Value, Vec<u8>) {
    let boundary = request.headers["content-type"]
        .strip_prefix("multipart/related; boundary=")
        .unwrap();
    let body = String::from_utf8(request.body.clone()).unwrap();
    let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
    let [begin, attributes, media, end] = parts[..] else {
        panic!("{} parts", parts.len());
    };
    assert_eq!((begin, end), ("", "--\r\n"));
    let content = |part: &str| {
        let (_, content) = part.split_once("\r\n\r\n").unwrap();
        content.strip_suffix("\r\n").unwrap().to_owned()
    };
    (
        serde_json::from_str(&content(attributes)).unwrap(),
        content(media).into_bytes(),
    )
}

/// A server that takes every write, whatever its precondition.
fn careless(objects: &Arc<Mutex<BTreeMap<String, Request>>>) -> impl Fn(&Request) -> Response + use<> {
    let objects = objects.clone();
    move |request| {
        let mut objects = objects.lock().unwrap();
        let name = request
            .path
            .strip_prefix("/storage/v1/b/keys/o/")
            .map(|name| name.replace("%2F", "/"));
        match (request.method.as_str(), name) {
            ("POST", _) => {
                let name = parts(request).0["name"].as_str().unwrap().to_owned();
                objects.insert(name, request.clone());
                generation(3)
            }
            ("DELETE", Some(name)) if request.query.contains("ifGenerationMatch=3") => {
                objects.remove(&name);
                Response::new(204, "")
            }
            (_, Some(name)) => match objects.get(&name) {
                Some(stored) if is_media(request) => Response::new(200, parts(stored).1),
                Some(stored) => {
                    let mut attributes = parts(stored).0;
                    attributes["generation"] = "3".into();
                    Response::new(200, attributes.to_string())
                }
                None => absent(),
            },
            _ => panic!("{request:?}"),
        }
    }
}

#[tokio::test]
async fn a_write_is_one_conditional_upload_of_bytes_headers_and_metadata() {
    let server = Server::start(|_| generation(1_790_000_000_000_001)).await;
    let store = open(&server);
    let version = store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await;
    assert_eq!(version, Ok(Version::new("1790000000000001")));
    let replace = Precondition::Matches(version.unwrap());
    store
        .put(&DocumentPath::DISCOVERY, &document("{}"), &replace)
        .await
        .unwrap();

    let requests = server.requests();
    let [create, replace] = &requests[..] else {
        panic!("{} requests", requests.len());
    };
    for (request, name, condition) in [
        (create, "c1/openid/v1/jwks", "ifGenerationMatch=0"),
        (
            replace,
            "c1/.well-known/openid-configuration",
            "ifGenerationMatch=1790000000000001",
        ),
    ] {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/upload/storage/v1/b/keys/o")
        );
        let query: Vec<&str> = request.query.split('&').collect();
        assert_eq!(
            query,
            ["uploadType=multipart", condition, "fields=generation"],
            "and never an ACL"
        );
        assert_eq!(request.headers["authorization"], format!("Bearer {SECRET}"));
        let (attributes, media) = parts(request);
        assert_eq!(media, b"{}");
        assert_eq!(
            attributes,
            json!({
                "name": name, "contentType": "application/jwk-set+json", "cacheControl": "public, max-age=300",
                "metadata": { "kubeassume-generation": "7" },
            })
        );
    }
}

#[tokio::test]
async fn what_is_read_belongs_to_one_generation() {
    let current = AtomicU64::new(4);
    let server = Server::start(move |request| {
        if !is_media(request) {
            // Replaced right after it was described, once.
            let number = current.load(Ordering::SeqCst);
            current.store(5, Ordering::SeqCst);
            let attributes = json!({
                "generation": number.to_string(), "contentType": "application/json", "cacheControl": "no-store",
                "metadata": { "KubeAssume-Owner": format!("of {number}") },
            });
            return Response::new(200, attributes.to_string());
        }
        let wanted = format!("alt=media&generation={}", current.load(Ordering::SeqCst));
        if request.query == wanted { Response::new(200, "five") } else { absent() }
    })
    .await;
    let stored = open(&server).get(&DocumentPath::JWKS).await.unwrap().unwrap();
    assert_eq!((&stored.bytes[..], stored.version.as_str()), (&b"five"[..], "5"));
    assert_eq!(
        stored.metadata,
        [("kubeassume-owner".to_owned(), "of 5".to_owned())].into()
    );
    assert_eq!(stored.content_type.as_deref(), Some("application/json"));
    assert_eq!(stored.cache_control.as_deref(), Some("no-store"));
    assert!(
        server.requests().iter().all(|request| request.path == JWKS),
        "the name is one segment"
    );
    assert_eq!(server.requests().len(), 4);

    let restless = Server::start(|request| {
        if is_media(request) {
            absent()
        } else {
            generation(9)
        }
    })
    .await;
    let error = open(&restless).get(&DocumentPath::JWKS).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert_eq!(restless.requests().len(), 8, "and not for ever");
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    type Case = (
        fn() -> Response,
        &'static str,
        &'static str,
        &'static str,
        &'static str,
    );
    let cases: [Case; 11] = [
        (
            || refusal(412, "conditionNotMet", "m"),
            "precondition",
            "precondition",
            "precondition",
            "",
        ),
        (
            || refusal(409, "conflict", "m"),
            "precondition",
            "precondition",
            "precondition",
            "",
        ),
        (absent, "absent", "misconfigured", "precondition", "gcs.bucket"),
        (
            || refusal(404, "notFound", "The specified bucket does not exist."),
            "misconfigured",
            "misconfigured",
            "misconfigured",
            "no such bucket; correct gcs.bucket",
        ),
        (
            || refusal(403, "forbidden", "no access"),
            "denied",
            "denied",
            "denied",
            "no access",
        ),
        (
            || refusal(401, "authError", "Invalid Credentials"),
            "denied",
            "denied",
            "denied",
            "Invalid Credentials",
        ),
        (
            || refusal(429, "rateLimitExceeded", "slower"),
            "unavailable",
            "unavailable",
            "unavailable",
            "slower",
        ),
        (
            || refusal(503, "backendError", "m"),
            "unavailable",
            "unknown",
            "unknown",
            "backendError",
        ),
        (
            || refusal(400, "invalid", "m"),
            "misconfigured",
            "misconfigured",
            "misconfigured",
            "invalid",
        ),
        (
            || refusal(307, "", "").with("location", "https://example.com/"),
            "misconfigured",
            "misconfigured",
            "misconfigured",
            "307",
        ),
        (Response::silence, "unavailable", "unknown", "unknown", ""),
    ];
    for (answer, read, created, replaced, says) in cases {
        let server = Server::start(move |_| answer()).await;
        let store = open(&server);
        let get = store.get(&DocumentPath::JWKS).await;
        let label = match &get {
            Ok(None) => "absent",
            Ok(Some(_)) => "something",
            Err(error) => error.label(),
        };
        let status = answer().status;
        let matches = Precondition::Matches(Version::new("5"));
        let put = async |precondition| {
            store
                .put(&DocumentPath::JWKS, &document("{}"), precondition)
                .await
                .unwrap_err()
        };
        let (create, replace) = (put(&Precondition::Absent).await, put(&matches).await);
        assert_eq!(label, read, "reading, {status}: {get:?}");
        assert_eq!(create.label(), created, "creating, {status}: {create:?}");
        assert_eq!(replace.label(), replaced, "replacing, {status}: {replace:?}");
        let text = format!("{create} {create:?} {get:?} {store:?}");
        assert!(text.contains(says), "{status}: {text}");
        assert!(!text.contains(SECRET), "{text}");
        let count = |method| {
            server
                .requests()
                .iter()
                .filter(|request| request.method == method)
                .count()
        };
        assert_eq!(count("POST"), 2, "a write is sent once, {status}");
        let reads = if read == "unavailable" { 3 } else { 1 };
        assert_eq!(count("GET"), reads, "reads are repeated a little, {status}");
    }
}

#[tokio::test]
async fn a_body_is_taken_whole_or_cut_at_the_limit_and_never_torn() {
    let body = |withheld| {
        move |request: &Request| {
            if !is_media(request) {
                return generation(5);
            }
            let mut response = Response::new(200, vec![b'x'; MAX_DOCUMENT_BYTES + 10]);
            response.withheld = withheld;
            response
        }
    };
    let long = Server::start(body(0)).await;
    let stored = open(&long).get(&DocumentPath::JWKS).await.unwrap().unwrap();
    assert_eq!(stored.bytes.len(), MAX_DOCUMENT_BYTES);
    let torn = Server::start(body(20)).await;
    let error = open(&torn).get(&DocumentPath::JWKS).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_server_that_takes_stale_writes_is_refused_and_left_as_it_was() {
    let objects = Arc::default();
    let server = Server::start(careless(&objects)).await;
    let store = open(&server);
    let error = store.validate().await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Misconfigured(text) if text.contains("ignores")),
        "{error}"
    );
    assert_eq!(
        objects.lock().unwrap().len(),
        0,
        "what it wrongly took is gone again"
    );

    store
        .put(&DocumentPath::JWKS, &document("[]"), &Precondition::Absent)
        .await
        .unwrap();
    let before = store.get(&DocumentPath::JWKS).await.unwrap();
    let error = store.validate().await.unwrap_err();
    assert!(error.to_string().contains("ignores"), "{error}");
    assert_eq!(
        store.get(&DocumentPath::JWKS).await.unwrap(),
        before,
        "overwritten by itself"
    );
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let forbidden = |permission: &str| {
        let words = format!("p@x.iam does not have {permission} access to the Google Cloud Storage object.");
        refusal(403, "forbidden", &words)
    };
    // Whether the object is there, the method that is refused, the permission that the service misses.
    for (there, method, missing) in [
        (false, "GET", "storage.objects.get"),
        (false, "POST", "storage.objects.create"),
        (false, "DELETE", "storage.objects.delete"),
        (true, "POST", "storage.objects.create"),
        (true, "POST", "storage.objects.delete"),
        (true, "DELETE", "storage.objects.delete"),
    ] {
        let server = Server::start(move |request| match request.method.as_str() {
            refused if refused == method => forbidden(missing),
            "GET" if !there => absent(),
            "GET" if is_media(request) => Response::new(200, "{}"),
            "GET" => generation(5),
            "DELETE" => absent(),
            _ => refusal(412, "conditionNotMet", "m"),
        })
        .await;
        let error = open(&server).validate().await.unwrap_err();
        assert!(matches!(error, StoreError::Denied(_)), "{error:?}");
        let expected = format!("the store refused access: {missing} on c1/openid/v1/jwks");
        assert!(
            error.to_string().starts_with(&expected),
            "{there} {method}: {error}"
        );
        for request in server.requests() {
            let harmless = match request.method.as_str() {
                "POST" => ["ifGenerationMatch=0", "ifGenerationMatch=1"]
                    .iter()
                    .any(|c| request.query.contains(c)),
                "DELETE" => request.query == "generation=1&ifGenerationMatch=1",
                _ => true,
            };
            assert!(harmless, "{request:?}");
            let creates = request.method == "POST" && request.query.contains("ifGenerationMatch=0");
            assert!(there || !creates, "a probe must not be able to create");
        }
    }
}

#[tokio::test]
async fn validating_probes_by_requests_that_cannot_succeed() {
    for there in [false, true] {
        let server = Server::start(move |request| match request.method.as_str() {
            "GET" if !there => absent(),
            "GET" if is_media(request) => Response::new(200, "{}"),
            "GET" => generation(5),
            "DELETE" => absent(),
            _ => refusal(412, "conditionNotMet", "m"),
        })
        .await;
        open(&server).validate().await.unwrap();
        let writes: Vec<String> = server
            .requests()
            .into_iter()
            .filter(|request| request.method != "GET")
            .map(|request| format!("{} {}", request.method, request.query))
            .collect();
        let upload = |generation| {
            format!("POST uploadType=multipart&ifGenerationMatch={generation}&fields=generation")
        };
        let delete = "DELETE generation=1&ifGenerationMatch=1".to_owned();
        let one = if there {
            vec![upload(0), upload(1), delete]
        } else {
            vec![upload(1), delete]
        };
        assert_eq!(writes, [one.clone(), one].concat());
    }
}

#[tokio::test]
async fn without_a_generation_nothing_can_be_tied_to_a_version() {
    let server = Server::start(|_| Response::new(200, "{}")).await;
    let store = open(&server);
    let get = store.get(&DocumentPath::JWKS).await;
    assert!(matches!(get, Err(StoreError::Misconfigured(_))), "{get:?}");
    let put = store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await;
    assert!(matches!(put, Err(StoreError::Unknown(_))), "{put:?}");
}

#[tokio::test]
async fn a_list_has_pages_and_an_end() {
    let pages = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        assert_eq!(request.path, "/storage/v1/b/keys/o");
        assert!(request.query.contains("prefix=c1%2F"), "{}", request.query);
        let page = pages.fetch_add(1, Ordering::SeqCst);
        let items = match page {
            0 => json!([{ "name": "c1/openid/v1/jwks" }, { "name": "c1/a b" }]),
            1 => json!([{ "name": "c1/.well-known/openid-configuration" }, { "name": "elsewhere" }]),
            _ => json!([]),
        };
        assert_eq!(
            request.query.contains("pageToken=a%2Bb%3D"),
            page > 0,
            "{}",
            request.query
        );
        Response::new(
            200,
            json!({ "items": items, "nextPageToken": "a+b=" }).to_string(),
        )
    })
    .await;
    assert_eq!(
        open(&server).list().await.unwrap(),
        [DocumentPath::DISCOVERY, DocumentPath::JWKS]
    );
    assert_eq!(server.requests().len(), 10);
}

#[tokio::test]
async fn an_emulator_gets_no_credentials_and_the_location_names_it() {
    let server = Server::start(|_| absent()).await;
    let store = GcsStore::open(&config(&server), &Tls::default()).unwrap();
    assert_eq!(store.get(&DocumentPath::JWKS).await, Ok(None));
    assert_eq!(server.requests()[0].headers.get("authorization"), None);
    let host = server.url.strip_prefix("http://").unwrap();
    assert_eq!(store.location(), format!("gs://keys/c1 at {host}"));
    let google = GcsConfig {
        endpoint: None,
        ..config(&server)
    };
    let store = GcsStore::open_with(&google, &Tls::default(), Credentials::anonymous()).unwrap();
    assert_eq!(store.location(), "gs://keys/c1");
}

#[test]
fn what_cannot_be_opened_names_the_field() {
    let config = |bucket: &str| GcsConfig {
        bucket: bucket.to_owned(),
        ..GcsConfig::default()
    };
    let Err(OpenError::Invalid(invalid)) = GcsStore::open(&config("No"), &Tls::default()) else {
        panic!("a bucket that cannot be");
    };
    assert_eq!(invalid.field, "gcs.bucket");
    let tls = Tls {
        ca_pem: Some(b"no PEM".to_vec()),
    };
    let error = GcsStore::open(&config("keys"), &tls).unwrap_err();
    assert!(error.to_string().contains("tls.caFile"), "{error}");
}

/// The environment is the process's, so the test is its own child.
#[tokio::test]
async fn a_credential_that_depends_on_the_published_issuer_is_warned_of() {
    const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
    const NAME: &str = "a_credential_that_depends_on_the_published_issuer_is_warned_of";
    if std::env::var_os(VARIABLE).is_some() {
        let config = GcsConfig {
            bucket: "keys".to_owned(),
            ..GcsConfig::default()
        };
        let store = GcsStore::open(&config, &Tls::default()).unwrap();
        let warnings = store.warnings(&"https://oidc.example.com".parse().unwrap()).await;
        assert!(
            warnings.len() == 1 && warnings[0].contains("https://oidc.example.com"),
            "{warnings:?}"
        );
        let other = store
            .warnings(&"https://other.example.com".parse().unwrap())
            .await;
        assert_eq!(other, [""; 0]);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"iss":"https://oidc.example.com"}"#);
    let token = folder.path().join("token");
    std::fs::write(&token, format!("e30.{claims}.c2ln")).unwrap();
    let described = json!({ "type": "external_account", "credential_source": { "file": token } });
    let file = folder.path().join("credentials.json");
    std::fs::write(&file, described.to_string()).unwrap();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .env(VARIABLE, &file)
        .env_remove("STORAGE_EMULATOR_HOST")
        .output()
        .unwrap();
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stdout)
    );
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
}
