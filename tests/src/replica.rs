//! One replica of `kubeassume-controller run`, as a process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::installation::NAMESPACE;
use crate::{Binary, Launch, Process, Testbed, binary, free_port, until};

/// Long enough for a busy machine; what waits ends as soon as it may.
const LIMIT: Duration = Duration::from_secs(90);

/// A replica that can be killed and started again; its log goes on.
#[derive(Debug)]
pub struct Replica {
    name: String,
    process: Option<Process>,
    log: PathBuf,
    config: PathBuf,
    kubeconfig: PathBuf,
    environment: Vec<(&'static str, String)>,
    health: u16,
    metrics: u16,
    http: reqwest::Client,
}

impl Replica {
    /// A replica that does not run yet. `environment` is what it has beside the test's own.
    pub fn new(
        bed: &Testbed,
        name: &str,
        config: &Path,
        kubeconfig: &Path,
        environment: &[(&'static str, String)],
    ) -> Self {
        Self {
            name: name.to_owned(),
            process: None,
            log: bed.path().join(format!("{name}.log")),
            config: config.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            environment: environment.to_vec(),
            health: free_port(),
            metrics: free_port(),
            http: bed.http(),
        }
    }

    /// Starts the process; it may take its time until it is ready.
    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// As [`start`](Self::start), with more flags.
    pub fn start_with(&mut self, flags: &[&str]) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let launch = Launch::new(&self.name, binary(Binary::Controller), &self.log)
            .arg("run")
            .arg("--config")
            .arg(&self.config)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(["--health-listen", &format!("127.0.0.1:{}", self.health)])
            .args(["--metrics-listen", &format!("127.0.0.1:{}", self.metrics)])
            .args(flags)
            .env("POD_NAME", &self.name)
            .env("POD_NAMESPACE", NAMESPACE);
        let launch = self
            .environment
            .iter()
            .fold(launch, |launch, (name, value)| launch.env(name, value));
        self.process = Some(launch.start());
    }

    /// How it is called, as a process and as the Lease's holder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of its process.
    ///
    /// # Panics
    ///
    /// It does not run.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").pid()
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.process.take().expect("it runs").kill().await;
    }

    /// SIGTERM; the exit code.
    ///
    /// # Panics
    ///
    /// It does not run, or does not end.
    pub async fn stop(&mut self) -> Option<i32> {
        self.process.take().expect("it runs").stop(LIMIT).await.code()
    }

    /// The exit code of a replica that ends by itself.
    pub async fn ends(&mut self) -> Option<i32> {
        self.process.take().expect("it runs").wait(LIMIT).await.code()
    }

    /// Whether it was started and neither killed nor stopped since.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Everything that it has printed, through all restarts.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Where a health check is asked.
    pub fn health_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.health)
    }

    /// A health check: its status and what it says.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub async fn health(&self, path: &str) -> Result<(u16, String), String> {
        self.get(self.health, path).await
    }

    /// Waits until a health check answers this status.
    pub async fn answers(&self, path: &str, status: u16) {
        let what = format!("{} to answer {status} at {path}", self.name);
        until(&what, LIMIT, async || match self.health(path).await? {
            (found, _) if found == status => Ok(()),
            (found, text) => Err(format!("{found} {text}")),
        })
        .await;
    }

    /// Its metrics as they are now.
    ///
    /// # Errors
    ///
    /// It does not answer, or not with 200.
    pub async fn metrics(&self) -> Result<Metrics, String> {
        match self.get(self.metrics, "/metrics").await? {
            (200, text) => Ok(Metrics(text)),
            (status, text) => Err(format!("{status} {text}")),
        }
    }

    /// Waits until a metric (all its series that carry these labels, added) is at least this.
    pub async fn counts(&self, name: &str, labels: &[(&str, &str)], least: f64) {
        let what = format!("{} of {} to reach {least}", name, self.name);
        until(&what, LIMIT, async || {
            let found = self.metrics().await?.sum(name, labels);
            if found >= least {
                Ok(())
            } else {
                Err(format!("it is {found}"))
            }
        })
        .await;
    }

    async fn get(&self, port: u16, path: &str) -> Result<(u16, String), String> {
        let url = format!("http://127.0.0.1:{port}{path}");
        let response = self
            .http
            .get(url)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        Ok((status, response.text().await.map_err(|error| error.to_string())?))
    }
}

/// What `/metrics` says, in the Prometheus text format.
#[derive(Clone, Debug)]
pub struct Metrics(pub String);

impl Metrics {
    /// All series of this name that carry these labels, added.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.series(name, labels).sum()
    }

    /// Whether there is a series of this name that carries these labels.
    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.series(name, labels).next().is_some()
    }

    fn series<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = f64> + 'a {
        self.0
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .filter(move |(series, _)| series.split('{').next() == Some(name))
            .filter(move |(series, _)| {
                labels
                    .iter()
                    .all(|(label, value)| series.contains(&format!("{label}=\"{value}\"")))
            })
            .map(|(_, value)| value.parse().expect("a number"))
    }
}
