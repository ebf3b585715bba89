//! Verify a service account token as a relying party does, from nothing but its issuer's public documents:
//!
//! ```text
//! kubectl create token my-app --audience sts.example.com > token
//! cargo run -p kubeassume-examples --example verify_token -- https://oidc.example.com sts.example.com token
//! ```
//!
//! A fourth argument names a PEM file of certificate authorities to trust beside the system's.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::sync::Arc;

use kubeassume_core::IssuerUrl;
use kubeassume_core::clock::SystemClock;
use kubeassume_core::http::HttpReader;
use kubeassume_core::verify::Verifier;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [issuer, audience, token, roots @ ..] = arguments.as_slice() else {
        return Err("usage: verify_token ISSUER AUDIENCE TOKEN_FILE [CA_FILE]".into());
    };
    // An issuer is checked when it is parsed: https, no query, no trailing slash.
    let issuer: IssuerUrl = issuer.parse()?;
    let roots = roots.first().map(std::fs::read).transpose()?;
    let reader = Arc::new(HttpReader::new(roots.as_deref())?);

    // Keep the verifier: it caches the issuer's keys and notices when they rotate.
    let verifier = Verifier::new(issuer, audience.as_str(), reader, Arc::new(SystemClock::new()));

    // A token has one spelling only, so the file's line break is not part of it.
    let token = std::fs::read_to_string(token)?;
    match verifier.verify(token.trim_ascii_end()).await {
        Ok(claims) => {
            println!("accepted: {}", claims.subject);
            println!("until:    {}", claims.expires_at);
            println!("key:      {} {}", claims.algorithm, claims.kid);
            Ok(())
        }
        Err(error) => Err(format!("refused at hop {:?}: {error}", error.hop()).into()),
    }
}
