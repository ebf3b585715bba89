//! Durations as Kubernetes writes them: `60s`, `5m`, `1h30m`.

use std::time::Duration;

const UNITS: [(&str, u64); 4] = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];

/// Parses whole numbers, each with its unit: `h`, `m`, `s` or `ms`.
pub(super) fn parse(text: &str) -> Result<Duration, &'static str> {
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        if number.is_empty() {
            return Err("a whole number comes first, then h, m, s or ms");
        }
        let number: u64 = number.parse().map_err(|_| "the number is too large")?;
        let Some((unit, millis)) = UNITS.iter().find(|(unit, _)| after.starts_with(unit)) else {
            return Err("the unit is missing or unknown; units are h, m, s and ms");
        };
        let part = number.checked_mul(*millis).ok_or("the number is too large")?;
        total = total.checked_add(part).ok_or("the number is too large")?;
        rest = after.get(unit.len()..).unwrap_or_default();
    }
    match text {
        "" => Err("it is empty"),
        _ => Ok(Duration::from_millis(total)),
    }
}

/// Writes one the same way, in as few units as possible.
pub(super) fn text(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for unit in ["h", "m", "s", "ms"] {
        let millis = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map_or(1, |(_, millis)| *millis);
        if left >= millis {
            text.push_str(&format!("{}{unit}", left / millis));
            left %= millis;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for (written, millis) in [
            ("0s", 0),
            ("60s", 60_000),
            ("5m", 300_000),
            ("24h", 86_400_000),
            ("1h30m", 5_400_000),
            ("1500ms", 1500),
        ] {
            let duration = parse(written).unwrap();
            assert_eq!(duration, Duration::from_millis(millis), "{written}");
            assert_eq!(parse(&text(duration)).unwrap(), duration, "{written}");
        }
        assert_eq!(text(Duration::from_millis(5_400_500)), "1h30m500ms");
    }

    #[test]
    fn refuses_what_could_mean_two_things() {
        for bad in [
            "",
            "60",
            "s",
            "-5s",
            "1.5h",
            "5 m",
            "7d",
            "5M",
            "99999999999999999999s",
            "9999999999999999h",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
