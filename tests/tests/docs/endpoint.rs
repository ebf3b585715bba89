//! `docs/endpoint.md`: its commands against a real kube-apiserver. What the built-in endpoint then does is
//! tested in `tests/pipeline/endpoint.rs`.

use std::fs;

use kubeassume_tests::{ApiServerConfig, SigningKey, Testbed};

use crate::blocks::ENDPOINT;
use crate::desk::Desk;
use crate::page::Page;

#[tokio::test(flavor = "multi_thread")]
async fn the_manifests_of_the_endpoint_are_accepted() {
    let bed = Testbed::new("endpoint-page");
    let etcd = bed.etcd().await;
    let config = ApiServerConfig::new(&etcd, "https://oidc.example.com", &SigningKey::rsa());
    let api = bed.api_server(config).await;
    let mut desk = Desk::new(&bed, &[]).await;
    desk.administer(&api);
    let leaf = bed.pki().leaf(&desk.folder, "tls");
    fs::rename(leaf.cert, desk.folder.join("tls.crt")).unwrap();
    for block in Page::of(ENDPOINT).blocks() {
        if block.is_run() {
            desk.follow(&block, &[]).await;
        }
    }
    desk.compare();
}
