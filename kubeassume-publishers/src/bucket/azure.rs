//! [`AzureContainer`]: a container of Azure Blob Storage, through Azure Resource Manager.
//!
//! Reading is granted by the container, so it has to be one of its own, with access level `Blob`: every blob by
//! its name, no listing. Blob's own call for that takes no token, only an account's key; Resource Manager's does.
//! The writer gets a role on the container: *Storage Blob Data Contributor* unless another is named, of which it
//! needs `blobs/read` and `blobs/write` alone ([`crate::azure`]). Versioning is a setting of the account's whole
//! Blob service. Of conditional writes nothing can be enforced here: Azure has no such rule.
//!
//! A container that is private now is opened only when it is seen to be empty, which takes a second token, for
//! the Blob service.

use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Method, Request};
use kubeassume_cloud::http::{CallError, Refusal};
use kubeassume_cloud::token::read_file;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::BucketError;
use super::contents::{MAX_NAMES, only_documents};
use super::plan::{Cloud, Grant, Planned};
use super::rest::{Ask, Authorize, Rest, failed, http_client};
use crate::azure::AzureConfig;
use crate::{Invalid, Tls};

mod blobs;

const RESOURCE_MANAGER: &str = "https://management.azure.com";
/// Of Microsoft.Storage and of Microsoft.Authorization.
const STORAGE_API: &str = "api-version=2023-05-01";
const ROLES_API: &str = "api-version=2022-04-01";
/// Built-in roles by which blobs are written (learn.microsoft.com, "Azure built-in roles for Storage").
const CONTRIBUTOR: &str = "ba92f5b4-2d11-453d-a403-e96b0029c9fe";
const WRITING: [(&str, &str); 2] = [
    (CONTRIBUTOR, "Storage Blob Data Contributor"),
    ("b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "Storage Blob Data Owner"),
];

/// A container, and who writes its documents.
#[derive(Debug, Clone)]
pub struct AzureContainer {
    config: AzureConfig,
    subscription: String,
    resource_group: String,
    writer: String,
    role: String,
    resource_manager: String,
    tokens: Option<Tokens>,
    tls: Tls,
}

/// Files with access tokens, read for each request.
#[derive(Debug, Clone)]
struct Tokens {
    /// For Resource Manager.
    management: PathBuf,
    /// For the Blob service.
    storage: Option<PathBuf>,
}

/// A token in a file.
pub(super) struct TokenFile(PathBuf);

#[async_trait]
impl Authorize for TokenFile {
    async fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), CallError> {
        let unusable = |reason: String| CallError::Credential {
            reason: format!("{}: {reason}", self.0.display()),
            transient: false,
        };
        let text = read_file(&self.0).map_err(|error| unusable(error.to_string()))?;
        let token = text.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unusable(
                "it must hold one access token and nothing else".to_owned(),
            ));
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| unusable("it holds no access token".to_owned()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
        Ok(())
    }
}

impl AzureContainer {
    /// For the documents in the configured container, written by `writer`, the object id of a service principal or
    /// managed identity.
    ///
    /// # Errors
    /// [`Invalid`] for a field that breaks a rule.
    pub fn new(
        config: &AzureConfig,
        subscription: &str,
        resource_group: &str,
        writer: &str,
        tls: Tls,
    ) -> Result<Self, Invalid> {
        if config.container.starts_with('$') {
            return Err(Invalid::new(
                "azure.container",
                "must not be $web here: a static website is public by itself, and `az storage blob service-properties \
                 update --static-website` turns it on",
            ));
        }
        config.check()?;
        let subscription = guid("azure.subscription", "a subscription's id", subscription)?;
        let writer = guid(
            "azure.writer",
            "the object id in Entra ID of the publisher's managed identity or service principal (not its client id)",
            writer,
        )?;
        let allowed = |c: char| c.is_alphanumeric() || "-_.()".contains(c);
        let right = (1..=90).contains(&resource_group.chars().count())
            && resource_group.chars().all(allowed)
            && !resource_group.ends_with('.');
        if !right {
            return Err(Invalid::new(
                "azure.resourceGroup",
                format!(
                    "must be 1 to 90 letters, digits, '-', '_', '.' and parentheses without '.' at the end, not {resource_group:?}"
                ),
            ));
        }
        Ok(Self {
            config: config.clone(),
            subscription,
            resource_group: resource_group.to_owned(),
            writer,
            role: CONTRIBUTOR.to_owned(),
            resource_manager: RESOURCE_MANAGER.to_owned(),
            tokens: None,
            tls,
        })
    }

    /// Gives the writer this role instead, by its definition's id: one of your own.
    ///
    /// # Errors
    /// [`Invalid`] for what is no id.
    pub fn role(mut self, role: &str) -> Result<Self, Invalid> {
        self.role = guid("azure.role", "the id of a role definition", role)?;
        Ok(self)
    }

    /// Asks this Resource Manager: another cloud's.
    ///
    /// # Errors
    /// [`Invalid`] for anything but https: a token goes there.
    pub fn resource_manager(mut self, url: &str) -> Result<Self, Invalid> {
        let host = url.strip_prefix("https://").unwrap_or_default();
        if host.is_empty() || host.contains(['/', '?', '#', '@']) {
            return Err(Invalid::new(
                "azure.resourceManager",
                format!(
                    "must be https://HOST[:PORT] of Azure Resource Manager (Azure takes no token without TLS), not {url:?}"
                ),
            ));
        }
        url.clone_into(&mut self.resource_manager);
        Ok(self)
    }

    /// With the access token in this file (`az account get-access-token --query accessToken -o tsv`), and, to see
    /// whether a private container is empty, with one for the Blob service (`--resource https://storage.azure.com`).
    #[must_use]
    pub fn token_files(mut self, management: impl Into<PathBuf>, storage: Option<PathBuf>) -> Self {
        self.tokens = Some(Tokens {
            management: management.into(),
            storage,
        });
        self
    }

    /// Whether there is a token to ask anything with.
    pub fn has_token(&self) -> bool {
        self.tokens.is_some()
    }

    /// Where the public reads it, without a host of your own in front.
    ///
    /// # Errors
    /// [`Invalid`] for a field that breaks a rule.
    pub fn public_url(&self) -> Result<String, Invalid> {
        self.config.public_url().map(|url| url.to_string())
    }

    fn rest(&self) -> Result<Rest<TokenFile>, BucketError> {
        let Some(tokens) = &self.tokens else {
            return Err(BucketError::setup(
                "azure.accessTokenFile",
                "there is no token to ask Resource Manager with",
            ));
        };
        Ok(Rest {
            http: http_client(&self.tls, &self.resource_manager, false)?,
            credentials: TokenFile(tokens.management.clone()),
            base: self.resource_manager.clone(),
        })
    }

    fn account(&self) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}",
            self.subscription, self.resource_group, self.config.storage_account
        )
    }

    fn service(&self) -> String {
        format!("{}/blobServices/default", self.account())
    }

    /// The container as Resource Manager names it, which is the role's scope too.
    fn container(&self) -> String {
        format!("{}/containers/{}", self.service(), self.config.container)
    }

    fn location(&self) -> String {
        let prefix = self
            .config
            .prefix
            .as_ref()
            .map_or(String::new(), |prefix| format!("/{prefix}"));
        format!(
            "azure://{}/{}{prefix}",
            self.config.storage_account, self.config.container
        )
    }

    fn role_definition(&self) -> String {
        format!(
            "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{}",
            self.subscription, self.role
        )
    }

    /// The same each time, so that a second attempt is no second assignment.
    fn assignment(&self) -> Ask {
        let scope = self.container();
        let of = format!("{}|{}|{}", scope.to_ascii_lowercase(), self.writer, self.role);
        let name = name_of(&Sha256::digest(of));
        let target = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}?{ROLES_API}");
        let body = json!({"properties": {
            "roleDefinitionId": self.role_definition(),
            "principalId": self.writer,
            // Also for managed identities. A group or a person is refused with it.
            "principalType": "ServicePrincipal",
        }});
        Ask::new("roleAssignments.create", Method::PUT, target, Some(body))
    }

    async fn read(
        &self,
        rest: &Rest<TokenFile>,
        operation: &'static str,
        target: String,
    ) -> Result<Value, BucketError> {
        let ask = Ask::read(operation, target);
        let read = rest.send(&ask).await;
        Ok(read.map_err(|error| self.failed(operation, &error))?.body)
    }

    /// What is above the container and cannot be granted in it.
    async fn check_account(
        &self,
        rest: &Rest<TokenFile>,
        planned: &mut Planned<Ask>,
    ) -> Result<(), BucketError> {
        let account = self.read(
            rest,
            "storageAccounts.getProperties",
            format!("{}?{STORAGE_API}", self.account()),
        );
        let account = account.await?;
        let is = |name: &str| {
            account
                .pointer(&format!("/properties/{name}"))
                .cloned()
                .unwrap_or_default()
        };
        let name = &self.config.storage_account;
        let closed = |found: &str, fix: &str| {
            Err(BucketError::Unsafe {
                field: "azure.storageAccount",
                found: format!("the storage account {name} {found}"),
                next: format!(
                    "az storage account update --name {name} --resource-group {} {fix}",
                    self.resource_group
                ),
            })
        };
        if is("allowBlobPublicAccess") == json!(false) {
            return closed(
                "forbids public access to any container (allowBlobPublicAccess is false)",
                "--allow-blob-public-access true, or publish to its static website ($web)",
            );
        }
        if is("publicNetworkAccess") == json!("Disabled") {
            return closed(
                "is not on the public network (publicNetworkAccess is Disabled)",
                "--public-network-access Enabled",
            );
        }
        if is("networkAcls/defaultAction") == json!("Deny") {
            return closed(
                "lets only some networks in (networkAcls.defaultAction is Deny)",
                "--default-action Allow",
            );
        }
        if is("allowSharedKeyAccess") != json!(false) {
            planned.find(
                format!("whoever may list the keys of the storage account {name} may write too (allowSharedKeyAccess)"),
                format!("az storage account update --name {name} --allow-shared-key-access false"),
            );
        }
        if is("isHnsEnabled") == json!(true) {
            planned.find(
                format!("the storage account {name} has a hierarchical namespace, and so no versioning"),
                "use an account without one, if what was overwritten is to be kept",
            );
            return Ok(());
        }
        self.plan_versioning(rest, planned).await
    }

    async fn plan_versioning(
        &self,
        rest: &Rest<TokenFile>,
        planned: &mut Planned<Ask>,
    ) -> Result<(), BucketError> {
        let target = format!("{}?{STORAGE_API}", self.service());
        let service = self
            .read(rest, "blobServices.getServiceProperties", target.clone())
            .await?;
        let mut properties = service
            .get("properties")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let before = properties.get("isVersioningEnabled").cloned().unwrap_or_default();
        if before == json!(true) {
            return Ok(());
        }
        // The call sets all properties, so that those that are there go along.
        properties.insert("isVersioningEnabled".to_owned(), json!(true));
        let body = json!({"properties": properties});
        let ask = Ask::new(
            "blobServices.setServiceProperties",
            Method::PUT,
            target,
            Some(body),
        );
        let shown = ask.shown(&rest.base);
        let (before, after) = (
            json!({"isVersioningEnabled": before}),
            json!({"isVersioningEnabled": true}),
        );
        planned.change("versioning", before, after, shown, ask);
        Ok(())
    }

    async fn plan_container(
        &self,
        rest: &Rest<TokenFile>,
        planned: &mut Planned<Ask>,
    ) -> Result<bool, BucketError> {
        let target = format!("{}?{STORAGE_API}", self.container());
        let ask = Ask::read("blobContainers.get", target.clone());
        let there = rest
            .find(&ask)
            .await
            .map_err(|error| self.failed(ask.operation, &error))?;
        let after = json!({"publicAccess": "Blob"});
        let body = Some(json!({"properties": after}));
        let Some(there) = there else {
            let ask = Ask::new("blobContainers.create", Method::PUT, target, body);
            planned.change("container", Value::Null, after, ask.shown(&rest.base), ask);
            return Ok(false);
        };
        match there
            .body
            .pointer("/properties/publicAccess")
            .and_then(Value::as_str)
        {
            Some("Blob") => {}
            Some("Container") => planned.find(
                "everybody may list the container: its access level is Container",
                format!(
                    "az storage container-rm update --storage-account {} --name {} --public-access blob",
                    self.config.storage_account, self.config.container
                ),
            ),
            now => {
                self.check_contents().await?;
                let before = json!({"publicAccess": now.unwrap_or("None")});
                let ask = Ask::new("blobContainers.update", Method::PATCH, target, body);
                planned.change("container", before, after, ask.shown(&rest.base), ask);
            }
        }
        Ok(true)
    }

    /// What is private must not become public.
    async fn check_contents(&self) -> Result<(), BucketError> {
        let storage = self.tokens.as_ref().and_then(|tokens| tokens.storage.clone());
        let Some(storage) = storage else {
            return Err(BucketError::Unsafe {
                field: "azure.container",
                found: format!("{} is there and private, and whether it is empty cannot be seen", self.location()),
                next: "name a container that is not there yet, or give a token for the Blob service with \
                       --storage-token-file (az account get-access-token --resource https://storage.azure.com)"
                    .to_owned(),
            });
        };
        let base = format!("{}/{}", self.config.service(), self.config.container);
        let http = http_client(&self.tls, &base, false)?;
        let names = blobs::names(&http, &TokenFile(storage), &base).await;
        let names = names.map_err(|error| {
            let advice = |refusal: &Refusal| {
                (refusal.status == 403).then(|| {
                    let next = "the second token needs Storage Blob Data Reader on the container";
                    ("azure.container", next.to_owned())
                })
            };
            failed("List Blobs", "azure.container", &error, advice)
        })?;
        only_documents(
            "azure.container",
            &self.location(),
            names.iter().map(String::as_str),
        )
    }

    async fn plan_writer(
        &self,
        rest: &Rest<TokenFile>,
        planned: &mut Planned<Ask>,
        is_there: bool,
    ) -> Result<(), BucketError> {
        // Of a container that is not there, what is above it counts.
        let scope = if is_there {
            self.container()
        } else {
            self.account()
        };
        let target = format!(
            "{scope}/providers/Microsoft.Authorization/roleAssignments?{ROLES_API}&$filter=atScope()"
        );
        let mut assigned = false;
        for assignment in self.assignments(rest, target).await? {
            let is = |name: &str| {
                let text = assignment
                    .pointer(&format!("/properties/{name}"))
                    .and_then(Value::as_str);
                text.unwrap_or_default().to_ascii_lowercase()
            };
            let (principal, role, scope) = (is("principalId"), is("roleDefinitionId"), is("scope"));
            let role = role.rsplit('/').next().unwrap_or_default();
            let ours = principal == self.writer && role == self.role;
            if ours && scope == self.container().to_ascii_lowercase() {
                assigned = true;
                continue;
            }
            let name = WRITING.iter().find(|(id, _)| *id == role).map(|(_, name)| *name);
            if let Some(name) = name.or(ours.then_some("the role")) {
                planned.find(
                    format!("{principal} has {name} at {scope} and may write too"),
                    format!("az role assignment delete --assignee {principal} --role {role} --scope {scope}"),
                );
            }
        }
        if !assigned {
            let ask = self.assignment();
            let after = ask
                .body
                .clone()
                .and_then(|body| body.get("properties").cloned())
                .unwrap_or_default();
            planned.change("writer", Value::Null, after, ask.shown(&rest.base), ask);
        }
        Ok(())
    }

    /// Those of a scope and of all above it, in pages.
    async fn assignments(&self, rest: &Rest<TokenFile>, first: String) -> Result<Vec<Value>, BucketError> {
        let operation = "roleAssignments.listForScope";
        let (mut all, mut next) = (Vec::new(), Some(first));
        while let Some(target) = next {
            let page = self.read(rest, operation, target).await?;
            all.extend(
                page.get("value")
                    .and_then(Value::as_array)
                    .cloned()
                    .unwrap_or_default(),
            );
            // The token goes nowhere else, whatever a link says; a subscription has at most 4000 assignments.
            let link = page.get("nextLink").and_then(Value::as_str);
            let link = link
                .and_then(|link| link.strip_prefix(rest.base.as_str()))
                .filter(|link| link.starts_with('/'));
            next = link.filter(|_| all.len() < MAX_NAMES).map(str::to_owned);
        }
        Ok(all)
    }

    fn failed(&self, operation: &'static str, error: &CallError) -> BucketError {
        let group = &self.resource_group;
        let advice = |refusal: &Refusal| {
            Some(match refusal.code.as_str() {
                "PublicAccessNotPermitted" => (
                    "azure.storageAccount",
                    format!(
                        "az storage account update --name {} --resource-group {group} --allow-blob-public-access true",
                        self.config.storage_account
                    ),
                ),
                "SubscriptionNotFound" | "InvalidSubscriptionId" => {
                    ("azure.subscription", "`az account list` says them, and which tenant the token is of".to_owned())
                }
                "ResourceGroupNotFound" => ("azure.resourceGroup", "`az group list` says them".to_owned()),
                "ResourceNotFound" => (
                    "azure.storageAccount",
                    format!("create it: az storage account create --name {} --resource-group {group} \
                             --allow-blob-public-access true --allow-shared-key-access false", self.config.storage_account),
                ),
                "PrincipalNotFound" | "UnmatchedPrincipalType" => (
                    "azure.writer",
                    "give the object id of a managed identity or service principal (az ad sp show --query id); a new one \
                     takes a minute to be known"
                        .to_owned(),
                ),
                "RoleDefinitionDoesNotExist" => ("azure.role", "give the id of a role definition of this subscription".to_owned()),
                "RequestDisallowedByPolicy" => {
                    ("azure.container", "an Azure Policy of the subscription forbids it: ask for an exemption".to_owned())
                }
                _ if refusal.status == 403 && operation.starts_with("roleAssignments") => (
                    "azure.accessTokenFile",
                    "the token's principal needs Microsoft.Authorization/roleAssignments/* (Role Based Access Control \
                     Administrator)"
                        .to_owned(),
                ),
                _ if refusal.status == 403 => (
                    "azure.accessTokenFile",
                    "the token's principal needs Storage Account Contributor on the account".to_owned(),
                ),
                _ => return None,
            })
        };
        failed(operation, "azure.container", error, advice)
    }
}

#[async_trait]
impl Cloud for AzureContainer {
    type Step = Ask;

    async fn look(&self) -> Result<Planned<Ask>, BucketError> {
        let rest = self.rest()?;
        let mut planned = Planned::new(self.location(), self.public_url().ok());
        self.check_account(&rest, &mut planned).await?;
        let is_there = self.plan_container(&rest, &mut planned).await?;
        self.plan_writer(&rest, &mut planned, is_there).await?;
        planned.find(
            "a write without a precondition cannot be refused here: Azure has no such rule",
            "nothing needs to be done: the publisher sends If-Match or If-None-Match with every write",
        );
        Ok(planned)
    }

    async fn run(&self, ask: Ask) -> Result<(), BucketError> {
        let sent = self.rest()?.send(&ask).await;
        sent.map(drop).map_err(|error| self.failed(ask.operation, &error))
    }

    fn granted(&self) -> Grant {
        let (account, group) = (&self.config.storage_account, &self.resource_group);
        let subscription = &self.subscription;
        let properties = self.assignment().body.unwrap_or_default();
        let mut policy = Map::new();
        policy.insert("scope".to_owned(), json!(self.container()));
        policy.extend(
            properties
                .get("properties")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        );
        Grant {
            policy: Value::Object(policy),
            commands: vec![
                format!(
                    "az storage account blob-service-properties update --account-name {account} --resource-group {group} \
                     --subscription {subscription} --enable-versioning true"
                ),
                format!(
                    "az storage container-rm create --storage-account {account} --resource-group {group} --subscription \
                     {subscription} --name {} --public-access blob",
                    self.config.container
                ),
                format!(
                    "az role assignment create --assignee-object-id {} --assignee-principal-type ServicePrincipal --role {} \
                     --scope {}",
                    self.writer,
                    self.role,
                    self.container()
                ),
            ],
        }
    }
}

/// In lower case.
fn guid(field: &'static str, what: &str, text: &str) -> Result<String, Invalid> {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let hex = text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    match hex && lengths == [8, 4, 4, 4, 12] {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(Invalid::new(
            field,
            format!("must be {what}, as 00000000-0000-0000-0000-000000000000, not {text:?}"),
        )),
    }
}

/// RFC 9562 section 5.8: a UUID of our own making.
fn name_of(digest: &[u8]) -> String {
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    format!(
        "{}-{}-8{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}
