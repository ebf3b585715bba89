//! The three clouds: separate from each other, each with its own sign-in and its own host names.

use azure_core::cloud::CloudConfiguration;

/// One of Azure's clouds. An identity of one is nobody in the others.
///
/// Hosts: learn.microsoft.com, "Azure Government compare" and "Azure China developer guide".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AzureCloud {
    /// The public cloud.
    #[default]
    Public,
    /// Azure in China, operated by 21Vianet.
    China,
    /// Azure for the government of the United States.
    UsGovernment,
}

impl AzureCloud {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Public, Self::China, Self::UsGovernment];

    /// Where its identities sign in, without a slash at the end.
    pub fn authority(self) -> &'static str {
        match self {
            Self::Public => "https://login.microsoftonline.com",
            Self::China => "https://login.chinacloudapi.cn",
            Self::UsGovernment => "https://login.microsoftonline.us",
        }
    }

    /// What follows `ACCOUNT.` in the host name of a storage account's Blob service.
    pub fn blob_suffix(self) -> &'static str {
        match self {
            Self::Public => "blob.core.windows.net",
            Self::China => "blob.core.chinacloudapi.cn",
            Self::UsGovernment => "blob.core.usgovcloudapi.net",
        }
    }

    /// The cloud in which this is the sign-in address, with or without a slash at the end.
    pub fn of_authority(authority: &str) -> Option<Self> {
        let authority = authority.trim_end_matches('/');
        Self::ALL
            .into_iter()
            .find(|cloud| authority.eq_ignore_ascii_case(cloud.authority()))
    }

    /// The cloud and the account to which this host name of a Blob service belongs:
    /// `ACCOUNT.blob.core.windows.net`, or with `privatelink.` before the suffix.
    pub fn of_blob_host(host: &str) -> Option<(Self, &str)> {
        Self::ALL.into_iter().find_map(|cloud| {
            let account = host.strip_suffix(cloud.blob_suffix())?.strip_suffix('.')?;
            let account = account.strip_suffix(".privatelink").unwrap_or(account);
            (!account.is_empty() && !account.contains('.')).then_some((cloud, account))
        })
    }

    pub(super) fn configuration(self) -> CloudConfiguration {
        match self {
            Self::Public => CloudConfiguration::AzurePublic,
            Self::China => CloudConfiguration::AzureChina,
            Self::UsGovernment => CloudConfiguration::AzureGovernment,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_host_says_its_cloud_and_its_account() {
        let of = AzureCloud::of_blob_host;
        assert_eq!(
            of("keys.blob.core.windows.net"),
            Some((AzureCloud::Public, "keys"))
        );
        assert_eq!(
            of("keys.privatelink.blob.core.usgovcloudapi.net"),
            Some((AzureCloud::UsGovernment, "keys"))
        );
        assert_eq!(
            of("keys.blob.core.chinacloudapi.cn"),
            Some((AzureCloud::China, "keys"))
        );
        for other in [
            "blob.core.windows.net",
            ".blob.core.windows.net",
            "keysblob.core.windows.net",
            "a.b.blob.core.windows.net",
            "keys.blob.core.windows.net.example.com",
            "localhost",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn an_authority_says_its_cloud() {
        for cloud in AzureCloud::ALL {
            assert_eq!(AzureCloud::of_authority(cloud.authority()), Some(cloud));
            assert_eq!(
                AzureCloud::of_authority(&format!("{}/", cloud.authority())),
                Some(cloud)
            );
        }
        assert_eq!(AzureCloud::of_authority("https://login.example.com"), None);
    }
}
