//! `docs/first-cluster.md`, run from its first command to its last as a newcomer runs it, against a real
//! kube-apiserver and a real S3 server.
//!
//! Only what the page itself marks is done by the test instead: names, the bucket, API servers (with the
//! flags that the page shows) and pods (with the configuration and the environment that the page gave the
//! Deployment). What the commands print is compared with the page, after names are exchanged and what differs
//! from run to run is made equal.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kubeassume_tests::{
    ApiServer, ApiServerConfig, Etcd, NAMESPACE, Replica, SigningKey, Testbed, Versitygw,
};

use crate::blocks::FIRST_CLUSTER;
use crate::desk::Desk;
use crate::page::{Block, Page};

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_gets_from_nothing_to_an_issuer_and_through_a_rotation() {
    let openssl = Command::new("openssl").arg("version").output();
    assert!(
        openssl.is_ok(),
        "{FIRST_CLUSTER} uses openssl, which is not on PATH: install it"
    );
    let bed = Testbed::new("first-cluster");
    let mut newcomer = Newcomer::new(&bed).await;
    for block in Page::of(FIRST_CLUSTER).blocks() {
        match block.stand_in() {
            Some(name) => newcomer.stand_in(name, &block).await,
            None if block.is_run() => newcomer.desk.follow(&block, &newcomer.words).await,
            None => {}
        }
    }
    newcomer.desk.compare();
    // Somebody who shares no code with the product agrees.
    for token in ["old.token", "new.token"] {
        let token = fs::read_to_string(newcomer.desk.folder.join(token)).unwrap();
        let mut party = bed.relying_party(&newcomer.names["ISSUER"], AUDIENCE).await;
        let verdict = party.verify(token.trim()).await;
        assert!(
            verdict.ok && verdict.sub == "system:serviceaccount:default:app",
            "{verdict:?}"
        );
    }
}

/// The audience of the page's tokens.
const AUDIENCE: &str = "sts.amazonaws.com";

/// The newcomer, and the world around.
struct Newcomer<'a> {
    desk: Desk,
    /// What the page's names mean here.
    names: BTreeMap<String, String>,
    /// What is true here, and what the page says instead.
    words: Vec<(String, String)>,
    replicas: Vec<Replica>,
    api: Option<ApiServer>,
    first_key: SigningKey,
    gateway: Versitygw,
    etcd: Etcd,
    bed: &'a Testbed,
}

impl<'a> Newcomer<'a> {
    async fn new(bed: &'a Testbed) -> Self {
        let (gateway, etcd) = tokio::join!(bed.versitygw(), bed.etcd());
        let variables = [
            ("AWS_ACCESS_KEY_ID", gateway.access_key().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", gateway.secret_key().to_owned()),
            // The page's S3 server has a certificate that everybody trusts.
            ("SSL_CERT_FILE", bed.pki().ca_file().display().to_string()),
        ];
        Self {
            desk: Desk::new(bed, &variables).await,
            names: BTreeMap::new(),
            words: Vec::new(),
            replicas: Vec::new(),
            api: None,
            first_key: SigningKey::rsa(),
            gateway,
            etcd,
            bed,
        }
    }

    /// Does what a block stands for that cannot be run here.
    async fn stand_in(&mut self, name: &str, block: &Block) {
        println!("# {name} of line {}", block.line);
        match name {
            "names" => self.choose_names(block).await,
            "bucket" => self.make_bucket().await,
            "api-server" => self.start_api_server(block).await,
            "pods" => self.start_pods().await,
            unknown => panic!("{FIRST_CLUSTER}:{}: the test knows no {unknown:?}", block.line),
        }
    }

    /// Other names than the page's, where the testbed has other servers.
    async fn choose_names(&mut self, block: &Block) {
        // The API server's port is known once it runs; its issuer has to be known before.
        let key = &self.first_key;
        let api = self
            .bed
            .api_server(ApiServerConfig::new(&self.etcd, "https://unused.example", key))
            .await;
        for (command, _) in block.commands() {
            let (name, example) = command
                .strip_prefix("export ")
                .and_then(|rest| rest.split_once('='))
                .unwrap();
            let value = match name {
                "S3" => self.gateway.url(),
                "REGION" => self.gateway.region().to_owned(),
                "API_SERVER" => api.url().trim_start_matches("https://").to_owned(),
                _ => example.to_owned(),
            };
            self.desk.set(name, &value).await;
            let [here, page] = [&value, example].map(|text| text.trim_start_matches("https://").to_owned());
            self.words.push((here, page));
            self.names.insert(name.to_owned(), value);
        }
        let part = |name: &str| self.names[name].clone();
        let issuer = format!("{}/{}/{}", part("S3"), part("BUCKET"), part("PREFIX"));
        self.names.insert("ISSUER".to_owned(), issuer);
        self.api = Some(api);
    }

    /// With the policy that the page has written.
    async fn make_bucket(&self) {
        let policy = fs::read_to_string(self.desk.folder.join("policy.json")).unwrap();
        let (client, bucket) = (self.gateway.client(), &self.names["BUCKET"]);
        client
            .create_bucket()
            .bucket(bucket)
            .send()
            .await
            .expect("a bucket");
        let request = client.put_bucket_policy().bucket(bucket).policy(policy);
        request.send().await.expect("the page's policy");
    }

    /// With the flags that the page shows: issuers once, keys each time.
    async fn start_api_server(&mut self, block: &Block) {
        let text = self.in_the_testbeds_words(&block.lines.join("\n"));
        let flags = |name: &str| -> Vec<String> {
            let flag = format!("- --service-account-{name}=");
            let values = text.lines().filter_map(|line| line.trim().strip_prefix(&flag));
            values.map(str::to_owned).collect()
        };
        let issuers = flags("issuer");
        let key = |path: &String| match path.strip_prefix("/etc/kubernetes/pki/sa").unwrap() {
            ".pub" | ".key" => self.first_key.clone(),
            "-new.pub" | "-new.key" => {
                let pem = fs::read_to_string(self.desk.folder.join("sa-new.key")).unwrap();
                SigningKey::from_pem(&pem)
            }
            other => panic!("{FIRST_CLUSTER}:{}: which key is sa{other}?", block.line),
        };
        let served: Vec<SigningKey> = flags("key-file").iter().map(key).collect();
        let signing = key(&flags("signing-key-file")[0]);

        let api = self.api.as_mut().unwrap();
        api.kill().await;
        if let [first, rest @ ..] = issuers.as_slice() {
            let rest = rest
                .iter()
                .map(|issuer| format!("--service-account-issuer={issuer}"));
            api.reconfigure(|config| {
                config.issuer.clone_from(first);
                config.extra = rest.collect();
                config.audiences.clone_from(&issuers);
            });
        }
        api.start_with(&signing, &served.iter().collect::<Vec<_>>()).await;
        self.desk.administer(api);
        // Kubelets renew the controllers' own tokens before a key goes; here, new pods have new tokens.
        if !self.replicas.is_empty() {
            self.start_pods().await;
        }
    }

    /// What kubelets do: both replicas of the Deployment, with its ConfigMap, its environment, its token.
    async fn start_pods(&mut self) {
        let api = self.api.as_ref().unwrap();
        let client = api.client();
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
        let secrets: Api<Secret> = Api::namespaced(client, NAMESPACE);
        let deployment = deployments
            .get("kubeassume-controller")
            .await
            .expect("the Deployment");
        let spec = deployment.spec.unwrap();
        let pod = spec.template.spec.unwrap();
        let container = &pod.containers[0];
        assert_eq!(container.image.as_deref(), Some(self.names["IMAGE"].as_str()));
        let mut environment = vec![
            ("SSL_CERT_FILE", self.bed.pki().ca_file().display().to_string()),
            // Nothing of this machine's.
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        for variable in container.env.iter().flatten() {
            let source = variable
                .value_from
                .as_ref()
                .and_then(|from| from.secret_key_ref.as_ref());
            if let Some(source) = source {
                let secret = secrets.get(&source.name).await.expect("the Secret").data.unwrap();
                let value = String::from_utf8(secret[&source.key].0.clone()).unwrap();
                environment.push((variable.name.clone().leak(), value));
            }
        }
        let volume = pod.volumes.unwrap().remove(0);
        let map = maps
            .get(&volume.config_map.unwrap().name)
            .await
            .expect("the ConfigMap");
        let config = self.bed.path().join("config.yaml");
        fs::write(&config, &map.data.unwrap()["config.yaml"]).unwrap();

        for mut old in std::mem::take(&mut self.replicas) {
            old.stop().await;
        }
        let token = api.controller_token().await;
        for nth in 0..spec.replicas.unwrap() {
            let name = format!("kubeassume-controller-{nth}");
            let kubeconfig = api.kubeconfig(&name, &token);
            let mut replica = Replica::new(self.bed, &name, &config, &kubeconfig, &environment);
            replica.start();
            self.replicas.push(replica);
        }
        for replica in &self.replicas {
            replica.answers("/readyz", 200).await;
        }
    }

    fn in_the_testbeds_words(&self, text: &str) -> String {
        let replace = |text: String, (here, page): &(String, String)| text.replace(page, here);
        self.words.iter().fold(text.to_owned(), replace)
    }
}
