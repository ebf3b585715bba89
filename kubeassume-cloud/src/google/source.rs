//! Where credentials are looked for, and which of them count.

use std::io::ErrorKind;
use std::path::PathBuf;

use google_cloud_auth::credentials::service_account::AccessSpecifier;
use google_cloud_auth::credentials::{
    Credentials, external_account, impersonated, mds, service_account, user_account,
};
use serde_json::Value;

use super::{Choice, refused};
use crate::http::CallError;
use crate::text::causes;
use crate::token;

/// The variable that names a file.
const FILE_VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// The places of AIP-4110.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    /// Named by [`FILE_VARIABLE`]: it must be there, and must count.
    pub(super) named: Option<PathBuf>,
    /// Where gcloud leaves a person's login. Passed over if it is not there or does not count.
    pub(super) login: Option<PathBuf>,
    /// Another metadata server than Google's, for tests; the library honours `GCE_METADATA_HOST`.
    pub(super) metadata: Option<String>,
}

/// What a file describes.
#[derive(Debug)]
struct Described(Value);

impl Places {
    pub(super) fn of_process() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            named: variable(FILE_VARIABLE).map(PathBuf::from),
            login: variable("HOME")
                .map(|home| PathBuf::from(home).join(".config/gcloud/application_default_credentials.json")),
            metadata: None,
        }
    }

    pub(super) fn credentials(&self, choice: Choice, scopes: &[String]) -> Result<Credentials, CallError> {
        if let Some(described) = self.file(choice)? {
            return described.credentials(scopes);
        }
        if choice == Choice::Secret {
            return Err(refused(&format!(
                "useWorkloadIdentity is false, and there is no file with a secret; set {FILE_VARIABLE}"
            )));
        }
        let mut builder = mds::Builder::default().with_scopes(scopes);
        if let Some(endpoint) = &self.metadata {
            builder = builder.with_endpoint(endpoint);
        }
        builder.build().map_err(|error| refused(&causes(&error)))
    }

    /// `iss` of the token in the file that an `external_account` names.
    pub(super) fn subject_issuer(&self, choice: Choice) -> Option<String> {
        let described = self.file(choice).ok()??;
        let source = described.0.get("credential_source")?;
        let content = token::read_file(source.get("file")?.as_str()?.as_ref()).ok()?;
        let field = source
            .pointer("/format/subject_token_field_name")
            .and_then(Value::as_str);
        match field {
            None => token::issuer(&content),
            Some(field) => {
                let content: Value = serde_json::from_str(&content).ok()?;
                token::issuer(content.get(field)?.as_str()?)
            }
        }
    }

    /// The file that counts, if there is one.
    fn file(&self, choice: Choice) -> Result<Option<Described>, CallError> {
        let read = |path: &PathBuf| -> Result<Option<Described>, CallError> {
            let wrong = |reason: &str| refused(&format!("{}: {reason}", path.display()));
            match token::read_file(path) {
                Ok(text) => match serde_json::from_str(&text) {
                    Ok(value) => Ok(Some(Described(value))),
                    // Not its message, which quotes the file.
                    Err(_) => Err(wrong("it is not JSON")),
                },
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(wrong(&error.to_string())),
            }
        };
        if let Some(path) = &self.named {
            let described = read(path)?;
            let Some(described) = described else {
                return Err(refused(&format!(
                    "{}, which {FILE_VARIABLE} names, is not there",
                    path.display()
                )));
            };
            if !described.counts(choice) {
                return Err(refused(&format!(
                    "useWorkloadIdentity is {}, and {FILE_VARIABLE} names a file of type {:?}",
                    choice == Choice::WorkloadIdentity,
                    described.kind()
                )));
            }
            return Ok(Some(described));
        }
        let described = self.login.as_ref().map(read).transpose()?.flatten();
        Ok(described.filter(|described| described.counts(choice)))
    }
}

impl Described {
    fn kind(&self) -> &str {
        self.0.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    fn counts(&self, choice: Choice) -> bool {
        let source = match self.kind() {
            // What an impersonation begins with decides.
            "impersonated_service_account" => {
                let begin = self.0.pointer("/source_credentials/type");
                begin.and_then(Value::as_str).unwrap_or_default()
            }
            kind => kind,
        };
        match choice {
            Choice::First => true,
            Choice::WorkloadIdentity => source == "external_account",
            Choice::Secret => source != "external_account",
        }
    }

    fn credentials(self, scopes: &[String]) -> Result<Credentials, CallError> {
        let scopes = scopes.iter().cloned();
        let built = match self.kind() {
            "external_account" => external_account::Builder::new(self.0).with_scopes(scopes).build(),
            "service_account" => service_account::Builder::new(self.0)
                .with_access_specifier(AccessSpecifier::from_scopes(scopes))
                .build(),
            "impersonated_service_account" => impersonated::Builder::new(self.0).with_scopes(scopes).build(),
            "authorized_user" => user_account::Builder::new(self.0).with_scopes(scopes).build(),
            other => return Err(refused(&format!("credentials of type {other:?} are not known"))),
        };
        built.map_err(|error| refused(&causes(&error)))
    }
}
