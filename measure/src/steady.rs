//! Two replicas when nothing changes: what they ask of the API server, and what they write.

use kubeassume_tests::{Replica, until};

use crate::audit::{Request, by_kind};
use crate::report::{Goal, Report};
use crate::world::{LIMIT, PERIOD, World};

/// An hour of the default period of 60 s.
const POLLS: usize = 60;

pub(crate) async fn measure(world: &World, replicas: &mut [Replica; 2], report: &mut Report) {
    // The first one to run leads.
    let known = world.audit.requests().len();
    replicas[0].start();
    replicas[0].answers("/verifiedz", 200).await;
    let leader = world.audit.requests()[known..]
        .iter()
        .map(|request| request.credential.clone())
        .next()
        .expect("the leader asked something");
    replicas[1].start();
    replicas[1].answers("/verifiedz", 200).await;
    polls(world, 5).await;

    let puts = world.puts();
    let window = window(world).await;
    let written: usize = world
        .puts()
        .iter()
        .zip(puts)
        .map(|(now, before)| now - before)
        .sum();

    let how = format!(
        "{POLLS} polls, which are an hour at the default period, run with a period of {PERIOD}; two replicas, nothing \
         changes"
    );
    report.judge(
        "writes to the bucket in an hour",
        Goal::AtMost(0.0),
        written as f64,
        "",
        format!("successful PUTs; {how}"),
    );
    let writes: Vec<&Request> = window.iter().filter(|request| request.is_write()).collect();
    let is_lease = |request: &&&Request| request.what == "leases";
    let renewals = writes.iter().filter(is_lease).count();
    report.judge(
        "writes to the API server in an hour, the Lease apart",
        Goal::AtMost(0.0),
        (writes.len() - renewals) as f64,
        "",
        how,
    );
    let seconds = span(&window);
    report.add(
        "renewals of the Lease",
        renewals as f64 / seconds * 60.0,
        "a minute",
        format!("{renewals} in {seconds:.0} s, by time and not by poll: every 2 s to 2.4 s"),
    );
    for (role, leads) in [("leader", true), ("follower", false)] {
        let own: Vec<&Request> = window
            .iter()
            .filter(|request| (request.credential == leader) == leads && request.what != "leases")
            .collect();
        let kinds: Vec<String> = by_kind(own.iter().copied())
            .into_iter()
            .map(|(kind, count)| format!("{kind} {:.2}", count as f64 / POLLS as f64))
            .collect();
        report.add(
            &format!("API requests of a {role} per poll"),
            own.len() as f64 / POLLS as f64,
            "",
            format!(
                "{}; the Lease apart; one API server, listed by address",
                kinds.join(", ")
            ),
        );
    }
}

/// Everything that was asked from one poll to the one so many later.
async fn window(world: &World) -> Vec<Request> {
    let before = world.audit.requests();
    let last = before.iter().rposition(Request::is_poll).expect("a poll");
    until(&format!("{POLLS} polls"), LIMIT, async || {
        let requests = world.audit.requests();
        let mut ends = requests
            .iter()
            .enumerate()
            .skip(last + 1)
            .filter(|(_, request)| request.is_poll());
        match ends.nth(POLLS - 1) {
            Some((end, _)) => Ok(requests[last + 1..=end].to_vec()),
            None => Err("not yet"),
        }
    })
    .await
}

/// Waits for so many polls more.
pub(crate) async fn polls(world: &World, more: usize) {
    let count = || {
        world
            .audit
            .requests()
            .iter()
            .filter(|request| request.is_poll())
            .count()
    };
    let goal = count() + more;
    until(&format!("{more} polls"), LIMIT, async || {
        if count() >= goal { Ok(()) } else { Err("not yet") }
    })
    .await;
}

fn span(window: &[Request]) -> f64 {
    let (first, last) = (window.first().expect("a poll"), window.last().expect("a poll"));
    last.received.duration_since(first.received).as_secs_f64()
}
