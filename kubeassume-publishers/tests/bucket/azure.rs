//! Azure's containers, through Resource Manager.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use kubeassume_publishers::Tls;
use kubeassume_publishers::azure::AzureConfig;
use kubeassume_publishers::bucket::{AzureContainer, Bucket};
use serde_json::{Value, json};

use super::scripted::{Request, Response, Server};
use super::{found, make, refused, said, whats, writes};

const SUBSCRIPTION: &str = "11111111-2222-3333-4444-555555555555";
const WRITER: &str = "66666666-7777-8888-9999-000000000000";
const TOKEN: &str = "a-management-token";
const STORAGE_TOKEN: &str = "a-storage-token";

/// One account and its Blob service.
#[derive(Clone, Debug)]
struct Azure {
    account: Value,
    service: Value,
    container: Option<Value>,
    assignments: Vec<Value>,
    blobs: Vec<&'static str>,
    /// A call's beginning, and the code and status that it comes to.
    refusing: Option<(&'static str, u16, &'static str)>,
}

impl Default for Azure {
    fn default() -> Self {
        Self {
            account: json!({"allowBlobPublicAccess": true, "allowSharedKeyAccess": false}),
            service: json!({"deleteRetentionPolicy": {"enabled": true, "days": 7}}),
            container: None,
            assignments: Vec::new(),
            blobs: Vec::new(),
            refusing: None,
        }
    }
}

fn account() -> String {
    format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/keys/providers/Microsoft.Storage/storageAccounts/acmekeys"
    )
}

fn container() -> String {
    format!("{}/blobServices/default/containers/oidc", account())
}

impl Azure {
    fn answer(&mut self, request: &Request) -> Response {
        if request.path == "/acmekeys/oidc" {
            return self.list(request);
        }
        assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let below = request.path.strip_prefix(&account()).expect("the account");
        let (below, role) = below
            .split_once("/providers/Microsoft.Authorization/")
            .unwrap_or((below, ""));
        let version = if role.is_empty() {
            "api-version=2023-05-01"
        } else {
            "api-version=2022-04-01"
        };
        assert!(request.query.contains(version), "{}", request.query);
        let call = format!("{} {below} {}", request.method, role.split('/').next().unwrap());
        if let Some((refused, status, code)) = self.refusing
            && call.starts_with(refused)
        {
            return refusal(status, code);
        }
        let found = |properties: &Value| Response::new(200, json!({"properties": properties}).to_string());
        match call.as_str() {
            "GET  " => found(&self.account),
            "GET /blobServices/default " => found(&self.service),
            "PUT /blobServices/default " => {
                self.service = body["properties"].clone();
                found(&self.service)
            }
            "GET /blobServices/default/containers/oidc " => match &self.container {
                Some(container) => found(container),
                None => refusal(404, "ContainerNotFound"),
            },
            "PUT /blobServices/default/containers/oidc " => {
                assert!(self.container.is_none());
                self.container = Some(body["properties"].clone());
                Response::new(201, "{}")
            }
            "PATCH /blobServices/default/containers/oidc " => {
                self.container = Some(body["properties"].clone());
                Response::new(200, "{}")
            }
            "GET  roleAssignments" | "GET /blobServices/default/containers/oidc roleAssignments" => {
                assert!(request.query.ends_with("$filter=atScope()"), "{}", request.query);
                let second = request.query.contains("&skip=1");
                let cut = self.assignments.len().min(1);
                let page = if second {
                    &self.assignments[cut..]
                } else {
                    &self.assignments[..cut]
                };
                let mut list = json!({"value": page});
                if !second && self.assignments.len() > 1 {
                    let host = &request.headers["host"];
                    let query = request.query.replace("&$filter", "&skip=1&$filter");
                    list["nextLink"] = json!(format!("https://{host}{}?{query}", request.path));
                }
                Response::new(200, list.to_string())
            }
            "PUT /blobServices/default/containers/oidc roleAssignments" => {
                let name = role.split('/').nth(1).unwrap();
                assert_eq!(
                    name.split('-').map(str::len).collect::<Vec<_>>(),
                    [8, 4, 4, 4, 12]
                );
                let mut properties = body["properties"].clone();
                properties["scope"] = json!(container());
                self.assignments
                    .push(json!({"name": name, "properties": properties}));
                Response::new(201, "{}")
            }
            _ => panic!("{call}"),
        }
    }

    fn list(&self, request: &Request) -> Response {
        assert_eq!(
            request.headers["authorization"],
            format!("Bearer {STORAGE_TOKEN}")
        );
        assert!(request.headers.contains_key("x-ms-version") && request.query.contains("comp=list"));
        let blobs: String = self
            .blobs
            .iter()
            .map(|name| format!("<Blob><Name>{name}</Name></Blob>"))
            .collect();
        let page = format!(
            "<?xml version=\"1.0\"?><EnumerationResults><Blobs>{blobs}</Blobs><NextMarker/></EnumerationResults>"
        );
        Response::new(200, page)
    }
}

fn refusal(status: u16, code: &str) -> Response {
    Response::new(
        status,
        json!({"error": {"code": code, "message": "In words."}}).to_string(),
    )
}

struct Desk {
    server: Server,
    azure: Arc<Mutex<Azure>>,
    container: AzureContainer,
    tokens: tempfile::TempDir,
}

async fn desk(azure: Azure) -> Desk {
    let azure = Arc::new(Mutex::new(azure));
    let state = azure.clone();
    let server = Server::start_tls(move |request| state.lock().unwrap().answer(request)).await;
    let tokens = tempfile::tempdir().unwrap();
    std::fs::write(tokens.path().join("management"), format!("{TOKEN}\n")).unwrap();
    std::fs::write(tokens.path().join("storage"), STORAGE_TOKEN).unwrap();
    let config = AzureConfig {
        storage_account: "acmekeys".to_owned(),
        container: "oidc".to_owned(),
        endpoint: Some(format!("{}/acmekeys", server.url)),
        ..AzureConfig::default()
    };
    let tls = Tls {
        ca_pem: server.ca_pem.clone().map(String::into_bytes),
    };
    let container = AzureContainer::new(&config, SUBSCRIPTION, "keys", WRITER, tls).unwrap();
    let container = container.resource_manager(&server.url).unwrap();
    Desk {
        container: container.token_files(tokens.path().join("management"), None),
        server,
        azure,
        tokens,
    }
}

impl Desk {
    fn with_storage_token(&self) -> AzureContainer {
        let file = |name: &str| -> PathBuf { self.tokens.path().join(name) };
        self.container
            .clone()
            .token_files(file("management"), Some(file("storage")))
    }
}

#[tokio::test]
async fn a_container_is_made_the_account_keeps_its_settings_and_one_principal_writes() {
    let desk = desk(Azure::default()).await;
    let plan = make(&desk.container).await;
    assert_eq!(whats(&plan), ["versioning", "container", "writer"]);
    let azure = desk.azure.lock().unwrap();
    assert_eq!(azure.container, Some(json!({"publicAccess": "Blob"})));
    assert_eq!(azure.service["isVersioningEnabled"], true);
    assert_eq!(
        azure.service["deleteRetentionPolicy"]["days"], 7,
        "what was there stays"
    );
    let assignment = &azure.assignments[0]["properties"];
    assert_eq!(
        (&assignment["principalId"], &assignment["principalType"]),
        (&json!(WRITER), &json!("ServicePrincipal"))
    );
    assert!(
        assignment["roleDefinitionId"]
            .as_str()
            .unwrap()
            .ends_with("/ba92f5b4-2d11-453d-a403-e96b0029c9fe")
    );
}

#[tokio::test]
async fn a_private_container_is_opened_only_when_it_is_seen_to_hold_documents_alone() {
    let private = Azure {
        container: Some(json!({"publicAccess": "None"})),
        blobs: vec!["c1/openid/v1/jwks"],
        ..Azure::default()
    };
    let closed = desk(private.clone()).await;
    let (field, text) = refused(&closed.container, &closed.server).await;
    assert!(
        field == "azure.container" && text.contains("--storage-token-file"),
        "{text}"
    );
    let plan = make(&closed.with_storage_token()).await;
    assert_eq!(whats(&plan), ["versioning", "container", "writer"]);
    assert_eq!(plan.changes[1].before, json!({"publicAccess": "None"}));
    let full = desk(Azure {
        blobs: vec!["c1/openid/v1/jwks", "payroll.xlsx"],
        ..private
    })
    .await;
    let (_, text) = refused(&full.with_storage_token(), &full.server).await;
    assert!(text.contains("payroll.xlsx"), "{text}");
}

#[tokio::test]
async fn what_stands_above_the_container_is_refused_with_its_fix() {
    for (setting, value, fix) in [
        (
            "allowBlobPublicAccess",
            json!(false),
            "--allow-blob-public-access true",
        ),
        (
            "publicNetworkAccess",
            json!("Disabled"),
            "--public-network-access Enabled",
        ),
        (
            "networkAcls",
            json!({"defaultAction": "Deny"}),
            "--default-action Allow",
        ),
    ] {
        let mut azure = Azure::default();
        azure.account[setting] = value;
        let desk = desk(azure).await;
        let (field, text) = refused(&desk.container, &desk.server).await;
        assert!(field == "azure.storageAccount" && text.contains(fix), "{text}");
    }
}

#[tokio::test]
async fn wider_access_is_told() {
    let assigned = |principal: &str, role: &str, scope: String| {
        json!({"properties": {"principalId": principal, "scope": scope,
            "roleDefinitionId": format!("/subscriptions/x/providers/Microsoft.Authorization/roleDefinitions/{role}")}})
    };
    let other = "99999999-0000-0000-0000-000000000000";
    let azure = Azure {
        account: json!({"allowBlobPublicAccess": true, "isHnsEnabled": true}),
        container: Some(json!({"publicAccess": "Container"})),
        assignments: vec![
            assigned(other, "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", account()),
            assigned(WRITER, "BA92F5B4-2d11-453d-a403-e96b0029c9fe", account()),
            assigned(other, "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", account()),
        ],
        ..Azure::default()
    };
    let desk = desk(azure).await;
    let plan = make(&desk.container).await;
    // What is granted above is no grant on the container.
    assert_eq!(whats(&plan), ["writer"]);
    let text = found(&plan);
    for words in [
        "allowSharedKeyAccess",
        "no versioning",
        "list the container",
        "Data Owner",
        other,
        WRITER,
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("2a2b9908"), "a reader is no writer: {text}");
}

#[tokio::test]
async fn refusals_name_the_call_the_code_the_field_and_what_to_do() {
    for (refusing, field, words) in [
        (
            ("GET  ", 404, "ResourceNotFound"),
            "azure.storageAccount",
            "az storage account create",
        ),
        (
            ("GET  ", 404, "ResourceGroupNotFound"),
            "azure.resourceGroup",
            "az group list",
        ),
        (
            ("GET  ", 404, "SubscriptionNotFound"),
            "azure.subscription",
            "az account list",
        ),
        (
            ("GET  ", 401, "ExpiredAuthenticationToken"),
            "azure.container",
            "sign in again",
        ),
        (
            ("GET  ", 403, "AuthorizationFailed"),
            "azure.accessTokenFile",
            "Storage Account Contributor",
        ),
        (
            (
                "PUT /blobServices/default/containers/oidc ",
                409,
                "PublicAccessNotPermitted",
            ),
            "azure.storageAccount",
            "--allow-blob-public-access",
        ),
        (
            (
                "PUT /blobServices/default/containers/oidc roleA",
                400,
                "PrincipalNotFound",
            ),
            "azure.writer",
            "object id",
        ),
        (
            (
                "PUT /blobServices/default/containers/oidc roleA",
                403,
                "AuthorizationFailed",
            ),
            "azure.accessTokenFile",
            "roleAssignments",
        ),
    ] {
        let desk = desk(Azure {
            refusing: Some(refusing),
            ..Azure::default()
        })
        .await;
        let error = match desk.container.plan().await {
            Ok(plan) => desk.container.apply(&plan).await.expect_err(refusing.2),
            Err(error) => error,
        };
        let (named, text) = said(&error);
        assert!(
            named == field && text.contains(words) && text.contains(refusing.2),
            "{refusing:?}: {named} {text}"
        );
        assert!(!text.contains(TOKEN), "{text}");
    }
    let unreadable = desk(Azure::default()).await;
    std::fs::write(unreadable.tokens.path().join("management"), "two tokens").unwrap();
    let (_, text) = refused(&unreadable.container, &unreadable.server).await;
    assert!(
        text.contains("one access token") && !text.contains("two tokens"),
        "{text}"
    );
    assert!(writes(&unreadable.server).is_empty());
}
