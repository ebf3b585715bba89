//! `source`: where keys are read.

use std::path::PathBuf;

use kubeassume_core::IssuerUrl;

use super::section::Section;

/// Where keys are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceConfig {
    /// From the cluster's API servers.
    ApiServers {
        /// Each `host:port`; empty: the one address of the kubeconfig or of the pod.
        endpoints: Vec<String>,
        /// Whom the certificates of listed endpoints must name.
        server_name: String,
    },
    /// From files, each the key set of one API server.
    Directory(PathBuf),
    /// From a URL below which the two documents are, anonymously.
    Url(IssuerUrl),
}

pub(super) fn read(source: &mut Section) -> Option<SourceConfig> {
    let given: Vec<&str> = ["directory", "url"]
        .into_iter()
        .filter(|name| source.has(name))
        .collect();
    let endpoints = source.texts(
        "endpoints",
        "`host:port` of every API server. Empty: the one address of the pod or the kubeconfig, taken for a load \
         balancer, through which a key that disappears is only believed to be gone after 20 polls in a row.",
    );
    let directory = source.text(
        "directory",
        "Instead of `endpoints`: a directory in which each file is the key set of one API server, as its \
         `/openid/v1/jwks` serves it.",
    );
    let url = source.text(
        "url",
        "Instead of `endpoints`: an https URL without a slash at its end, below which the key set is read \
         anonymously at `/openid/v1/jwks`.",
    );
    let server_name = source.text_or(
        "serverName",
        "kubernetes.default.svc",
        "Whom the certificates of the `endpoints` must name.",
    );
    if given.len() + usize::from(!endpoints.is_empty()) > 1 {
        source.problem(
            "endpoints",
            "directory and url exclude each other",
            "keep the one from which keys are to be read",
        );
        return None;
    }
    match (directory, url) {
        (Some(directory), _) => Some(SourceConfig::Directory(directory.into())),
        (_, Some(url)) => source
            .parsed(
                "url",
                Some(url),
                "write an https URL without a slash at its end; /openid/v1/jwks is added",
            )
            .map(SourceConfig::Url),
        (None, None) => Some(SourceConfig::ApiServers {
            endpoints,
            server_name,
        }),
    }
}
