//! A length of time as retention rules name it: `30d`, `1y6m`, `2w 12h`.
//!
//! `m` is a month here, as in restic; minutes do not exist, so that no month is taken for one.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use thiserror::Error;

/// A length of time in years, months, weeks, days and hours.
#[derive(Clone, Debug)]
pub struct Within {
    span: Span,
    text: String,
}

/// A text that is no such length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WithinError {
    /// It is not made of numbers and units.
    #[error("it should be a length of time as 30d or 1y6m: y years, m months, w weeks, d days, h hours")]
    Malformed,
    /// It has no length.
    #[error("it is no time at all")]
    Zero,
    /// No calendar goes that far.
    #[error("it is longer than any calendar")]
    TooLong,
}

impl Within {
    /// The moment so long before `end`, by the calendar of the zone; the earliest there is if it lies before that.
    pub fn before(&self, end: Timestamp, zone: &TimeZone) -> Timestamp {
        end.to_zoned(zone.clone()).checked_sub(self.span).map_or(Timestamp::MIN, |start| start.timestamp())
    }
}

impl FromStr for Within {
    type Err = WithinError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut span = Span::new();
        let mut rest = text.trim_start();
        if rest.is_empty() {
            return Err(WithinError::Malformed);
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(WithinError::Malformed)?;
            let unit = rest[digits..].chars().next().ok_or(WithinError::Malformed)?;
            if digits == 0 {
                return Err(WithinError::Malformed);
            }
            let number: i64 = rest[..digits].parse().map_err(|_| WithinError::TooLong)?;
            let sum = |before: i64| before.checked_add(number).ok_or(WithinError::TooLong);
            let longer = match unit {
                'y' => span.try_years(sum(span.get_years().into())?),
                'm' => span.try_months(sum(span.get_months().into())?),
                'w' => span.try_weeks(sum(span.get_weeks().into())?),
                'd' => span.try_days(sum(span.get_days().into())?),
                'h' => span.try_hours(sum(span.get_hours().into())?),
                _ => return Err(WithinError::Malformed),
            };
            span = longer.map_err(|_| WithinError::TooLong)?;
            rest = rest[digits + unit.len_utf8()..].trim_start();
        }
        if span.is_zero() { Err(WithinError::Zero) } else { Ok(Self { span, text: text.to_owned() }) }
    }
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Within, WithinError};
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    #[test]
    fn lengths_are_subtracted_by_the_calendar() {
        let end: Timestamp = "2026-03-31T12:00:00Z".parse().expect("a time");
        let before = |text: &str| {
            let within: Within = text.parse().expect("a length");
            within.before(end, &TimeZone::UTC).to_string()
        };
        assert_eq!(before("1m"), "2026-02-28T12:00:00Z");
        assert_eq!(before("1y6m"), "2024-09-30T12:00:00Z");
        assert_eq!(before("2w 12h"), "2026-03-17T00:00:00Z");
        assert_eq!(before("1d1d"), "2026-03-29T12:00:00Z");
        assert_eq!(before("19000y"), Timestamp::MIN.to_string());
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for text in ["", " ", "7", "d", "7 d", "7min", "-7d", "7D", "1.5d", "7d8"] {
            assert_eq!(text.parse::<Within>().expect_err(text), WithinError::Malformed, "{text}");
        }
        assert_eq!("0d0h".parse::<Within>().expect_err("zero"), WithinError::Zero);
        for text in ["99999y", "99999999999999999999d"] {
            assert_eq!(text.parse::<Within>().expect_err(text), WithinError::TooLong, "{text}");
        }
    }
}
