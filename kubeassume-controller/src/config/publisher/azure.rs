//! `publisher.azure`: a container of Azure Blob Storage.

use kubeassume_publishers::azure::AzureConfig;

use super::Role;
use crate::config::section::Section;

pub(super) fn read(azure: &mut Section, role: &Role<'_>) -> Option<AzureConfig> {
    let config = AzureConfig {
        storage_account: azure
            .required(
                "storageAccount",
                "write the name of the storage account",
                "The storage account's name.",
            )
            .unwrap_or_default(),
        container: azure
            .required(
                "container",
                "write the name of the container",
                "The container's name, or `$web` for the account's static website.",
            )
            .unwrap_or_default(),
        use_managed_identity: azure.flag(
            "useManagedIdentity",
            "`true`: the credential is the managed identity of machine or pod and nothing else; `false`: never that \
             one. Unset: workload identity where `AZURE_FEDERATED_TOKEN_FILE` is set, else the managed identity, \
             else the developer's tools (`az`, `azd`).",
        ),
        endpoint: azure.text(
            "endpoint",
            "The account's Blob service, when it is not in the public cloud: `https://HOST[:PORT][/PATH]`, as \
             `az storage account show` prints it as `primaryEndpoints.blob`, without the slash at its end. It says \
             the cloud to sign in to, too.",
        ),
        prefix: azure.text(
            "prefix",
            "What goes before both blobs' names, without slashes at its ends. Unset: nothing.",
        ),
        public_url: azure.text(
            "publicURL",
            "Where the public reads the container: the issuer, byte for byte. Unset: the container's own address, \
             which then has to be the issuer. Required for `$web`.",
        ),
    };
    if config.storage_account.is_empty() || config.container.is_empty() {
        return None;
    }
    role.allows(azure, config.public_url.as_deref())?;
    if let Err(invalid) = config.check() {
        let name = invalid.field.trim_start_matches("azure.");
        let fix = match name {
            "storageAccount" => "write the name alone, without https:// and without a host name",
            "container" => "write the name alone, without https:// and without a path",
            "prefix" => "write for example prefix: clusters/one",
            "endpoint" => "write for example endpoint: https://ACCOUNT.blob.core.usgovcloudapi.net",
            "publicURL" => "write publicURL: <the issuer>",
            _ => "correct it",
        };
        azure.problem(name, &invalid.rule, fix);
        return None;
    }
    role.leads_to(azure, "container", config.public_url().map(Some))?;
    Some(config)
}
