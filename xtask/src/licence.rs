//! SPDX licence expressions, as far as crates use them: `OR` (also written `/`), `AND`, `WITH`, parentheses.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::vec::IntoIter;

type Words<'a> = Peekable<IntoIter<&'a str>>;

/// Whether somebody who accepts the allowed licences may use what is under this expression.
/// An expression that does not parse may not be used.
pub(crate) fn passes(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words = spaced
        .split_whitespace()
        .collect::<Vec<_>>()
        .into_iter()
        .peekable();
    alternatives(&mut words, allowed) == Some(true) && words.next().is_none()
}

fn alternatives(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> Option<bool> {
    let mut passes = conjunction(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        passes |= conjunction(words, allowed)?;
    }
    Some(passes)
}

fn conjunction(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> Option<bool> {
    let mut passes = licence(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        passes &= licence(words, allowed)?;
    }
    Some(passes)
}

fn licence(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let inner = alternatives(words, allowed)?;
        return words.next_if_eq(&")").map(|_| inner);
    }
    match words.next_if_eq(&"WITH") {
        Some(_) => Some(allowed.contains(&format!("{word} WITH {}", words.next()?))),
        None => Some(allowed.contains(word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alternative_must_be_allowed_whole() {
        let allowed = ["MIT", "ISC", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]
            .map(String::from)
            .into();
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "ISC AND (Apache-2.0 OR ISC)",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
            "(GPL-3.0 AND MIT) OR ISC",
        ] {
            assert!(passes(good, &allowed), "{good}");
        }
        for bad in [
            "",
            "AGPL-3.0",
            "MIT AND GPL-3.0",
            "GPL-2.0 AND (MIT OR Apache-2.0)",
            "MIT WITH surprise",
            "(MIT",
            "MIT ISC",
            "OR",
        ] {
            assert!(!passes(bad, &allowed), "{bad}");
        }
    }
}
