//! What a process keeps in memory, and what a controller keeps after ten rotations.

use std::fs;

use kubeassume_tests::Replica;

use crate::report::{Goal, Report};
use crate::steady;
use crate::world::World;

const ROTATIONS: usize = 10;

/// How many polls a replica settles for.
const SETTLE: usize = 60;

pub(crate) async fn measure(world: &mut World, replicas: &[Replica; 2], report: &mut Report) {
    for (replica, role) in replicas.iter().zip(["leader", "follower"]) {
        let memory = Memory::of(replica.pid());
        report.add(
            &format!("RSS of a {role} before any rotation"),
            memory.rss,
            "MiB",
            memory.parts(),
        );
    }
    for _ in 0..ROTATIONS {
        world.roll().await;
    }
    steady::polls(world, SETTLE).await;
    for (replica, role) in replicas.iter().zip(["leader", "follower"]) {
        let memory = Memory::of(replica.pid());
        report.judge(
            &format!("idle RSS of a {role} after ten rotations"),
            Goal::AtMost(15.0),
            memory.rss,
            "MiB",
            format!(
                "{}; {ROTATIONS} times a new key was served, became public, signed, and the old one went, by restarts of \
                 the API server with other key files; then {SETTLE} polls without a change",
                memory.parts()
            ),
        );
    }
}

/// From `/proc/<pid>/status`, in MiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// All that is in memory.
    pub(crate) rss: f64,
    /// Of that, what is no file's: heaps and stacks.
    pub(crate) anonymous: f64,
    /// Of that, pages of files: mostly the program itself, shared with whoever runs it too.
    pub(crate) file: f64,
    /// The largest that it was.
    pub(crate) peak: f64,
    pub(crate) threads: f64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
        let number = |name: &str| -> f64 {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let words = line.unwrap_or_else(|| panic!("no {name} in {status}"));
            words
                .split_whitespace()
                .next()
                .and_then(|word| word.parse().ok())
                .expect("a number")
        };
        let mebibytes = |name: &str| number(name) / 1024.0;
        Self {
            rss: mebibytes("VmRSS"),
            anonymous: mebibytes("RssAnon"),
            file: mebibytes("RssFile"),
            peak: mebibytes("VmHWM"),
            threads: number("Threads"),
        }
    }

    fn parts(&self) -> String {
        format!(
            "{:.1} anonymous, {:.1} of files (the program's own pages), at most {:.1} so far; {} threads",
            self.anonymous, self.file, self.peak, self.threads
        )
    }
}
