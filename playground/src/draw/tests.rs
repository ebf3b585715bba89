//! Golden screens. `BLESS=1 cargo test -p kubeassume-playground` writes them anew.

use std::path::Path;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use super::draw;
use crate::event::{Bucket, Event, KeyId, KeyState, Outcome, Standing};
use crate::model::Model;
use crate::model::tests::{begun, made, public, serve, verdict};

const K1: KeyId = KeyId(0);
const K2: KeyId = KeyId(1);

/// K1 was dropped with too short an overlap for the tokens that are in use, and the leader was killed.
fn mistaken() -> Model {
    let mut model = begun();
    let put = |document: &str, status| Event::Put {
        document: document.to_owned(),
        status,
    };
    model.apply(put("openid/v1/jwks", 200));
    model.apply(put(".well-known/openid-configuration", 200));
    model.apply(Event::Wrote {
        nth: 0,
        documents: vec![
            "openid/v1/jwks".to_owned(),
            ".well-known/openid-configuration".to_owned(),
        ],
    });
    made(&mut model, K2, "EC P-256");
    serve(&mut model, K2, &[K2]);
    for second in 1..90 {
        model.apply(Event::Tick(Duration::from_secs(second)));
        for party in 0..3 {
            verdict(&mut model, party, K2, Outcome::Accepted);
            verdict(&mut model, party, K1, Outcome::Accepted);
            if second % 2 == 0 {
                verdict(&mut model, party, K2, Outcome::Accepted);
            }
        }
        match second {
            60 => model.apply(put("openid/v1/jwks", 403)),
            40..50 => (0..3).for_each(|party| verdict(&mut model, party, K1, Outcome::Unreadable)),
            80.. => {
                let why = "no key of the set belongs to the token".to_owned();
                (1..3).for_each(|party| verdict(&mut model, party, K1, Outcome::Rejected(why.clone())));
            }
            _ => {}
        }
    }
    public(
        &mut model,
        &[
            (K1, KeyState::Retiring(Duration::from_secs(29))),
            (K2, KeyState::Live),
        ],
    );
    let standing = Standing::Gone;
    model.apply(Event::Replica { nth: 0, standing });
    model.apply(Event::Leader(Some("kubeassume-1".to_owned())));
    model.apply(Event::Bucket(Bucket::ReadOnly));
    model
}

fn drawn(model: &Model, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let row = |y| {
        (0..area.width)
            .map(|x| buffer[(x, y)].symbol())
            .collect::<String>()
    };
    let rows: Vec<String> = (0..area.height).map(|y| row(y).trim_end().to_owned()).collect();
    rows.join("\n") + "\n"
}

fn golden(name: &str, model: &Model, width: u16, height: u16) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/draw/golden/{name}.txt"));
    let found = text(&drawn(model, width, height));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not what was drawn:\n{found}",
        path.display()
    );
}

/// The colour of the first cell of a text on the screen.
fn colour(buffer: &Buffer, wanted: &str) -> Color {
    let area = buffer.area;
    for y in 0..area.height {
        let row: Vec<&str> = (0..area.width).map(|x| buffer[(x, y)].symbol()).collect();
        let Some(byte) = row.concat().find(wanted) else {
            continue;
        };
        let mut at = 0;
        for (x, symbol) in (0..area.width).zip(&row) {
            if at == byte {
                return buffer[(x, y)].fg;
            }
            at += symbol.len();
        }
    }
    panic!("{wanted:?} is not on the screen:\n{}", text(buffer));
}

#[test]
fn a_wide_screen() {
    golden("wide", &mistaken(), 120, 36);
}

#[test]
fn a_small_screen() {
    golden("small", &mistaken(), 80, 24);
}

#[test]
fn the_beginning() {
    golden("begin", &begun(), 120, 36);
}

#[test]
fn the_help() {
    let mut model = begun();
    model.help = true;
    golden("help", &model, 120, 36);
}

#[test]
fn what_is_bad_is_red_and_what_is_good_is_not() {
    let buffer = drawn(&mistaken(), 120, 36);
    for bad in [
        "VALID TOKENS REJECTED",
        "killed",
        "10 rejected",
        "403",
        "kubeassume-0 is gone",
    ] {
        assert_eq!(colour(&buffer, bad), Color::Red, "{bad}");
    }
    let buffer = drawn(&begun(), 120, 36);
    for good in ["no valid token rejected", "signs", "live", "leads", "open"] {
        assert_eq!(colour(&buffer, good), Color::Green, "{good}");
    }
}

#[test]
fn no_size_of_a_terminal_is_too_small() {
    let mut model = mistaken();
    for help in [false, true] {
        model.help = help;
        for width in [0, 1, 2, 3, 5, 9, 20, 35, 36, 37, 60, 99, 100, 300] {
            for height in [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 29, 30, 31, 100] {
                let _ = drawn(&model, width, height);
            }
        }
    }
}
