//! Entra ID's token endpoint, as far as workload identity needs it.
//!
//! It exchanges any assertion for a token that azurite takes, and remembers what it was asked; it verifies nothing.
//! There is no machine-readable contract of this endpoint; the form's fields are those of "OAuth 2.0 client
//! credentials flow", third case (learn.microsoft.com, identity-platform/v2-oauth2-client-creds-grant-flow).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use crate::{Azurite, Testbed};

/// The server, until it is dropped.
pub struct Entra {
    port: u16,
    asked: Arc<Mutex<Vec<SignIn>>>,
    listener: AbortHandle,
}

/// One request for a token.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The tenant in the path.
    pub tenant: String,
    /// The form's fields.
    pub form: BTreeMap<String, String>,
}

impl Entra {
    /// Gives tokens for this storage.
    pub(crate) async fn start(bed: &Testbed, azurite: &Azurite) -> Self {
        let folder = bed.path().join(bed.name("entra"));
        let tls = TlsAcceptor::from(Arc::new(bed.pki().server_config(&folder)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked: Arc<Mutex<Vec<SignIn>>> = Arc::default();
        let (token, log) = (azurite.token(), asked.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (tls, token, log) = (tls.clone(), token.clone(), log.clone());
                tokio::spawn(async move {
                    let connection = tls.accept(connection).await.ok()?;
                    let service = service_fn(move |request| {
                        let (token, log) = (token.clone(), log.clone());
                        async move { Ok::<_, Infallible>(answer(request, &token, &log).await) }
                    });
                    let serving = http1::Builder::new().serve_connection(TokioIo::new(connection), service);
                    // A client that goes away is no matter of the server's.
                    serving.await.ok()
                });
            }
        });
        Self {
            port,
            asked,
            listener: accepting.abort_handle(),
        }
    }

    /// `AZURE_AUTHORITY_HOST`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/", self.port)
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<SignIn> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Entra {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn answer(request: Request<Incoming>, token: &str, log: &Mutex<Vec<SignIn>>) -> Response<Full<Bytes>> {
    let respond = |status: u16, body: serde_json::Value| {
        Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .expect("a response")
    };
    let (head, body) = request.into_parts();
    let tenant = head
        .uri
        .path()
        .trim_start_matches('/')
        .strip_suffix("/oauth2/v2.0/token");
    let (Some(tenant), "POST") = (tenant, head.method.as_str()) else {
        return respond(404, json!({"error": "invalid_request"}));
    };
    let Ok(body) = body.collect().await else {
        return respond(400, json!({"error": "invalid_request"}));
    };
    let body = body.to_bytes();
    let url = format!("https://localhost/?{}", String::from_utf8_lossy(&body));
    let form: BTreeMap<String, String> = reqwest::Url::parse(&url)
        .map(|url| url.query_pairs().into_owned().collect())
        .unwrap_or_default();
    let complete = ["client_id", "client_assertion", "scope"]
        .iter()
        .all(|name| form.get(*name).is_some_and(|value| !value.is_empty()));
    log.lock().unwrap().push(SignIn {
        tenant: tenant.to_owned(),
        form,
    });
    match complete {
        true => respond(
            200,
            json!({"token_type": "Bearer", "expires_in": 3599, "access_token": token}),
        ),
        false => respond(
            400,
            json!({"error": "invalid_request", "error_description": "AADSTS900144"}),
        ),
    }
}
