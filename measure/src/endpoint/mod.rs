//! An HTTPS server that serves the two documents, beside nginx with the same certificate and the same bytes:
//! how fast under load, how large under attack.
//!
//! wrk, nginx and the server share the machine's cores, so only what two servers reach in the same run can be
//! compared. Both are loaded in turns.

mod attack;
mod nginx;
mod tools;
mod wrk;

use kubeassume_tests::{Testbed, free_port};

use crate::report::{Goal, Report, median};
use crate::world::{Place, World};
use attack::Attack;
use nginx::Nginx;
use wrk::Load;

/// How often each server is loaded, in turns.
const ROUNDS: usize = 3;

/// What is served, below the issuer.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// From the first slash.
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

/// A server that runs.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// All its processes.
    pub(crate) pids: Vec<u32>,
    pub(crate) documents: Vec<Document>,
}

impl Target {
    /// `https://localhost:<port>` and a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// What its processes keep in memory, in MiB; what they share counts once.
    fn memory(&self) -> f64 {
        let proportional = |pid: &u32| {
            let rollup = read(&format!("/proc/{pid}/smaps_rollup"));
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
            line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok())
        };
        let kibibytes = self.pids.iter().map(|pid| proportional(pid).expect("a line Pss"));
        kibibytes.sum::<f64>() / 1024.0
    }

    /// What its processes have computed so far, in seconds.
    fn computed(&self) -> f64 {
        let ticks = |pid: &u32| {
            let stat = read(&format!("/proc/{pid}/stat"));
            // After the name: the 12th and the 13th, in user mode and in the kernel.
            let (_, fields) = stat.rsplit_once(") ").expect("a name");
            let fields = fields.split(' ').skip(11).take(2);
            fields
                .map(|field| field.parse::<f64>().expect("a number"))
                .sum::<f64>()
        };
        self.pids.iter().map(ticks).sum::<f64>() / rustix::param::clock_ticks_per_second() as f64
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) async fn measure(report: &mut Report) {
    tools::check();
    tools::raise_file_limit();
    let port = free_port();
    let world = World::start(Place::Endpoint(port)).await;
    // The default: what polls more often would take more from what is measured.
    let mut replica = world.replica("controller", "60s").await;
    replica.start();
    replica.answers("/verifiedz", 200).await;
    let documents = [
        document(&world, ".well-known/openid-configuration").await,
        document(&world, "openid/v1/jwks").await,
    ];
    let ours = Target {
        name: "kubeassume-controller",
        port,
        pids: vec![replica.pid()],
        documents: documents.to_vec(),
    };
    let nginx = Nginx::start(&world.bed, &documents).await;
    compare(&world.bed, &[ours, nginx.target(documents.to_vec())], report).await;
}

/// As the controller serves it.
async fn document(world: &World, name: &str) -> Document {
    let url = format!("{}/{name}", world.api.config().issuer);
    let answer = world
        .bed
        .http()
        .get(url)
        .send()
        .await
        .expect("the controller answers");
    assert_eq!(answer.status(), 200, "{name}");
    let content_type = answer.headers()["content-type"]
        .to_str()
        .expect("text")
        .to_owned();
    Document {
        path: format!("/one/{name}"),
        content_type,
        body: answer.bytes().await.expect("a body").to_vec(),
    }
}

/// The first one is ours; the goal is what it reaches of the last one.
async fn compare(bed: &Testbed, targets: &[Target], report: &mut Report) {
    for target in targets {
        attack::answers(&bed.http(), target)
            .await
            .unwrap_or_else(|error| panic!("{} does not serve: {error}", target.name));
    }
    let mut loads: Vec<Vec<Load>> = targets.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (target, loads) in targets.iter().zip(&mut loads) {
            loads.push(wrk::load(bed, target).await);
        }
    }
    let mut speeds = Vec::new();
    for (target, loads) in targets.iter().zip(&loads) {
        let of = |part: fn(&Load) -> f64| median(loads.iter().map(part).collect());
        let each: Vec<String> = loads
            .iter()
            .map(|load| format!("{:.0}", load.per_second))
            .collect();
        let how = format!(
            "median of {} runs of `{}`: {}",
            loads.len(),
            wrk::COMMAND,
            each.join(", ")
        );
        report.add(
            &format!("{}: requests", target.name),
            of(|load| load.per_second),
            "a second",
            how,
        );
        report.add(
            &format!("{}: time on a processor", target.name),
            of(|load| load.computed),
            "\u{b5}s a request",
            "median of the same runs, user mode and kernel; the other servers and wrk take the rest",
        );
        report.add(
            &format!("{}: p99", target.name),
            of(|load| load.p99),
            "ms",
            "median of the same runs",
        );
        speeds.push(of(|load| load.per_second));
    }
    if let [ours, .., reference] = speeds[..] {
        let how = format!("{} over {}", targets[0].name, targets[targets.len() - 1].name);
        report.judge(
            "requests per second beside nginx",
            Goal::AtLeast(0.8),
            ours / reference,
            "x",
            how,
        );
    }
    for attack in Attack::ALL {
        for target in targets {
            attack.measure(bed, target, report).await;
        }
    }
}
