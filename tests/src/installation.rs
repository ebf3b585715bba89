//! `deploy/` applied to a cluster, as an installation does it.

use std::process::Command;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use xtask::testbed::Server;

use crate::{ApiServer, Testbed, server};

/// Where `deploy/` puts the controller.
pub const NAMESPACE: &str = "kubeassume-system";

/// The ServiceAccount of `deploy/`.
pub const ACCOUNT: &str = "kubeassume";

impl ApiServer {
    /// `kubectl apply -f deploy/`.
    ///
    /// # Panics
    ///
    /// `kubectl` fails; what it says.
    pub async fn install(&self, bed: &Testbed) {
        let program = server(Server::Kubectl).await;
        let output = Command::new(program)
            .arg("--kubeconfig")
            .arg(self.kubeconfig("admin", self.admin_token()))
            .arg("--cache-dir")
            .arg(bed.path().join("kubectl"))
            .args(["apply", "-f"])
            .arg(xtask::repository().join("deploy"))
            .output()
            .expect("kubectl starts");
        let refusal = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl apply -f deploy/: {refusal}");
    }

    /// A token of the ServiceAccount of `deploy/`, as its pod would get it, valid for a day.
    ///
    /// # Panics
    ///
    /// `deploy/` is not [installed](Self::install), or the server is down.
    pub async fn controller_token(&self) -> String {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), NAMESPACE);
        let spec = TokenRequestSpec {
            expiration_seconds: Some(86_400),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest {
            spec: Some(spec),
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(ACCOUNT, &PostParams::default(), &request)
            .await;
        let answer = answer.expect("a token for the ServiceAccount of deploy/");
        answer.status.and_then(|status| status.token).expect("a token")
    }
}
