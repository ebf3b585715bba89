//! Signing in at Entra ID and at the metadata service of a machine in Azure. Neither has a contract that a machine can
//! read: Microsoft's own Python client asks the same server, and our requests must be its requests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use azure_core::credentials::TokenCredential as _;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use kubeassume_cloud::azure::{AzureCredential, AzureCredentialOptions, AzureEnvironment, AzureTransport};
use kubeassume_tests::{
    Answer, Essence, Recorded, Row, Testbed, differences, essence, listen, query, vendor,
};
use serde_json::{Value, json};

const SERVER: &str = "stand-in (azure-identity 1.27.0 is the contract)";
const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const CLIENT: &str = "0f0f0f0f-0000-4000-8000-000000000001";
const SCOPE: &str = "https://storage.azure.com/.default";
const RESOURCE: &str = "https://storage.azure.com";
const ASSERTION: &str = "e30.eyJpc3MiOiJodHRwczovL29pZGMuZXhhbXBsZS5jb20ifQ.c2ln";

type Log = Arc<Mutex<Vec<Recorded>>>;

/// Keeps what it is asked, and answers it.
fn kept(
    log: &Log,
    answer: impl Fn(&Recorded) -> Answer + Clone + Send + Sync + 'static,
) -> impl Fn(Recorded) -> std::future::Ready<Answer> + Clone + Send + Sync + 'static {
    let log = log.clone();
    move |mut request| {
        let answer = answer(&request);
        request.status = answer.status;
        log.lock().unwrap().push(request);
        std::future::ready(answer)
    }
}

fn taken(log: &Log) -> Vec<Recorded> {
    std::mem::take(&mut *log.lock().unwrap())
}

/// <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>; the service knows
/// both versions.
fn metadata(request: &Recorded) -> Answer {
    let query = query(&request.target);
    let field = |name: &str| query.get(name).map_or("", String::as_str);
    let resource =
        field("resource") == RESOURCE && ["2018-02-01", "2019-08-01"].contains(&field("api-version"));
    match request.path() {
        "/metadata/identity/oauth2/token" if request.header("metadata") != Some("true") => Answer::json(
            400,
            &json!({"error": "invalid_request", "error_description": "Required metadata header not specified"}),
        ),
        "/metadata/identity/oauth2/token" if resource => Answer::json(
            200,
            &json!({"access_token": "managed", "expires_in": "86399", "expires_on": "4102444800", "not_before": "0",
                "resource": RESOURCE, "token_type": "Bearer", "client_id": CLIENT}),
        ),
        _ => Answer::new(404, ""),
    }
}

fn parts(request: &Recorded) -> Essence {
    essence(request, |name, value| match name {
        // A server of the test's own and the one that is asked in its stead.
        "host" => "<host>".to_owned(),
        _ => value.to_owned(),
    })
}

#[track_caller]
fn assert_differences(ours: &[Recorded], theirs: &[Recorded], expected: &[&str]) {
    let both = [ours, theirs].map(|requests| requests.iter().map(parts).collect::<Vec<_>>());
    let differences = differences(&both[0], &both[1]);
    let differences: Vec<&str> = differences.iter().map(String::as_str).collect();
    assert_eq!(differences, expected, "{differences:#?}");
}

async fn token(credential: &AzureCredential) -> String {
    let token = credential.get_token(&[SCOPE], None).await;
    token
        .unwrap_or_else(|error| panic!("{error}"))
        .token
        .secret()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pods_token_is_exchanged_as_azure_identity_exchanges_it() {
    let row = Row::begin("azure", "workload identity equals azure-identity's", SERVER);
    let bed = Testbed::new("entra");
    let entra = bed.entra("exchanged").await;
    let authority = entra.url();
    let file = bed.path().join("token");
    std::fs::write(&file, ASSERTION).unwrap();
    let order = json!({"tenant": TENANT, "client": CLIENT, "file": file, "authority": authority, "scope": SCOPE,
        "ca_file": bed.pki().ca_file()});
    assert_eq!(
        vendor("azure_workload_identity", &order, &[]).await["token"],
        "exchanged"
    );
    let theirs = entra.take();

    let environment = AzureEnvironment {
        tenant_id: Some(TENANT.to_owned()),
        client_id: Some(CLIENT.to_owned()),
        federated_token_file: Some(file),
        authority_host: Some(authority),
        identity_endpoint: None,
    };
    let http = AzureTransport::new(Some(bed.pki().ca_pem().as_bytes()), &environment).unwrap();
    let credential = AzureCredential::new(&AzureCredentialOptions::default(), environment, http).unwrap();
    assert_eq!(token(&credential).await, "exchanged");
    assert_differences(&entra.take(), &theirs, &EXCHANGE);
    row.passed();
}

const EXCHANGE: [&str; 0] = [];

/// The metadata service's address cannot be configured; this goes to a server of the test's instead.
#[derive(Debug)]
struct Rerouted {
    http: Arc<AzureTransport>,
    port: u16,
}

#[async_trait]
impl HttpClient for Rerouted {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut url = request.url().clone();
        assert_eq!(url.host_str(), Some("169.254.169.254"));
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.port)).unwrap();
        let mut rerouted = Request::new(url, request.method());
        for (name, value) in request.headers().iter() {
            rerouted.insert_header(name.clone(), value.clone());
        }
        self.http.execute_request(&rerouted).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_identifies_itself_as_azure_identity_does() {
    for (check, client) in [
        ("managed identity of the system equals azure-identity's", None),
        (
            "managed identity of a user equals azure-identity's",
            Some(CLIENT.to_owned()),
        ),
    ] {
        let row = Row::begin("azure", check, SERVER);
        let bed = Testbed::new("imds");
        let log = Log::default();
        let (port, _listener) = listen(kept(&log, metadata)).await;
        let service = format!("http://127.0.0.1:{port}");
        let order = json!({"client": client, "scope": SCOPE});
        let environment = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", service.as_str())];
        let theirs = vendor("azure_managed_identity", &order, &environment).await;
        assert_eq!(theirs["token"], Value::from("managed"));
        let theirs = taken(&log);

        let environment = AzureEnvironment {
            client_id: client,
            ..AzureEnvironment::default()
        };
        let http = AzureTransport::new(Some(bed.pki().ca_pem().as_bytes()), &environment).unwrap();
        let options = AzureCredentialOptions {
            use_managed_identity: Some(true),
            ..AzureCredentialOptions::default()
        };
        let http = Arc::new(Rerouted { http, port });
        let credential = AzureCredential::new(&options, environment, http).unwrap();
        assert_eq!(token(&credential).await, "managed");
        assert_differences(&taken(&log), &theirs, &METADATA);
        row.passed();
    }
}

const METADATA: [&str; 1] = ["?api-version: ours 2019-08-01, theirs 2018-02-01"];
