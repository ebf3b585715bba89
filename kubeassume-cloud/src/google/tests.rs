use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex as StdMutex;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;

const SECRET: &str = "the-secret-that-nobody-may-read";

/// Metadata server, token exchange and login server in one. It says who asked for what.
struct Google {
    folder: TempDir,
    url: String,
    asked: Arc<StdMutex<Vec<String>>>,
    /// Answers other than a token, given first.
    first: Arc<StdMutex<VecDeque<(u16, String)>>>,
}

impl Google {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let google = Self {
            folder: tempfile::tempdir().unwrap(),
            url: format!("http://{}", listener.local_addr().unwrap()),
            asked: Arc::default(),
            first: Arc::default(),
        };
        let (asked, first) = (google.asked.clone(), google.first.clone());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let mut connection = BufReader::new(connection);
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") && connection.read_line(&mut head).await.unwrap() > 0 {
                    let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
                    if let Some(value) = line.strip_prefix("content-length: ") {
                        length = value.parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                connection.read_exact(&mut body).await.unwrap();
                let path = head.split_whitespace().nth(1).unwrap_or_default();
                let path = path.split('?').next().unwrap_or_default().to_owned();
                asked.lock().unwrap().push(path.clone());
                let token = json!({
                    "access_token": format!("token-of{}", path.replace('/', "-")), "token_type": "Bearer",
                    "expires_in": 3600, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
                });
                let answer = first.lock().unwrap().pop_front();
                let (status, body) = answer.unwrap_or((200, token.to_string()));
                let answer = format!(
                    "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\nconnection: close\r\n\
                     content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = connection.write_all(answer.as_bytes()).await;
            }
        });
        google
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn external_account(&self, source: &Value) -> PathBuf {
        let described = json!({
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("{}/sts", self.url),
            "credential_source": source,
        });
        self.write("external.json", &described.to_string())
    }

    /// An `external_account` with a token of this issuer in a file.
    fn federated(&self, issuer: &str) -> PathBuf {
        let claims = BASE64_URL_SAFE_NO_PAD.encode(json!({ "iss": issuer }).to_string());
        let token = self.write("token", &format!("e30.{claims}.{SECRET}"));
        self.external_account(&json!({ "file": token }))
    }

    fn login(&self) -> PathBuf {
        let described = json!({
            "type": "authorized_user", "client_id": "c", "client_secret": SECRET, "refresh_token": SECRET,
            "token_uri": format!("{}/login", self.url),
        });
        self.write("login.json", &described.to_string())
    }

    /// What a request is authorized with, and who was asked for it.
    async fn authorized(
        &self,
        named: Option<&Path>,
        login: Option<&Path>,
        choice: Option<bool>,
    ) -> (String, Vec<String>) {
        let credentials = self.credentials(named, login, choice);
        let outcome = match authorization(&credentials).await {
            Ok(value) => value,
            Err(error) => error.to_string(),
        };
        (outcome, std::mem::take(&mut *self.asked.lock().unwrap()))
    }

    fn credentials(&self, named: Option<&Path>, login: Option<&Path>, choice: Option<bool>) -> Credentials {
        let places = Places {
            named: named.map(Path::to_owned),
            login: login.map(Path::to_owned),
            metadata: Some(self.url.clone()),
        };
        Credentials::found_in(places, choice.into(), &[STORAGE_READ_WRITE])
    }
}

async fn authorization(credentials: &Credentials) -> Result<String, CallError> {
    let mut request = Request::get("https://storage.googleapis.com/")
        .body(Bytes::new())
        .unwrap();
    credentials.authorize(&mut request).await?;
    let value = request.headers().get(AUTHORIZATION);
    Ok(value.map_or(String::new(), |value| value.to_str().unwrap().to_owned()))
}

const METADATA: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

#[tokio::test]
async fn unset_takes_the_first_that_is_found() {
    let google = Google::start().await;
    let (external, login) = (google.federated("https://a"), google.login());
    for (named, logged_in, expected) in [
        (Some(&external), Some(&login), "/sts"),
        (Some(&login), None, "/login"),
        (None, Some(&login), "/login"),
        (None, None, METADATA),
    ] {
        let (named, logged_in) = (named.map(PathBuf::as_path), logged_in.map(PathBuf::as_path));
        let (token, asked) = google.authorized(named, logged_in, None).await;
        assert_eq!(token, format!("Bearer token-of{}", expected.replace('/', "-")));
        assert_eq!(asked, [expected]);
    }
}

#[tokio::test]
async fn workload_identity_asks_the_exchange_or_the_metadata_server_and_nobody_else() {
    let google = Google::start().await;
    let (external, login) = (google.federated("https://a"), google.login());
    let (_, asked) = google.authorized(Some(&external), Some(&login), Some(true)).await;
    assert_eq!(asked, ["/sts"]);
    let (_, asked) = google.authorized(None, Some(&login), Some(true)).await;
    assert_eq!(asked, [METADATA], "a person's login does not count");
    let (error, asked) = google.authorized(Some(&login), None, Some(true)).await;
    assert_eq!(asked, [""; 0]);
    assert!(
        error.contains("useWorkloadIdentity is true") && error.contains("authorized_user"),
        "{error}"
    );
}

#[tokio::test]
async fn without_workload_identity_neither_the_exchange_nor_the_metadata_server_is_asked() {
    let google = Google::start().await;
    let (external, login) = (google.federated("https://a"), google.login());
    let (_, asked) = google
        .authorized(Some(&login), Some(&external), Some(false))
        .await;
    assert_eq!(asked, ["/login"]);
    let (error, asked) = google.authorized(None, None, Some(false)).await;
    assert_eq!(asked, [""; 0]);
    assert!(error.contains("GOOGLE_APPLICATION_CREDENTIALS"), "{error}");
    for (named, login) in [(Some(&external), None), (None, Some(&external))] {
        let (named, login) = (named.map(PathBuf::as_path), login.map(PathBuf::as_path));
        let (error, asked) = google.authorized(named, login, Some(false)).await;
        assert_eq!(asked, [""; 0]);
        assert!(error.contains("useWorkloadIdentity is false"), "{error}");
    }
    let begin = json!({ "type": "impersonated_service_account", "source_credentials": { "type": "external_account" } });
    let impersonated = google.write("impersonated.json", &begin.to_string());
    let (error, asked) = google.authorized(Some(&impersonated), None, Some(false)).await;
    assert!(
        asked.is_empty() && error.contains("useWorkloadIdentity is false"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_refused_once_is_asked_again() {
    let google = Google::start().await;
    let external = google.federated("https://a");
    let credentials = google.credentials(Some(&external), None, None);
    let refusal =
        json!({ "error": "invalid_grant", "error_description": "The issuer's keys cannot be read." });
    google.first.lock().unwrap().push_back((400, refusal.to_string()));
    let error = authorization(&credentials).await.unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, CallError::Credential { transient: false, .. }),
        "{error:?}"
    );
    assert!(
        text.contains("invalid_grant: The issuer's keys cannot be read."),
        "{text}"
    );
    assert!(
        !text.contains(SECRET) && !text.contains("future attempts"),
        "{text}"
    );
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer token-of-sts");
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer token-of-sts");
    assert_eq!(google.asked.lock().unwrap().len(), 2, "and then kept");
}

#[tokio::test]
async fn a_source_that_fails_is_worth_another_try() {
    let google = Google::start().await;
    google.first.lock().unwrap().push_back((503, "busy".to_owned()));
    let (_, asked) = google.authorized(None, None, Some(true)).await;
    assert_eq!(asked, [METADATA]);
    google.first.lock().unwrap().push_back((503, "busy".to_owned()));
    let error = authorization(&google.credentials(None, None, None))
        .await
        .unwrap_err();
    assert!(error.is_retryable() && !error.may_have_happened(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_never_answers_does_not_hold_the_publisher() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let places = Places {
        metadata: Some(format!("http://{}", listener.local_addr().unwrap())),
        ..Places::default()
    };
    let credentials = Credentials::found_in(places, Choice::First, &[]);
    let error = authorization(&credentials).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn no_error_repeats_a_file() {
    let google = Google::start().await;
    let subject = google.write("subject.json", &json!({ "jwt": SECRET }).to_string());
    let source =
        json!({ "file": subject, "format": { "type": "json", "subject_token_field_name": "other" } });
    let external = google.external_account(&source);
    let (error, _) = google.authorized(Some(&external), None, None).await;
    assert!(
        error.contains("subject token") && !error.contains(SECRET),
        "{error}"
    );

    for content in [
        format!("{{\"type\": {SECRET}"),
        format!("{SECRET}: yaml"),
        json!({ "type": "service_account", "private_key": SECRET }).to_string(),
        json!({ "type": "authorized_user", "refresh_token": SECRET }).to_string(),
        json!({ "type": "unheard_of", "x": SECRET }).to_string(),
        json!([SECRET]).to_string(),
    ] {
        let file = google.write("broken.json", &content);
        let (error, asked) = google.authorized(Some(&file), None, None).await;
        assert!(
            error.starts_with("no credentials") && !error.contains(SECRET),
            "{content}: {error}"
        );
        assert_eq!(asked, [""; 0]);
    }
    let (error, _) = google
        .authorized(Some(Path::new("/nowhere/at-all.json")), None, None)
        .await;
    assert!(
        error.contains("/nowhere/at-all.json") && error.contains("GOOGLE_APPLICATION_CREDENTIALS"),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_that_somebody_brought_is_sent_as_it_is() {
    let given = Credentials::token(SecretString::from(SECRET));
    assert_eq!(authorization(&given).await.unwrap(), format!("Bearer {SECRET}"));
    assert!(!format!("{given:?}").contains(SECRET));
    assert_eq!(authorization(&Credentials::anonymous()).await.unwrap(), "");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let file = Credentials::token_file(&path);
    let error = authorization(&file).await.unwrap_err();
    assert!(error.to_string().contains("token: No such file"), "{error}");
    for token in ["one", "two"] {
        std::fs::write(&path, format!("{token}\n")).unwrap();
        assert_eq!(authorization(&file).await.unwrap(), format!("Bearer {token}"));
    }
    for none in ["", "\n", "two\nlines"] {
        std::fs::write(&path, none).unwrap();
        assert!(authorization(&file).await.is_err(), "{none:?}");
    }
}

#[tokio::test]
async fn who_issued_the_exchanged_token_is_known() {
    let google = Google::start().await;
    let issuer = |path: &Path| google.credentials(Some(path), None, None).subject_issuer();
    assert_eq!(
        issuer(&google.federated("https://oidc.example.com")).as_deref(),
        Some("https://oidc.example.com")
    );
    assert_eq!(issuer(&google.login()), None);
    let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"iss":"https://b"}"#);
    let subject = google.write(
        "subject.json",
        &json!({ "jwt": format!("e30.{claims}.x") }).to_string(),
    );
    let source = json!({ "file": subject, "format": { "type": "json", "subject_token_field_name": "jwt" } });
    assert_eq!(
        issuer(&google.external_account(&source)).as_deref(),
        Some("https://b")
    );
    assert_eq!(Credentials::anonymous().subject_issuer(), None);
}
