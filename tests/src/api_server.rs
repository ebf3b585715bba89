//! kube-apiserver: issues the tokens, serves the keys, and is a relying party of its own.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use xtask::testbed::Server;

use crate::{
    Etcd, Launch, Leaf, Process, SigningKey, Testbed, etcd, free_port, kubernetes, server, write_kubeconfig,
};

/// What kube-apiserver is started with. [`new`](Self::new) fills it in; change fields before starting.
#[derive(Clone, Debug)]
pub struct ApiServerConfig {
    /// URL of etcd.
    pub etcd: String,
    /// Where in etcd it keeps its objects: equal for the API servers of one cluster.
    pub etcd_prefix: String,
    /// Issuer of the tokens (`--service-account-issuer`).
    pub issuer: String,
    /// The key that signs.
    pub signing_key: SigningKey,
    /// The keys that are served and accepted, in this order.
    pub served_keys: Vec<SigningKey>,
    /// Audiences that the API server itself accepts.
    pub audiences: Vec<String>,
    /// Content of an `AuthenticationConfiguration` file, see [`trust_issuer`].
    pub authentication: Option<String>,
    /// Users with a bearer token that no key signs, beside the administrator.
    pub users: Vec<StaticUser>,
    /// More flags, as on the command line.
    pub extra: Vec<String>,
}

/// A user whom the API server knows by a fixed bearer token (`--token-auth-file`).
#[derive(Clone)]
pub struct StaticUser {
    /// The bearer token.
    pub token: String,
    /// The user's name.
    pub name: String,
    /// The user's groups.
    pub groups: Vec<String>,
}

impl StaticUser {
    /// A ServiceAccount that stays known whatever happens to the signing keys.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self {
            token: random_token(name),
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
            ],
        }
    }

    fn line(&self) -> String {
        format!(
            "{},{name},{name},\"{}\"\n",
            self.token,
            self.groups.join(","),
            name = self.name
        )
    }
}

/// Without the token.
impl std::fmt::Debug for StaticUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaticUser")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn random_token(name: &str) -> String {
    format!("{name}-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}

impl ApiServerConfig {
    /// An API server that signs with, and serves, one key.
    pub fn new(etcd: &Etcd, issuer: &str, key: &SigningKey) -> Self {
        Self {
            etcd: etcd.url().to_owned(),
            etcd_prefix: "/registry".to_owned(),
            issuer: issuer.to_owned(),
            signing_key: key.clone(),
            served_keys: vec![key.clone()],
            audiences: vec![issuer.to_owned()],
            authentication: None,
            users: Vec::new(),
            extra: Vec::new(),
        }
    }
}

/// An `AuthenticationConfiguration` that makes an API server a relying party of a published issuer:
/// a token with this audience is the user `remote:<sub>`. `ca_pem`: who signed the issuer's certificate.
///
/// Give that API server an `etcd_prefix` and an `issuer` of its own.
pub fn trust_issuer(issuer: &str, audience: &str, ca_pem: &str) -> String {
    json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "jwt": [{
            "issuer": {
                "url": issuer,
                "audiences": [audience],
                "audienceMatchPolicy": "MatchAny",
                "certificateAuthority": ca_pem,
            },
            "claimMappings": {"username": {"claim": "sub", "prefix": "remote:"}},
        }],
    })
    .to_string()
}

/// A kube-apiserver on a port that it keeps through restarts. Authorization is RBAC.
#[derive(Debug)]
pub struct ApiServer {
    process: Option<Process>,
    config: ApiServerConfig,
    port: u16,
    shared: Shared,
}

/// What stays the same through restarts.
#[derive(Debug)]
struct Shared {
    program: PathBuf,
    name: String,
    folder: PathBuf,
    log: PathBuf,
    leaf: Leaf,
    admin_token: String,
    http: reqwest::Client,
    ca_file: PathBuf,
    ca_der: Vec<u8>,
}

impl ApiServer {
    pub(crate) async fn start(bed: &Testbed, config: ApiServerConfig) -> Self {
        let name = bed.name("kube-apiserver");
        let folder = bed.path().join(&name);
        let admin = StaticUser {
            token: random_token("admin"),
            name: "admin".to_owned(),
            groups: vec!["system:masters".to_owned()],
        };
        let users: String = config
            .users
            .iter()
            .chain([&admin])
            .map(StaticUser::line)
            .collect();
        fs::write(folder.join("tokens.csv"), users).expect("tokens.csv");
        let shared = Shared {
            program: server(Server::KubeApiserver).await,
            log: bed.path().join(format!("{name}.log")),
            leaf: bed.pki().leaf(&folder, "tls"),
            admin_token: admin.token,
            http: bed.http(),
            ca_file: bed.pki().ca_file().to_owned(),
            ca_der: bed.pki().ca_der().to_vec(),
            folder,
            name,
        };
        let mut api = Self {
            process: None,
            config,
            port: 0,
            shared,
        };
        loop {
            api.port = free_port();
            if api.run().await {
                return api;
            }
        }
    }

    /// `https://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// A bearer token in the group `system:masters`.
    pub fn admin_token(&self) -> &str {
        &self.shared.admin_token
    }

    /// What it was started with.
    pub fn config(&self) -> &ApiServerConfig {
        &self.config
    }

    /// Its process.
    ///
    /// # Panics
    ///
    /// It was killed or stopped.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the API server runs")
    }

    /// `kill -9`: connections break in the middle.
    pub async fn kill(&mut self) {
        self.process().kill().await;
        self.process = None;
    }

    /// SIGTERM, as in an orderly restart.
    pub async fn stop(&mut self) {
        self.process().stop(LIMIT).await;
        self.process = None;
    }

    /// Starts it again on the same port, with the configuration it had.
    pub async fn start_again(&mut self) {
        assert!(self.process.is_none(), "kill or stop {} first", self.shared.name);
        assert!(
            self.run().await,
            "port {} was taken while {} was down",
            self.port,
            self.shared.name
        );
    }

    /// Starts it again on the same port, with other keys: a step of a key rotation.
    pub async fn start_with(&mut self, signing: &SigningKey, served: &[&SigningKey]) {
        self.config.signing_key = signing.clone();
        self.config.served_keys = served.iter().copied().cloned().collect();
        self.start_again().await;
    }

    /// Changes what it is started with the next time.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut ApiServerConfig)) {
        change(&mut self.config);
    }

    /// A client as `system:masters`.
    pub fn client(&self) -> Client {
        self.client_as(self.admin_token())
    }

    /// A client with another bearer token.
    pub fn client_as(&self, token: &str) -> Client {
        kubernetes::client(&self.url(), &self.shared.ca_der, token)
    }

    /// A client in another user's name, with these groups: the admin may impersonate everybody.
    pub fn client_of(&self, user: &str, groups: &[&str]) -> Client {
        kubernetes::client_of(&self.url(), &self.shared.ca_der, self.admin_token(), user, groups)
    }

    /// Writes a kubeconfig for this server and token, and returns its path.
    pub fn kubeconfig(&self, name: &str, token: &str) -> PathBuf {
        let path = self.shared.folder.join(format!("{name}.kubeconfig"));
        write_kubeconfig(&path, &self.url(), &self.shared.ca_file, token);
        path
    }

    /// GET of a path with the admin's token: status and body.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let request = self
            .shared
            .http
            .get(format!("{}{path}", self.url()))
            .bearer_auth(self.admin_token());
        let response = request.send().await.expect("the API server answers");
        (response.status().as_u16(), response.text().await.expect("a body"))
    }

    /// The key ids at `/openid/v1/jwks`, in its order.
    pub async fn served_kids(&self) -> Vec<String> {
        let (status, body) = self.get("/openid/v1/jwks").await;
        assert_eq!(status, 200, "{body}");
        let set: Value = serde_json::from_str(&body).expect("a JWKS");
        let keys = set["keys"].as_array().expect("keys");
        keys.iter()
            .map(|key| key["kid"].as_str().expect("a kid").to_owned())
            .collect()
    }

    /// Creates a ServiceAccount, and its namespace, where they do not exist.
    pub async fn service_account(&self, namespace: &str, name: &str) {
        let metadata = |name: &str| ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        };
        let space = Namespace {
            metadata: metadata(namespace),
            ..Namespace::default()
        };
        create(Api::all(self.client()), &space).await;
        let account = ServiceAccount {
            metadata: metadata(name),
            ..ServiceAccount::default()
        };
        create(Api::namespaced(self.client(), namespace), &account).await;
    }

    /// A token for a ServiceAccount, as a pod gets it; valid for ten minutes, the shortest there is.
    pub async fn token(&self, namespace: &str, account: &str, audience: &str) -> String {
        let result = self.try_token(namespace, account, audience).await;
        result.unwrap_or_else(|error| panic!("no token for {namespace}/{account}: {error}"))
    }

    /// As [`token`](Self::token), for a server that may be down.
    ///
    /// # Errors
    ///
    /// The server is down or refuses.
    pub async fn try_token(
        &self,
        namespace: &str,
        account: &str,
        audience: &str,
    ) -> Result<String, kube::Error> {
        let spec = TokenRequestSpec {
            audiences: Some(vec![audience.to_owned()]),
            expiration_seconds: Some(600),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest {
            spec: Some(spec),
            ..TokenRequest::default()
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let answer = accounts
            .create_token_request(account, &PostParams::default(), &request)
            .await?;
        Ok(answer.status.and_then(|status| status.token).expect("a token"))
    }

    /// Whom the server takes the bearer of a token for: the user's name, or the refusal's HTTP status.
    ///
    /// # Errors
    ///
    /// The status, usually 401.
    pub async fn who_is(&self, token: &str) -> Result<String, u16> {
        let url = format!("{}/apis/authentication.k8s.io/v1/selfsubjectreviews", self.url());
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let request = self.shared.http.post(url).bearer_auth(token).json(&review);
        let response = request.send().await.expect("the API server answers");
        if !response.status().is_success() {
            return Err(response.status().as_u16());
        }
        let answer: Value = response.json().await.expect("JSON");
        Ok(answer["status"]["userInfo"]["username"]
            .as_str()
            .expect("a name")
            .to_owned())
    }

    /// `false` if its port was taken.
    async fn run(&mut self) -> bool {
        let launch = self.launch();
        let process = self.process.insert(launch.start());
        let ready = etcd::ready(
            &self.shared.http,
            process,
            &format!("https://127.0.0.1:{}/readyz", self.port),
        )
        .await;
        if !ready {
            self.process = None;
        }
        ready
    }

    fn launch(&self) -> Launch {
        let (config, shared) = (&self.config, &self.shared);
        let signing = shared.file("signing.key", config.signing_key.private_pem());
        let served: String = config.served_keys.iter().map(SigningKey::public_pem).collect();
        let served = shared.file("served.pub", &served);
        let mut flags = vec![
            format!("--etcd-servers={}", config.etcd),
            format!("--etcd-prefix={}", config.etcd_prefix),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.port),
            format!("--tls-cert-file={}", shared.leaf.cert.display()),
            format!("--tls-private-key-file={}", shared.leaf.key.display()),
            format!("--cert-dir={}", shared.folder.display()),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            format!("--token-auth-file={}", shared.folder.join("tokens.csv").display()),
            format!("--service-account-issuer={}", config.issuer),
            format!("--service-account-signing-key-file={signing}"),
            format!("--service-account-key-file={served}"),
            format!("--api-audiences={}", config.audiences.join(",")),
            // Needs a controller manager that makes a default ServiceAccount; pods here are only read.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            // Loopback addresses are refused in Endpoints.
            "--endpoint-reconciler-type=none".to_owned(),
        ];
        if let Some(authentication) = &config.authentication {
            flags.push(format!(
                "--authentication-config={}",
                shared.file("authentication.json", authentication)
            ));
        }
        Launch::new(&shared.name, &shared.program, &shared.log)
            .args(flags)
            .args(&config.extra)
    }
}

impl Shared {
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, content).expect("a file of the API server");
        path.display().to_string()
    }
}

/// An object that exists already is fine.
async fn create<K>(api: Api<K>, object: &K)
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    match api.create(&PostParams::default(), object).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        Err(error) => panic!("{error}"),
    }
}

/// With open watches an orderly shutdown takes its time.
const LIMIT: Duration = Duration::from_secs(120);
