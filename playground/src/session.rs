//! The one loop: events in, letters in, the model shown, until something ends it.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use kubeassume_tests::Testbed;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::event::{Event, KeyId};
use crate::model::Model;
use crate::plain::Plain;
use crate::screen::Screen;
use crate::world::{PARTIES, Settings, Tell, World};
use crate::{out, panics, plain, world};

/// How often it is shown.
const FRAME: Duration = Duration::from_millis(100);

/// What a person did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A letter, perhaps with a key that it is for.
    Letter(char, Option<KeyId>),
    Choose {
        down: bool,
    },
    Escape,
    Help,
    /// Draw again: the size changed.
    Again,
    Quit,
}

/// Why it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    Person,
    Signal(&'static str),
    /// Nobody sees it any more.
    Unseen,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Person => "as told",
            Self::Signal(name) => name,
            Self::Unseen => "nobody looks",
        })
    }
}

/// Starts everything, shows it, and ends it.
///
/// # Errors
/// Something could not be started, or failed.
pub(crate) async fn run(bed: &Arc<Testbed>, settings: Settings, plain: bool) -> Result<Ended, String> {
    let mut signals = Signals::new().map_err(|error| format!("no signals: {error}"))?;
    out::line(&format!(
        "KubeAssume playground in {}; Ctrl-C ends it",
        bed.path().display()
    ))
    .map_err(|error| error.to_string())?;
    let mut lines = plain.then(plain::lines);
    let (tell, events) = Tell::new();
    let (mut world, waiting) = match start(bed, settings, tell, &mut signals, lines.as_mut()).await? {
        Started::Running(world, waiting) => (world, waiting),
        Started::Ended(ended) => return Ok(ended),
    };
    out::step("ready\n");
    for line in world::lines(&world.about) {
        let _ = out::line(&line);
    }
    let _ = out::line("");
    let mut model = Model::new(world.about.clone(), &PARTIES);
    let face = match lines {
        Some(lines) => Ok(Face::Plain(Plain::new(lines, waiting))),
        None => Screen::enter().map(Face::Screen),
    };
    let ended = match face {
        Ok(face) => show(face, &mut model, &mut world, events, &mut signals).await,
        Err(error) => Err(format!("no screen: {error}; --plain does without")),
    };
    let _ = out::line(&model.stamped(&model.verdicts()));
    world.end().await;
    ended
}

enum Started {
    /// With the letters that came meanwhile.
    Running(Box<World>, VecDeque<Input>),
    Ended(Ended),
}

async fn start(
    bed: &Arc<Testbed>,
    settings: Settings,
    tell: Tell,
    signals: &mut Signals,
    mut lines: Option<&mut mpsc::UnboundedReceiver<Input>>,
) -> Result<Started, String> {
    // A task, so that a panic of the harness is an error here.
    let mut starting = tokio::task::spawn_local(World::start(bed.clone(), settings, tell));
    let mut waiting = VecDeque::new();
    let ended = loop {
        tokio::select! {
            world = &mut starting => {
                return match world {
                    Ok(world) => Ok(Started::Running(Box::new(world), waiting)),
                    Err(_) => Err(panics::first()),
                };
            }
            name = signals.next() => break Ended::Signal(name),
            input = next_line(&mut lines) => match input {
                Input::Quit => break Ended::Person,
                other => waiting.push_back(other),
            }
        }
    };
    starting.abort();
    // What it had started ends before this returns.
    let _ = starting.await;
    Ok(Started::Ended(ended))
}

async fn next_line(lines: &mut Option<&mut mpsc::UnboundedReceiver<Input>>) -> Input {
    match lines {
        Some(lines) => lines.recv().await.unwrap_or(Input::Quit),
        None => std::future::pending().await,
    }
}

async fn show(
    mut face: Face,
    model: &mut Model,
    world: &mut World,
    mut events: mpsc::UnboundedReceiver<Event>,
    signals: &mut Signals,
) -> Result<Ended, String> {
    let mut frame = tokio::time::interval(FRAME);
    frame.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let begun = tokio::time::Instant::now();
    loop {
        tokio::select! {
            Some(event) = events.recv() => {
                model.apply(event);
                continue;
            }
            name = signals.next() => return Ok(Ended::Signal(name)),
            () = world.failed() => return Err(panics::first()),
            input = face.input() => match input {
                Input::Quit => return Ok(Ended::Person),
                input => take(input, model, world),
            },
            _ = frame.tick() => model.apply(Event::Tick(begun.elapsed())),
        }
        if face.show(model).is_err() {
            return Ok(Ended::Unseen);
        }
    }
}

fn take(input: Input, model: &mut Model, world: &World) {
    // Whatever was typed, it first closes the help.
    if std::mem::take(&mut model.help) {
        return;
    }
    match input {
        Input::Letter(letter, key) => match model.command(letter, key) {
            Ok(command) => world.order(command),
            Err(why) => model.apply(Event::Remark {
                text: why,
                warning: true,
            }),
        },
        Input::Choose { down } => model.choose(down),
        Input::Escape => model.selected = None,
        Input::Help => model.help = true,
        Input::Again | Input::Quit => {}
    }
}

/// Where it is shown and where letters come from.
enum Face {
    Screen(Screen),
    Plain(Plain),
}

impl Face {
    async fn input(&mut self) -> Input {
        match self {
            Self::Screen(screen) => screen.input().await,
            Self::Plain(plain) => plain.input().await,
        }
    }

    fn show(&mut self, model: &mut Model) -> io::Result<()> {
        let news = model.take_news();
        match self {
            Self::Screen(screen) => screen.draw(model),
            Self::Plain(_) => news.iter().try_for_each(|line| out::line(line)),
        }
    }
}

/// What ends programs from outside.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hang_up.recv() => "the terminal was closed",
        }
    }
}
