//! [`Profile`]: `~/.oci/config`, and the variables that OCI's command line puts above it.
//!
//! The file is `OCI_CLI_CONFIG_FILE`, else `~/.oci/config` if there is one, else `OCI_CONFIG_FILE` (the SDKs'
//! order); the section is `OCI_CLI_PROFILE`, else `DEFAULT`, whose fields hold for every other section too.
//! Everything is read again for each credential, so a renewed file takes effect by itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use super::environment::{Environment, read};
use super::error::CredentialError;
use super::key::SigningKey;
use super::sign::Credential;
use super::token::SecurityToken;

/// A profile of the configuration file.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    environment: Environment,
}

/// Its fields, as far as they are given.
struct Fields {
    environment: Environment,
    /// Of the file; a pass phrase may be among them.
    of_file: BTreeMap<String, SecretString>,
    /// For messages.
    from: String,
}

impl Profile {
    pub(super) fn new(environment: Environment) -> Self {
        Self { environment }
    }

    /// Whether anything is there to be read.
    pub(super) fn exists(&self) -> bool {
        self.file().is_some_and(|path| path.is_file())
            || self.environment.variable("OCI_CLI_FINGERPRINT").is_some()
            || self.environment.variable("OCI_CLI_SECURITY_TOKEN_FILE").is_some()
    }

    /// Whether it names a session token, as `oci session authenticate` writes it.
    pub(super) fn has_session_token(&self) -> bool {
        self.fields()
            .is_ok_and(|fields| fields.text("security_token_file").is_some())
    }

    /// The API key: `tenancy`, `user`, `fingerprint`, and `key_file` with its `pass_phrase`.
    pub(super) fn api_key(&self) -> Result<Credential, CredentialError> {
        let fields = self.fields()?;
        let key = fields.key()?;
        let (tenancy, user) = (fields.required("tenancy")?, fields.required("user")?);
        let fingerprint = fields.required("fingerprint")?;
        Ok(Credential::api_key(&tenancy, &user, &fingerprint, key))
    }

    /// The session token: `security_token_file`, and `key_file` with its `pass_phrase`.
    pub(super) fn session_token(&self) -> Result<Credential, CredentialError> {
        let fields = self.fields()?;
        let file = fields.required("security_token_file")?;
        let text = read(&self.environment.path(&file), "security_token_file")?;
        let token = SecurityToken::parse(&text)
            .ok_or_else(|| fields.unusable("security_token_file", &"holds no token (a JWT with an exp)"))?;
        Ok(Credential::session(token, fields.key()?))
    }

    /// `region`, if it is given.
    pub(super) fn region(&self) -> Option<String> {
        let of_profile = self.fields().ok().and_then(|fields| fields.text("region"));
        of_profile.or_else(|| self.environment.variable("OCI_REGION"))
    }

    fn file(&self) -> Option<PathBuf> {
        let variable = |name| self.environment.variable(name);
        if let Some(path) = variable("OCI_CLI_CONFIG_FILE") {
            return Some(self.environment.path(&path));
        }
        let home = variable("HOME").map(|_| self.environment.path("~/.oci/config"));
        home.filter(|path| path.is_file())
            .or_else(|| variable("OCI_CONFIG_FILE").map(|path| self.environment.path(&path)))
    }

    fn fields(&self) -> Result<Fields, CredentialError> {
        let name = self
            .environment
            .variable("OCI_CLI_PROFILE")
            .unwrap_or_else(|| DEFAULT.to_owned());
        let Some(path) = self.file() else {
            return Ok(Fields {
                environment: self.environment.clone(),
                of_file: BTreeMap::new(),
                from: "no OCI configuration file (~/.oci/config) and".to_owned(),
            });
        };
        let mut sections = sections(&read(&path, "OCI's configuration file")?);
        let own = sections.remove(&name);
        if own.is_none() && name != DEFAULT {
            return Err(CredentialError::Unusable(format!(
                "{} has no profile [{name}]",
                path.display()
            )));
        }
        let mut of_file = sections.remove(DEFAULT).unwrap_or_default();
        of_file.extend(own.unwrap_or_default());
        Ok(Fields {
            environment: self.environment.clone(),
            of_file,
            from: format!("profile [{name}] of {} and", path.display()),
        })
    }
}

const DEFAULT: &str = "DEFAULT";

impl Fields {
    fn text(&self, name: &str) -> Option<String> {
        let variable = format!("OCI_CLI_{}", name.to_ascii_uppercase());
        self.environment.variable(&variable).or_else(|| {
            let field = self.of_file.get(name)?.expose_secret().to_owned();
            (!field.is_empty()).then_some(field)
        })
    }

    fn required(&self, name: &str) -> Result<String, CredentialError> {
        self.text(name).ok_or_else(|| {
            CredentialError::Missing(format!(
                "{} OCI_CLI_{} do not say {name}",
                self.from,
                name.to_ascii_uppercase()
            ))
        })
    }

    /// `key_content` only from the environment: in a file the SDKs refuse it.
    fn key(&self) -> Result<SigningKey, CredentialError> {
        let passphrase = self
            .environment
            .variable("OCI_CLI_PASSPHRASE")
            .or_else(|| self.text("pass_phrase"))
            .map(SecretString::from);
        let content = self.environment.variable("OCI_CLI_KEY_CONTENT");
        let (text, what) = match content {
            Some(content) => (SecretString::from(content), "OCI_CLI_KEY_CONTENT"),
            None => {
                let file = self.required("key_file")?;
                let text = read(&self.environment.path(&file), "key_file")?;
                (SecretString::from(text), "key_file")
            }
        };
        SigningKey::from_pem(text.expose_secret().as_bytes(), passphrase.as_ref())
            .map_err(|error| self.unusable(what, &error))
    }

    fn unusable(&self, what: &str, error: &dyn std::fmt::Display) -> CredentialError {
        CredentialError::Unusable(format!("{what} ({} the environment): {error}", self.from))
    }
}

/// The sections of an INI file as Python's `configparser` reads it, which is what OCI's tools are written for:
/// names in lower case, `=` or `:`, comments on lines of their own.
fn sections(text: &str) -> BTreeMap<String, BTreeMap<String, SecretString>> {
    let mut sections: BTreeMap<String, BTreeMap<String, SecretString>> = BTreeMap::new();
    let mut section = None;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = Some(name.to_owned());
            sections.entry(name.to_owned()).or_default();
        } else if let (Some(section), Some((name, value))) = (&section, line.split_once(['=', ':'])) {
            let fields = sections.entry(section.clone()).or_default();
            fields.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned().into());
        }
    }
    sections
}
