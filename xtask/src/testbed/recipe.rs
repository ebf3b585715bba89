//! How each server is built, and under which name the result is cached.

use std::hash::{DefaultHasher, Hasher};
use std::path::PathBuf;
use std::{fs, io};

use super::Server;
use crate::repository;

/// A folder in `tests/testbed/servers/` with pinned versions and checksums, and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Name of the server.
    pub name: &'static str,
    /// Folder under `tests/testbed/servers/`.
    pub module: &'static str,
    /// By which tool.
    pub tool: Tool,
    /// What a cold build takes on two cores, for the one who waits.
    pub cold: &'static str,
}

/// What builds or installs a server.
#[derive(Clone, Copy, Debug)]
pub enum Tool {
    /// `go build` of a module; the binary has the server's name.
    Go {
        /// Package to build, as `go build` takes it.
        package: &'static str,
        /// Linker flags.
        ldflags: &'static str,
    },
    /// `npm ci` of a lock file.
    Npm {
        /// The script that `node` runs.
        script: &'static str,
    },
    /// `pip install` of pinned wheels into an environment of its own; the product is its `python`.
    Pip,
}

const PLAIN: &str = "-s -w";
/// Without a version, kube-apiserver calls itself v0.0.0 and clients and feature gates go astray.
const KUBERNETES: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36";

impl Server {
    pub(super) fn recipe(self) -> &'static Recipe {
        match self {
            Self::Azurite => &Recipe {
                name: "azurite",
                module: "azurite",
                tool: Tool::Npm {
                    script: "node_modules/azurite/dist/src/blob/main.js",
                },
                cold: "a minute",
            },
            Self::Etcd => &Recipe {
                name: "etcd",
                module: "etcd",
                tool: Tool::Go {
                    package: "go.etcd.io/etcd/server/v3",
                    ldflags: PLAIN,
                },
                cold: "half a minute",
            },
            Self::KubeApiserver => &Recipe {
                name: "kube-apiserver",
                module: "kubernetes",
                tool: Tool::Go {
                    package: "k8s.io/kubernetes/cmd/kube-apiserver",
                    ldflags: KUBERNETES,
                },
                cold: "5 minutes",
            },
            Self::Kubectl => &Recipe {
                name: "kubectl",
                module: "kubernetes",
                tool: Tool::Go {
                    package: "k8s.io/kubernetes/cmd/kubectl",
                    ldflags: KUBERNETES,
                },
                cold: "a minute after kube-apiserver",
            },
            Self::Versitygw => &Recipe {
                name: "versitygw",
                module: "versitygw",
                tool: Tool::Go {
                    package: "github.com/versity/versitygw/cmd/versitygw",
                    ldflags: PLAIN,
                },
                cold: "2 minutes",
            },
            Self::FakeGcsServer => &Recipe {
                name: "fake-gcs-server",
                module: "fake-gcs-server",
                tool: Tool::Go {
                    package: "github.com/fsouza/fake-gcs-server",
                    ldflags: PLAIN,
                },
                cold: "a minute",
            },
            Self::Moto => &Recipe {
                name: "moto",
                module: "moto",
                tool: Tool::Pip,
                cold: "10 seconds",
            },
            Self::VendorClients => &Recipe {
                name: "vendor-clients",
                module: "vendor-clients",
                tool: Tool::Pip,
                cold: "10 seconds",
            },
            Self::OciSdk => &Recipe {
                name: "oci-sdk",
                module: "oci-sdk",
                tool: Tool::Pip,
                cold: "half a minute",
            },
            Self::RelyingParty => &Recipe {
                name: "relying-party",
                module: "relying-party",
                tool: Tool::Go {
                    package: ".",
                    ldflags: PLAIN,
                },
                cold: "half a minute",
            },
        }
    }
}

impl Recipe {
    /// The module's folder in the repository.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        repository().join("tests/testbed/servers").join(self.module)
    }

    /// What is started, in the folder where it was built.
    pub(super) fn product(&self) -> &'static str {
        match self.tool {
            Tool::Go { .. } => self.name,
            Tool::Npm { script } => script,
            Tool::Pip => "bin/python",
        }
    }

    /// `<name>-<hash>`: changes with the pinned versions, the checksums, our own Go sources and the
    /// recipe, so that a changed pin is never served by an old binary.
    ///
    /// The standard library's hash may change between Rust releases, which costs a rebuild; nobody
    /// but the user can write to the cache, so it need not resist an attacker.
    pub(super) fn cache_name(&self) -> io::Result<String> {
        let mut hasher = DefaultHasher::new();
        for part in [self.name, self.module, &format!("{:?}", self.tool)] {
            write(&mut hasher, part.as_bytes());
        }
        let mut files = fs::read_dir(self.folder())?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()?;
        files.retain(|path| {
            path.extension().is_some_and(|kind| {
                ["mod", "sum", "go", "json", "txt"]
                    .iter()
                    .any(|pinned| kind == *pinned)
            })
        });
        files.sort();
        for file in files {
            write(&mut hasher, &fs::read(file)?);
        }
        Ok(format!("{}-{:016x}", self.name, hasher.finish()))
    }
}

/// Length first: otherwise two files could trade bytes without a change of the hash.
fn write(hasher: &mut DefaultHasher, bytes: &[u8]) {
    hasher.write_usize(bytes.len());
    hasher.write(bytes);
}
