//! Tokens: those of a trusted issuer for Google's, and those for a service account's.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::refusal;
use crate::contract::Call;
use crate::recorder::Answer;

/// Both the principal and its token.
pub(super) const ADMINISTRATOR: &str = "an-administrators-token";

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Who is trusted, and the tokens that were given.
#[derive(Default)]
pub(super) struct Exchange {
    trusted: Option<Trust>,
    /// Access token -> principal.
    given: BTreeMap<String, String>,
}

struct Trust {
    issuer: String,
    audience: String,
    principal: String,
    /// E-mail address.
    account: String,
}

impl Exchange {
    pub(super) fn trust(&mut self, issuer: &str, audience: &str, principal: &str, account: &str) {
        self.trusted = Some(Trust {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            principal: principal.to_owned(),
            account: account.to_owned(),
        });
    }

    /// Whose token it is.
    pub(super) fn principal(&self, token: &str) -> Option<String> {
        match token {
            ADMINISTRATOR => Some(ADMINISTRATOR.to_owned()),
            token => self.given.get(token).cloned(),
        }
    }

    /// A token of this principal.
    pub(super) fn give(&mut self, principal: &str) -> String {
        let token = new_token("given");
        self.given.insert(token.clone(), principal.to_owned());
        token
    }

    /// RFC 8693, with Google's rules:
    /// <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>.
    pub(super) fn token(&mut self, request: &Value) -> Answer {
        let field = |name: &str| request[name].as_str().unwrap_or_default();
        let Some(trust) = &self.trusted else {
            return wrong("invalid_target", "nobody is trusted");
        };
        let problem = match () {
            () if field("grantType") != "urn:ietf:params:oauth:grant-type:token-exchange" => "grant_type",
            () if field("requestedTokenType") != ACCESS_TOKEN => "requested_token_type",
            () if field("subjectTokenType") != JWT => "subject_token_type",
            () if field("scope").is_empty() => "scope",
            () if field("audience") != trust.audience => "audience",
            () => "",
        };
        if !problem.is_empty() {
            return wrong("invalid_request", &format!("Invalid value for \"{problem}\"."));
        }
        if let Err(why) = trust.accepts(field("subjectToken")) {
            return wrong("invalid_grant", &why);
        }
        let token = new_token("federated");
        let principal = trust.principal.clone();
        self.given.insert(token.clone(), principal);
        Answer::json(
            200,
            &json!({"access_token": token, "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 3599}),
        )
    }

    /// A token of the service account, for who may act as it.
    pub(super) fn account_token(&mut self, bearer: Option<&str>, call: &Call) -> Answer {
        let principal = bearer.and_then(|token| self.principal(token));
        let trust = self.trusted.as_ref();
        let name = &call.parameters["name"];
        let account = trust.filter(|trust| *name == format!("projects/-/serviceAccounts/{}", trust.account));
        let Some(trust) = account.filter(|trust| principal.as_ref() == Some(&trust.principal)) else {
            let message =
                "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
            return refusal(403, "forbidden", message);
        };
        if call.body["scope"].as_array().is_none_or(Vec::is_empty) {
            return refusal(400, "badRequest", "a scope is required");
        }
        let token = new_token("account");
        self.given
            .insert(token.clone(), format!("serviceAccount:{}", trust.account));
        Answer::json(
            200,
            &json!({"accessToken": token, "expireTime": "2099-01-01T00:00:00Z"}),
        )
    }
}

impl Trust {
    fn accepts(&self, token: &str) -> Result<(), String> {
        let claims = token.split('.').nth(1).and_then(|part| {
            let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice::<Value>(&bytes).ok()
        });
        let claims = claims.ok_or("the subject token is no JWT")?;
        if claims["iss"] != json!(self.issuer) {
            return Err("The issuer in ID Token does not match the expected ones.".to_owned());
        }
        let full = format!("https:{}", self.audience);
        let is_for_us = |audience: &Value| *audience == json!(full);
        let audiences = claims["aud"].as_array();
        if !audiences.map_or_else(|| is_for_us(&claims["aud"]), |all| all.iter().any(is_for_us)) {
            return Err("The audience in ID Token does not match the expected audience.".to_owned());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        if claims["exp"].as_u64().is_none_or(|exp| exp <= now.as_secs()) {
            return Err("The ID Token is expired.".to_owned());
        }
        Ok(())
    }
}

/// RFC 6749 section 5.2.
fn wrong(error: &str, description: &str) -> Answer {
    Answer::json(400, &json!({"error": error, "error_description": description}))
}

fn new_token(kind: &str) -> String {
    format!("{kind}-{:032x}", fastrand::u128(..))
}
