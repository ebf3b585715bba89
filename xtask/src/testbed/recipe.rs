//! How each server is built, and under which name the result is cached.

use std::hash::{DefaultHasher, Hasher};
use std::path::PathBuf;
use std::{fs, io};

use super::Server;
use crate::repository;

/// A Go module in `tests/testbed/servers/` and the package in it that becomes a binary.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Name of the server and of its binary.
    pub name: &'static str,
    /// Folder under `tests/testbed/servers/`.
    pub module: &'static str,
    /// Package to build, as `go build` takes it.
    pub package: &'static str,
    /// Linker flags.
    pub ldflags: &'static str,
    /// What a cold build takes on two cores, for the one who waits.
    pub cold: &'static str,
}

const PLAIN: &str = "-s -w";
/// Without a version, kube-apiserver calls itself v0.0.0 and clients and feature gates go astray.
const KUBERNETES: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36";

impl Server {
    pub(super) fn recipe(self) -> &'static Recipe {
        match self {
            Self::Etcd => &Recipe {
                name: "etcd",
                module: "etcd",
                package: "go.etcd.io/etcd/server/v3",
                ldflags: PLAIN,
                cold: "half a minute",
            },
            Self::KubeApiserver => &Recipe {
                name: "kube-apiserver",
                module: "kubernetes",
                package: "k8s.io/kubernetes/cmd/kube-apiserver",
                ldflags: KUBERNETES,
                cold: "5 minutes",
            },
            Self::Kubectl => &Recipe {
                name: "kubectl",
                module: "kubernetes",
                package: "k8s.io/kubernetes/cmd/kubectl",
                ldflags: KUBERNETES,
                cold: "a minute after kube-apiserver",
            },
            Self::Versitygw => &Recipe {
                name: "versitygw",
                module: "versitygw",
                package: "github.com/versity/versitygw/cmd/versitygw",
                ldflags: PLAIN,
                cold: "2 minutes",
            },
            Self::RelyingParty => &Recipe {
                name: "relying-party",
                module: "relying-party",
                package: ".",
                ldflags: PLAIN,
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

    /// `<name>-<hash>`: changes with the pinned versions, the checksums, our own Go sources and the
    /// recipe, so that a changed pin is never served by an old binary.
    ///
    /// The standard library's hash may change between Rust releases, which costs a rebuild; nobody
    /// but the user can write to the cache, so it need not resist an attacker.
    pub(super) fn cache_name(&self) -> io::Result<String> {
        let mut hasher = DefaultHasher::new();
        for part in [self.name, self.module, self.package, self.ldflags] {
            write(&mut hasher, part.as_bytes());
        }
        let mut files = fs::read_dir(self.folder())?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()?;
        files.retain(|path| {
            path.extension()
                .is_some_and(|kind| kind == "mod" || kind == "sum" || kind == "go")
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
