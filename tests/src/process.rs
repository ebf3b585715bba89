//! Child processes that never outlive the test.
//!
//! A test can end by returning, by panicking, by Ctrl-C or by SIGKILL, and only the first two run
//! `Drop`. So every child has a few lines of shell as its parent, which hold the reading end of a
//! pipe from the test's process: a line on it is a signal to pass on, its end means that the test's
//! process is gone, however that came, and then the child is killed. The kernel closes a pipe in every case.
//! `PR_SET_PDEATHSIG` would not do: it fires when the *thread* that started the child ends, which under
//! tokio and libtest happens in the middle of a test; it is also Linux only and needs unsafe code.
//! The supervisor has a process group of its own, so that Ctrl-C reaches the test and not the servers
//! one by one.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::wait::until;

/// `$1` is the log, the rest the command. Reports the child's pid, then its exit status as its own.
/// The redirections keep the pipe out of the child, and give it to the watcher, whose standard
/// input a non-interactive shell would otherwise connect to /dev/null.
const SUPERVISOR: &str = r#"
log=$1; shift
exec 3<&0 </dev/null
"$@" >>"$log" 2>&1 3<&- &
child=$!
echo "$child"
exec >/dev/null 2>&1
{ while read -r signal; do kill -s "$signal" "$child"; done; kill -s KILL "$child"; } <&3 &
watcher=$!
exec 3<&-
wait "$child"
status=$?
kill -s KILL "$watcher"
exit "$status"
"#;

/// A command to be started: like [`Command`], with a log file instead of pipes.
#[derive(Debug)]
pub struct Launch {
    name: String,
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    log: PathBuf,
}

impl Launch {
    /// `name` is for messages; output is appended to `log`.
    pub fn new(name: &str, program: impl AsRef<OsStr>, log: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            log: log.to_owned(),
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable; the rest of the environment is the test's.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// There is no `sh`, or the log cannot be created. A program that does not exist is seen as one
    /// that ends at once; its log says why.
    pub fn start(self) -> Process {
        // For a log that exists even if the program never starts.
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("the log can be written");
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(&self.log)
            .arg(&self.program)
            .args(&self.arguments)
            .envs(self.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("sh starts");
        let control = supervisor.stdin.take();
        let mut line = String::new();
        BufReader::new(supervisor.stdout.take().unwrap())
            .read_line(&mut line)
            .expect("the supervisor answers");
        let pid = line.trim().parse().expect("the supervisor reports a pid");
        Process {
            name: self.name,
            log: self.log,
            pid,
            supervisor,
            control,
        }
    }
}

/// A running child. Killed when dropped, and when this process ends in any other way.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    pid: u32,
    supervisor: Child,
    control: Option<ChildStdin>,
}

impl Process {
    /// The child's own process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it was started as.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything that it has printed.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of [`log`](Self::log), for messages.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        format!(
            "{}:\n{}",
            self.log.display(),
            lines[lines.len().saturating_sub(30)..].join("\n")
        )
    }

    /// The exit status, once it has ended; 128 + n if signal n ended it.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.supervisor
            .try_wait()
            .expect("the supervisor can be waited for")
    }

    /// Sends a signal by name: `TERM`, `STOP`, `CONT`, ... Nothing happens if it has ended.
    pub fn signal(&mut self, signal: &str) {
        if let Some(control) = &mut self.control {
            // A broken pipe: the supervisor has gone, and it goes after its child.
            let _ = writeln!(control, "{signal}");
        }
    }

    /// `kill -9`; returns when it is gone.
    pub async fn kill(&mut self) {
        self.signal("KILL");
        self.wait(Duration::from_secs(10)).await;
    }

    /// SIGTERM; returns its exit status.
    ///
    /// # Panics
    ///
    /// It has not ended within `limit`.
    pub async fn stop(&mut self, limit: Duration) -> ExitStatus {
        self.signal("TERM");
        self.wait(limit).await
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    ///
    /// It has not ended within `limit`.
    pub async fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} (pid {}) to end", self.name, self.pid);
        until(&what, limit, async || self.ended().ok_or("it still runs")).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal("KILL");
        drop(self.control.take());
        let _ = self.supervisor.wait();
    }
}
