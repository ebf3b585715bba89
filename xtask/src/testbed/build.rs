//! Building a recipe into the cache: one process at a time, all or nothing.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Recipe, Tool};

/// How often a build that lasts says so.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Why a server cannot be had.
#[derive(Debug)]
pub enum Error {
    /// A tool is not on `PATH`.
    ToolMissing {
        /// The server that needs it.
        server: &'static str,
        /// The tool.
        tool: &'static str,
        /// What to install, and from where.
        install: &'static str,
    },
    /// The tool failed; the end of its output.
    Build {
        /// The server that was built.
        server: &'static str,
        /// The last lines that the tool printed.
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
            Self::ToolMissing {
                server,
                tool,
                install,
            } => write!(
                f,
                "the testbed needs `{tool}` for {server}, and there is none on PATH: install {install}, then run \
                 `cargo xtask testbed` again"
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

/// What is started, in the cache; built if it is not there.
pub(super) fn cached(recipe: &'static Recipe) -> Result<PathBuf, Error> {
    if matches!(recipe.tool, Tool::Npm { .. }) {
        // Whoever removed Node since gets this message, and not a script that does not start.
        has(Command::new("node").arg("--version"), recipe, "node")?;
    }
    let cache = crate::cache().ok_or(Error::NoCache)?.join("testbed");
    let folder = cache.join(recipe.cache_name().map_err(at(&recipe.folder()))?);
    let binary = folder.join(recipe.product());
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
    let status = run(recipe, &building, &log)?;
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

fn run(recipe: &'static Recipe, building: &Path, log: &Path) -> Result<ExitStatus, Error> {
    let output = File::create(log).map_err(at(log))?;
    let (tool, mut command) = command(recipe, building)?;
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(at(log))?)
        .stderr(output);
    let mut child = spawned(&mut command, recipe, tool)?;
    let started = Instant::now();
    let mut said = started;
    loop {
        if let Some(status) = child.try_wait().map_err(at(Path::new(tool)))? {
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

fn command(recipe: &Recipe, building: &Path) -> Result<(&'static str, Command), Error> {
    match recipe.tool {
        Tool::Go { package, ldflags } => {
            let mut go = Command::new("go");
            go.current_dir(recipe.folder())
                .args(["build", "-trimpath", "-ldflags", ldflags, "-o"])
                .arg(building.join(recipe.name))
                .arg(package);
            Ok(("go", go))
        }
        Tool::Npm { .. } => {
            for file in ["package.json", "package-lock.json"] {
                let from = recipe.folder().join(file);
                fs::copy(&from, building.join(file)).map_err(at(&from))?;
            }
            let mut npm = Command::new("npm");
            // No package's own script is run: none of these needs one.
            npm.current_dir(building)
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            Ok(("npm", npm))
        }
        Tool::Pip => {
            // Its scripts carry the folder's name and break when it is renamed; `python -m` does not.
            let mut venv = Command::new("python3");
            venv.args(["-m", "venv"]).arg(building);
            has(&mut venv, recipe, "python3")?;
            let mut pip = Command::new(building.join("bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
                // Wheels alone: no package's own code runs while it is installed. What they would drag in and
                // nothing here imports stays out.
                .args(["--only-binary", ":all:", "--no-deps", "--no-compile", "--require-hashes", "-r"])
                .arg(recipe.folder().join("requirements.txt"));
            Ok(("python3", pip))
        }
    }
}

/// That the tool is there and starts.
fn has(command: &mut Command, recipe: &Recipe, tool: &'static str) -> Result<(), Error> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = spawned(command, recipe, tool)?.wait();
    status.map(drop).map_err(at(Path::new(tool)))
}

fn spawned(command: &mut Command, recipe: &Recipe, tool: &'static str) -> Result<Child, Error> {
    command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::ToolMissing {
            server: recipe.name,
            tool,
            install: match recipe.tool {
                Tool::Go { .. } => "Go 1.26 or newer (https://go.dev/doc/install)",
                Tool::Pip => "Python 3.10 or newer with venv and pip (https://www.python.org/downloads/)",
                Tool::Npm { .. } => "Node.js 20 or newer with npm (https://nodejs.org/en/download)",
            },
        },
        _ => at(Path::new(tool))(error),
    })
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Io {
        path: path.to_owned(),
        source,
    }
}
