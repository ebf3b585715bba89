//! Where somebody sits who follows a page: a clone's `deploy/`, the programs on `PATH`, one shell.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use kubeassume_tests::{ApiServer, Binary, Testbed, binary, server};
use regex::{Captures, Regex};
use snapbox::IntoData as _;
use xtask::testbed::Server;

use crate::page::Block;
use crate::shell::Shell;

/// A desk, and what was done at it.
pub(crate) struct Desk {
    pub(crate) folder: PathBuf,
    shell: Shell,
    shown: String,
    printed: String,
}

impl Desk {
    /// A desk with nothing but these variables beside the usual ones.
    pub(crate) async fn new(bed: &Testbed, variables: &[(&str, String)]) -> Self {
        let (folder, programs) = (bed.path().join("clone"), bed.path().join("programs"));
        for folder in [&folder, &programs] {
            fs::create_dir(folder).unwrap();
        }
        let copied = Command::new("cp")
            .arg("-r")
            .arg(xtask::repository().join("deploy"))
            .arg(&folder)
            .status();
        assert!(copied.unwrap().success());
        let kubectl = on_path(&server(Server::Kubectl).await);
        for program in [binary(Binary::Cli), binary(Binary::Controller), kubectl] {
            symlink(&program, programs.join(program.file_name().unwrap())).unwrap();
        }
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let mut environment = vec![
            ("PATH", path),
            ("HOME", folder.display().to_string()),
            ("KUBECONFIG", folder.join("kubeconfig").display().to_string()),
        ];
        environment.extend_from_slice(variables);
        Self {
            shell: Shell::start(&folder, &environment),
            folder,
            shown: String::new(),
            printed: String::new(),
        }
    }

    /// Makes the person at the desk an administrator of this cluster.
    pub(crate) fn administer(&self, api: &ApiServer) {
        let kubeconfig = api.kubeconfig("administrator", api.admin_token());
        fs::copy(kubeconfig, self.folder.join("kubeconfig")).unwrap();
    }

    /// Sets a variable that the page's commands use.
    pub(crate) async fn set(&mut self, name: &str, value: &str) {
        let (code, text) = self.shell.run(&format!("export {name}={value}")).await;
        assert_eq!(code, 0, "{text}");
    }

    /// Runs a block's commands; each of `words` is what the page says where something else is true here.
    ///
    /// # Panics
    ///
    /// A command fails. One whose output on the page has an error has to fail.
    pub(crate) async fn follow(&mut self, block: &Block, words: &[(String, String)]) {
        for (command, output) in block.commands() {
            let (code, text) = self.shell.run(&command).await;
            let replace = |text: String, (here, page): &(String, String)| text.replace(here, page);
            let text = words.iter().fold(text, replace);
            println!("$ {command}\n{text}");
            let fails = output
                .lines()
                .any(|line| line.to_lowercase().starts_with("error"));
            assert!((code != 0) == fails, "`{command}` ends with {code}:\n{text}");
            // A page need not show what nobody wants to read.
            if !output.is_empty() {
                self.shown.push_str(&format!("$ {command}\n{}", steady(&output)));
                self.printed.push_str(&format!("$ {command}\n{}", steady(&text)));
            }
        }
    }

    /// Compares what was printed with what the page shows; `...` there stands for any lines.
    pub(crate) fn compare(&self) {
        // Otherwise backslashes in commands would count as those of Windows.
        let exactly = snapbox::Assert::new().normalize_paths(false);
        exactly.eq(&self.printed, self.shown.as_str().into_data());
    }
}

/// What differs from run to run, made equal: keys, moments, generations, ages, and who leads.
fn steady(text: &str) -> String {
    let word = Regex::new("[A-Za-z0-9_-]+").unwrap();
    let text = word.replace_all(text, |found: &Captures<'_>| match &found[0] {
        // A kid or a thumbprint: a digest in base64url.
        key if key.len() == 43 => "<key>".to_owned(),
        other => other.to_owned(),
    });
    let text = [
        (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "<moment>"),
        (r"\b1[0-9]{12}\b", "<generation>"),
        (r"\b[0-9]+ s ago", "<age> s ago"),
        (r"\b2[34] h\b", "<hours> h"),
        (r"kubeassume-controller-[0-9]\b", "<pod>"),
    ]
    .iter()
    .fold(text.into_owned(), |text, (pattern, name)| {
        Regex::new(pattern)
            .unwrap()
            .replace_all(&text, *name)
            .into_owned()
    });
    // Tables of keys are in the order of their names.
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines
        .chunk_by_mut(|one, next| one.starts_with("<key> ") && next.starts_with("<key> "))
        .for_each(<[&str]>::sort_unstable);
    lines.concat()
}

/// A program's own path, where only its name is known.
fn on_path(program: &Path) -> PathBuf {
    if program.is_absolute() {
        return program.to_owned();
    }
    let folders = std::env::var_os("PATH").unwrap();
    let mut found = std::env::split_paths(&folders).map(|folder| folder.join(program));
    found
        .find(|path| path.is_file())
        .expect("it was found there before")
}
