//! What is there and what is missing, and what refusals mean.

use async_trait::async_trait;
use http::Method;
use kubeassume_cloud::http::{CallError, Refusal};
use serde_json::{Map, Value, json};

use super::{AzureContainer, ROLES_API, STORAGE_API, TokenFile, WRITING, blobs};
use crate::bucket::BucketError;
use crate::bucket::contents::{MAX_NAMES, only_documents};
use crate::bucket::plan::{Cloud, Grant, Planned};
use crate::bucket::rest::{Ask, Rest, failed, http_client};

impl AzureContainer {
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
