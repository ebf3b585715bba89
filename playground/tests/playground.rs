//! The playground itself, driven by letters through its standard input: real servers, real controllers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kubeassume_tests::{Binary, binary};

/// Generous: a busy machine; what waits goes on as soon as it may.
const LIMIT: Duration = Duration::from_secs(120);
/// One at a time: each runs two API servers.
static ROOM: Mutex<()> = Mutex::new(());

struct Playground {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// What it has said so far.
    said: Vec<String>,
    _room: MutexGuard<'static, ()>,
}

/// How it ended.
struct Ended {
    code: Option<i32>,
    said: String,
    complaint: String,
}

impl Playground {
    fn start(arguments: &[&str]) -> Self {
        let controller = binary(Binary::Controller);
        Self::start_with(arguments, controller.parent().unwrap())
    }

    fn start_with(arguments: &[&str], binaries: &Path) -> Self {
        let room = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = Command::new(env!("CARGO_BIN_EXE_kubeassume-playground"))
            .args(arguments)
            .env("KUBEASSUME_BIN_DIR", binaries)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            input: child.stdin.take(),
            child,
            lines,
            said: Vec::new(),
            _room: room,
        }
    }

    /// Types a line and waits until each of these was said, in any order, after it.
    fn types(&mut self, line: &str, answers: &[&str]) {
        // What was said meanwhile is no answer.
        self.said.extend(self.lines.try_iter());
        let before = self.said.len();
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
        for answer in answers {
            self.hears(before, answer);
        }
    }

    /// Waits for a line with these words, from that line on.
    fn hears(&mut self, from: usize, words: &str) -> String {
        let end = Instant::now() + LIMIT;
        let mut at = from;
        loop {
            if let Some(line) = self.said.get(at) {
                if line.contains(words) {
                    return line.clone();
                }
                at += 1;
                continue;
            }
            match self
                .lines
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    println!("{line}");
                    self.said.push(line);
                }
                Err(reason) => {
                    let mut complaint = String::new();
                    if reason == RecvTimeoutError::Disconnected {
                        let errors = self.child.stderr.as_mut().unwrap();
                        errors.read_to_string(&mut complaint).unwrap();
                    }
                    panic!("{words:?} was not said ({reason}): {complaint}");
                }
            }
        }
    }

    fn folder(&mut self) -> PathBuf {
        let line = self.hears(0, "KubeAssume playground in ");
        let (_, rest) = line.split_once(" in ").unwrap();
        PathBuf::from(rest.split_once(';').unwrap().0)
    }

    /// Which controller took the lead last.
    fn leader(&self) -> String {
        let leads = self
            .said
            .iter()
            .rev()
            .find(|line| line.ends_with(" leads"))
            .unwrap();
        leads.split_whitespace().rev().nth(1).unwrap().to_owned()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    fn ends(mut self) -> Ended {
        let end = Instant::now() + LIMIT;
        while let Ok(line) = self
            .lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            println!("{line}");
            self.said.push(line);
        }
        drop(self.input.take());
        let mut complaint = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut complaint)
            .unwrap();
        Ended {
            code: self.child.wait().unwrap().code(),
            said: std::mem::take(&mut self.said).join("\n"),
            complaint,
        }
    }
}

/// For a test that fails in the middle: its servers end with it.
impl Drop for Playground {
    fn drop(&mut self) {
        drop(self.input.take());
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Of each relying party: accepted, rejected, unreadable.
    fn verdicts(&self) -> Vec<[u64; 3]> {
        let line = self
            .said
            .lines()
            .rfind(|line| line.contains("verdicts: "))
            .unwrap();
        let (_, parties) = line.split_once("verdicts: ").unwrap();
        let numbers = |party: &str| {
            let (_, counts) = party.rsplit_once(": ").unwrap();
            let number = |count: &str| count.split_once(' ').unwrap().0.parse().unwrap();
            let counts: Vec<u64> = counts.split(", ").map(number).collect();
            counts.try_into().unwrap()
        };
        parties.split("; ").map(numbers).collect()
    }
}

/// No folder, and no process that was told of it.
fn nothing_is_left(folder: &Path) {
    assert!(
        folder.starts_with(std::env::temp_dir()) && !folder.exists(),
        "{folder:?} is left"
    );
    let processes = Command::new("ps").args(["ax", "-o", "args"]).output().unwrap();
    let processes = String::from_utf8_lossy(&processes.stdout).into_owned();
    let left: Vec<&str> = processes
        .lines()
        .filter(|line| line.contains(folder.to_str().unwrap()))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn a_rotation_with_every_kind_of_trouble_rejects_nothing_and_leaves_nothing() {
    let mut play = Playground::start(&["--plain", "--overlap", "20", "--hold", "10"]);
    let folder = play.folder();
    play.hears(0, "public: K1");
    play.hears(0, " leads");

    play.types("s", &["api-1 serves K1 K2, signs with K1", "public: K1 K2"]);
    let leader = play.leader();
    let other = ["kubeassume-0", "kubeassume-1"]
        .into_iter()
        .find(|name| *name != leader)
        .unwrap();
    play.types("l", &[&format!("{leader} is gone"), &format!("{other} leads")]);
    play.types("w", &["api-1 serves K1 K2, signs with K2"]);
    play.types("d", &["api-1 serves K2, signs with K2", "K1 is retiring"]);
    play.types("b", &["the bucket is down"]);
    play.types("b", &["the bucket is open", "K1 is removed", "public: K2"]);
    play.types("r", &["the bucket is read-only"]);
    play.types(
        "s",
        &[
            "api-1 serves K2 K3, signs with K2",
            "K3 is live",
            "PUT openid/v1/jwks 403",
        ],
    );
    play.types("r", &["the bucket is open", "public: K2 K3"]);
    let said = play.said.len();
    play.hears(said, "verdicts: ");
    play.types("q", &[]);
    let ended = play.ends();

    assert_eq!(ended.code, Some(0), "{}", ended.complaint);
    assert!(ended.said.contains("ended (as told)"), "{}", ended.said);
    let verdicts = ended.verdicts();
    assert_eq!(verdicts.len(), 3);
    for [accepted, rejected, _] in verdicts {
        assert!(
            accepted > 50 && rejected == 0,
            "{accepted} accepted, {rejected} rejected"
        );
    }
    // K1; with K2; without K1; with K3; and once more if K1's retirement puts the two into another order, because what
    // is served comes first.
    let writes = ended.said.matches("PUT openid/v1/jwks 200").count();
    assert!(
        matches!(writes, 4 | 5),
        "one successful PUT per change of the key set, not {writes}"
    );
    nothing_is_left(&folder);
}

#[test]
fn a_mistake_shows_and_the_commands_it_prints_work() {
    let mut play = Playground::start(&["--plain", "--overlap", "2", "--hold", "30"]);
    let folder = play.folder();
    play.hears(0, " leads");
    let guide = std::fs::read_to_string(folder.join("README")).unwrap();
    let (_, commands) = guide.split_once("the first line first:\n").unwrap();
    let mut commands = commands.lines().map(str::trim);
    let environment = commands.next().unwrap();
    for command in commands {
        let output = Command::new("sh")
            .args(["-c", &format!("{environment}; {command}")])
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && !output.stdout.is_empty(),
            "{command}: {complaint}"
        );
    }

    play.types("w", &["no served key waits to sign"]);
    play.types("d", &["no key is replaced"]);
    play.types("s", &["api-1 serves K1 K2, signs with K1", "public: K1 K2"]);
    play.types("w K2", &["api-1 serves K1 K2, signs with K2"]);
    // Two seconds later pods still hold its tokens.
    play.types(
        "d K1",
        &["K1 is removed", "alarm: kubeassume verify rejects a token"],
    );
    let said = play.said.len();
    play.hears(said, "verdicts: ");
    play.signal("TERM");
    let ended = play.ends();
    assert_eq!(ended.code, Some(0), "{}", ended.complaint);
    assert!(ended.said.contains("ended (SIGTERM)"), "{}", ended.said);
    // go-oidc without memory and our own; the other one may still remember the key.
    for [_, rejected, _] in &ended.verdicts()[1..] {
        assert!(*rejected > 0, "{}", ended.said);
    }
    nothing_is_left(&folder);
}

#[test]
fn whoever_leaves_while_it_starts_leaves_nothing_behind() {
    for signal in ["HUP", "INT"] {
        let mut play = Playground::start(&["--plain"]);
        let folder = play.folder();
        play.hears(0, "two API servers start");
        play.signal(signal);
        let ended = play.ends();
        assert_eq!(ended.code, Some(0), "{}", ended.complaint);
        assert!(ended.said.contains("ended ("), "{}", ended.said);
        assert!(!ended.said.contains("ready"), "{}", ended.said);
        nothing_is_left(&folder);
    }
}

#[test]
fn a_closed_terminal_ends_it() {
    let _room = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
    let controller = binary(Binary::Controller);
    // `script` is a terminal; killed, it is a terminal that somebody closed.
    let mut terminal = Command::new("script")
        .args(["-qfc", "stty rows 30 cols 100; exec \"$PLAYGROUND\"", "/dev/null"])
        .env("PLAYGROUND", env!("CARGO_BIN_EXE_kubeassume-playground"))
        .env("KUBEASSUME_BIN_DIR", controller.parent().unwrap())
        .env("TERM", "xterm-256color")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = terminal.stdin.take().unwrap();
    let mut output = terminal.stdout.take().unwrap();
    let (sender, drawn) = channel();
    std::thread::spawn(move || {
        let mut some = [0; 4096];
        while let Ok(many @ 1..) = output.read(&mut some) {
            let _ = sender.send(String::from_utf8_lossy(&some[..many]).into_owned());
        }
    });
    let mut seen = String::new();
    let mut sees = |wanted: &str| {
        let end = Instant::now() + LIMIT;
        while !seen.contains(wanted) {
            match drawn.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(more) => seen += &more,
                Err(reason) => panic!("{wanted:?} was not drawn ({reason}): {seen}"),
            }
        }
        seen.clone()
    };
    let folder = sees("; Ctrl-C ends it");
    let folder = folder.split_once(" in ").unwrap().1;
    let folder = PathBuf::from(folder.split_once(';').unwrap().0);
    // Only what changes is drawn, and no blank on blank: single words come whole.
    sees("verdicts");
    input.write_all(b"s").unwrap();
    sees("P-256");
    terminal.kill().unwrap();
    terminal.wait().unwrap();

    let end = Instant::now() + LIMIT;
    while folder.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    nothing_is_left(&folder);
}

#[test]
fn the_end_of_its_input_ends_it() {
    let mut play = Playground::start(&["--plain"]);
    let folder = play.folder();
    play.hears(0, "etcd and the S3 server start");
    drop(play.input.take());
    let ended = play.ends();
    assert_eq!(ended.code, Some(0), "{}", ended.complaint);
    assert!(ended.said.contains("ended (as told)"), "{}", ended.said);
    nothing_is_left(&folder);
}

#[test]
fn a_controller_that_does_not_start_is_a_clear_failure_that_leaves_nothing() {
    let folder = std::env::temp_dir().join(format!("kubeassume-broken-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let broken = folder.join("kubeassume-controller");
    std::fs::write(&broken, "#!/bin/sh\necho error: no such thing >&2\nexit 2\n").unwrap();
    std::fs::set_permissions(&broken, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut play = Playground::start_with(&["--plain"], &folder);
    let its_folder = play.folder();
    let ended = play.ends();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(ended.code, Some(1));
    for word in ["kubeassume-0 ended while starting", "error: no such thing"] {
        assert!(ended.complaint.contains(word), "{}", ended.complaint);
    }
    nothing_is_left(&its_folder);
}

#[test]
fn without_its_binaries_it_says_how_to_start_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_kubeassume-playground"))
        .env_remove("KUBEASSUME_BIN_DIR")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("cargo xtask playground"), "{complaint}");
}
