//! What a person needs in another terminal: an environment to source, and commands that work in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kubeassume_tests::{ApiServer, Binary, Testbed, binary};
use xtask::testbed::Server;

use super::{AUDIENCE, NAMESPACE, Settings, bucket, pods};
use crate::event::About;
use crate::model::server_name;

/// `kubectl apply`, as an installation does it.
pub(super) async fn apply_deploy(bed: &Testbed, server: &ApiServer) {
    let program = kubeassume_tests::server(Server::Kubectl).await;
    let mut command = Command::new(program);
    command
        .arg("--kubeconfig")
        .arg(server.kubeconfig("admin", server.admin_token()))
        .arg("--cache-dir")
        .arg(bed.path().join("kubectl"))
        .args(["apply", "-f"])
        .arg(xtask::repository().join("deploy"));
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("kubectl was waited for")
        .expect("kubectl starts");
    let refusal = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl apply -f deploy/: {refusal}");
}

/// Writes the environment and the guide into the playground's folder.
pub(super) async fn write(
    bed: &Testbed,
    issuer: &str,
    endpoint: String,
    settings: Settings,
    servers: &[ApiServer; 2],
) -> About {
    let folder = bed.path();
    let kubeconfigs = [0, 1].map(|nth| {
        let server = &servers[nth];
        server.kubeconfig(&server_name(nth), server.admin_token())
    });
    let bin = folder.join("bin");
    fs::create_dir(&bin).expect("a folder for programs");
    link(&binary(Binary::Cli), &bin);
    link(&kubeassume_tests::server(Server::Kubectl).await, &bin);
    let (environment, guide) = (folder.join("env"), folder.join("README"));
    let text = format!(
        "export KUBECONFIG={}\nexport KUBECACHEDIR={}\nexport ISSUER={issuer}\nexport CACERT={}\nPATH={}:$PATH\n",
        kubeconfigs[0].display(),
        folder.join("kubectl").display(),
        bed.pki().ca_file().display(),
        bin.display(),
    );
    fs::write(&environment, text).expect("the environment can be written");
    let about = About {
        issuer: issuer.to_owned(),
        bucket: format!("{endpoint}/{}", bucket::BUCKET),
        overlap: settings.overlap,
        hold: settings.hold,
        ca_file: bed.pki().ca_file().to_owned(),
        servers: [0, 1].map(|nth| servers[nth].url()),
        kubeconfigs,
        commands: commands(&environment, settings),
        guide,
    };
    fs::write(&about.guide, lines(&about).join("\n") + "\n").expect("the guide can be written");
    about
}

/// Everything a person may want to copy.
pub(crate) fn lines(about: &About) -> Vec<String> {
    let mut lines = vec![format!("issuer       {}", about.issuer)];
    for (nth, kubeconfig) in about.kubeconfigs.iter().enumerate() {
        lines.push(format!("{:<12} {}", server_name(nth), about.servers[nth]));
        lines.push(format!("  kubeconfig {}", kubeconfig.display()));
    }
    lines.push(format!("bucket       {}", about.bucket));
    lines.push(format!("CA file      {}", about.ca_file.display()));
    lines.push(format!("this text    {}", about.guide.display()));
    lines.push(String::new());
    lines.push("in another terminal, the first line first:".to_owned());
    lines.extend(about.commands.iter().map(|command| format!("  {command}")));
    lines
}

fn commands(environment: &Path, settings: Settings) -> Vec<String> {
    let (namespace, account) = pods::POD;
    vec![
        format!(". {}", environment.display()),
        format!("kubectl get configmap -n {NAMESPACE} kube-iam-assume-oidc-metadata -o yaml"),
        format!("kubectl get events -n {NAMESPACE}"),
        format!(
            "kubeassume status --overlap {}s --cacert $CACERT",
            settings.overlap.as_secs()
        ),
        "kubeassume verify --issuer $ISSUER --cacert $CACERT".to_owned(),
        format!(
            "kubectl create token {account} -n {namespace} --audience {AUDIENCE} | \
             kubeassume verify --issuer $ISSUER --cacert $CACERT --audience {AUDIENCE} --token -"
        ),
        "curl --cacert $CACERT $ISSUER/openid/v1/jwks".to_owned(),
    ]
}

/// A program that is on `PATH` already needs no link.
fn link(program: &PathBuf, bin: &Path) {
    if let Some(name) = program.file_name().filter(|_| program.is_absolute()) {
        std::os::unix::fs::symlink(program, bin.join(name)).expect("a link to a program");
    }
}
