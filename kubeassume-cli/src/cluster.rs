//! Which cluster, for the commands that speak to one.

use std::path::PathBuf;

use clap::Args;
use kubeassume_core::kube::{Client, Config, client, load_config};

use crate::failure::Failure;

/// Where the cluster is, and where in it the controller lives.
#[derive(Debug, Args)]
pub(crate) struct Cluster {
    /// The controller's namespace
    #[arg(
        short,
        long,
        env = "POD_NAMESPACE",
        hide_env_values = true,
        default_value = "kubeassume-system",
        value_name = "NAME"
    )]
    pub(crate) namespace: String,
    /// The kubeconfig file; without it, the one that kubectl would use
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; without it, the current one
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
}

impl Cluster {
    /// Whether the user named the cluster.
    pub(crate) fn is_named(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some()
    }

    /// The cluster's configuration, and a client of it.
    ///
    /// # Errors
    /// When there is none, or it does not prove whom it speaks to.
    pub(crate) async fn connect(&self) -> Result<(Config, Client), Failure> {
        let unusable = |error: kubeassume_core::kube::ConfigError| {
            Failure::new("cannot find the cluster")
                .because(&error)
                .next("name it with --kubeconfig and --context; `kubectl config get-contexts` lists them")
        };
        let config = load_config(self.kubeconfig.as_deref(), self.context.as_deref())
            .await
            .map_err(unusable)?;
        let client = client(&config).map_err(unusable)?;
        Ok((config, client))
    }
}
