//! What the controller is measured in: one API server on etcd with `deploy/` applied, and what the issuer's URL
//! leads to: an S3 bucket, or the controller itself.

use std::fs;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::DeleteParams;
use kubeassume_tests::{
    ACCOUNT, ApiServer, ApiServerConfig, Etcd, NAMESPACE, Replica, SigningKey, Testbed, Versitygw, until,
};
use serde_json::Value;

use crate::audit::Audit;

/// Long enough for a busy machine; what waits ends as soon as it may.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// A period of one second stands for one of the default's sixty.
pub(crate) const PERIOD: &str = "1s";

const BUCKET: &str = "oidc";
pub(crate) const OBJECTS: [&str; 2] = ["one/openid/v1/jwks", "one/.well-known/openid-configuration"];
const CONFIG_MAP: &str = "kube-iam-assume-oidc-metadata";
const LEASE: &str = "kubeassume-leader";

/// Where the controller publishes.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Bucket,
    /// The built-in server on this port of 127.0.0.1.
    Endpoint(u16),
}

/// What is declared first ends first.
pub(crate) struct World {
    pub(crate) api: ApiServer,
    pub(crate) audit: Audit,
    pub(crate) gateway: Versitygw,
    /// What signs the pods' tokens now.
    pub(crate) key: SigningKey,
    /// What signed the controllers' own tokens; served for ever.
    bootstrap: SigningKey,
    /// The section of the configuration.
    publisher: String,
    _etcd: Etcd,
    pub(crate) bed: Testbed,
}

impl World {
    pub(crate) async fn start(place: Place) -> Self {
        let bed = Testbed::new("measure");
        let (gateway, etcd) = tokio::join!(bed.versitygw(), bed.etcd());
        gateway.public_bucket(BUCKET, &OBJECTS).await;
        let (key, bootstrap) = (SigningKey::rsa(), SigningKey::rsa());
        let (issuer, publisher) = match place {
            Place::Bucket => (format!("{}/{BUCKET}/one", gateway.url()), bucket(&gateway)),
            Place::Endpoint(port) => {
                let issuer = format!("https://localhost:{port}/one");
                (issuer.clone(), endpoint(&bed, port, &issuer))
            }
        };
        let audit = Audit::new(bed.path());
        let config = ApiServerConfig {
            served_keys: vec![key.clone(), bootstrap.clone()],
            extra: audit.flags(),
            ..ApiServerConfig::new(&etcd, &issuer, &bootstrap)
        };
        let api = bed.api_server(config).await;
        api.install(&bed).await;
        Self {
            api,
            audit,
            gateway,
            key,
            bootstrap,
            publisher,
            _etcd: etcd,
            bed,
        }
    }

    /// A replica with a token of its own; it does not run yet.
    pub(crate) async fn replica(&self, name: &str, period: &str) -> Replica {
        let config = self.bed.path().join(format!("{name}.yaml"));
        fs::write(&config, self.config(period)).expect("the configuration");
        let token = self.api.controller_token().await;
        let kubeconfig = self.api.kubeconfig(name, &token);
        let environment = self.gateway.environment();
        Replica::new(&self.bed, name, &config, &kubeconfig, &environment)
    }

    /// The defaults, but for the period and a retention that ends while somebody watches.
    fn config(&self, period: &str) -> String {
        format!(
            "issuer: {issuer}
source: {{endpoints: [\"{api}\"]}}
publisher: {publisher}
tls: {{caFile: {ca:?}}}
controller: {{syncPeriod: {period}, rotation: {{overlapPeriod: 3s}}}}
",
            issuer = self.api.config().issuer,
            api = self.api.url(),
            publisher = self.publisher,
            ca = self.bed.pki().ca_file(),
        )
    }

    /// No state, no Lease, an empty bucket: as before the first start.
    pub(crate) async fn forget(&self) {
        // Whom the admission policy of deploy/ lets write.
        let administrator = self.api.client_of("kubeassume-admin", &["system:masters"]);
        let now = DeleteParams::default();
        let maps: Api<ConfigMap> = Api::namespaced(administrator.clone(), NAMESPACE);
        absent(maps.delete(CONFIG_MAP, &now).await);
        let leases: Api<Lease> = Api::namespaced(administrator, NAMESPACE);
        absent(leases.delete(LEASE, &now).await);
        for key in OBJECTS {
            let delete = self.gateway.client().delete_object().bucket(BUCKET).key(key);
            delete.send().await.expect("the S3 server deletes");
        }
    }

    /// Successful PUTs so far of each document.
    pub(crate) fn puts(&self) -> [usize; 2] {
        OBJECTS.map(|key| self.gateway.successful_puts(&format!("{BUCKET}/{key}")))
    }

    /// Rolls to a new key as an operator does: served beside the old one, public, signing, alone.
    pub(crate) async fn roll(&mut self) {
        let (old, new, bootstrap) = (self.key.clone(), SigningKey::rsa(), self.bootstrap.clone());
        self.restart(&old, &[&old, &new, &bootstrap]).await;
        self.shows(&[&old, &new, &bootstrap]).await;
        self.restart(&new, &[&old, &new, &bootstrap]).await;
        self.restart(&new, &[&new, &bootstrap]).await;
        self.shows(&[&new, &bootstrap]).await;
        self.key = new;
    }

    async fn restart(&mut self, signing: &SigningKey, served: &[&SigningKey]) {
        self.api.kill().await;
        self.api.start_with(signing, served).await;
    }

    /// Waits until the public sees exactly these keys.
    async fn shows(&self, keys: &[&SigningKey]) {
        let mut expected: Vec<&str> = keys.iter().map(|key| key.kid()).collect();
        expected.sort_unstable();
        let url = format!("{}/openid/v1/jwks", self.api.config().issuer);
        let http = self.bed.http();
        until("the public to see a step of the rotation", LIMIT, async || {
            let answer = http.get(&url).send().await.map_err(|error| error.to_string())?;
            let set: Value = serde_json::from_str(&answer.text().await.map_err(|error| error.to_string())?)
                .map_err(|error| error.to_string())?;
            let keys = set["keys"].as_array().ok_or("no keys")?;
            let mut kids: Vec<&str> = keys.iter().filter_map(|key| key["kid"].as_str()).collect();
            kids.sort_unstable();
            if kids == expected {
                Ok(())
            } else {
                Err(format!("{kids:?}"))
            }
        })
        .await;
    }
}

fn bucket(gateway: &Versitygw) -> String {
    format!(
        "{{type: s3, s3: {{bucket: {BUCKET}, region: {}, endpoint: \"{}\", forcePathStyle: true, prefix: one}}}}",
        gateway.region(),
        gateway.url()
    )
}

fn endpoint(bed: &Testbed, port: u16, issuer: &str) -> String {
    let leaf = bed.pki().leaf(bed.path(), "endpoint");
    format!(
        "{{type: endpoint, endpoint: {{listen: \"127.0.0.1:{port}\", certFile: {:?}, keyFile: {:?}, publicURL: {issuer:?}}}}}",
        leaf.cert, leaf.key
    )
}

/// Of whom the audit log tells.
pub(crate) fn user() -> String {
    format!("system:serviceaccount:{NAMESPACE}:{ACCOUNT}")
}

fn absent<T>(deleted: Result<T, kube::Error>) {
    match deleted {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => panic!("{error}"),
    }
}
