//! Numbers for people: bytes, durations, counts.

use std::time::Duration;

/// Decimal bytes set apart from their unit, such as `58.3 MB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    let (number, unit) = scaled(count);
    format!("{number} {unit}")
}

/// Decimal bytes as Docker writes them, such as `58.3MB`.
#[must_use]
pub fn bytes_tight(count: u64) -> String {
    let (number, unit) = scaled(count);
    format!("{number}{unit}")
}

/// A count with thousands set apart, such as `1,204`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun, such as `1 step` and `9 steps`.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// A duration in a sentence: `2.4 s`, `3 min 05.0 s`.
#[must_use]
pub fn duration(elapsed: Duration) -> String {
    let tenths = rounded(elapsed, 100);
    let (minutes, rest) = (tenths / 600, tenths % 600);
    if minutes == 0 {
        return format!("{}.{} s", rest / 10, rest % 10);
    }
    format!("{minutes} min {:02}.{} s", rest / 10, rest % 10)
}

/// A duration beside a step: `2.4s`, always in seconds so that columns compare.
#[must_use]
pub fn timer(elapsed: Duration) -> String {
    let tenths = rounded(elapsed, 100);
    format!("{}.{}s", tenths / 10, tenths % 10)
}

/// The time before a log line: 3 decimals below 10 s, 2 below 100 s, else 1.
///
/// Readers of CI logs know these widths from BuildKit (`progressui/display.go`, v0.32).
#[must_use]
pub fn log_time(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if seconds < 10 {
        let thousandths = rounded(elapsed, 1);
        return format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    }
    if seconds < 100 {
        let hundredths = rounded(elapsed, 10);
        return format!("{}.{:02}", hundredths / 100, hundredths % 100);
    }
    let tenths = rounded(elapsed, 100);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// How many units of `unit_ms` milliseconds, rounded to the nearest.
fn rounded(elapsed: Duration, unit_ms: u128) -> u128 {
    let unit_us = unit_ms * 1000;
    (elapsed.as_micros() + unit_us / 2) / unit_us
}

/// One decimal and the unit that leaves at most three digits before the point.
fn scaled(count: u64) -> (String, &'static str) {
    if count < 1000 {
        return (count.to_string(), "B");
    }
    let mut unit_bytes = 1000_u128;
    for unit in UNITS {
        let tenths = (u128::from(count) * 10 + unit_bytes / 2) / unit_bytes;
        if tenths < 10_000 || unit == UNITS[UNITS.len() - 1] {
            return (format!("{}.{}", tenths / 10, tenths % 10), unit);
        }
        unit_bytes *= 1000;
    }
    unreachable!("the last unit takes every number")
}

const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_decimal_with_one_digit_after_the_point() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1234, "1.2 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (58_300_000, "58.3 MB"),
            (45_000_000_000, "45.0 GB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (number, expected) in cases {
            assert_eq!(bytes(number), expected, "{number}");
            assert_eq!(bytes_tight(number), expected.replace(' ', ""), "{number}");
        }
    }

    #[test]
    fn durations_are_rounded_to_tenths() {
        let cases = [
            (0, "0.0 s", "0.0s"),
            (49, "0.0 s", "0.0s"),
            (50, "0.1 s", "0.1s"),
            (2449, "2.4 s", "2.4s"),
            (59_949, "59.9 s", "59.9s"),
            (59_951, "1 min 00.0 s", "60.0s"),
            (185_000, "3 min 05.0 s", "185.0s"),
        ];
        for (milliseconds, in_text, beside) in cases {
            let elapsed = Duration::from_millis(milliseconds);
            assert_eq!(duration(elapsed), in_text, "{milliseconds}");
            assert_eq!(timer(elapsed), beside, "{milliseconds}");
        }
    }

    #[test]
    fn log_times_lose_decimals_as_they_grow() {
        let cases = [(0, "0.000"), (312, "0.312"), (9_999, "9.999"), (10_004, "10.00")];
        for (milliseconds, expected) in cases {
            assert_eq!(log_time(Duration::from_millis(milliseconds)), expected);
        }
        assert_eq!(log_time(Duration::from_micros(99_994_000)), "99.99");
        assert_eq!(log_time(Duration::from_secs(3601)), "3601.0");
    }

    #[test]
    fn thousands_are_set_apart() {
        let cases = [(0, "0"), (999, "999"), (1204, "1,204"), (1_000_000, "1,000,000")];
        for (number, expected) in cases {
            assert_eq!(count(number), expected);
        }
        assert_eq!(counted(1, "step"), "1 step");
        assert_eq!(counted(1204, "file"), "1,204 files");
    }
}
