//! The table of `cargo xtask conformance`: backend, check, server, and how it went.
//!
//! The test programs that make rows append them to a file, one JSON object each line; here they are read, put in
//! order and judged. A backend that has no row for a promise that all must keep is a failure as one that broke it:
//! a table cannot be green because nobody ran.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fmt, fs, io};

use crate::repository;

/// The variable that tells a test program where to append its rows.
pub const FILE_VARIABLE: &str = "KUBEASSUME_CONFORMANCE_ROWS";

/// The backends, each of which must have passed each of [`CHECKS`] and [`FAULTS`] on some server.
pub const BACKENDS: [&str; 4] = ["azure", "gcs", "oci", "s3"];

/// The suites of `kubeassume_core::testing`, by name; a test of `kubeassume-tests` compares them.
pub const CHECKS: [&str; 23] = [
    "refuses a stale write",
    "reads back what it wrote",
    "keeps headers and metadata",
    "takes documents up to the limit",
    "lists what is there",
    "one of many creators wins",
    "one of many replacers wins",
    "validates without a trace",
    "publishes jwks first, and once",
    "never publishes discovery without jwks",
    "publishes only what changed",
    "heals drift",
    "yields to a newer foreign owner",
    "heals what another foreign owner wrote",
    "heals generations that nobody drew",
    "never goes back behind its own generation",
    "counts a lost race only if the right document won",
    "looks after an unknown outcome",
    "writes only what the state says",
    "follows a state that moves on",
    "creates where absence is hidden",
    "trusts only the public copy",
    "validates a place without writing",
];

/// The faults after which each backend must end right; those that one cloud alone has come on top.
pub const FAULTS: [&str; 11] = [
    "a reset before the effect",
    "a reset after the effect",
    "500",
    "503",
    "429 with Retry-After of an hour",
    "an answer that never ends",
    "an answer that ends in the middle",
    "an expired credential",
    "a certificate of an unknown CA",
    "a certificate for another name",
    "a certificate that has expired",
];

const PASSED: &str = "passed";
const NOT_SHOWN: &str = "not shown";

/// A test program of `kubeassume-tests` that makes rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// The modules that make them, if it has more; otherwise all of it does.
    pub modules: Vec<String>,
}

/// The test programs that make rows: those whose sources say so, in order.
///
/// # Errors
///
/// The sources cannot be read.
pub fn programs() -> io::Result<Vec<Program>> {
    let mut programs = Vec::new();
    for entry in fs::read_dir(repository().join("tests/tests"))? {
        let path = entry?.path();
        let name = stem(&path);
        if path.join("main.rs").exists() {
            let mut making = Vec::new();
            for module in fs::read_dir(&path)? {
                let module = module?.path();
                if makes_rows(&module)? {
                    making.push(module);
                }
            }
            if making.is_empty() {
                continue;
            }
            let mut modules = Vec::new();
            for module in &making {
                modules.push(stem(module));
                // What tests elsewhere call: then all of them make rows.
                if !fs::read_to_string(module)?.contains("test]\n") {
                    modules.clear();
                    break;
                }
            }
            modules.sort();
            programs.push(Program { name, modules });
        } else if path.extension() == Some("rs".as_ref()) && makes_rows(&path)? {
            let modules = Vec::new();
            programs.push(Program { name, modules });
        }
    }
    programs.sort();
    Ok(programs)
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn makes_rows(path: &Path) -> io::Result<bool> {
    Ok(path.extension() == Some("rs".as_ref()) && fs::read_to_string(path)?.contains("Row::begin("))
}

/// One thing that was tried on one server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// A backend, or a command and its cloud.
    pub subject: String,
    /// What was to be shown.
    pub check: String,
    /// Name and version, or what stands in for one.
    pub server: String,
    /// `passed`, `failed`, or `not shown: REASON`.
    pub result: String,
    /// As it was written.
    json: String,
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let mut members = members(line)?;
        let mut member = |name: &str| members.remove(name);
        let row = Self {
            subject: member("subject")?,
            check: member("check")?,
            server: member("server")?,
            result: member("result")?,
            json: line.to_owned(),
        };
        members.is_empty().then_some(row)
    }

    fn has_passed(&self) -> bool {
        self.result == PASSED
    }

    fn is_not_shown(&self) -> bool {
        self.result.starts_with(NOT_SHOWN)
    }
}

/// All rows, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table(Vec<Row>);

impl Table {
    /// Reads the rows that test programs have appended to this file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a line of it is no row.
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let row = |line| Row::parse(line).ok_or_else(|| format!("not a row of the table: {line}"));
        let mut rows = text.lines().map(row).collect::<Result<Vec<_>, _>>()?;
        rows.sort();
        Ok(Self(rows))
    }

    /// An array of objects with `subject`, `check`, `result` and `server`.
    #[must_use]
    pub fn json(&self) -> String {
        let rows: Vec<&str> = self.0.iter().map(|row| row.json.as_str()).collect();
        format!("[\n  {}\n]\n", rows.join(",\n  "))
    }

    /// What makes the table red: rows that failed, and promises that a backend has not shown to keep.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let failed = self
            .0
            .iter()
            .filter(|row| !row.has_passed() && !row.is_not_shown());
        let mut complaints: Vec<String> = failed
            .map(|row| {
                format!(
                    "{}, {}, on {}: {}",
                    row.subject, row.check, row.server, row.result
                )
            })
            .collect();
        for backend in BACKENDS {
            let passed = |check: &str| {
                let mut rows = self.0.iter();
                rows.any(|row| row.subject == backend && row.check == check && row.has_passed())
            };
            let missing = demanded().filter(|check| !passed(check));
            complaints.extend(missing.map(|check| format!("{backend}, {check}: passed on no server")));
        }
        complaints
    }
}

/// What each backend must have passed on some server.
fn demanded() -> impl Iterator<Item = &'static str> {
    CHECKS.into_iter().chain(FAULTS)
}

/// For people: columns, and how many of each result.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: fn(&Row) -> &str, title: &str| {
            let widths = self.0.iter().map(|row| column(row).chars().count());
            widths.chain([title.len()]).max().unwrap_or_default()
        };
        let subject = width(|row| &row.subject, "subject");
        let check = width(|row| &row.check, "check");
        let server = width(|row| &row.server, "server");
        writeln!(
            f,
            "{:subject$}  {:check$}  {:server$}  result",
            "subject", "check", "server"
        )?;
        for row in &self.0 {
            writeln!(
                f,
                "{:subject$}  {:check$}  {:server$}  {}",
                row.subject, row.check, row.server, row.result
            )?;
        }
        let count = |is: fn(&Row) -> bool| self.0.iter().filter(|row| is(row)).count();
        let (passed, not_shown) = (count(Row::has_passed), count(Row::is_not_shown));
        let all = self.0.len();
        writeln!(
            f,
            "\n{all} rows: {passed} passed, {not_shown} not shown, {} failed",
            all - passed - not_shown
        )
    }
}

/// The members of an object that holds nothing but strings.
fn members(line: &str) -> Option<BTreeMap<String, String>> {
    let mut members = BTreeMap::new();
    let mut rest = line.strip_prefix('{')?;
    loop {
        let (name, after) = string(rest)?;
        let (value, after) = string(after.strip_prefix(':')?)?;
        if members.insert(name, value).is_some() {
            return None;
        }
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return (after == "}").then_some(members),
        }
    }
}

/// RFC 8259 section 7: the string that the text begins with, and what follows it.
fn string(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        let char = match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'u' => {
                    let code = chars.as_str().get(..4)?;
                    chars = chars.as_str().get(4..)?.chars();
                    char::from_u32(u32::from_str_radix(code, 16).ok()?)?
                }
                itself => itself,
            },
            plain => plain,
        };
        value.push(char);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(subject: &str, check: &str, result: &str) -> String {
        format!(r#"{{"check":"{check}","result":"{result}","server":"server 1","subject":"{subject}"}}"#)
    }

    /// Everything that is demanded.
    fn green() -> Vec<String> {
        let of = |backend| demanded().map(move |check| line(backend, check, "passed"));
        BACKENDS.into_iter().flat_map(of).collect()
    }

    fn complaints(lines: &[String]) -> Vec<String> {
        Table::parse(&lines.join("\n")).unwrap().complaints()
    }

    #[test]
    fn the_table_is_in_order_and_counted() {
        let lines = [
            line("s3", "b", "passed"),
            line("gcs", "longest of all", "not shown: it lies"),
            line("s3", "a", "failed"),
        ];
        let table = Table::parse(&lines.join("\n")).unwrap();
        assert_eq!(
            table.to_string(),
            "subject  check           server    result\n\
             gcs      longest of all  server 1  not shown: it lies\n\
             s3       a               server 1  failed\n\
             s3       b               server 1  passed\n\
             \n\
             3 rows: 1 passed, 1 not shown, 1 failed\n"
        );
        let [b, longest, a] = lines;
        assert_eq!(table.json(), format!("[\n  {longest},\n  {a},\n  {b}\n]\n"));
    }

    #[test]
    fn what_failed_and_what_is_missing_is_red() {
        assert_eq!(complaints(&green()), [""; 0]);
        let mut failed = green();
        failed.push(line("bucket s3", "is public", "failed"));
        assert_eq!(complaints(&failed), ["bucket s3, is public, on server 1: failed"]);
        for backend in BACKENDS {
            let mut without = green();
            without.retain(|line| !line.contains(&format!("{backend:?}")));
            assert_eq!(complaints(&without).len(), demanded().count(), "{backend}");
        }
        let mut not_shown = green();
        not_shown[0] = line(BACKENDS[0], CHECKS[0], "not shown: why not");
        assert_eq!(
            complaints(&not_shown),
            ["azure, refuses a stale write: passed on no server"]
        );
    }

    #[test]
    fn a_row_is_four_strings_and_nothing_else() {
        let said = r#"{"check":"a \"b\" \\ \u00e9\n","result":"passed","server":"","subject":"s3"}"#;
        assert_eq!(Row::parse(said).unwrap().check, "a \"b\" \\ \u{e9}\n");
        for bad in [
            "",
            "{}",
            r#"{"check":"a","result":"passed","server":"v"}"#,
            r#"{"check":"a","result":"passed","server":"v","subject":"s3","more":"x"}"#,
            r#"{"check":"a","check":"a","result":"passed","server":"v","subject":"s3"}"#,
            r#"{"check":1,"result":"passed","server":"v","subject":"s3"}"#,
            r#"{"check":"a","result":"passed","server":"v","subject":"s3"} "#,
            r#"{"check":"a","result":"passed","server":"v","subject":"s3"#,
        ] {
            assert!(Table::parse(&format!("{bad}\n")).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_conformance_tests_make_rows() {
        let programs = programs().unwrap();
        for backend in BACKENDS {
            assert!(
                programs
                    .iter()
                    .any(|program| program.name == format!("{backend}_conformance")),
                "{programs:?}"
            );
        }
        let pipeline = programs.iter().find(|program| program.name == "pipeline");
        let modules = &pipeline.expect("the pipeline makes rows").modules;
        assert_eq!(modules, &["clouds"], "and not with all of its tests");
    }
}
