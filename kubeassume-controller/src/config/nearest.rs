//! Which known word somebody probably meant.

/// The word with the fewest edits, if these are few for its length.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (edits(word, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= 1 + candidate.chars().count() / 4)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, not counting case.
fn edits(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *cell;
            left = replaced.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_insertions_deletions_and_replacements() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("overlap", "overlapPeriod", 6),
            ("SYNCPERIOD", "syncPeriod", 0),
        ] {
            assert_eq!(edits(a, b), expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn suggests_a_typing_error_and_nothing_far_fetched() {
        let known = ["syncPeriod", "rotation", "leaderElection"];
        assert_eq!(nearest("syncperiode", known.into_iter()), Some("syncPeriod"));
        assert_eq!(nearest("rotaton", known.into_iter()), Some("rotation"));
        assert_eq!(nearest("bucket", known.into_iter()), None);
    }
}
