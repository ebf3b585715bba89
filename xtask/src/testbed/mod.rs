//! The servers of the testbed: which they are, and a path to each of them.
//!
//! [`ensure`] answers from what the user already has (`KUBEBUILDER_ASSETS`, a working `kubectl` on
//! `PATH`), then from the cache, and builds only what is missing, one process at a time. It fails
//! with one message that says what to install; it never leaves half a server in the cache.

use std::path::PathBuf;
use std::process::{Command, Stdio};

mod build;
mod recipe;

pub use build::Error;
pub use recipe::{Recipe, Tool};

/// One server or tool of the testbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Azure Blob Storage with tokens of Entra ID, conditional writes and public containers.
    Azurite,
    /// The store behind the API servers.
    Etcd,
    /// Kubernetes' API server: issuer of tokens, and relying party.
    KubeApiserver,
    /// Kubernetes' command line, for manifests.
    Kubectl,
    /// A second S3 server, and Amazon's STS.
    Moto,
    /// An S3 server with real conditional writes and bucket policies.
    Versitygw,
    /// A server of Google Cloud Storage's JSON interface with real preconditions.
    FakeGcsServer,
    /// Oracle Cloud's own Python SDK: the reference for what is signed and sent.
    OciSdk,
    /// A relying party on go-oidc, which shares no code with KubeAssume.
    RelyingParty,
    /// Amazon's, Google's and Microsoft's own Python clients, and Google's descriptions of its interfaces.
    VendorClients,
}

impl Server {
    /// Every server, the quickest to build first.
    pub const ALL: [Self; 10] = [
        Self::VendorClients,
        Self::Moto,
        Self::RelyingParty,
        Self::Etcd,
        Self::OciSdk,
        Self::Azurite,
        Self::FakeGcsServer,
        Self::Versitygw,
        Self::KubeApiserver,
        Self::Kubectl,
    ];

    /// The name on the command line and in the cache.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.recipe().name
    }

    /// The server of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|server| server.name() == name)
    }
}

/// The path of the server's binary, of the script that `node` runs, or of the `python` that has the packages; builds it first if neither the user nor the cache has it.
///
/// # Errors
///
/// Go, Node.js or Python is missing, the build fails, or the cache cannot be written.
pub fn ensure(server: Server) -> Result<PathBuf, Error> {
    match provided(server) {
        Some(own) => Ok(own),
        None => build::cached(server.recipe()),
    }
}

/// What the user brought along, if it fits.
fn provided(server: Server) -> Option<PathBuf> {
    match server {
        Server::Etcd | Server::KubeApiserver => kubebuilder_asset(server.name()),
        // Any kubectl that starts will do: manifests and `apply` are stable across releases.
        Server::Kubectl => answers("kubectl", &["version", "--client"]).map(|_| PathBuf::from("kubectl")),
        Server::Azurite
        | Server::OciSdk
        | Server::Moto
        | Server::Versitygw
        | Server::FakeGcsServer
        | Server::RelyingParty
        | Server::VendorClients => None,
    }
}

fn kubebuilder_asset(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty())?);
    let version = answers(&folder.join("kube-apiserver").to_string_lossy(), &["--version"]);
    let fits = version.as_deref().is_some_and(|text| text.contains("v1.36."));
    let asset = folder.join(name);
    if fits && asset.is_file() {
        return Some(asset);
    }
    eprintln!(
        "testbed: KUBEBUILDER_ASSETS is ignored for {name}: the tests want Kubernetes 1.36, {} has {}",
        folder.display(),
        version
            .as_deref()
            .map_or("no kube-apiserver that starts", str::trim),
    );
    None
}

/// Standard output of a command that succeeds.
fn answers(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
