//! Entra ID's token endpoint, as far as workload identity needs it.
//!
//! It exchanges any assertion of a complete form for a token, and keeps what it was asked; it verifies nothing. There is
//! no machine-readable contract of this endpoint: the form is that of "OAuth 2.0 client credentials flow", third case
//! (learn.microsoft.com, identity-platform/v2-oauth2-client-creds-grant-flow), and `azure-identity` asks it in a test.

use std::future::ready;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::task::AbortHandle;

use crate::Testbed;
use crate::recorder::{Answer, Content, Recorded, listen_tls};

const JWT: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The server, until it is dropped.
pub struct Entra {
    port: u16,
    log: Arc<Mutex<Vec<Recorded>>>,
    listener: AbortHandle,
}

impl Entra {
    pub(crate) async fn start(bed: &Testbed, token: &str) -> Self {
        let log: Arc<Mutex<Vec<Recorded>>> = Arc::default();
        let (kept, token) = (log.clone(), token.to_owned());
        let (port, listener) = listen_tls(bed, move |mut request| {
            let answer = answer(&request, &token);
            request.status = answer.status;
            kept.lock().unwrap().push(request);
            ready(answer)
        })
        .await;
        Self { port, log, listener }
    }

    /// `AZURE_AUTHORITY_HOST`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/", self.port)
    }

    /// What was asked since the last call, in order.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

impl Drop for Entra {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

fn answer(request: &Recorded, token: &str) -> Answer {
    let wrong =
        |error: &str, code: &str| Answer::json(400, &json!({"error": error, "error_description": code}));
    let tenant = request
        .path()
        .trim_start_matches('/')
        .strip_suffix("/oauth2/v2.0/token");
    if request.method != "POST" || tenant.is_none_or(|tenant| tenant.is_empty() || tenant.contains('/')) {
        return Answer::json(404, &json!({"error": "invalid_request"}));
    }
    let Content::Form(form) = request.content() else {
        return wrong("invalid_request", "AADSTS900144: the body must be a form");
    };
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    match () {
        () if field("grant_type") != "client_credentials" => wrong("unsupported_grant_type", "AADSTS70003"),
        () if field("client_assertion_type") != JWT => wrong("invalid_request", "AADSTS90014"),
        () if field("client_assertion").split('.').count() != 3 => wrong("invalid_client", "AADSTS50027"),
        () if field("client_id").is_empty() => wrong("invalid_request", "AADSTS900144"),
        () if !field("scope").ends_with("/.default") => wrong("invalid_scope", "AADSTS70011"),
        () => Answer::json(
            200,
            &json!({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token}),
        ),
    }
}
