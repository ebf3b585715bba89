use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Output};
use std::sync::Mutex;

use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, Request};

use super::*;

const SCOPE: &str = "https://storage.azure.com/.default";

/// Whoever is asked is written down.
#[derive(Debug, Default)]
struct World {
    /// `GET http://...`, with the body of a token request behind it; or a command.
    asked: Mutex<Vec<String>>,
    has_metadata: bool,
    has_tools: bool,
}

impl World {
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn log(&self, line: String) {
        self.asked.lock().unwrap().push(line);
    }
}

#[async_trait]
impl HttpClient for World {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let Body::Bytes(body) = request.body() else {
            panic!("bytes");
        };
        let body = String::from_utf8_lossy(body);
        self.log(format!("{} {} {body}", request.method(), request.url()));
        let json = match request.url().host_str() {
            Some("169.254.169.254") if !self.has_metadata => {
                return Err(Error::with_message(ErrorKind::Other, "no route to host"));
            }
            Some("169.254.169.254") => {
                r#"{"access_token":"managed","expires_on":"4102444800","token_type":"Bearer","resource":"r"}"#
            }
            _ => {
                r#"{"token_type":"Bearer","expires_in":3600,"ext_expires_in":3600,"access_token":"exchanged"}"#
            }
        };
        Ok(AsyncRawResponse::from_bytes(200.into(), Headers::new(), json))
    }
}

#[async_trait]
impl Executor for World {
    async fn run(&self, _: &OsStr, args: &[&OsStr]) -> std::io::Result<Output> {
        self.log(format!("{args:?}"));
        let (code, stdout) = match self.has_tools {
            true => (
                0,
                r#"{"accessToken":"tools","expires_on":4102444800,"tokenType":"Bearer"}"#,
            ),
            false => (127 << 8, ""),
        };
        Ok(Output {
            status: ExitStatus::from_raw(code),
            stdout: stdout.into(),
            stderr: Vec::new(),
        })
    }
}

/// A machine of Azure's with workload identity set up and `az` signed in: everything would answer.
fn all() -> (Arc<World>, AzureEnvironment, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let federated_token_file = folder.path().join("token");
    // {"alg":"none"}.{"iss":"https://oidc.example.com"}.sig
    let token = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL29pZGMuZXhhbXBsZS5jb20ifQ.c2ln";
    std::fs::write(&federated_token_file, token).unwrap();
    let environment = AzureEnvironment {
        tenant_id: Some("a-tenant".to_owned()),
        client_id: Some("a-client".to_owned()),
        federated_token_file: Some(federated_token_file),
        ..AzureEnvironment::default()
    };
    let world = World {
        has_metadata: true,
        has_tools: true,
        ..World::default()
    };
    (Arc::new(world), environment, folder)
}

fn credential(
    world: &Arc<World>,
    environment: &AzureEnvironment,
    options: &AzureCredentialOptions,
) -> AzureCredential {
    let mut credential = AzureCredential::new(options, environment.clone(), world.clone()).unwrap();
    credential.executor = Some(world.clone());
    credential
}

async fn token(credential: &AzureCredential) -> String {
    let token = credential.get_token(&[SCOPE], None).await;
    token
        .unwrap_or_else(|error| panic!("{error}"))
        .token
        .secret()
        .to_owned()
}

fn managed_identity(choice: Option<bool>) -> AzureCredentialOptions {
    AzureCredentialOptions {
        use_managed_identity: choice,
        ..AzureCredentialOptions::default()
    }
}

#[tokio::test]
async fn use_managed_identity_asks_the_metadata_service_and_nobody_else() {
    let (world, environment, _folder) = all();
    let credential = credential(&world, &environment, &managed_identity(Some(true)));
    assert_eq!(token(&credential).await, "managed");
    let asked = world.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].starts_with("GET http://169.254.169.254/metadata/identity/oauth2/token?"));
    assert!(
        asked[0].contains("client_id=a-client"),
        "the user-assigned one: {asked:?}"
    );
    assert_eq!(credential.subject_issuer(), None);
}

#[tokio::test]
async fn managed_identity_alone_that_fails_is_an_error() {
    let (world, environment, _folder) = all();
    let world = Arc::new(World {
        has_metadata: false,
        has_tools: world.has_tools,
        ..World::default()
    });
    let credential = credential(&world, &environment, &managed_identity(Some(true)));
    let error = credential.get_token(&[SCOPE], None).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Credential), "{error:?}");
    assert!(error.to_string().contains("no route to host"), "{error}");
    assert!(world.asked().iter().all(|line| line.contains("169.254.169.254")));
}

#[tokio::test]
async fn a_federated_token_is_exchanged_and_nobody_else_is_asked() {
    for choice in [None, Some(false)] {
        let (world, environment, _folder) = all();
        let credential = credential(&world, &environment, &managed_identity(choice));
        assert_eq!(token(&credential).await, "exchanged");
        let asked = world.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        let entra = "POST https://login.microsoftonline.com/a-tenant/oauth2/v2.0/token ";
        assert!(asked[0].starts_with(entra), "{asked:?}");
        assert!(asked[0].contains("client_id=a-client"), "{asked:?}");
        assert_eq!(
            credential.subject_issuer().as_deref(),
            Some("https://oidc.example.com")
        );
    }
}

#[tokio::test]
async fn a_federated_token_that_does_not_work_is_no_reason_to_be_somebody_else() {
    let (world, mut environment, folder) = all();
    environment.federated_token_file = Some(folder.path().join("not-there"));
    let missing = credential(&world, &environment, &managed_identity(None));
    let error = missing.get_token(&[SCOPE], None).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Credential), "{error:?}");
    assert!(error.to_string().contains("not-there"), "{error}");

    let (_, mut environment, _folder) = all();
    environment.client_id = None;
    let incomplete = credential(&world, &environment, &managed_identity(None));
    let error = incomplete.get_token(&[SCOPE], None).await.unwrap_err();
    assert!(error.to_string().contains("AZURE_CLIENT_ID"), "{error}");
    assert_eq!(world.asked(), [""; 0]);
}

#[tokio::test]
async fn without_managed_identity_the_metadata_service_is_not_asked() {
    let (world, mut environment, _folder) = all();
    environment.federated_token_file = None;
    let credential = credential(&world, &environment, &managed_identity(Some(false)));
    assert_eq!(token(&credential).await, "tools");
    let asked = world.asked();
    assert!(
        asked.len() == 1 && asked[0].contains("az account get-access-token"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn left_to_itself_it_takes_the_managed_identity_and_then_the_tools_and_stays_there() {
    let (world, mut environment, _folder) = all();
    environment.federated_token_file = None;
    let managed = credential(&world, &environment, &managed_identity(None));
    assert_eq!(token(&managed).await, "managed");
    assert!(world.asked().iter().all(|line| line.contains("169.254.169.254")));

    let world = Arc::new(World {
        has_tools: true,
        ..World::default()
    });
    let tools = credential(&world, &environment, &managed_identity(None));
    assert_eq!(
        (token(&tools).await, token(&tools).await),
        ("tools".into(), "tools".into())
    );
    let asked = world.asked();
    let metadata = asked
        .iter()
        .filter(|line| line.contains("169.254.169.254"))
        .count();
    assert_eq!((metadata, asked.len()), (1, 3), "{asked:?}");
}

#[tokio::test]
async fn where_nobody_answers_each_is_named() {
    let world = Arc::new(World::default());
    let nobody = credential(&world, &AzureEnvironment::default(), &managed_identity(None));
    let error = nobody.get_token(&[SCOPE], None).await.unwrap_err().to_string();
    for part in [
        "AZURE_FEDERATED_TOKEN_FILE",
        "no route to host",
        "az not found on PATH",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn an_access_token_file_is_read_for_each_request_and_nobody_is_asked() {
    let (world, environment, folder) = all();
    let file = folder.path().join("access-token");
    std::fs::write(&file, "first\n").unwrap();
    let options = AzureCredentialOptions {
        access_token_file: Some(file.clone()),
        use_managed_identity: Some(true),
        ..AzureCredentialOptions::default()
    };
    let credential = credential(&world, &environment, &options);
    assert_eq!(token(&credential).await, "first");
    std::fs::write(&file, "second").unwrap();
    assert_eq!(token(&credential).await, "second");
    for bad in ["", "two tokens", "{\n\"accessToken\": \"secret\"\n}"] {
        std::fs::write(&file, bad).unwrap();
        let error = credential.get_token(&[SCOPE], None).await.unwrap_err();
        assert!(error.to_string().contains("one access token"), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
    assert_eq!(world.asked(), [""; 0]);
}

#[tokio::test]
async fn each_cloud_has_its_own_sign_in() {
    for (cloud, authority_host, host) in [
        (Some(AzureCloud::China), None, "login.chinacloudapi.cn"),
        (Some(AzureCloud::UsGovernment), None, "login.microsoftonline.us"),
        (
            None,
            Some("https://login.chinacloudapi.cn/"),
            "login.chinacloudapi.cn",
        ),
        (
            Some(AzureCloud::Public),
            Some("https://login.private.example.com"),
            "login.private.example.com",
        ),
    ] {
        let (world, mut environment, _folder) = all();
        environment.authority_host = authority_host.map(str::to_owned);
        let options = AzureCredentialOptions {
            cloud,
            ..AzureCredentialOptions::default()
        };
        token(&credential(&world, &environment, &options)).await;
        assert!(world.asked()[0].starts_with(&format!("POST https://{host}/a-tenant/")));
    }

    let (world, mut environment, _folder) = all();
    environment.authority_host = Some("https://login.chinacloudapi.cn".to_owned());
    let public = AzureCredentialOptions {
        cloud: Some(AzureCloud::Public),
        ..AzureCredentialOptions::default()
    };
    let refused = AzureCredential::new(&public, environment, world);
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("blob.core.windows.net"), "{error}");
}
