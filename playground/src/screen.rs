//! The terminal: entered, read in a thread of its own, and left as it was, however this ends.

use std::io::{self, Stdout};
use std::mem::ManuallyDrop;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use tokio::sync::mpsc;

use crate::draw::draw;
use crate::model::Model;
use crate::session::Input;

pub(crate) struct Screen {
    /// Never dropped: its own `drop` prints, and so panics, where the terminal is gone.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
    inputs: mpsc::UnboundedReceiver<Input>,
}

impl Screen {
    pub(crate) fn enter() -> io::Result<Self> {
        enable_raw_mode()?;
        let entered = execute!(io::stdout(), EnterAlternateScreen, Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match entered {
            Ok(terminal) => Ok(Self {
                terminal: ManuallyDrop::new(terminal),
                inputs: inputs(),
            }),
            Err(error) => {
                leave();
                Err(error)
            }
        }
    }

    pub(crate) async fn input(&mut self) -> Input {
        self.inputs.recv().await.unwrap_or(Input::Quit)
    }

    pub(crate) fn draw(&mut self, model: &Model) -> io::Result<()> {
        self.terminal.draw(|frame| draw(frame, model)).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// As far as there is still a terminal.
fn leave() {
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

fn inputs() -> mpsc::UnboundedReceiver<Input> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let input = match event {
                Event::Key(key) if key.kind == KeyEventKind::Press => input(key),
                Event::Resize(..) => Some(Input::Again),
                _ => None,
            };
            if let Some(input) = input
                && sender.send(input).is_err()
            {
                return;
            }
        }
    });
    receiver
}

fn input(key: KeyEvent) -> Option<Input> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        // In raw mode the terminal sends no signal.
        return (key.code == KeyCode::Char('c')).then_some(Input::Quit);
    }
    match key.code {
        KeyCode::Char('q') => Some(Input::Quit),
        KeyCode::Char('?' | 'h') => Some(Input::Help),
        KeyCode::Char(letter) => Some(Input::Letter(letter.to_ascii_lowercase(), None)),
        KeyCode::Down => Some(Input::Choose { down: true }),
        KeyCode::Up => Some(Input::Choose { down: false }),
        KeyCode::Esc => Some(Input::Escape),
        _ => None,
    }
}
