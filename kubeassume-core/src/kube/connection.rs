//! One read of one API server: a new connection, the discovery document and the key set on it, the end.
//!
//! A pool would answer from the connection to the server that it met first, and an address that stands for
//! several servers would show one of them for ever.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::kube::Config;
use ::kube::client::middleware::{AuthLayer, ExtraHeadersLayer};
use ::kube::client::{Body, ConfigExt};
use bytes::Bytes;
use futures_util::future::{self, BoxFuture, Either};
use futures_util::{FutureExt, TryFutureExt};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

use crate::store::{DocumentPath, MAX_DOCUMENT_BYTES};
use crate::{DiscoveryClaims, IssuerUrl, KeySet, Parsed, Refusal, SourceError, Timestamp};

/// How long one read may take, from the first packet to the last byte of the key set.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens connections; what they need is prepared once. The files of a pod's CA and token are read again as
/// they are renewed.
pub(super) struct Dialer {
    issuer: IssuerUrl,
    tls: Arc<ClientConfig>,
    auth: Option<AuthLayer>,
    headers: ExtraHeadersLayer,
}

/// Where an API server listens.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// `host:port`: how observations and metrics name it.
    pub(super) name: String,
    pub(super) host: String,
    pub(super) port: u16,
    /// Whom its certificate must name.
    pub(super) server_name: ServerName<'static>,
    /// What stands before the paths, without a slash at its end; usually nothing.
    pub(super) prefix: String,
}

/// What one read gave.
pub(super) struct Read {
    pub(super) parsed: Parsed,
    pub(super) date: Option<Timestamp>,
}

impl Dialer {
    pub(super) fn new(config: &Config, issuer: IssuerUrl) -> Result<Self, SourceError> {
        let misconfigured = |error: ::kube::Error| SourceError::Misconfigured(error.to_string());
        Ok(Self {
            issuer,
            tls: Arc::new(config.rustls_client_config().map_err(misconfigured)?),
            auth: config.auth_layer().map_err(misconfigured)?,
            headers: config.extra_headers_layer().map_err(misconfigured)?,
        })
    }

    pub(super) async fn read(&self, address: &Address) -> Result<Read, SourceError> {
        let late = || SourceError::Unreachable(format!("no complete answer within {READ_TIMEOUT:?}"));
        tokio::time::timeout(READ_TIMEOUT, self.talk(address))
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    async fn talk(&self, address: &Address) -> Result<Read, SourceError> {
        let tcp = TcpStream::connect((address.host.as_str(), address.port))
            .await
            .map_err(|e| unreachable(&e))?;
        // Or the request, sent right after the handshake, would wait 40 ms for a delayed acknowledgement.
        tcp.set_nodelay(true).map_err(|e| unreachable(&e))?;
        let tls = TlsConnector::from(self.tls.clone())
            .connect(address.server_name.clone(), tcp)
            .await
            .map_err(|e| SourceError::Unreachable(format!("TLS: {e}")))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(tls))
            .await
            .map_err(|e| unreachable(&e))?;
        let documents = pin!(self.documents(address, &mut sender));
        match future::select(documents, pin!(connection)).await {
            Either::Left((read, _)) => read,
            // The server closed it; the last answer may still be in hand.
            Either::Right((_, documents)) => documents.await,
        }
    }

    async fn documents(
        &self,
        address: &Address,
        sender: &mut SendRequest<Body>,
    ) -> Result<Read, SourceError> {
        let discovery = self.get(address, sender, &DocumentPath::DISCOVERY).await?;
        let bytes = discovery
            .bytes
            .map_err(|_| SourceError::Discovery(format!("it is larger than {MAX_DOCUMENT_BYTES} bytes")))?;
        let claims = DiscoveryClaims::parse(&bytes).map_err(|e| SourceError::Discovery(e.to_string()))?;
        if claims.issuer != self.issuer.as_str() {
            return Err(SourceError::Issuer {
                expected: self.issuer.to_string(),
                found: claims.issuer,
            });
        }
        let jwks = self.get(address, sender, &DocumentPath::JWKS).await?;
        Ok(Read {
            parsed: KeySet::parse(&jwks.bytes?)?,
            date: jwks.date,
        })
    }

    async fn get(
        &self,
        address: &Address,
        sender: &mut SendRequest<Body>,
        path: &DocumentPath,
    ) -> Result<Document, SourceError> {
        let request = Request::get(format!("{}/{}", address.prefix, path.as_str()))
            .header(header::HOST, &address.name)
            .header(header::ACCEPT, "application/json, application/jwk-set+json")
            .header(
                header::USER_AGENT,
                concat!("kubeassume/", env!("CARGO_PKG_VERSION")),
            )
            .body(Body::empty())
            .map_err(|e| SourceError::Misconfigured(e.to_string()))?;
        let request = self
            .authorize(request)
            .await
            .map_err(|e| SourceError::Misconfigured(format!("credentials: {e}")))?;
        sender.ready().await.map_err(|e| unreachable(&e))?;
        let response = sender.send_request(request).await.map_err(|e| unreachable(&e))?;
        match response.status() {
            StatusCode::OK => {}
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(SourceError::Denied(status.as_u16()));
            }
            StatusCode::NOT_FOUND => return Err(SourceError::NoDiscovery),
            // A redirect is such a status too: the token is for this server alone.
            status => return Err(SourceError::Status(status.as_u16())),
        }
        let date = response.headers().get(header::DATE).and_then(timestamp);
        let bytes = match Limited::new(response.into_body(), MAX_DOCUMENT_BYTES)
            .collect()
            .await
        {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
            Err(error) => return Err(unreachable(error.as_ref())),
        };
        Ok(Document { bytes, date })
    }

    /// Lets the kube crate add what proves who asks: it knows every kind of credential, and when to renew.
    fn authorize(&self, request: Request<Body>) -> BoxFuture<'_, Result<Request<Body>, BoxError>> {
        let echo = service_fn(|request| future::ready(Ok::<_, BoxError>(Response::new(request))));
        let signer = ServiceBuilder::new()
            .option_layer(self.auth.as_ref())
            .layer(&self.headers)
            .service(echo);
        signer.oneshot(request).map_ok(Response::into_body).boxed()
    }
}

struct Document {
    bytes: Result<Bytes, Refusal>,
    date: Option<Timestamp>,
}

fn timestamp(date: &HeaderValue) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(date.to_str().ok()?).ok()?;
    Timestamp::try_from(date).ok()
}

fn unreachable(error: &(dyn Error + 'static)) -> SourceError {
    SourceError::Unreachable(super::causes(error))
}
