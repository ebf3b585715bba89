//! The binary's face: exit codes, what goes where, and that errors say what to do.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

use std::path::PathBuf;
use std::process::{Command, Output};

const CONFIG: &str = "issuer: https://oidc.example.com/one
source: {endpoints: [\"10.0.0.1:6443\", \"10.0.0.2:6443\"]}
publisher: {type: s3, s3: {bucket: keys, region: eu-west-1, publicURL: \"https://oidc.example.com/one\"}}
controller: {rotation: {overlapPeriod: 1h}}
";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// Runs it without anything of this machine's clusters.
fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubeassume-controller"))
        .env_clear()
        .args(arguments)
        .output()
        .unwrap()
}

fn out(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_good_configuration_is_told_in_words_and_nothing_runs() {
    let folder = Folder::new();
    let path = folder.write("config.yaml", CONFIG);
    let output = run(&["run", "--check-config", "--config", path.to_str().unwrap()]);
    let (code, stdout, stderr) = out(&output);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert_eq!(
        stdout,
        "issuer      https://oidc.example.com/one\n\
         keys from   API servers 10.0.0.1:6443, 10.0.0.2:6443 as kubernetes.default.svc, every 60s\n\
         published   to S3 bucket keys; caches may keep it 300s\n\
         retention   a vanished key stays 3600s; keys that only the public copy has after a loss of state are kept \
         for that long; 0 revoked\n\
         state       ConfigMap kubeassume-system/kube-iam-assume-oidc-metadata\n\
         leader      Lease kubeassume-system/kubeassume-leader: 15s lease, 10s to renew, tried every 2s\n\
         warning     controller.rotation.overlapPeriod is 1h: a token can be in use for 19h12m (webhooks ask for \
         24h, the kubelet renews at 80 %), so one signed shortly before its key vanished may be rejected for its \
         last 18h17m; 19h17m covers it\n"
    );
}

#[test]
fn a_bad_configuration_is_exit_code_2_with_every_problem() {
    let folder = Folder::new();
    let path = folder.write("config.yaml", &CONFIG.replace("bucket: keys", "bukket: keys"));
    let (code, stdout, stderr) = out(&run(&[
        "run",
        "--check-config",
        "--config",
        path.to_str().unwrap(),
    ]));
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert_eq!(
        stderr,
        "error: the configuration has 2 problems:\n  \
         publisher.s3.bucket is missing; write the name of the bucket\n  \
         publisher.s3.bukket is unknown; did you mean publisher.s3.bucket?\n"
    );
    let path = folder.write("config.yaml", &CONFIG.replace("10.0.0.2:6443", "10.0.0.2"));
    let (code, _, stderr) = out(&run(&["run", "--config", path.to_str().unwrap()]));
    assert_eq!(code, Some(2));
    assert_eq!(
        stderr,
        "error: source.endpoints: the source is misconfigured: endpoint \"10.0.0.2\" has no port; write host:port, \
         such as 10.0.0.1:6443\n"
    );
}

#[test]
fn what_is_missing_on_the_command_line_is_exit_code_2() {
    for arguments in [
        &[][..],
        &["fly"],
        &["run", "--confg=x"],
        &["run", "--health-listen=8081"],
    ] {
        let (code, stdout, stderr) = out(&run(arguments));
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(
            stderr.contains("Usage") || stderr.contains("invalid value"),
            "{stderr}"
        );
    }
    let (code, stdout, _) = out(&run(&["--version"]));
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with("kubeassume-controller "));
}

#[test]
fn no_cluster_is_exit_code_1_with_the_next_step() {
    let folder = Folder::new();
    let path = folder.write("config.yaml", CONFIG);
    let config = path.to_str().unwrap();
    let kubeconfig = folder.write("kubeconfig", "apiVersion: v1\nkind: Config\nclusters: []\n");
    let (code, stdout, stderr) = out(&run(&[
        "run",
        "--config",
        config,
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
    ]));
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    let error = stderr.lines().last().unwrap();
    assert!(
        error.starts_with("error: kubeconfig ") && error.contains("current context"),
        "{error}"
    );

    let insecure = "apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: \"https://127.0.0.1:1\", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: very-secret}}]
";
    let kubeconfig = folder.write("kubeconfig", insecure);
    let (code, _, stderr) = out(&run(&[
        "run",
        "--config",
        config,
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
    ]));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("set certificate-authority instead"), "{stderr}");
    assert!(!stderr.contains("very-secret"), "{stderr}");
}

#[test]
fn rust_log_is_levels_by_target() {
    let folder = Folder::new();
    let config = folder.write("config.yaml", CONFIG);
    let kubeconfig = folder.write("kubeconfig", "apiVersion: v1\nkind: Config\nclusters: []\n");
    let warned = |level: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_kubeassume-controller"))
            .env_clear()
            .env("RUST_LOG", level)
            .args(["run", "--config"])
            .arg(&config)
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .output()
            .unwrap();
        let (_, _, stderr) = out(&output);
        assert!(stderr.contains("error: kubeconfig"), "{stderr}");
        stderr.contains("\"WARN\"") && stderr.contains("overlapPeriod")
    };
    for level in [
        "",
        "warn",
        "error,kubeassume_controller=info",
        "kubeassume_controller=loud",
    ] {
        assert!(warned(level), "{level:?}");
    }
    for level in ["off", "error", "info,kubeassume_controller::cli=error"] {
        assert!(!warned(level), "{level:?}");
    }
}
