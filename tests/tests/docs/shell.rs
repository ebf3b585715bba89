//! One bash that stays, and runs commands one after the other as a person types them.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The longest wait of a guide is for one poll and one write.
const LIMIT: Duration = Duration::from_secs(120);

/// What no output has.
const END: &str = "--end-of-command-7f3a9c--";

pub(crate) struct Shell {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    folder: std::path::PathBuf,
}

impl Shell {
    /// A shell in this folder with this environment and nothing else of the test's.
    pub(crate) fn start(folder: &Path, environment: &[(&str, String)]) -> Self {
        let mut process = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(folder)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("bash starts");
        Self {
            input: process.stdin.take().unwrap(),
            output: BufReader::new(process.stdout.take().unwrap()).lines(),
            _process: process,
            folder: folder.to_owned(),
        }
    }

    /// Runs a command: its exit code, and all that it printed.
    ///
    /// # Panics
    ///
    /// It does not end, or ends the shell.
    pub(crate) async fn run(&mut self, command: &str) -> (i32, String) {
        // From a file, because the shell's own input must not become the command's.
        let file = self.folder.join(".command");
        std::fs::write(&file, format!("{command}\n")).unwrap();
        let line = format!(". ./.command </dev/null 2>&1; printf '\\n{END} %d\\n' $?\n");
        let ran = tokio::time::timeout(LIMIT, async {
            self.input.write_all(line.as_bytes()).await.ok()?;
            let mut printed = Vec::new();
            loop {
                let line = self.output.next_line().await.ok()??;
                if let Some(code) = line.strip_prefix(END) {
                    return Some((code.trim().parse().unwrap(), printed));
                }
                printed.push(line);
            }
        });
        let ran = ran
            .await
            .unwrap_or_else(|_| panic!("`{command}` does not end within {LIMIT:?}"));
        let (code, mut printed) = ran.unwrap_or_else(|| panic!("`{command}` ended the shell"));
        // The line feed before the mark, which ends a line that the command left open.
        if printed.last().is_some_and(String::is_empty) {
            printed.pop();
        }
        (code, printed.iter().map(|line| format!("{line}\n")).collect())
    }
}
