//! `kubeassume publish`: the pipeline with an administrator's own credentials, to begin with and to mend.
//!
//! Through the ConfigMap's state where one can be reached: then it is one more replica that leads. Without a
//! state it is itself the authority, see [`authority`].

mod authority;
mod replica;
mod told;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use kubeassume_controller::config::{Config, PublisherConfig, SourceConfig};
use kubeassume_core::clock::SystemClock;
use kubeassume_core::http::{DirectorySource, HttpReader, UrlSource};
use kubeassume_core::kube::{ApiServerSource, ConfigMapStore, Servers};
use kubeassume_core::{
    Clock, Corrupt, Observation, Owner, Publisher, Source, StateStore, Stored, Verification,
};
use kubeassume_publishers::{Options, Tls};

use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output::remark;
use crate::{input, runtime};

const MAX_CA_BYTES: usize = 4 << 20;

/// What to publish, and how.
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The controller's configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Publish once and read back, instead of going on until interrupted
    #[arg(long)]
    once: bool,
    /// Without a state: drop the keys that only the public copy has, instead of keeping them
    ///
    /// Tokens that they signed are rejected from then on.
    #[arg(long)]
    prune: bool,
    /// Publish even where another cluster publishes
    #[arg(long)]
    take_over: bool,
    #[command(flatten)]
    cluster: Cluster,
}

/// Everything that both ways need.
struct Pipeline {
    config: Config,
    source: Arc<dyn Source>,
    /// The one below the issuer first.
    publishers: Vec<Arc<dyn Publisher>>,
    clock: Arc<dyn Clock>,
    owner: Owner,
    once: bool,
    prune: bool,
    take_over: bool,
}

impl Publish {
    /// Runs the command.
    ///
    /// # Errors
    /// What stood in the way; with exit code 3, keys that only the public copy has and that were kept.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let config = Config::load(&self.config).map_err(|error| {
            Failure::new(format!("the configuration {:?} cannot be used", self.config)).because(&error)
        })?;
        for warning in config.warnings() {
            remark(&format!("warning: {warning}"));
        }
        runtime::block_on(async {
            tokio::select! {
                result = self.publish(config) => result,
                // Going on until then is what was asked for.
                _ = tokio::signal::ctrl_c() => match self.once {
                    true => Err(Failure::new("interrupted").code(130)),
                    false => Ok(()),
                },
            }
        })
    }

    async fn publish(&self, config: Config) -> Result<(), Failure> {
        let roots = match &config.ca_file {
            Some(path) => Some(input::read(&path.to_string_lossy(), MAX_CA_BYTES)?),
            None => None,
        };
        let reader = HttpReader::new(roots.as_deref())
            .map_err(|error| Failure::new("cannot set up HTTPS with tls.caFile").because(&error))?;
        let reader = Arc::new(reader);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let publishers = self
            .publishers(&config, Tls { ca_pem: roots }, &reader, &clock)
            .await?;
        let usable = usable(&publishers).await?;
        let all_usable = usable.len() == publishers.len();
        let source = self.source(&config, &reader).await?;
        let state = self.state(&config).await?;
        let pipeline = Pipeline {
            config,
            source,
            publishers: usable,
            clock,
            owner: Owner::from_random(u128::from_be_bytes(random::<16>()?)),
            once: self.once,
            prune: self.prune,
            take_over: self.take_over,
        };
        match state {
            Some(_) if self.prune => Err(Failure::usage(
                "--prune is for publishing without a state; here the state explains every key",
            )
            .next("to take a key down, list its thumbprint in controller.rotation.revoked")),
            Some(state) => replica::run(pipeline, state).await,
            None => authority::run(pipeline).await,
        }?;
        match all_usable {
            true => Ok(()),
            false => Err(Failure::new("published, but not everywhere").next("see what was told above")),
        }
    }

    /// Opens what is configured, except what only a controller can serve.
    async fn publishers(
        &self,
        config: &Config,
        tls: Tls,
        reader: &Arc<HttpReader>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Vec<Arc<dyn Publisher>>, Failure> {
        let seed = u64::from_be_bytes(random()?);
        let mut entries: Vec<_> = config.publishers.iter().collect();
        entries.sort_by_key(|entry| entry.mirror);
        let mut publishers: Vec<Arc<dyn Publisher>> = Vec::new();
        for entry in entries {
            if matches!(entry.config, PublisherConfig::Endpoint(_)) {
                remark("what the built-in HTTPS server serves is left to the controller");
                continue;
            }
            let options = Options {
                seed: seed.wrapping_add(publishers.len() as u64),
                take_over: self.take_over,
                mirror: entry.mirror,
            };
            let opened =
                kubeassume_publishers::open(&entry.config, &tls, reader.clone(), clock.clone(), options);
            let publisher = opened
                .await
                .map_err(|error| Failure::new("the publisher cannot be used").because(&error))?;
            if (*publisher.public_url() == config.issuer) == entry.mirror {
                let what = match entry.mirror {
                    true => "a mirror's public URL is the issuer",
                    false => "the public URL is not the issuer",
                };
                return Err(Failure::new(what)
                    .cause(format!("the public URL is {:?}", publisher.public_url().as_str()))
                    .cause(format!("the issuer is {:?}", config.issuer.as_str())));
            }
            publishers.push(publisher);
        }
        match publishers.is_empty() {
            false => Ok(publishers),
            true => Err(Failure::usage(
                "publisher.type is endpoint: the documents are served by the controller itself",
            )
            .next("run kubeassume-controller; there is no other place to which they could be published")),
        }
    }

    async fn source(&self, config: &Config, reader: &Arc<HttpReader>) -> Result<Arc<dyn Source>, Failure> {
        Ok(match &config.source {
            SourceConfig::Directory(path) => Arc::new(DirectorySource::new(path)),
            SourceConfig::Url(url) => Arc::new(UrlSource::shared(
                config.issuer.clone(),
                url.clone(),
                reader.clone(),
            )),
            SourceConfig::ApiServers {
                endpoints,
                server_name,
            } => {
                let servers = match endpoints.is_empty() {
                    true => Servers::Shared,
                    false => Servers::Each {
                        endpoints: endpoints.clone(),
                        server_name: server_name.clone(),
                    },
                };
                let (cluster, _) = self.cluster.connect().await?;
                let source = ApiServerSource::new(&cluster, &servers, config.issuer.clone());
                Arc::new(
                    source.map_err(|error| Failure::new("the API servers cannot be read").because(&error))?,
                )
            }
        })
    }

    /// The ConfigMap's state, if this cluster is the right one to ask. Keys that come from files say nothing
    /// about the current kubeconfig: there the state must exist already, for this very issuer, or the
    /// cluster must be named.
    async fn state(&self, config: &Config) -> Result<Option<Arc<dyn StateStore>>, Failure> {
        let meant = self.cluster.is_named() || matches!(config.source, SourceConfig::ApiServers { .. });
        let without = |why: &str| remark(&format!("publishing without a state: {why}"));
        let client = match self.cluster.connect().await {
            Ok((_, client)) => client,
            Err(failure) if meant => return Err(failure),
            Err(_) => {
                without("there is no cluster");
                return Ok(None);
            }
        };
        let store = ConfigMapStore::new(client, &self.cluster.namespace, config.issuer.clone());
        let stored = match store.load().await {
            Ok(loaded) => loaded.stored,
            Err(error) => {
                without(&error.to_string());
                return Ok(None);
            }
        };
        match stored {
            Stored::Corrupt(Corrupt::Issuer(other)) if meant => Err(Failure::new(format!(
                "the state in namespace {:?} is another issuer's",
                self.cluster.namespace
            ))
            .cause(format!(
                "it is {other:?}, configured is {:?}",
                config.issuer.as_str()
            ))
            .next("choose the right --context and --namespace")),
            Stored::Snapshot(_) | Stored::Newer(_) => Ok(Some(Arc::new(store))),
            Stored::Missing | Stored::Corrupt(_) if meant => Ok(Some(Arc::new(store))),
            Stored::Missing | Stored::Corrupt(_) => {
                without("the current cluster has none for this issuer; --context names a cluster");
                Ok(None)
            }
        }
    }
}

/// Those that can be written to; a broken one does not hold back another.
async fn usable(publishers: &[Arc<dyn Publisher>]) -> Result<Vec<Arc<dyn Publisher>>, Failure> {
    let mut usable = Vec::new();
    let mut broken = Vec::new();
    for publisher in publishers {
        match publisher.validate().await {
            Ok(()) => usable.push(publisher.clone()),
            Err(error) => broken.push(
                Failure::new(format!("cannot write to {}", publisher.location()))
                    .because(&error)
                    .next("check the credentials and the bucket's policy"),
            ),
        }
    }
    let last = broken.pop();
    broken.iter().for_each(Failure::report);
    match last {
        Some(failure) if usable.is_empty() => Err(failure),
        Some(failure) => {
            failure.report();
            Ok(usable)
        }
        None => Ok(usable),
    }
}

impl Pipeline {
    /// Refuses what would publish less than the administrator means: files are complete or wrong.
    fn check(&self, observation: &Observation) -> Result<(), Failure> {
        let failures: Vec<String> = observation
            .failures()
            .map(|(endpoint, error)| format!("{endpoint}: {error}"))
            .collect();
        let read = observation.answers.values().filter_map(|answer| match answer {
            kubeassume_core::Answer::Read { parsed, .. } => Some(parsed),
            kubeassume_core::Answer::Failed(_) => None,
        });
        let (left_out, remarks): (Vec<_>, Vec<_>) = read
            .flat_map(|parsed| &parsed.findings)
            .filter(|finding| finding.is_left_out())
            .partition(|finding| !finding.is_unknown_kind());
        for finding in remarks {
            remark(&finding.to_string());
        }
        let from_files = !matches!(self.config.source, SourceConfig::ApiServers { .. });
        let none = failures.len() == observation.answers.len();
        let causes: Vec<String> = match from_files {
            true => failures
                .into_iter()
                .chain(left_out.iter().map(ToString::to_string))
                .collect(),
            // A server that is away takes no key away, unless that is what was asked for.
            false if none || self.prune => failures,
            false => {
                failures
                    .iter()
                    .for_each(|failure| remark(&format!("goes on without {failure}")));
                Vec::new()
            }
        };
        if causes.is_empty() && !none {
            return Ok(());
        }
        let failure = Failure::new("the keys cannot be published as they are");
        Err(causes
            .into_iter()
            .fold(failure, Failure::cause)
            .next("nothing was written; mend the source, `kubeassume jwks inspect` shows each key"))
    }
}

/// What a read-back found, as a failure if it is one.
fn verified(verification: &Verification) -> Result<(), Failure> {
    match verification {
        Verification::Verified => {
            remark("the public copy is verified");
            Ok(())
        }
        Verification::Propagating(left) => {
            remark(&format!(
                "published; caches may show the older copy for {} s more",
                left.as_secs()
            ));
            Ok(())
        }
        Verification::Failed(error) => Err(Failure::new(
            "the documents are written, but the public does not see them",
        )
        .because(error)
        .next("kubeassume verify --issuer <issuer> shows what a relying party sees")),
    }
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Failure::new("this machine has no random numbers"))?;
    Ok(bytes)
}
