//! No screen: letters come from lines of standard input.

use std::collections::VecDeque;
use std::io::BufRead as _;

use tokio::sync::mpsc;

use crate::event::KeyId;
use crate::session::Input;

pub(crate) struct Plain {
    lines: mpsc::UnboundedReceiver<Input>,
    waiting: VecDeque<Input>,
}

impl Plain {
    /// `waiting`: what was read already.
    pub(crate) fn new(lines: mpsc::UnboundedReceiver<Input>, waiting: VecDeque<Input>) -> Self {
        Self { lines, waiting }
    }

    pub(crate) async fn input(&mut self) -> Input {
        match self.waiting.pop_front() {
            Some(input) => input,
            None => self.lines.recv().await.unwrap_or(Input::Quit),
        }
    }
}

/// Reads standard input in a thread of its own, which nothing waits for; its end means quit.
pub(crate) fn lines() -> mpsc::UnboundedReceiver<Input> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if let Some(input) = parse(&line)
                && sender.send(input).is_err()
            {
                return;
            }
        }
        let _ = sender.send(Input::Quit);
    });
    receiver
}

/// `s`, `w K2`, `d 1`.
fn parse(line: &str) -> Option<Input> {
    let mut words = line.split_whitespace();
    let letter = words.next()?.chars().next()?.to_ascii_lowercase();
    let number = words
        .next()
        .and_then(|word| word.trim_start_matches(['k', 'K']).parse().ok());
    let key = number.and_then(|number: usize| number.checked_sub(1)).map(KeyId);
    Some(match letter {
        'q' => Input::Quit,
        letter => Input::Letter(letter, key),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_letters_with_or_without_a_key() {
        assert_eq!(parse("s"), Some(Input::Letter('s', None)));
        assert_eq!(parse(" W K2 "), Some(Input::Letter('w', Some(KeyId(1)))));
        assert_eq!(parse("d 1"), Some(Input::Letter('d', Some(KeyId(0)))));
        assert_eq!(parse("d K0"), Some(Input::Letter('d', None)));
        assert_eq!(parse("quit"), Some(Input::Quit));
        assert_eq!(parse(""), None);
    }
}
