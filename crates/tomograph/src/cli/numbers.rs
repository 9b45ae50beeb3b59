//! Quantities as people read them.

/// `1.2 GiB`, `98 MiB`, `512 B`.
pub(crate) fn bytes(n: u64) -> String {
    indicatif::HumanBytes(n).to_string()
}

/// `106,168,320`.
pub(crate) fn count(n: u64) -> String {
    indicatif::HumanCount(n).to_string()
}

/// `30 ms`, `1.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn seconds(s: f64) -> String {
    let whole = s.round();
    let (minutes, rest) = ((whole / 60.0).floor(), whole % 60.0);
    if s < 0.95 {
        format!("{:.0} ms", s * 1e3)
    } else if s < 9.95 {
        format!("{s:.1} s")
    } else if whole < 60.0 {
        format!("{whole:.0} s")
    } else if minutes < 60.0 {
        format!("{minutes:.0} min {rest:.0} s")
    } else {
        format!("{:.0} h {:.0} min", (minutes / 60.0).floor(), minutes % 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_naturally() {
        let cases = [
            (0.04, "40 ms"),
            (1.44, "1.4 s"),
            (9.96, "10 s"),
            (59.6, "1 min 0 s"),
            (200.0, "3 min 20 s"),
            (7_500.0, "2 h 5 min"),
        ];
        for (given, expected) in cases {
            assert_eq!(seconds(given), expected, "{given}");
        }
    }

    #[test]
    fn bytes_and_counts_read_naturally() {
        assert_eq!(bytes(98 * 1024 * 1024), "98.00 MiB");
        assert_eq!(count(106_168_320), "106,168,320");
    }
}
