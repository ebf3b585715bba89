//! What happens on the disk, step by step; all of it blocks.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kubeassume_core::digest;
use kubeassume_core::store::{
    DocumentPath, MAX_DOCUMENT_BYTES, Metadata, NewDocument, Precondition, StoreError, StoredDocument,
    Version,
};
use serde::{Deserialize, Serialize};

const LOCK: &str = ".kubeassume.lock";
const PROBE: &str = ".kubeassume.probe";
/// Ends of the names that stand beside a document; its own name with a dot goes before.
const SIDECAR: &str = ".kubeassume.json";
const NEW_BODY: &str = ".kubeassume.new";
const NEW_SIDECAR: &str = ".kubeassume.json.new";

const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

/// No writer holds the lock longer than a few flushes take.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(2);
const MAX_SIDECAR_BYTES: u64 = 64 << 10;
/// How deep and how much is listed of a directory that somebody else may fill.
const MAX_DEPTH: usize = 8;
const MAX_LISTED: usize = 10_000;

/// A directory.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
}

/// The file beside a document.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Sidecar {
    /// Of the body that it speaks for.
    body_digest: String,
    content_type: String,
    cache_control: String,
    metadata: Metadata,
}

/// Where a document and what belongs to it lie.
struct Place {
    directory: PathBuf,
    body: PathBuf,
    sidecar: PathBuf,
    new_body: PathBuf,
    new_sidecar: PathBuf,
}

impl Disk {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        // The directory itself may be reached through a link; what lies in it may not be one.
        let root = fs::canonicalize(path).map_err(|error| unusable(path, &error))?;
        if !root.is_dir() {
            return Err(misconfigured(path, "is not a directory"));
        }
        Ok(Self { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, StoreError> {
        let _lock = self.lock()?;
        self.read(&self.place(path)?)
    }

    pub(super) fn put(
        &self,
        path: &DocumentPath,
        document: &NewDocument,
        precondition: &Precondition,
    ) -> Result<Version, StoreError> {
        let _lock = self.lock()?;
        let place = self.place(path)?;
        let there = self.read(&place)?.map(|stored| stored.version);
        let holds = match precondition {
            Precondition::Absent => there.is_none(),
            Precondition::Matches(version) => there.as_ref() == Some(version),
        };
        if !holds {
            return Err(StoreError::Precondition);
        }
        let sidecar = Sidecar {
            body_digest: digest(&document.bytes),
            content_type: document.content_type.clone(),
            cache_control: document.cache_control.clone(),
            metadata: document.metadata.clone(),
        };
        let sidecar = serde_json::to_vec(&sidecar).map_err(|e| StoreError::Misconfigured(e.to_string()))?;

        self.make_directories(&place.directory)?;
        let written = |path: &Path, bytes: &[u8]| {
            write_new(path, bytes).map_err(|error| {
                // Half a file of no use to anybody; the next writer would take it away too.
                let _ = fs::remove_file(path);
                unusable(path, &error)
            })
        };
        written(&place.new_sidecar, &sidecar)?;
        written(&place.new_body, &document.bytes)?;
        fs::rename(&place.new_sidecar, &place.sidecar).map_err(|error| unusable(&place.sidecar, &error))?;
        // From here on what is there is no longer what was there, whatever fails.
        fs::rename(&place.new_body, &place.body)
            .and_then(|()| flush_directory(&place.directory))
            .map_err(|error| unknown(&place.body, &error))?;
        Ok(version(
            &document.bytes,
            document.bytes.len() as u64,
            Some(&sidecar),
        ))
    }

    pub(super) fn list(&self) -> Result<Vec<DocumentPath>, StoreError> {
        let _lock = self.lock()?;
        let mut found = Vec::new();
        let mut directories = vec![(self.root.clone(), String::new(), 0)];
        while let Some((directory, prefix, depth)) = directories.pop() {
            let entries = fs::read_dir(&directory).map_err(|error| unusable(&directory, &error))?;
            for entry in entries {
                let entry = entry.map_err(|error| unusable(&directory, &error))?;
                let kind = entry
                    .file_type()
                    .map_err(|error| unusable(&entry.path(), &error))?;
                let Some(path) = entry.file_name().to_str().and_then(|name| {
                    let own = name.starts_with('.') && name.contains(".kubeassume.");
                    (!own)
                        .then(|| DocumentPath::new(format!("{prefix}{name}")))
                        .flatten()
                }) else {
                    continue;
                };
                if kind.is_dir() && depth < MAX_DEPTH {
                    directories.push((entry.path(), format!("{path}/"), depth + 1));
                } else if kind.is_file() && found.len() < MAX_LISTED {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    pub(super) fn delete(&self, path: &DocumentPath, version: &Version) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let place = self.place(path)?;
        if self.read(&place)?.map(|stored| stored.version).as_ref() != Some(version) {
            return Err(StoreError::Precondition);
        }
        fs::remove_file(&place.body).map_err(|error| unusable(&place.body, &error))?;
        let rest = match fs::remove_file(&place.sidecar) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => flush_directory(&place.directory),
        };
        rest.map_err(|error| unknown(&place.body, &error))
    }

    /// Makes a file wherever a document would need one, and takes it away again.
    pub(super) fn validate(&self) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        for path in [DocumentPath::JWKS, DocumentPath::DISCOVERY] {
            let place = self.place(&path)?;
            self.read(&place)?;
            let nearest = place.directory.ancestors().find(|directory| directory.is_dir());
            let probe = nearest.unwrap_or(&self.root).join(PROBE);
            write_new(&probe, b"")
                .and_then(|()| fs::remove_file(&probe))
                .map_err(|error| unusable(&probe, &error))?;
        }
        Ok(())
    }

    /// Readers too take it exclusively: they are few, and need both files of one moment.
    fn lock(&self) -> Result<File, StoreError> {
        let path = self.root.join(LOCK);
        let begun = Instant::now();
        loop {
            let file = open_lock(&path).map_err(|error| unusable(&path, &error))?;
            match file.try_lock() {
                // Somebody may have removed the file meanwhile; a lock on a file without a name excludes nobody.
                Ok(()) if is_still_at(&file, &path) => return Ok(file),
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(unusable(&path, &error)),
            }
            if begun.elapsed() > LOCK_TIMEOUT {
                let seconds = LOCK_TIMEOUT.as_secs();
                return Err(StoreError::Unavailable(format!(
                    "{} has been locked by another process for {seconds} s",
                    path.display()
                )));
            }
            std::thread::sleep(LOCK_PAUSE);
        }
    }

    /// Where a document lies, once it is certain that no link leads away from there.
    fn place(&self, path: &DocumentPath) -> Result<Place, StoreError> {
        let mut body = self.root.clone();
        let mut segments = path.as_str().split('/').peekable();
        let mut name = "";
        while let Some(segment) = segments.next() {
            body.push(segment);
            name = segment;
            let metadata = match fs::symlink_metadata(&body) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(unusable(&body, &error)),
            };
            let last = segments.peek().is_none();
            if metadata.is_symlink() {
                return Err(misconfigured(&body, "is a symbolic link"));
            }
            if last != metadata.is_file() {
                let is_not = if last {
                    "is not a file"
                } else {
                    "is not a directory"
                };
                return Err(misconfigured(&body, is_not));
            }
        }
        let directory = body.parent().unwrap_or(&self.root).to_owned();
        let beside = |end: &str| directory.join(format!(".{name}{end}"));
        Ok(Place {
            sidecar: beside(SIDECAR),
            new_body: beside(NEW_BODY),
            new_sidecar: beside(NEW_SIDECAR),
            body,
            directory,
        })
    }

    fn read(&self, place: &Place) -> Result<Option<StoredDocument>, StoreError> {
        let read = |path: &Path, limit| match read_at_most(path, limit) {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(path, &error)),
        };
        let Some((bytes, length)) = read(&place.body, MAX_DOCUMENT_BYTES as u64)? else {
            return Ok(None);
        };
        let is_link = fs::symlink_metadata(&place.sidecar).is_ok_and(|metadata| !metadata.is_file());
        if is_link {
            return Err(misconfigured(&place.sidecar, "is not a file"));
        }
        let raw = read(&place.sidecar, MAX_SIDECAR_BYTES)?.map(|(bytes, _)| bytes);
        let sidecar = raw
            .as_ref()
            .and_then(|raw| serde_json::from_slice::<Sidecar>(raw).ok())
            .filter(|sidecar| sidecar.body_digest == digest(&bytes));
        let version = version(&bytes, length, raw.as_deref());
        Ok(Some(match sidecar {
            Some(sidecar) => StoredDocument {
                bytes: bytes.into(),
                content_type: Some(sidecar.content_type),
                cache_control: Some(sidecar.cache_control),
                metadata: sidecar.metadata,
                version,
            },
            None => StoredDocument {
                bytes: Bytes::from(bytes),
                content_type: None,
                cache_control: None,
                metadata: Metadata::new(),
                version,
            },
        }))
    }

    fn make_directories(&self, directory: &Path) -> Result<(), StoreError> {
        if directory == self.root || directory.is_dir() {
            return Ok(());
        }
        if let Some(parent) = directory.parent() {
            self.make_directories(parent)?;
            fs::DirBuilder::new()
                .mode(DIRECTORY_MODE)
                .create(directory)
                // Not left to the umask: a web server of another user reads here.
                .and_then(|()| fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE)))
                .and_then(|()| flush_directory(parent))
                .map_err(|error| unusable(directory, &error))?;
        }
        Ok(())
    }
}

/// A digest of everything that a write replaces; the length stands for what lies beyond the limit.
fn version(body: &[u8], length: u64, sidecar: Option<&[u8]>) -> Version {
    let sidecar = sidecar.map(digest).unwrap_or_default();
    let parts = format!("{} {length} {sidecar}", digest(body));
    Version::new(digest(parts.as_bytes()))
}

/// Writes a file under a name that is not taken, and flushes it. What a dead writer left there goes first:
/// making a file anew follows no link.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The first bytes, and how many there are in all.
fn read_at_most(path: &Path, limit: u64) -> io::Result<(Vec<u8>, u64)> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok((bytes, length))
}

/// A rename is on the disk once its directory is.
fn flush_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn open_lock(path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file"));
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
}

fn is_still_at(file: &File, path: &Path) -> bool {
    let (Ok(held), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (held.dev(), held.ino()) == (there.dev(), there.ino())
}

fn misconfigured(path: &Path, what: &str) -> StoreError {
    StoreError::Misconfigured(format!("{} {what}", path.display()))
}

/// Nothing was done.
fn unusable(path: &Path, error: &io::Error) -> StoreError {
    let text = format!("{}: {error}", path.display());
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::Denied(text),
        ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::InvalidInput => StoreError::Misconfigured(text),
        ErrorKind::Unsupported => StoreError::Misconfigured(format!("{text} (the file system has no locks)")),
        _ => StoreError::Unavailable(text),
    }
}

fn unknown(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unknown(format!("{}: {error}", path.display()))
}
