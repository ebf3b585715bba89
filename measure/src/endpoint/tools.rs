//! What is needed beside the testbed.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::attack::CONNECTIONS;

/// Ends with what to install.
pub(super) fn check() {
    for (program, package) in [("wrk", "wrk"), (nginx(), "nginx-light")] {
        match Command::new(program).arg("-v").output() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("{program} is not installed; on Debian: apt-get install {package}")
            }
            Err(error) => panic!("{program} does not start: {error}"),
            Ok(_) => {}
        }
    }
}

/// Debian has it where only root looks.
pub(super) fn nginx() -> &'static str {
    let own = "/usr/sbin/nginx";
    if Path::new(own).exists() { own } else { "nginx" }
}

/// Each connection is a file, here and in the server, which inherits the limit.
pub(super) fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = 65_536.min(limit.maximum.unwrap_or(u64::MAX));
    assert!(
        wanted > CONNECTIONS as u64 + 1000,
        "{CONNECTIONS} connections need as many open files and {wanted} are allowed; raise the hard limit (ulimit -Hn)"
    );
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            ..limit
        };
        setrlimit(Resource::Nofile, raised).expect("the limit of open files can be raised to the hard limit");
    }
}
