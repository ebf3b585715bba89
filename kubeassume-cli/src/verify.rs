//! `kubeassume verify`: what a strict relying party makes of an issuer and a token.

use std::fmt::Write as _;
use std::sync::Arc;

use clap::Args;
use kubeassume_core::clock::SystemClock;
use kubeassume_core::http::HttpReader;
use kubeassume_core::verify::{
    ClaimError, Claims, DiscoveryFailure, JwksFailure, KeyError, MAX_TOKEN_BYTES, PublicCopy, Verifier,
    VerifyError, check_documents,
};
use kubeassume_core::{DiscoveryError, IssuerUrl, PublicReadError};
use serde::Serialize;

use crate::failure::Failure;
use crate::jwks::kind;
use crate::output::{Output, Paint, Report, columns, show};
use crate::{input, runtime};

/// The largest file of certificate authorities.
const MAX_CA_BYTES: usize = 4 << 20;

/// Whom to trust, and with what.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The issuer, exactly as the API server names it
    #[arg(long, value_name = "URL")]
    issuer: IssuerUrl,
    /// A file with a token; - reads standard input. Without it, only the documents are checked
    #[arg(long, value_name = "FILE", requires = "audience")]
    token: Option<String>,
    /// The audience that the token must be for
    #[arg(long, value_name = "AUDIENCE", requires = "token")]
    audience: Option<String>,
    /// Certificate authorities to trust besides the system's, in PEM
    #[arg(long, value_name = "FILE")]
    cacert: Option<String>,
    #[command(flatten)]
    output: Output,
}

impl Verify {
    /// Runs the command.
    ///
    /// # Errors
    /// The hop at which a relying party stops.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        if self.token.as_deref() == Some("-") && self.cacert.as_deref() == Some("-") {
            return Err(Failure::usage("standard input (-) can be read only once"));
        }
        let token = self.token.as_deref().map(read_token).transpose()?;
        let reader = Arc::new(public_reader(self.cacert.as_deref())?);
        runtime::block_on(async {
            match (token, &self.audience) {
                (Some(token), Some(audience)) => self.check_token(&token, audience, reader).await,
                _ => self.check_documents(&reader).await,
            }
        })
    }

    async fn check_token(&self, token: &str, audience: &str, reader: Arc<HttpReader>) -> Result<(), Failure> {
        let clock = Arc::new(SystemClock::new());
        let verifier = Verifier::new(self.issuer.clone(), audience, reader, clock);
        match verifier.verify(token).await {
            Ok(claims) => show(&Verdict::accepted(&claims), self.output.format),
            Err(error) => self.refused("the token is not accepted", &error),
        }
    }

    async fn check_documents(&self, reader: &HttpReader) -> Result<(), Failure> {
        match check_documents(&self.issuer, reader).await {
            Ok(copy) => show(&Documents::new(&self.issuer, &copy), self.output.format),
            Err(error) => self.refused("the documents are not usable", &error),
        }
    }

    /// Programs get the refusal on standard output too.
    fn refused(&self, what: &str, error: &VerifyError) -> Result<(), Failure> {
        show(&Verdict::refused(error), self.output.format)?;
        Err(
            Failure::new(format!("{what}: it fails at the hop {:?}", error.hop()))
                .because(error)
                .next(next_step(error)),
        )
    }
}

/// A token from a file, without the white space that editors and shells leave around it.
fn read_token(file: &str) -> Result<String, Failure> {
    // Room for that white space; the verifier bounds the token itself.
    let bytes = input::read(file, MAX_TOKEN_BYTES + 1024)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::new(format!("{} is no token: it is not text", input::shown(file))))?;
    Ok(text.trim_ascii().to_owned())
}

/// Reads as the public does, trusting some more certificate authorities.
pub(crate) fn public_reader(cacert: Option<&str>) -> Result<HttpReader, Failure> {
    let roots = cacert.map(|file| input::read(file, MAX_CA_BYTES)).transpose()?;
    HttpReader::new(roots.as_deref()).map_err(|error| {
        let failure = Failure::new("cannot set up HTTPS").because(&error);
        match cacert {
            Some(file) => failure.next(format!(
                "check that {} holds PEM certificates",
                input::shown(file)
            )),
            None => failure,
        }
    })
}

/// What to do about a refusal.
fn next_step(error: &VerifyError) -> &'static str {
    match error {
        VerifyError::Token(_) => {
            "get a fresh token: kubectl create token <service account> --audience <audience>"
        }
        VerifyError::Discovery {
            reason: DiscoveryFailure::Unreadable(error),
            ..
        }
        | VerifyError::Jwks {
            reason: JwksFailure::Unreadable(error),
            ..
        } => unreadable(error),
        VerifyError::Discovery {
            reason: DiscoveryFailure::Unusable(DiscoveryError::Issuer { .. }),
            ..
        } => {
            "compare with the API server's: kubectl get --raw /.well-known/openid-configuration; all three must be \
             equal byte for byte"
        }
        VerifyError::Discovery { .. } | VerifyError::Jwks { .. } => {
            "publish the documents again: kubeassume publish --config <file> --once"
        }
        VerifyError::Key(KeyError::Unknown {
            token_issuer: Some(_),
            ..
        }) => "verify the token with the issuer of the cluster that it comes from",
        VerifyError::Key(KeyError::Unknown { .. }) => {
            "check that the controller runs and publishes: kubeassume status"
        }
        VerifyError::Key(_) => "give the key's API server a key that relying parties can use",
        VerifyError::Signature { .. } => {
            "check that the token was copied whole; else two keys share a kid: kubeassume jwks inspect"
        }
        VerifyError::Claims(ClaimError::Audience { .. }) => {
            "request the token for this audience: kubectl create token <service account> --audience <audience>"
        }
        VerifyError::Claims(ClaimError::Expired(_)) => {
            "get a fresh token: kubectl create token <service account> --audience <audience>"
        }
        VerifyError::Claims(ClaimError::NotYet { .. }) => "set the clocks right, here and on the API servers",
        _ => "compare the token's claims with what the relying party expects",
    }
}

fn unreadable(error: &PublicReadError) -> &'static str {
    match error {
        PublicReadError::Status(401 | 403) => {
            "allow everybody to read exactly the two documents, by a policy of the bucket"
        }
        PublicReadError::Status(404) => {
            "publish the documents there: kubeassume publish --config <file> --once"
        }
        PublicReadError::Redirect(_) => "serve the documents at the issuer's own URL, without a redirect",
        PublicReadError::Unreachable(_) => {
            "check DNS, the network and the server's certificate; --cacert trusts a private certificate authority"
        }
        _ => "try again; relying parties wait 5 s at most",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<ShownClaims>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hop: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownClaims {
    issuer: String,
    subject: String,
    audiences: Vec<String>,
    issued_at: String,
    expires_at: String,
    kid: String,
    alg: &'static str,
}

impl Verdict {
    fn accepted(claims: &Claims) -> Self {
        Self {
            accepted: true,
            claims: Some(ShownClaims {
                issuer: claims.issuer.to_string(),
                subject: claims.subject.clone(),
                audiences: claims.audiences.clone(),
                issued_at: claims.issued_at.to_string(),
                expires_at: claims.expires_at.to_string(),
                kid: claims.kid.clone(),
                alg: claims.algorithm.name(),
            }),
            hop: None,
            reason: None,
        }
    }

    fn refused(error: &VerifyError) -> Self {
        Self {
            accepted: false,
            claims: None,
            hop: Some(error.hop()),
            reason: Some(error.to_string()),
        }
    }
}

impl Report for Verdict {
    fn table(&self, paint: Paint) -> String {
        // A refusal is told as an error, with its cause and the next step.
        let Some(claims) = &self.claims else {
            return String::new();
        };
        let mut text = format!("{}\n", paint.good("accepted"));
        for (name, value) in [
            ("issuer", &claims.issuer),
            ("subject", &claims.subject),
            ("audiences", &claims.audiences.join(", ")),
            ("issued", &claims.issued_at),
            ("expires", &claims.expires_at),
            ("key", &format!("{} ({})", claims.kid, claims.alg)),
        ] {
            let _ = writeln!(text, "{name:<10} {value}");
        }
        text
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Documents {
    issuer: String,
    jwks_uri: String,
    keys: Vec<ShownKey>,
    remarks: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownKey {
    kid: String,
    kind: String,
    alg: &'static str,
    thumbprint: String,
}

impl Documents {
    fn new(issuer: &IssuerUrl, copy: &PublicCopy) -> Self {
        Self {
            issuer: issuer.to_string(),
            jwks_uri: copy.jwks_uri.clone(),
            keys: copy
                .keys
                .iter()
                .map(|key| ShownKey {
                    kid: key.kid().to_owned(),
                    kind: kind(key),
                    alg: key.algorithm().name(),
                    thumbprint: key.thumbprint().to_string(),
                })
                .collect(),
            remarks: copy.remarks.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Report for Documents {
    fn table(&self, paint: Paint) -> String {
        let keys = self.keys.iter().map(|key| {
            vec![
                key.kid.clone(),
                key.kind.clone(),
                key.alg.to_owned(),
                key.thumbprint.clone(),
            ]
        });
        let mut text = format!("{}\n", paint.good("usable by relying parties"));
        let _ = writeln!(
            text,
            "{:<10} {}\n{:<10} {}\n",
            "issuer", self.issuer, "key set", self.jwks_uri
        );
        text += &columns(&["KID", "KIND", "ALG", "THUMBPRINT"], keys);
        for remark in &self.remarks {
            let _ = writeln!(text, "{} {remark}", paint.warn("remark:"));
        }
        text
    }
}
