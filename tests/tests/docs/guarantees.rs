//! `docs/guarantees.md`: every invariant is there, and every test that it names exists.

use std::collections::BTreeMap;

use regex::Regex;

use crate::page::Page;

#[test]
fn every_named_test_exists() {
    let page = Page::of("docs/guarantees.md");
    let heading = Regex::new(r"^## (I[1-9])\. ").unwrap();
    let row = Regex::new(r"^\| `([^`]+\.rs)` \| (`[^|]+`) \| [^|]+ \|$").unwrap();
    let name = Regex::new("`([a-z0-9_]+)`").unwrap();
    let mut shown_by: BTreeMap<String, usize> = BTreeMap::new();
    let mut current = String::new();
    for (line, text) in page.prose() {
        if let Some(found) = heading.captures(text) {
            current = found[1].to_owned();
            shown_by.insert(current.clone(), 0);
        }
        let Some(found) = row.captures(text) else {
            let other = text.starts_with('|') && !text.starts_with("| in |") && !text.starts_with("|---");
            assert!(
                !other,
                "line {line} is no row of file, tests and what happens: {text}"
            );
            continue;
        };
        let source = Page::of(&found[1]).text;
        for test in name.captures_iter(&found[2]) {
            let declared = source.contains(&format!("fn {}(", &test[1]));
            assert!(declared, "line {line}: {} has no test {}", &found[1], &test[1]);
            *shown_by.entry(current.clone()).or_default() += 1;
        }
    }
    let claimed: Vec<&String> = shown_by.keys().collect();
    assert_eq!(claimed, ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8"]);
    for (invariant, tests) in shown_by {
        assert!(tests > 0, "{invariant} is shown by no test");
    }
}
