//! Building a recipe into the cache: one process at a time, all or nothing.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Recipe;

/// How often a build that lasts says so.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Why a server cannot be had.
#[derive(Debug)]
pub enum Error {
    /// No `go` on `PATH`.
    GoMissing {
        /// The server that needs it.
        server: &'static str,
    },
    /// `go build` failed; the end of its output.
    Build {
        /// The server that was built.
        server: &'static str,
        /// The last lines that Go printed.
        output: String,
    },
    /// Neither `XDG_CACHE_HOME` nor `HOME` says where the cache is.
    NoCache,
    /// A file of the cache or of the recipe cannot be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::GoMissing { server } => write!(
                f,
                "the testbed builds {server} from a pinned Go module, and there is no `go` on PATH: \
                 install Go 1.26 or newer (https://go.dev/doc/install), then run `cargo xtask testbed` again"
            ),
            Self::Build { server, output } => write!(f, "building {server} failed:\n{output}"),
            Self::NoCache => {
                f.write_str("neither XDG_CACHE_HOME nor HOME is set: no place for the testbed's cache")
            }
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The binary in the cache, built if it is not there.
pub(super) fn cached(recipe: &'static Recipe) -> Result<PathBuf, Error> {
    let cache = crate::cache().ok_or(Error::NoCache)?.join("testbed");
    let folder = cache.join(recipe.cache_name().map_err(at(&recipe.folder()))?);
    let binary = folder.join(recipe.name);
    if binary.is_file() {
        return Ok(binary);
    }
    fs::create_dir_all(&cache).map_err(at(&cache))?;
    let _lock = lock(&cache.join("lock"), recipe)?;
    // Whoever held the lock may have built just this.
    if !binary.is_file() {
        build(recipe, &cache, &folder)?;
    }
    Ok(binary)
}

/// Released by the kernel when the file is closed, so a killed build never blocks the next one.
fn lock(path: &Path, recipe: &Recipe) -> Result<File, Error> {
    let file = File::create(path).map_err(at(path))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(source)) => return Err(at(path)(source)),
    }
    eprintln!(
        "testbed: {} waits for another process that builds a server",
        recipe.name
    );
    file.lock().map_err(at(path))?;
    Ok(file)
}

fn build(recipe: &'static Recipe, cache: &Path, folder: &Path) -> Result<(), Error> {
    // On the same file system as its destination, so that the rename is atomic.
    let building = cache.join(format!(".building-{}", recipe.name));
    if building.exists() {
        fs::remove_dir_all(&building).map_err(at(&building))?;
    }
    fs::create_dir_all(&building).map_err(at(&building))?;
    let log = building.join("build.log");

    eprintln!("testbed: building {} (once, about {})", recipe.name, recipe.cold);
    let started = Instant::now();
    let status = go(recipe, &building.join(recipe.name), &log)?;
    if !status.success() {
        let text = fs::read_to_string(&log).map_err(at(&log))?;
        let lines: Vec<&str> = text.lines().collect();
        let last = lines
            .iter()
            .skip(lines.len().saturating_sub(30))
            .copied()
            .collect::<Vec<_>>();
        return Err(Error::Build {
            server: recipe.name,
            output: last.join("\n"),
        });
    }
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(at(folder))?;
    }
    fs::rename(&building, folder).map_err(at(folder))?;
    eprintln!(
        "testbed: {} built in {} s",
        recipe.name,
        started.elapsed().as_secs()
    );
    Ok(())
}

fn go(recipe: &'static Recipe, binary: &Path, log: &Path) -> Result<ExitStatus, Error> {
    let output = File::create(log).map_err(at(log))?;
    let mut command = Command::new("go");
    command
        .current_dir(recipe.folder())
        .args(["build", "-trimpath", "-ldflags", recipe.ldflags, "-o"])
        .arg(binary)
        .arg(recipe.package)
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(at(log))?)
        .stderr(output);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::GoMissing { server: recipe.name });
        }
        Err(source) => return Err(at(Path::new("go"))(source)),
    };
    let started = Instant::now();
    let mut said = started;
    loop {
        if let Some(status) = child.try_wait().map_err(at(Path::new("go")))? {
            return Ok(status);
        }
        if said.elapsed() >= HEARTBEAT {
            said = Instant::now();
            eprintln!(
                "testbed: still building {}, {} s",
                recipe.name,
                started.elapsed().as_secs()
            );
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Io {
        path: path.to_owned(),
        source,
    }
}
