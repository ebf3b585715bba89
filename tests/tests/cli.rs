//! `kubeassume publish`, `status` and `verify` against a real API server and a real S3 server: bootstrap by
//! an administrator, without any controller.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::path::PathBuf;
use std::process::Command;

use kubeassume_tests::{ApiServer, ApiServerConfig, Binary, Etcd, SigningKey, Testbed, Versitygw, binary};
use serde_json::Value;

const NAMESPACE: &str = "kubeassume-system";
const AUDIENCE: &str = "sts.amazonaws.com";

struct Administrator {
    /// Ends with this.
    _etcd: Etcd,
    gateway: Versitygw,
    kubeconfig: PathBuf,
    config: PathBuf,
    ca_file: PathBuf,
    issuer: String,
}

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Administrator {
    async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(binary(Binary::Cli));
        command
            .args(arguments)
            .env("AWS_ACCESS_KEY_ID", self.gateway.access_key())
            .env("AWS_SECRET_ACCESS_KEY", self.gateway.secret_key())
            .env("HOME", "/nonexistent")
            .env_remove("KUBECONFIG");
        let output = tokio::task::spawn_blocking(move || command.output().expect("it starts"))
            .await
            .unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    async fn publish(&self) -> Ended {
        let (config, kubeconfig) = (self.config.to_str().unwrap(), self.kubeconfig.to_str().unwrap());
        self.run(&[
            "publish",
            "--once",
            "--config",
            config,
            "--kubeconfig",
            kubeconfig,
        ])
        .await
    }

    async fn status(&self) -> (Ended, Value) {
        let (ca_file, kubeconfig) = (self.ca_file.to_str().unwrap(), self.kubeconfig.to_str().unwrap());
        let ended = self
            .run(&[
                "status",
                "-o",
                "json",
                "--kubeconfig",
                kubeconfig,
                "--cacert",
                ca_file,
            ])
            .await;
        let status = serde_json::from_str(&ended.stdout).unwrap_or(Value::Null);
        (ended, status)
    }

    async fn verify(&self, token: &str) -> Ended {
        let file = self.config.with_file_name("token");
        std::fs::write(&file, token).unwrap();
        let (file, ca_file) = (file.to_str().unwrap(), self.ca_file.to_str().unwrap());
        self.run(&[
            "verify",
            "--issuer",
            &self.issuer,
            "--token",
            file,
            "--audience",
            AUDIENCE,
            "--cacert",
            ca_file,
        ])
        .await
    }
}

async fn set_up(bed: &Testbed) -> (Administrator, ApiServer, SigningKey) {
    let gateway = bed.versitygw().await;
    gateway
        .public_bucket("oidc", &["openid/v1/jwks", ".well-known/openid-configuration"])
        .await;
    let issuer = format!("{}/oidc", gateway.url());
    let key = SigningKey::rsa();
    let etcd = bed.etcd().await;
    let api = bed.api_server(ApiServerConfig::new(&etcd, &issuer, &key)).await;
    api.service_account(NAMESPACE, "app").await;
    let config = bed.path().join("kubeassume.yaml");
    let ca_file = bed.pki().ca_file().to_owned();
    let text = format!(
        "issuer: {issuer}\nsource: {{endpoints: [\"{}\"]}}\npublisher: {{type: s3, cacheMaxAge: \
         0s, s3: {{bucket: oidc, region: {}, endpoint: \"{}\", forcePathStyle: true}}}}\ntls: {{caFile: {}}}\n",
        api.url(),
        gateway.region(),
        gateway.url(),
        ca_file.display(),
    );
    std::fs::write(&config, text).unwrap();
    let kubeconfig = api.kubeconfig("administrator", api.admin_token());
    (
        Administrator {
            _etcd: etcd,
            gateway,
            kubeconfig,
            config,
            ca_file,
            issuer,
        },
        api,
        key,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_begins_follows_a_rotation_and_sees_where_it_stands() {
    let bed = Testbed::new("cli");
    let (administrator, mut api, old) = set_up(&bed).await;

    let (ended, _) = administrator.status().await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("there is no state"), "{}", ended.stderr);

    let ended = administrator.publish().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the public copy is verified"),
        "{}",
        ended.stderr
    );
    let token = api.token(NAMESPACE, "app", AUDIENCE).await;
    let ended = administrator.verify(&token).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    // Again: the state says everything already.
    let puts = administrator.gateway.successful_puts("oidc/openid/v1/jwks");
    assert_eq!(puts, 1);
    assert_eq!(administrator.publish().await.code, Some(0));
    assert_eq!(administrator.gateway.successful_puts("oidc/openid/v1/jwks"), puts);

    // A hard rotation, as a controller would have to survive it: the old key stays public.
    let new = SigningKey::p256();
    api.kill().await;
    api.start_with(&new, &[&new]).await;
    let ended = administrator.publish().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let signed_by_new = api.token(NAMESPACE, "app", AUDIENCE).await;
    for token in [&token, &signed_by_new] {
        assert_eq!(administrator.verify(token).await.code, Some(0));
    }

    let (ended, status) = administrator.status().await;
    println!("{}", ended.stdout);
    assert_eq!(ended.code, Some(1), "nobody holds the Lease: {}", ended.stderr);
    assert!(ended.stderr.contains("no controller leads"), "{}", ended.stderr);
    assert_eq!(status["issuer"], administrator.issuer);
    assert_eq!(status["state"], "ok");
    assert_eq!(status["publicCopy"]["verified"], true);
    let state_of = |key: &SigningKey| {
        let keys = status["keys"].as_array().unwrap();
        keys.iter()
            .find(|entry| entry["kid"] == key.kid())
            .expect("the key")
            .clone()
    };
    assert_eq!(state_of(&new)["state"], "live");
    assert_eq!(state_of(&old)["state"], "retiring");
    assert!(state_of(&old)["secondsLeft"].as_i64().unwrap() > 0);
    assert_eq!(status["endpoints"].as_array().unwrap().len(), 1);
}
