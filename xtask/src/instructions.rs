//! `instructions`: how many instructions a cycle with 100 keys takes, counted by callgrind.
//!
//! Wall times differ by a fifth from minute to minute on a shared machine; this count differs by a few in ten
//! thousand. It is no time: callgrind knows no SHA instructions, so SHA-256 counts as plain code, and what a
//! cache miss costs it does not say. Compare it with itself, on one kind of CPU and with one compiler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::commands::target_directory;
use crate::step::{Outcome, cargo, executables, output, run};

/// More than this over the record fails: no change of the compiler's does that, a quadratic loop does.
const ALLOWED_PERCENT: f64 = 20.0;

const WHAT: &str = "jwks_cycle/100";
const BUILD: [&str; 7] = [
    "build",
    "--profile",
    "bench",
    "-p",
    "kubeassume-benches",
    "--bin",
    "instructions",
];
/// The function of the binary between whose beginning and end instructions count.
const COLLECT: &str = "--toggle-collect=*measured_cycle*";

/// Counts, and compares with the record or replaces it.
pub(crate) fn measure(record: bool) -> Outcome {
    if !is_measurable() {
        return Err("valgrind is not installed; Debian's package is `valgrind`".into());
    }
    let now = Record {
        instructions: count()?,
        environment: environment()?,
    };
    if record {
        now.write()?;
        println!(
            "{WHAT}: {} instructions, recorded ({})",
            now.instructions, now.environment
        );
        return Ok(());
    }
    compare(&Record::read()?, &now)
}

/// The same as a step of `ci`, where a machine without valgrind is no failure.
pub(crate) fn check() -> Outcome {
    if is_measurable() {
        return measure(false);
    }
    println!("{WHAT}: instructions were not counted, valgrind is not installed");
    Ok(())
}

/// Whether valgrind is there.
pub(crate) fn is_measurable() -> bool {
    let version = Command::new("valgrind").arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

fn count() -> Result<u64, String> {
    let built = executables(&mut cargo(BUILD))?;
    let binary = built.first().ok_or("cargo built no binary `instructions`")?;
    let profile = target_directory()?.join("callgrind.instructions.out");
    run(Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", COLLECT])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(binary))?;
    let text = read(&profile)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    match total.map(|total| total.trim().parse()) {
        // Nothing was collected: the function has another name now.
        Some(Ok(0)) | None => Err(format!("callgrind counted nothing in {}", binary.display())),
        Some(Ok(count)) => Ok(count),
        Some(Err(error)) => Err(format!("{}: {error}", profile.display())),
    }
}

fn compare(recorded: &Record, now: &Record) -> Outcome {
    let change = (now.instructions as f64 / recorded.instructions as f64 - 1.0) * 100.0;
    println!(
        "{WHAT}: {} instructions, {change:+.2} % against the recorded {}",
        now.instructions, recorded.instructions
    );
    if now.environment != recorded.environment {
        println!("  recorded with {}", recorded.environment);
        println!("  counted with  {}", now.environment);
    }
    if change > ALLOWED_PERCENT {
        return Err(format!(
            "{WHAT} takes {change:.0} % more instructions than recorded, over {ALLOWED_PERCENT} %; \
             if that is meant, `cargo xtask instructions --record`"
        ));
    }
    Ok(())
}

/// What `benches/instructions.json` holds.
struct Record {
    instructions: u64,
    environment: String,
}

impl Record {
    fn path() -> PathBuf {
        xtask::repository().join("benches/instructions.json")
    }

    fn read() -> Result<Self, String> {
        let path = Self::path();
        Self::parse(&read(&path)?).ok_or_else(|| format!("{}: not a record", path.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let after = |member: &str| Some(text.split_once(&format!("\"{member}\": "))?.1);
        let (instructions, _) = after("instructions")?.split_once(',')?;
        let (environment, _) = after("environment")?.strip_prefix('"')?.split_once('"')?;
        Some(Self {
            instructions: instructions.parse().ok().filter(|count| *count > 0)?,
            environment: environment.to_owned(),
        })
    }

    fn write(&self) -> Outcome {
        let path = Self::path();
        fs::write(&path, self.to_text()).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn to_text(&self) -> String {
        let Self {
            instructions,
            environment,
        } = self;
        format!(
            "{{\n  \"what\": \"{WHAT}\",\n  \"instructions\": {instructions},\n  \
             \"environment\": \"{environment}\",\n  \"command\": \"cargo xtask instructions --record\"\n}}\n"
        )
    }
}

/// What a count depends on besides the code.
fn environment() -> Result<String, String> {
    let rustc = output(Command::new("rustc").arg("--version"))?;
    let valgrind = output(Command::new("valgrind").arg("--version"))?;
    let cpu = std::env::consts::ARCH;
    Ok(format!("{}, {}, {cpu}", rustc.trim(), valgrind.trim()))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(instructions: u64) -> Record {
        Record {
            instructions,
            environment: "rustc 1.95.0 (59807616e 2026-04-14), valgrind-3.19.0, x86_64".to_owned(),
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_the_one_in_the_repository_too() {
        let again = Record::parse(&counted(4_526_486).to_text()).unwrap();
        assert_eq!(again.instructions, 4_526_486);
        assert_eq!(again.environment, counted(1).environment);
        assert!(Record::parse("{}").is_none());
        Record::read().unwrap();
    }

    #[test]
    fn only_a_leap_fails() {
        assert!(compare(&counted(1000), &counted(1199)).is_ok());
        assert!(compare(&counted(1000), &counted(10)).is_ok());
        assert!(compare(&counted(1000), &counted(1201)).is_err());
    }
}
