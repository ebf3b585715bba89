//! The rotation timeline as an SVG picture: a lane for each key and each replica, and the uses of tokens.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::timeline::{BUCKET, History, Lane, Step, short};

const WIDTH: f64 = 1080.0;
const LEFT: f64 = 176.0;
const RIGHT: f64 = 1056.0;
const TOP: f64 = 34.0;
const KEY_ROW: f64 = 44.0;
const REPLICA_ROW: f64 = 30.0;
const USES: f64 = 84.0;

/// The picture of a run that took `ran`.
pub(super) fn svg(history: &History, ran: Duration) -> String {
    let lanes = history.lanes();
    let replicas = replicas(history);
    let keys_end = TOP + 22.0 + KEY_ROW * lanes.len() as f64;
    let replicas_end = keys_end + 30.0 + REPLICA_ROW * replicas.len() as f64;
    let uses_base = replicas_end + 34.0 + USES;
    let height = uses_base + 56.0;
    let mut picture = Picture {
        svg: String::new(),
        end: ran.as_secs_f64().max(1.0),
    };
    picture.grid(uses_base);
    picture.heading(TOP + 8.0, "Keys");
    for (nth, lane) in lanes.iter().enumerate() {
        picture.key(TOP + 22.0 + KEY_ROW * nth as f64, nth + 1, lane);
    }
    picture.heading(keys_end + 16.0, "Controller replicas");
    for (nth, (name, replica)) in replicas.iter().enumerate() {
        picture.replica(keys_end + 30.0 + REPLICA_ROW * nth as f64, name, replica);
    }
    picture.heading(replicas_end + 20.0, "Uses of tokens");
    picture.uses(uses_base, history);
    for replica in replicas.values() {
        if let Some(at) = replica.died {
            picture.line("death", at, TOP, uses_base);
        }
    }
    picture.legend(uses_base + 44.0);
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"Timeline of keys, replicas and token \
         uses\" xmlns=\"http://www.w3.org/2000/svg\">{}</svg>",
        picture.svg
    )
}

/// What a replica did.
#[derive(Default)]
struct Replica {
    started: f64,
    died: Option<f64>,
    leads: Vec<f64>,
    writes: Vec<(f64, usize)>,
}

fn replicas(history: &History) -> BTreeMap<String, Replica> {
    let mut replicas: BTreeMap<String, Replica> = BTreeMap::new();
    for (at, step) in &history.steps {
        let (Step::Started { replica: name }
        | Step::Died { replica: name }
        | Step::Leads { replica: name }
        | Step::Wrote { replica: name, .. }) = step
        else {
            continue;
        };
        let at = at.as_secs_f64();
        let replica = replicas.entry(name.clone()).or_default();
        match step {
            Step::Started { .. } => replica.started = at,
            Step::Died { .. } => replica.died = Some(at),
            Step::Leads { .. } => replica.leads.push(at),
            Step::Wrote { documents, .. } => replica.writes.push((at, *documents)),
            _ => {}
        }
    }
    replicas
}

struct Picture {
    svg: String,
    /// The last second.
    end: f64,
}

impl Picture {
    fn x(&self, second: f64) -> f64 {
        LEFT + (second / self.end).clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    fn grid(&mut self, bottom: f64) {
        let step = match self.end {
            end if end <= 15.0 => 1.0,
            end if end <= 40.0 => 2.0,
            end if end <= 120.0 => 10.0,
            end => (end / 12.0 / 10.0).ceil() * 10.0,
        };
        let mut second = 0.0;
        while second <= self.end {
            self.line("grid", second, TOP - 8.0, bottom);
            self.text(
                self.x(second),
                TOP - 14.0,
                "soft",
                "middle",
                &format!("{second} s"),
            );
            second += step;
        }
    }

    fn key(&mut self, y: f64, number: usize, lane: &Lane) {
        self.text(
            0.0,
            y + 12.0,
            "",
            "start",
            &format!("Key {number}: {}", lane.kind),
        );
        self.text(0.0, y + 27.0, "soft", "start", short(&lane.kid));
        let second = |at: Option<Duration>| at.map(|at| at.as_secs_f64());
        let (served, public) = (second(lane.served), second(lane.public));
        let (retiring, removed) = (second(lane.retiring), second(lane.removed));
        let spans = [
            (
                "new",
                served,
                public.or(Some(self.end)),
                "on the first API server, not public yet",
            ),
            (
                "live",
                public,
                retiring.or(Some(self.end)),
                "live: public, and on an API server",
            ),
            (
                "retiring",
                retiring,
                removed.or(Some(self.end)),
                "retiring: public, and on no API server",
            ),
        ];
        for (class, from, to, what) in spans {
            if let (Some(from), Some(to)) = (from, to) {
                self.bar(
                    class,
                    from,
                    to,
                    y,
                    17.0,
                    &format!("{what}, {from:.1} s to {to:.1} s"),
                );
            }
        }
        if let Some((from, to)) = lane.signs {
            let (from, to) = (from.as_secs_f64(), to.map_or(self.end, |to| to.as_secs_f64()));
            self.bar(
                "signs",
                from,
                to,
                y + 21.0,
                6.0,
                &format!("signs, {from:.1} s to {to:.1} s"),
            );
        }
        if let Some(at) = removed {
            let _ = write!(
                self.svg,
                "<circle class=\"gone\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"5\"><title>removed at {at:.1} s</title></circle>",
                self.x(at),
                y + 8.5
            );
        }
    }

    fn replica(&mut self, y: f64, name: &str, replica: &Replica) {
        let middle = y + 8.0;
        self.text(0.0, middle + 4.0, "", "start", name);
        let end = replica.died.unwrap_or(self.end);
        let _ = write!(
            self.svg,
            "<line class=\"up\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>",
            self.x(replica.started),
            self.x(end)
        );
        for from in &replica.leads {
            self.bar(
                "lead",
                *from,
                end,
                middle - 5.0,
                10.0,
                &format!("leads from {from:.1} s"),
            );
        }
        for (at, documents) in &replica.writes {
            let _ = write!(
                self.svg,
                "<circle class=\"write\" cx=\"{:.1}\" cy=\"{middle}\" r=\"4\"><title>wrote {documents} document(s) at \
                 {at:.1} s</title></circle>",
                self.x(*at)
            );
        }
        if let Some(at) = replica.died {
            let x = self.x(at);
            let _ = write!(
                self.svg,
                "<path class=\"cross\" d=\"M{:.1} {:.1}l12 12m0 -12l-12 12\"><title>killed at {at:.1} s</title></path>",
                x - 6.0,
                middle - 6.0
            );
        }
    }

    fn uses(&mut self, base: f64, history: &History) {
        let most = history
            .uses
            .values()
            .map(|(good, bad)| good + bad)
            .max()
            .unwrap_or(1)
            .max(1);
        let width = BUCKET.as_secs_f64();
        for (bucket, (good, bad)) in &history.uses {
            let from = f64::from(*bucket) * width;
            let height = |count: u32| USES * f64::from(count) / f64::from(most);
            let title = format!("{good} accepted, {bad} rejected at {from:.1} s");
            let to = from + width * 0.86;
            self.bar("live", from, to, base - height(*good), height(*good), &title);
            if *bad > 0 {
                self.bar("bad", from, to, base - height(good + bad), height(*bad), &title);
            }
        }
        let per_second = (f64::from(most) / width).round();
        self.text(
            0.0,
            base - USES + 12.0,
            "soft",
            "start",
            &format!("up to {per_second} a second"),
        );
        let rejected: u32 = history.uses.values().map(|(_, bad)| bad).sum();
        let class = if rejected == 0 { "soft" } else { "bad" };
        self.text(
            0.0,
            base - USES + 28.0,
            class,
            "start",
            &format!("{rejected} rejected"),
        );
    }

    fn legend(&mut self, y: f64) {
        let mut x = LEFT;
        for (class, what) in [
            ("new", "not public yet"),
            ("live", "live; use accepted"),
            ("retiring", "retiring"),
            ("signs", "signs"),
            ("lead", "leads"),
            ("bad", "use rejected"),
        ] {
            let _ = write!(
                self.svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"14\" height=\"10\" rx=\"2\"/>",
                y - 9.0
            );
            self.text(x + 20.0, y, "soft", "start", what);
            x += 42.0 + what.len() as f64 * 6.6;
        }
        let _ = write!(
            self.svg,
            "<circle class=\"write\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"/>",
            x + 5.0,
            y - 4.0
        );
        self.text(x + 16.0, y, "soft", "start", "write");
        x += 66.0;
        let _ = write!(
            self.svg,
            "<circle class=\"gone\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"5\"/>",
            x + 5.0,
            y - 4.0
        );
        self.text(x + 16.0, y, "soft", "start", "removed");
        x += 82.0;
        let _ = write!(
            self.svg,
            "<path class=\"cross\" d=\"M{:.1} {:.1}l10 10m0 -10l-10 10\"/>",
            x,
            y - 9.0
        );
        self.text(x + 16.0, y, "soft", "start", "leader killed");
    }

    fn bar(&mut self, class: &str, from: f64, to: f64, y: f64, height: f64, title: &str) {
        let (x, end) = (self.x(from), self.x(to));
        let _ = write!(
            self.svg,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\" rx=\"2\">\
             <title>{}</title></rect>",
            (end - x).max(1.0),
            escape(title)
        );
    }

    fn heading(&mut self, y: f64, text: &str) {
        self.text(0.0, y, "head", "start", text);
    }

    fn line(&mut self, class: &str, second: f64, top: f64, bottom: f64) {
        let x = self.x(second);
        let _ = write!(
            self.svg,
            "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>"
        );
    }

    fn text(&mut self, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
        let _ = write!(
            self.svg,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(text)
        );
    }
}

/// Text as HTML and SVG have it.
pub(super) fn escape(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut escaped, c| {
            match c {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&quot;"),
                '\'' => escaped.push_str("&#39;"),
                c => escaped.push(c),
            }
            escaped
        })
}
