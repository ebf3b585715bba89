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
use kubeassume_cloud::http::CallError;
use kubeassume_cloud::token::read_file;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::BucketError;
use super::rest::{Ask, Authorize, Rest, http_client};
use crate::azure::AzureConfig;
use crate::{Invalid, Tls};

mod blobs;
mod look;

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
