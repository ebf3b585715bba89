//! A stateful stand-in for Azure Resource Manager: one storage account's Blob service, its containers and who has
//! which role there.
//!
//! Resource Manager has no machine-readable contract in a package, so Microsoft's own clients (azure-mgmt-storage,
//! azure-mgmt-authorization) are the contract: they drive this server, read its answers with their models, and their
//! requests are compared with ours. Beyond that it refuses fields that the documentation does not have.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::task::AbortHandle;

use crate::Testbed;
use crate::recorder::{Answer, Recorded, listen_tls, query};

const STORAGE_API: &str = "2023-05-01";
const ROLES_API: &str = "2022-04-01";

/// The server, until it is dropped.
pub struct ArmFake {
    port: u16,
    log: Arc<Mutex<Vec<Recorded>>>,
    listener: AbortHandle,
}

/// What there is of the account.
struct Account {
    service: Value,
    containers: BTreeMap<String, Value>,
    assignments: Vec<Value>,
}

impl ArmFake {
    /// What it is, as rows of the conformance table name it.
    pub const VERSION: &'static str = "stand-in (azure-mgmt-storage is the contract)";
    /// Its subscription.
    pub const SUBSCRIPTION: &'static str = "11111111-2222-3333-4444-555555555555";
    /// Its resource group.
    pub const RESOURCE_GROUP: &'static str = "keys";
    /// Its storage account.
    pub const ACCOUNT: &'static str = "acmekeys";
    /// An administrator's token.
    pub const TOKEN: &'static str = "an-administrators-token";

    pub(crate) async fn start(bed: &Testbed) -> Self {
        let log: Arc<Mutex<Vec<Recorded>>> = Arc::default();
        let (kept, account) = (log.clone(), Arc::new(Mutex::new(Account::new())));
        let (port, listener) = listen_tls(bed, move |mut request| {
            let answer = account.lock().unwrap().answer(&request);
            request.status = answer.status;
            kept.lock().unwrap().push(request);
            ready(answer)
        })
        .await;
        Self { port, log, listener }
    }

    /// `https://localhost:<port>`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// The account, as Resource Manager names it.
    pub fn account() -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}",
            Self::SUBSCRIPTION,
            Self::RESOURCE_GROUP,
            Self::ACCOUNT
        )
    }

    /// What was asked since the last call, in order.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

impl Drop for ArmFake {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Account {
    fn new() -> Self {
        Self {
            service: json!({"deleteRetentionPolicy": {"enabled": true, "days": 7}, "cors": {"corsRules": []}}),
            containers: BTreeMap::new(),
            assignments: Vec::new(),
        }
    }

    fn answer(&mut self, request: &Recorded) -> Answer {
        if request.header("authorization") != Some(&format!("Bearer {}", ArmFake::TOKEN)) {
            return refusal(401, "InvalidAuthenticationToken");
        }
        let Some(below) = request.path().strip_prefix(&ArmFake::account()) else {
            return refusal(404, "ResourceNotFound");
        };
        let (resource, role) = match below.split_once("/providers/Microsoft.Authorization/roleAssignments") {
            Some((scope, name)) => (scope, Some(name.trim_start_matches('/'))),
            None => (below, None),
        };
        let wanted = if role.is_some() { ROLES_API } else { STORAGE_API };
        let version = query(&request.target)
            .into_iter()
            .find(|(name, _)| name == "api-version");
        if version.is_none_or(|(_, version)| version != wanted) {
            return refusal(400, "InvalidApiVersionParameter");
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match (request.method.as_str(), resource, role) {
            ("GET", "", None) => found(
                "",
                &json!({"allowBlobPublicAccess": true, "allowSharedKeyAccess": false, "isHnsEnabled": false,
                    "publicNetworkAccess": "Enabled", "networkAcls": {"defaultAction": "Allow"}}),
            ),
            ("GET", "/blobServices/default", None) => found(resource, &self.service),
            ("PUT", "/blobServices/default", None) => match known(&body, &SERVICE) {
                Ok(properties) => {
                    self.service = properties;
                    found(resource, &self.service)
                }
                Err(answer) => answer,
            },
            (method, _, None) => match resource.strip_prefix("/blobServices/default/containers/") {
                Some(name) => self.container(method, name, resource, &body),
                None => refusal(404, "ResourceNotFound"),
            },
            ("GET", scope, Some("")) => {
                let here = |assignment: &&Value| {
                    let at = assignment["properties"]["scope"].as_str().unwrap_or_default();
                    format!("{}{scope}", ArmFake::account()).starts_with(at)
                };
                let list: Vec<&Value> = self.assignments.iter().filter(here).collect();
                Answer::json(200, &json!({"value": list}))
            }
            ("PUT", scope, Some(name)) => self.assign(scope, name, &body),
            _ => refusal(405, "MethodNotAllowed"),
        }
    }

    fn container(&mut self, method: &str, name: &str, resource: &str, body: &Value) -> Answer {
        let there = self.containers.get(name).cloned();
        match (method, there) {
            ("GET", Some(properties)) => found(resource, &properties),
            ("GET" | "PATCH", None) => refusal(404, "ContainerNotFound"),
            ("PUT" | "PATCH", there) => match known(body, &CONTAINER) {
                Ok(properties) => {
                    let mut answer = found(resource, &properties);
                    answer.status = if there.is_some() { 200 } else { 201 };
                    self.containers.insert(name.to_owned(), properties);
                    answer
                }
                Err(answer) => answer,
            },
            _ => refusal(405, "MethodNotAllowed"),
        }
    }

    fn assign(&mut self, scope: &str, name: &str, body: &Value) -> Answer {
        let mut properties = match known(body, &ASSIGNMENT) {
            Ok(properties) => properties,
            Err(answer) => return answer,
        };
        let same = |assignment: &Value| {
            ["principalId", "roleDefinitionId"]
                .iter()
                .all(|field| assignment["properties"][*field] == properties[*field])
        };
        if self.assignments.iter().any(same) {
            return refusal(409, "RoleAssignmentExists");
        }
        let scope = format!("{}{scope}", ArmFake::account());
        properties["scope"] = json!(scope);
        let assignment = json!({
            "id": format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"), "name": name,
            "type": "Microsoft.Authorization/roleAssignments", "properties": properties,
        });
        self.assignments.push(assignment.clone());
        Answer::json(201, &assignment)
    }
}

/// Fields of `properties` that may be sent (learn.microsoft.com/rest/api/storagerp and /rest/api/authorization).
const SERVICE: [&str; 9] = [
    "automaticSnapshotPolicyEnabled",
    "changeFeed",
    "containerDeleteRetentionPolicy",
    "cors",
    "defaultServiceVersion",
    "deleteRetentionPolicy",
    "isVersioningEnabled",
    "lastAccessTimeTrackingPolicy",
    "restorePolicy",
];
const CONTAINER: [&str; 7] = [
    "defaultEncryptionScope",
    "denyEncryptionScopeOverride",
    "enableNfsV3AllSquash",
    "enableNfsV3RootSquash",
    "immutableStorageWithVersioning",
    "metadata",
    "publicAccess",
];
const ASSIGNMENT: [&str; 7] = [
    "condition",
    "conditionVersion",
    "delegatedManagedIdentityResourceId",
    "description",
    "principalId",
    "principalType",
    "roleDefinitionId",
];

fn known(body: &Value, fields: &[&str]) -> Result<Value, Answer> {
    let properties = body.get("properties").and_then(Value::as_object);
    let only = body.as_object().is_some_and(|body| body.len() == 1);
    match properties {
        Some(properties) if only && properties.keys().all(|name| fields.contains(&name.as_str())) => {
            Ok(json!(properties))
        }
        _ => Err(refusal(400, "InvalidRequestContent")),
    }
}

fn found(resource: &str, properties: &Value) -> Answer {
    let id = format!("{}{resource}", ArmFake::account());
    let name = id.rsplit('/').next().unwrap_or_default().to_owned();
    Answer::json(200, &json!({"id": id, "name": name, "properties": properties}))
}

fn refusal(status: u16, code: &str) -> Answer {
    Answer::json(status, &json!({"error": {"code": code, "message": code}}))
}
