//! Clients of an API server.

use std::path::Path;

use kube::config::AuthInfo;
use kube::{Client, Config};
use serde_json::json;

/// A client with a bearer token, which trusts the testbed's CA only.
pub(crate) fn client(url: &str, ca_der: &[u8], token: &str) -> Client {
    Client::try_from(config(url, ca_der, token)).expect("a client")
}

fn config(url: &str, ca_der: &[u8], token: &str) -> Config {
    let mut config = Config::new(url.parse().expect("a URL"));
    config.root_cert = Some(vec![ca_der.to_vec()]);
    config.auth_info = AuthInfo {
        token: Some(token.to_owned().into()),
        ..AuthInfo::default()
    };
    config
}

/// A client that acts as another user with these groups, as the bearer of the token may.
pub(crate) fn client_of(url: &str, ca_der: &[u8], token: &str, user: &str, groups: &[&str]) -> Client {
    let mut config = config(url, ca_der, token);
    config.auth_info.impersonate = Some(user.to_owned());
    config.auth_info.impersonate_groups = Some(groups.iter().map(ToString::to_string).collect());
    Client::try_from(config).expect("a client")
}

/// Writes a kubeconfig file with one cluster and one user (JSON, which is YAML).
///
/// # Panics
///
/// The file cannot be written.
pub fn write_kubeconfig(path: &Path, url: &str, ca_file: &Path, token: &str) {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "testbed",
        "clusters": [{"name": "testbed", "cluster": {"server": url, "certificate-authority": ca_file}}],
        "users": [{"name": "testbed", "user": {"token": token}}],
        "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": "testbed"}}],
    });
    std::fs::write(path, config.to_string()).expect("the kubeconfig can be written");
}
