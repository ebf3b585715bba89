//! Oracle Cloud's credentials: each kind from its own source and no other, and what their signatures cover.
//! Whether OCI's own SDK signs the same is for the workspace's `tests` package.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, Uri};
use kubeassume_cloud::http::HttpClient;
use kubeassume_cloud::oci::{
    Auth, Content, Credential, CredentialError, Credentials, Environment, KeyError, SecurityToken, SigningKey,
};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

const NOW: u64 = 1_700_000_000;
const TENANCY: &str = "ocid1.tenancy.oc1..aaaatenancy";

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A JWT that ends so many seconds after [`NOW`]. Nobody here checks its signature.
fn token(name: &str, lasts: i64) -> String {
    let claims = json!({"sub": name, "exp": NOW.checked_add_signed(lasts).unwrap(), "ext": {"idp": ["https://oidc.example.com"]}});
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// An RSA key pair and its private half in PEM.
fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap()
}

fn client() -> HttpClient {
    HttpClient::new(None).unwrap()
}

/// Files, variables, and which of the variables were asked for.
struct Place {
    folder: tempfile::TempDir,
    variables: BTreeMap<String, String>,
    asked: Arc<Mutex<BTreeSet<String>>>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut place = Self {
            folder,
            variables: BTreeMap::new(),
            asked: Arc::default(),
        };
        place.set("HOME", place.folder.path().to_str().unwrap().to_owned().as_str());
        place
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn environment(&self) -> Environment {
        let (variables, asked) = (self.variables.clone(), self.asked.clone());
        Environment::new(move |name| {
            asked.lock().unwrap().insert(name.to_owned());
            variables.get(name).cloned()
        })
    }

    fn credentials(&self, auth: Auth) -> Credentials {
        Credentials::new(auth, &self.environment(), &client())
    }

    async fn load(&self, auth: Auth) -> Result<Credential, CredentialError> {
        self.credentials(auth).load(at(NOW)).await
    }

    fn api_key(&self, more: &str) -> String {
        let pem = format!("{}OCI_API_KEY\n", key().serialize_pem());
        self.file("key.pem", &pem);
        self.file(
            ".oci/config",
            &format!(
                "# comment\n[DEFAULT]\nuser=ocid1.user.oc1..u\nfingerprint = aa:bb\ntenancy: {TENANCY}\n\
                 region=eu-frankfurt-1\nkey_file=~/key.pem\n{more}"
            ),
        )
    }

    fn resource_principal(&mut self) {
        self.set("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2");
        self.set("OCI_RESOURCE_PRINCIPAL_REGION", "us-phoenix-1");
        self.set("OCI_RESOURCE_PRINCIPAL_RPST", &token("resource", 600));
        self.set("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", &key().serialize_pem());
    }
}

/// Who signed, as the header says it.
fn key_id(credential: &Credential) -> String {
    let authorization = signed(credential, &Method::GET, Content::Unsigned)["authorization"].clone();
    let authorization = authorization.to_str().unwrap().to_owned();
    authorization
        .split("keyId=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned()
}

fn signed(credential: &Credential, method: &Method, content: Content<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let uri: Uri = "https://storage.example.com:8443/n/ns/b/keys/o/a%2Fb?limit=1"
        .parse()
        .unwrap();
    credential
        .sign(method, &uri, &mut headers, content, at(NOW))
        .unwrap();
    headers
}

/// A metadata service and an authentication service; what was asked of them.
struct Instance {
    url: String,
    requests: Arc<Mutex<Vec<Asked>>>,
    leaf: KeyPair,
    /// How long the next tokens last, in seconds; zero: the service is away.
    lasts: Arc<Mutex<i64>>,
}

#[derive(Debug, Clone)]
struct Asked {
    line: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Instance {
    async fn start() -> Self {
        let leaf = key();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "ocid1.instance.oc1..i");
        params
            .distinguished_name
            .push(DnType::OrganizationalUnitName, format!("opc-tenant:{TENANCY}"));
        let certificate = params.self_signed(&leaf).unwrap().pem();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let instance = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            requests: Arc::default(),
            lasts: Arc::new(Mutex::new(3600)),
            leaf,
        };
        let (log, lasts) = (instance.requests.clone(), instance.lasts.clone());
        let private = instance.leaf.serialize_pem();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let mut connection = BufReader::new(connection);
                let Some(asked) = read(&mut connection).await else {
                    continue;
                };
                let path = asked.line.split(' ').nth(1).unwrap().to_owned();
                let bearer = asked.headers.get("authorization").map(String::as_str) == Some("Bearer Oracle");
                let lasts = *lasts.lock().unwrap();
                let count = log.lock().unwrap().len();
                log.lock().unwrap().push(asked);
                let (status, body) = match path.as_str() {
                    "/v1/x509" if lasts == 0 => (503, String::new()),
                    "/v1/x509" => (200, json!({"token": token(&format!("instance {count}"), lasts)}).to_string()),
                    _ if !bearer => (401, String::new()),
                    "/opc/v2/identity/cert.pem" | "/opc/v2/identity/intermediate.pem" => (200, certificate.clone()),
                    "/opc/v2/identity/key.pem" => (200, private.clone()),
                    "/opc/v2/instance/regionInfo" => (
                        200,
                        json!({"realmKey": "oc1", "realmDomainComponent": "oraclecloud.com", "regionKey": "FRA",
                               "regionIdentifier": "eu-frankfurt-1"})
                        .to_string(),
                    ),
                    _ => (404, String::new()),
                };
                let head = format!(
                    "HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = connection
                    .get_mut()
                    .write_all(format!("{head}{body}").as_bytes())
                    .await;
            }
        });
        instance
    }

    fn place(&self) -> Place {
        let mut place = Place::new();
        place.set("OCI_METADATA_BASE_URL", &format!("{}/opc/v2", self.url));
        place
    }

    fn credentials(&self) -> Credentials {
        let environment = self.place().environment();
        Credentials::instance_principal_at(&format!("{}/v1/x509", self.url), &environment, &client())
    }

    fn exchanges(&self) -> Vec<Asked> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter(|asked| asked.line.starts_with("POST /v1/x509 "))
            .cloned()
            .collect()
    }
}

async fn read(connection: &mut BufReader<tokio::net::TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok()?;
    let mut asked = Asked {
        line: line.trim_end().to_owned(),
        headers: BTreeMap::new(),
        body: Vec::new(),
    };
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        asked.headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = asked
        .headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    asked.body = vec![0; length];
    connection.read_exact(&mut asked.body).await.ok()?;
    Some(asked)
}

#[tokio::test]
async fn an_explicit_choice_asks_no_other_source() {
    let instance = Instance::start().await;
    for (auth, prefixes, who) in [
        (
            Auth::ApiKey,
            &["OCI_CLI_", "HOME", "OCI_CONFIG_FILE"][..],
            format!("{TENANCY}/ocid1.user.oc1..u/aa:bb"),
        ),
        (
            Auth::SessionToken,
            &["OCI_CLI_", "HOME", "OCI_CONFIG_FILE"],
            format!("ST${}", token("person", 600)),
        ),
        (
            Auth::ResourcePrincipal,
            &["OCI_RESOURCE_PRINCIPAL_"],
            format!("ST${}", token("resource", 600)),
        ),
    ] {
        let mut place = instance.place();
        place.resource_principal();
        place.file("session", &token("person", 600));
        place.api_key("security_token_file=~/session\n");
        let credential = place.load(auth).await.unwrap();
        assert_eq!(key_id(&credential), who, "{auth:?}");
        for name in place.asked.lock().unwrap().iter() {
            assert!(
                prefixes.iter().any(|prefix| name.starts_with(prefix)),
                "{auth:?} asks for {name}"
            );
        }
    }
    assert_eq!(instance.requests.lock().unwrap().len(), 0, "the metadata service");

    let mut place = instance.place();
    place.resource_principal();
    place.api_key("");
    let credentials = Credentials::instance_principal_at(
        &format!("{}/v1/x509", instance.url),
        &place.environment(),
        &client(),
    );
    let credential = credentials.load(at(NOW)).await.unwrap();
    assert!(key_id(&credential).starts_with("ST$"));
    let asked: Vec<String> = place.asked.lock().unwrap().iter().cloned().collect();
    assert_eq!(asked, ["OCI_METADATA_BASE_URL"]);
}

#[tokio::test]
async fn what_was_chosen_and_is_not_there_is_not_replaced_by_what_is() {
    let mut place = Place::new();
    place.resource_principal();
    for auth in [Auth::ApiKey, Auth::SessionToken] {
        let error = place.load(auth).await.unwrap_err();
        assert!(
            matches!(error, CredentialError::Missing(_)),
            "{auth:?}: {error:?}"
        );
    }
    let place = Place::new();
    place.api_key("");
    let error = place.load(Auth::SessionToken).await.unwrap_err();
    assert!(error.to_string().contains("security_token_file"), "{error}");
    let error = place.load(Auth::ResourcePrincipal).await.unwrap_err();
    assert!(
        error.to_string().contains("OCI_RESOURCE_PRINCIPAL_VERSION"),
        "{error}"
    );
}

#[test]
fn without_a_choice_it_is_what_the_environment_is_set_up_for() {
    let of = |place: &Place| Auth::of_environment(&place.environment());
    let mut place = Place::new();
    assert_eq!(of(&place), Ok(Auth::InstancePrincipal));
    place.api_key("");
    assert_eq!(of(&place), Ok(Auth::ApiKey));
    place.api_key("security_token_file=~/session\n");
    assert_eq!(of(&place), Ok(Auth::SessionToken));
    place.resource_principal();
    assert_eq!(of(&place), Ok(Auth::ResourcePrincipal));
    for (name, auth) in [
        ("api_key", Auth::ApiKey),
        ("security_token", Auth::SessionToken),
        ("resource_principal", Auth::ResourcePrincipal),
        ("instance_principal", Auth::InstancePrincipal),
    ] {
        place.set("OCI_CLI_AUTH", name);
        assert_eq!(of(&place), Ok(auth));
    }
    place.set("OCI_CLI_AUTH", "instance_obo_user");
    assert!(matches!(of(&place), Err(CredentialError::Unusable(_))));
}

#[tokio::test]
async fn a_profile_inherits_and_the_command_lines_variables_win() {
    let mut place = Place::new();
    let config = place.api_key("[other]\nuser = ocid1.user.oc1..other\n; comment\nregion = uk-london-1\n");
    let id = async |place: &Place| key_id(&place.load(Auth::ApiKey).await.unwrap());
    assert_eq!(id(&place).await, format!("{TENANCY}/ocid1.user.oc1..u/aa:bb"));
    place.set("OCI_CLI_PROFILE", "other");
    assert_eq!(id(&place).await, format!("{TENANCY}/ocid1.user.oc1..other/aa:bb"));
    let region = place.credentials(Auth::ApiKey).region().await;
    assert_eq!(region, Ok(Some("uk-london-1".to_owned())));
    place.set("OCI_CLI_USER", "ocid1.user.oc1..variable");
    assert_eq!(
        id(&place).await,
        format!("{TENANCY}/ocid1.user.oc1..variable/aa:bb")
    );
    place.set("OCI_CLI_PROFILE", "nobody");
    let error = place.load(Auth::ApiKey).await.unwrap_err();
    assert!(error.to_string().contains("no profile [nobody]"), "{error}");

    // The home's file goes before OCI_CONFIG_FILE, as in the SDKs, and after OCI_CLI_CONFIG_FILE.
    let mut place = Place::new();
    place.set("OCI_CONFIG_FILE", &config);
    assert!(
        matches!(place.load(Auth::ApiKey).await, Err(CredentialError::Unusable(_))),
        "its folder is gone"
    );
    let moved = place.api_key("");
    assert!(place.load(Auth::ApiKey).await.is_ok());
    place.set(
        "OCI_CONFIG_FILE",
        &place.file("elsewhere", &std::fs::read_to_string(&moved).unwrap()),
    );
    std::fs::remove_file(&moved).unwrap();
    assert!(place.load(Auth::ApiKey).await.is_ok());
    place.set("OCI_CLI_CONFIG_FILE", &place.file("empty", ""));
    assert!(matches!(
        place.load(Auth::ApiKey).await,
        Err(CredentialError::Missing(_))
    ));
}

#[tokio::test]
async fn a_resource_principals_files_are_read_again() {
    let mut place = Place::new();
    place.resource_principal();
    let (first, second) = (token("first", 600), token("second", 600));
    let path = place.file("rpst", &format!("{first}\n"));
    place.set("OCI_RESOURCE_PRINCIPAL_RPST", &path);
    place.set(
        "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM",
        &place.file("pem", &key().serialize_pem()),
    );
    let credentials = place.credentials(Auth::ResourcePrincipal);
    assert_eq!(credentials.region().await, Ok(Some("us-phoenix-1".to_owned())));
    assert_eq!(
        key_id(&credentials.load(at(NOW)).await.unwrap()),
        format!("ST${first}")
    );
    place.file("rpst", &second);
    assert_eq!(
        key_id(&credentials.load(at(NOW)).await.unwrap()),
        format!("ST${second}")
    );
    let error = credentials.load(at(NOW + 600)).await.unwrap_err();
    assert!(matches!(error, CredentialError::Expired(_)), "{error:?}");
    std::fs::remove_file(Path::new(&path)).unwrap();
    let error = credentials.load(at(NOW)).await.unwrap_err();
    assert!(
        error.to_string().contains("OCI_RESOURCE_PRINCIPAL_RPST"),
        "{error}"
    );
    place.set("OCI_RESOURCE_PRINCIPAL_VERSION", "3.0");
    let error = place.load(Auth::ResourcePrincipal).await.unwrap_err();
    assert!(error.to_string().contains("\"3.0\""), "{error}");
}

#[tokio::test]
async fn an_ended_session_says_how_to_renew_it() {
    let place = Place::new();
    place.file("session", &token("person", -1));
    place.api_key("security_token_file=~/session\n");
    let error = place.load(Auth::SessionToken).await.unwrap_err();
    assert!(
        matches!(error, CredentialError::Expired(_)) && error.to_string().contains("oci session refresh")
    );
    place.file("session", "no token");
    let error = place.load(Auth::SessionToken).await.unwrap_err();
    assert!(matches!(error, CredentialError::Unusable(_)), "{error:?}");
}

#[tokio::test]
async fn an_instance_exchanges_its_certificate_and_keeps_the_token() {
    let instance = Instance::start().await;
    let credentials = instance.credentials();
    assert_eq!(credentials.region().await, Ok(Some("eu-frankfurt-1".to_owned())));
    let many = (0..8).map(|_| {
        let credentials = credentials.clone();
        tokio::spawn(async move { key_id(&credentials.load(at(NOW)).await.unwrap()) })
    });
    let many: Vec<_> = many.collect();
    let mut ids = BTreeSet::new();
    for one in many {
        ids.insert(one.await.unwrap());
    }
    assert_eq!(
        (ids.len(), instance.exchanges().len()),
        (1, 1),
        "many calls, one exchange"
    );

    let asked = &instance.exchanges()[0];
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    let fields: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["certificate", "intermediateCertificates", "publicKey"]);
    let authorization = &asked.headers["authorization"];
    assert!(
        authorization.contains(&format!("keyId=\"{TENANCY}/fed-x509/")),
        "{authorization}"
    );
    assert!(
        authorization
            .contains("headers=\"date (request-target) content-length content-type x-content-sha256\"")
    );
    let text = format!(
        "date: {}\n(request-target): post /v1/x509\ncontent-length: {}\ncontent-type: application/json\nx-content-sha256: {}",
        asked.headers["date"],
        asked.body.len(),
        asked.headers["x-content-sha256"],
    );
    verify(&instance.leaf, authorization, &text);

    let later = |seconds| credentials.load(at(NOW + seconds));
    assert_eq!(ids, [key_id(&later(3299).await.unwrap())].into());
    let renewed = key_id(&later(3301).await.unwrap());
    assert!(!ids.contains(&renewed), "five minutes before its end");
    assert_eq!(instance.exchanges().len(), 2);
}

#[tokio::test]
async fn an_instance_lives_on_its_old_token_while_the_service_is_away() {
    let instance = Instance::start().await;
    let credentials = instance.credentials();
    let first = key_id(&credentials.load(at(NOW)).await.unwrap());
    *instance.lasts.lock().unwrap() = 0;
    assert_eq!(key_id(&credentials.load(at(NOW + 3500)).await.unwrap()), first);
    let error = credentials.load(at(NOW + 3600)).await.unwrap_err();
    assert!(
        error.is_retryable() && error.to_string().contains("authentication service"),
        "{error:?}"
    );
    *instance.lasts.lock().unwrap() = 3600;
    let second = key_id(&credentials.load(at(NOW)).await.unwrap());
    assert_eq!(second, first, "it has not ended yet");
    credentials.forget().await;
    assert_ne!(
        key_id(&credentials.load(at(NOW)).await.unwrap()),
        first,
        "OCI refused it"
    );
}

/// The signature in the header, over this text, with this key.
fn verify(key: &KeyPair, authorization: &str, text: &str) {
    let signature = authorization
        .split("signature=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key_raw());
    let signature = STANDARD.decode(signature).unwrap();
    public
        .verify(text.as_bytes(), &signature)
        .expect("the signature covers exactly this");
}

#[test]
fn a_signature_covers_the_path_as_sent_and_the_body_where_it_has_to() {
    let pair = key();
    let signing = SigningKey::from_pem(pair.serialize_pem().as_bytes(), None).unwrap();
    let credential = Credential::api_key("t", "u", "f", signing);
    let text = |headers: &HeaderMap, name: &str| headers[name].to_str().unwrap().to_owned();

    let headers = signed(&credential, &Method::PUT, Content::Unsigned);
    let covered = "date: Tue, 14 Nov 2023 22:13:20 GMT\n(request-target): put /n/ns/b/keys/o/a%2Fb?limit=1\n\
                   host: storage.example.com:8443";
    verify(&pair, &text(&headers, "authorization"), covered);
    assert_eq!(headers.len(), 3, "date, host, authorization: {headers:?}");
    assert!(headers["authorization"].is_sensitive());

    let headers = signed(&credential, &Method::POST, Content::Json(b"{}"));
    let covered = "date: Tue, 14 Nov 2023 22:13:20 GMT\n(request-target): post /n/ns/b/keys/o/a%2Fb?limit=1\n\
                   host: storage.example.com:8443\ncontent-length: 2\ncontent-type: application/json\n\
                   x-content-sha256: RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=";
    verify(&pair, &text(&headers, "authorization"), covered);
}

#[test]
fn a_line_break_in_a_profile_becomes_no_header() {
    let signing = SigningKey::from_pem(key().serialize_pem().as_bytes(), None).unwrap();
    let credential = Credential::api_key("t\r\nx-admin: yes", "u", "f", signing);
    let uri: Uri = "https://h/".parse().unwrap();
    let result = credential.sign(
        &Method::GET,
        &uri,
        &mut HeaderMap::new(),
        Content::Unsigned,
        at(NOW),
    );
    assert_eq!(result, Err(KeyError::Header));
}

#[test]
fn keys_that_cannot_sign_are_told_apart() {
    let of = |text: &str| SigningKey::from_pem(text.as_bytes(), None).unwrap_err();
    let block =
        |tag: &str, headers: &str| format!("-----BEGIN {tag}-----\n{headers}MAA=\n-----END {tag}-----\n");
    assert_eq!(of(""), KeyError::NotPem);
    assert_eq!(of(&key().public_key_pem()), KeyError::Public);
    assert_eq!(of(&block("PRIVATE KEY", "")), KeyError::NotRsa);
    assert_eq!(of(&block("EC PRIVATE KEY", "")), KeyError::NotRsa);
    assert_eq!(
        of(&KeyPair::generate().unwrap().serialize_pem()),
        KeyError::NotRsa
    );
    assert_eq!(of(&block("ENCRYPTED PRIVATE KEY", "")), KeyError::NoPassphrase);
    let old = block(
        "RSA PRIVATE KEY",
        "Proc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,0011223344556677\n\n",
    );
    assert_eq!(of(&old), KeyError::NoPassphrase);
    let with = SigningKey::from_pem(old.as_bytes(), Some(&"x".to_owned().into())).unwrap_err();
    assert_eq!(with, KeyError::Cipher);
    assert!(with.to_string().contains("openssl pkcs8"));
}

#[tokio::test]
async fn neither_debug_nor_an_error_shows_a_secret() {
    let mut place = Place::new();
    place.resource_principal();
    place.set("OCI_CLI_PASSPHRASE", "the-passphrase");
    let secret = token("resource", 600);
    let pem = place.variables["OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM"].clone();
    let credentials = place.credentials(Auth::ResourcePrincipal);
    let credential = credentials.load(at(NOW)).await.unwrap();
    let headers = signed(&credential, &Method::GET, Content::Unsigned);
    let mut text = format!(
        "{credentials:?} {credential:?} {headers:?} {:?}",
        SecurityToken::parse(&secret)
    );
    place.set(
        "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM",
        &pem.replace("PRIVATE", "ODD"),
    );
    text += &format!("{:?}", place.load(Auth::ResourcePrincipal).await.unwrap_err());
    place.set("OCI_RESOURCE_PRINCIPAL_RPST", &secret[..20]);
    text += &format!("{:?}", place.load(Auth::ResourcePrincipal).await.unwrap_err());
    let of_pem = pem.lines().nth(3).unwrap();
    for secret in [&secret[..20], &secret[10..40], of_pem, "the-passphrase"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn a_session_given_for_a_token_of_an_issuer_names_it() {
    let signing = SigningKey::from_pem(key().serialize_pem().as_bytes(), None).unwrap();
    let session = Credential::session(SecurityToken::parse(&token("x", 9)).unwrap(), signing.clone());
    assert!(session.names("https://oidc.example.com"));
    assert!(!session.names("https://oidc.example.com/") && !session.names("https://oidc"));
    assert!(
        !Credential::api_key("https://oidc.example.com", "u", "f", signing).names("https://oidc.example.com")
    );
}
