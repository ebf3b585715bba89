//! A page of documentation, cut into what a test can check.

use std::fs;
use std::path::{Path, PathBuf};

/// One Markdown file.
pub(crate) struct Page {
    /// From the repository's root.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    /// Where its fence opens, counted from 1.
    pub(crate) line: usize,
    pub(crate) language: String,
    pub(crate) lines: Vec<String>,
    indent: usize,
    /// The paragraph right above it.
    above: String,
}

/// Every page that people read: at the root, in `docs/` and in `deploy/`.
pub(crate) fn pages() -> Vec<Page> {
    let root = xtask::repository();
    let mut files = markdown(root, false);
    files.extend(
        ["docs", "deploy"]
            .iter()
            .flat_map(|folder| markdown(&root.join(folder), true)),
    );
    let pages: Vec<Page> = files.iter().map(|file| Page::read(file)).collect();
    assert!(
        pages.len() > 8,
        "the pages were not found below {}",
        root.display()
    );
    pages
}

fn markdown(folder: &Path, deep: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() && deep {
            found.extend(markdown(&entry, deep));
        } else if entry.extension().is_some_and(|kind| kind == "md") {
            found.push(entry);
        }
    }
    found
}

impl Page {
    /// The page of this path, from the repository's root.
    pub(crate) fn of(path: &str) -> Self {
        Self::read(&xtask::repository().join(path))
    }

    fn read(file: &Path) -> Self {
        let path = file.strip_prefix(xtask::repository()).unwrap();
        Self {
            path: path.display().to_string(),
            text: fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())),
        }
    }

    /// Its fenced blocks, in order.
    ///
    /// # Panics
    ///
    /// A block is not closed.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        let (mut paragraph, mut above) = (String::new(), String::new());
        for (nth, line) in self.text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (&mut open, fence) {
                (None, Some(language)) => {
                    let right_above = if paragraph.is_empty() {
                        std::mem::take(&mut above)
                    } else {
                        std::mem::take(&mut paragraph)
                    };
                    above.clear();
                    open = Some(Block {
                        line: nth + 1,
                        indent: line.len() - line.trim_start().len(),
                        language: language.trim().to_owned(),
                        lines: Vec::new(),
                        above: right_above,
                    });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                // A block in a list is indented as its fence is.
                (Some(block), None) => {
                    let indent = line.len() - line.trim_start().len();
                    block.lines.push(line[indent.min(block.indent)..].to_owned());
                }
                (None, None) if line.is_empty() => above = std::mem::take(&mut paragraph),
                (None, None) => {
                    paragraph.push_str(line);
                    paragraph.push('\n');
                }
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", self.path);
        blocks
    }

    /// Lines outside of blocks, with their numbers from 1.
    pub(crate) fn prose(&self) -> Vec<(usize, &str)> {
        let mut inside = false;
        let outside = |(_, line): &(usize, &str)| {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            !inside && !fence
        };
        self.text
            .lines()
            .enumerate()
            .map(|(nth, line)| (nth + 1, line))
            .filter(outside)
            .collect()
    }
}

impl Block {
    /// Whether a test has to run it.
    pub(crate) fn is_run(&self) -> bool {
        self.language == "console" && self.excuse().is_none()
    }

    /// Why no test runs it, if it says so.
    fn excuse(&self) -> Option<&str> {
        self.above
            .lines()
            .map(str::trim_start)
            .find(|line| line.starts_with("Not run by the tests"))
    }

    /// What the test does in its stead: `<!-- test: NAME -->` right above it.
    pub(crate) fn stand_in(&self) -> Option<&str> {
        self.above
            .lines()
            .find_map(|line| line.trim().strip_prefix("<!-- test: ")?.strip_suffix(" -->"))
    }

    /// Its commands, each with the output that is shown below it.
    pub(crate) fn commands(&self) -> Vec<(String, String)> {
        let mut commands: Vec<(String, String)> = Vec::new();
        let mut until: Option<String> = None;
        for line in &self.lines {
            let current = commands.last_mut();
            match (current, &until, line.strip_prefix("$ ")) {
                // Inside a here-document.
                (Some((command, _)), Some(end), _) => {
                    command.push('\n');
                    command.push_str(line);
                    if line == end {
                        until = None;
                    }
                }
                (Some((command, _)), None, None) if command.ends_with('\\') => {
                    command.push('\n');
                    command.push_str(line);
                }
                (_, _, Some(command)) => {
                    until = command.split_once("<<").map(|(_, word)| {
                        word.split_whitespace()
                            .next()
                            .unwrap()
                            .trim_matches('\'')
                            .to_owned()
                    });
                    commands.push((command.to_owned(), String::new()));
                }
                (Some((_, output)), None, None) => {
                    output.push_str(line);
                    output.push('\n');
                }
                (None, _, None) => panic!("line {}: a console block begins with a command", self.line),
            }
        }
        commands
    }
}
