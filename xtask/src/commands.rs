//! The commands that mostly call cargo.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use xtask::conformance::{self, Program, Table};
use xtask::testbed::{self, Server};

use crate::step::{Outcome, cargo, output, run};

/// The packages whose library or binary is shipped.
pub(crate) const SHIPPED: [&str; 5] = [
    "kubeassume-core",
    "kubeassume-cloud",
    "kubeassume-publishers",
    "kubeassume-controller",
    "kubeassume-cli",
];

/// The packages whose binary the end-to-end tests start.
const BINARIES: [(&str, &str); 2] = [
    ("kubeassume-controller", "kubeassume-controller"),
    ("kubeassume-cli", "kubeassume"),
];

pub(crate) fn testbed(names: &[String]) -> Outcome {
    let servers = if names.is_empty() {
        Server::ALL.to_vec()
    } else {
        let known = || Server::ALL.map(Server::name).join(", ");
        let parse = |name: &String| {
            Server::by_name(name).ok_or_else(|| format!("the testbed has no `{name}`; it has {}", known()))
        };
        names.iter().map(parse).collect::<Result<_, _>>()?
    };
    for server in servers {
        let path = testbed::ensure(server).map_err(|error| error.to_string())?;
        println!("{:<15} {}", server.name(), path.display());
    }
    Ok(())
}

/// Servers, binaries, then every test; the tests run the examples too.
pub(crate) fn test(arguments: &[String]) -> Outcome {
    testbed(&[])?;
    let folder = binaries()?;
    let all = ["test", "--workspace", "--all-features"].map(String::from);
    run(cargo(all.iter().chain(arguments)).env("KUBEASSUME_BIN_DIR", &folder))
}

/// Runs the test programs that make rows, one after another, and prints the table; a program that fails is shown.
pub(crate) fn conformance(arguments: &[String]) -> Outcome {
    let json = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["-o", "json"] => true,
        _ => return Err("conformance takes nothing, or `-o json`".into()),
    };
    let programs = conformance::programs().map_err(|error| format!("tests/tests: {error}"))?;
    let test = |programs: &[Program]| {
        let named = programs
            .iter()
            .flat_map(|program| ["--test", program.name.as_str()]);
        cargo(["test", "-p", "kubeassume-tests"].into_iter().chain(named))
    };
    let folder = binaries()?;
    run(test(&programs).arg("--no-run"))?;
    let rows = target_directory()?.join("conformance.jsonl");
    fs::write(&rows, "").map_err(|error| format!("{}: {error}", rows.display()))?;
    let mut complaints = Vec::new();
    for program in &programs {
        eprintln!("== {}", program.name);
        let output = test(std::slice::from_ref(program))
            .arg("--")
            .args(&program.modules)
            .env("KUBEASSUME_BIN_DIR", &folder)
            .env(conformance::FILE_VARIABLE, &rows)
            .output()
            .map_err(|error| format!("cargo does not start: {error}"))?;
        if !output.status.success() {
            for text in [&output.stdout, &output.stderr] {
                eprint!("{}", String::from_utf8_lossy(text));
            }
            complaints.push(format!("the test program {} failed, see above", program.name));
        }
    }
    let table = Table::read(&rows)?;
    if json {
        print!("{}", table.json());
    } else {
        print!("{table}");
    }
    complaints.extend(table.complaints());
    match complaints[..] {
        [] => Ok(()),
        _ => Err(format!(
            "the table is not green:
  {}",
            complaints.join(
                "
  "
            )
        )),
    }
}

/// Servers and binaries, then the playground in the place of this process: a signal meets it alone.
pub(crate) fn playground(arguments: &[String]) -> Outcome {
    testbed(&[])?;
    let folder = binaries()?;
    // By itself: cargo would unite its features with those of the binaries.
    run(&mut cargo(["build", "-p", "kubeassume-playground"]))?;
    let program = target_directory()?.join("debug").join("kubeassume-playground");
    let failure = Command::new(&program)
        .args(arguments)
        .env("KUBEASSUME_BIN_DIR", &folder)
        .exec();
    Err(format!("{} does not start: {failure}", program.display()))
}

/// Builds the binaries that tests and playground start; the folder with them.
///
/// The harness finds them through `KUBEASSUME_BIN_DIR`. They are copied there because
/// `cargo test --all-features` builds the same file names again with other features.
fn binaries() -> Result<PathBuf, String> {
    let packages = BINARIES.iter().flat_map(|(package, _)| ["-p", package]);
    run(&mut cargo(["build"].into_iter().chain(packages)))?;
    let target = target_directory()?;
    let folder = target.join("testbed-bin");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for (_, binary) in BINARIES {
        let built = target.join("debug").join(binary);
        // Under another name first: a copy over a running binary fails with "text file busy".
        let fresh = folder.join(format!(".{binary}"));
        fs::copy(&built, &fresh).map_err(|error| format!("{}: {error}", built.display()))?;
        fs::rename(&fresh, folder.join(binary)).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    Ok(folder)
}

pub(crate) fn fmt(fix: bool) -> Outcome {
    let check: &[&str] = if fix { &[] } else { &["--", "--check"] };
    run(&mut cargo(["fmt", "--all"].iter().chain(check)))
}

pub(crate) fn clippy() -> Outcome {
    let deny = ["--", "-D", "warnings"];
    // One by one: in one command cargo would unite the features that each asks of the others.
    for package in SHIPPED {
        run(&mut cargo(
            ["clippy", "-p", package, "--no-default-features"]
                .iter()
                .chain(&deny),
        ))?;
    }
    let demo = [
        "clippy",
        "-p",
        "kubeassume-cli",
        "--no-default-features",
        "--features",
        "demo",
    ];
    run(&mut cargo(demo.iter().chain(&deny)))?;
    run(&mut cargo(
        ["clippy", "--workspace", "--all-targets"].iter().chain(&deny),
    ))?;
    run(&mut cargo(
        ["clippy", "--workspace", "--all-targets", "--all-features"]
            .iter()
            .chain(&deny),
    ))
}

pub(crate) fn doc() -> Outcome {
    run(cargo(["doc", "--workspace", "--no-deps", "--all-features"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Lets the test that compares the references with the code write them instead.
pub(crate) fn docs() -> Outcome {
    let test = ["test", "-p", "kubeassume-tests", "--test", "docs", "references::"];
    run(cargo(test).env("KUBEASSUME_REWRITE_DOCS", "1"))
}

/// Where cargo builds to, whatever says so (environment, configuration, default).
pub(crate) fn target_directory() -> Result<PathBuf, String> {
    let metadata = output(&mut cargo(["metadata", "--no-deps", "--format-version", "1"]))?;
    let key = "\"target_directory\":\"";
    let path = metadata
        .split_once(key)
        .and_then(|(_, rest)| rest.split_once('"'));
    path.map(|(path, _)| PathBuf::from(path))
        .ok_or_else(|| "cargo metadata names no target directory".into())
}
