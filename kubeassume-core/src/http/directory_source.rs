//! [`DirectorySource`]: keys from files, for clusters whose API servers cannot be reached.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::store::MAX_DOCUMENT_BYTES;
use crate::{Addressing, Answer, KeySet, Observation, Source, SourceError};

/// The most files that a directory may hold.
pub const MAX_FILES: usize = 64;

/// A directory in which every file is the key set of one API server, as `/openid/v1/jwks` serves it.
///
/// Every regular file counts as one endpoint, named by its file name, whatever it is; names that begin with
/// a dot are skipped, and links are followed, because that is how Kubernetes mounts a ConfigMap. More than
/// [`MAX_FILES`] files, none at all, or an unreadable directory is an observation that failed. Replace a
/// file by renaming another over it: a file that is read while it is written is refused, and its last good
/// content stays in force.
///
/// Files name no issuer and have no clock, so neither is checked: whoever may write the directory decides
/// which keys are published.
#[derive(Debug, Clone)]
pub struct DirectorySource {
    directory: PathBuf,
}

impl DirectorySource {
    /// The directory is read anew in every cycle; it need not exist yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// Reads all files. It blocks: [`observe`](Source::observe) runs it on a thread for that.
    fn read_all(&self) -> BTreeMap<String, Answer> {
        let files = match files(&self.directory) {
            Ok(files) if files.is_empty() => Err(SourceError::Misconfigured("the directory is empty".into())),
            Ok(files) if files.len() > MAX_FILES => Err(SourceError::Misconfigured(format!(
                "the directory holds more than {MAX_FILES} files"
            ))),
            Ok(files) => Ok(files),
            Err(error) => Err(SourceError::Unreachable(error.to_string())),
        };
        match files {
            Ok(files) => files
                .into_iter()
                .map(|(name, path)| (name, answer(&path)))
                .collect(),
            Err(error) => [(self.directory.display().to_string(), Answer::Failed(error))].into(),
        }
    }
}

#[async_trait]
impl Source for DirectorySource {
    async fn observe(&self) -> Observation {
        let source = self.clone();
        let read = tokio::task::spawn_blocking(move || source.read_all());
        let answers = read.await.unwrap_or_else(|_| {
            let lost = SourceError::Unreachable("the read was abandoned".to_owned());
            [(self.directory.display().to_string(), Answer::Failed(lost))].into()
        });
        Observation {
            addressing: Addressing::Each,
            answers,
        }
    }

    async fn probe(&self, endpoint: &str) -> bool {
        let observation = self.observe().await;
        matches!(observation.answers.get(endpoint), Some(Answer::Read { .. }))
    }
}

/// At most one file more than [`MAX_FILES`], by name.
fn files(directory: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        // Not `DirEntry::metadata`, which does not follow links. A link to nothing is a file to be told of.
        let is_file = fs::metadata(&path).map_or(true, |metadata| metadata.is_file());
        if !name.starts_with('.') && is_file {
            files.insert(name, path);
        }
        if files.len() > MAX_FILES {
            break;
        }
    }
    Ok(files)
}

fn answer(path: &Path) -> Answer {
    let read = || -> Result<_, SourceError> {
        let mut bytes = Vec::new();
        // One byte more than is parsed, so that a longer file is refused and not cut.
        File::open(path)
            .and_then(|file| file.take(MAX_DOCUMENT_BYTES as u64 + 1).read_to_end(&mut bytes))
            .map_err(|e| SourceError::Unreachable(e.to_string()))?;
        Ok(KeySet::parse(&bytes)?)
    };
    match read() {
        Ok(parsed) => Answer::Read { parsed, date: None },
        Err(error) => Answer::Failed(error),
    }
}
