//! The values in policy files: durations, amounts, percentages, patterns, days, windows.
//!
//! Each type reads itself from the text, describes itself for `policy schema`, and says what it expects if it cannot
//! read the text ([`Spanned`] adds the place). This module must not know which key a value belongs to.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use super::types::AllowWindow;
use super::windows;
use crate::model::{BadDuration, parse_duration};

/// The largest count in a policy: far above any fleet, far below where arithmetic could overflow.
pub(super) const LARGEST_COUNT: u64 = 1_000_000_000;
/// The longest duration: ten years.
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

/// A value and its place in the text.
#[derive(Clone, Debug)]
pub(super) struct Spanned<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = toml::Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { span: spanned.span(), value: spanned.into_inner() })
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Any single value. Each kind of value reads what it expects from it, and can report what was found instead.
enum Scalar {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(of) => write!(f, "{of}"),
            Self::Int(of) => write!(f, "{of}"),
            Self::Float(of) => write!(f, "{of}"),
            Self::Text(of) => write!(f, "{of:?}"),
        }
    }
}

/// Reads a value while its place is known, so that an error in an item of a list is shown at the item.
struct Reading<T>(fn(&Scalar) -> Result<T, String>);

impl<T> Reading<T> {
    fn of<E: de::Error>(&self, scalar: &Scalar) -> Result<T, E> {
        (self.0)(scalar).map_err(E::custom)
    }
}

impl<'de, T> de::Visitor<'de> for Reading<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a single value")
    }

    fn visit_bool<E: de::Error>(self, of: bool) -> Result<T, E> {
        self.of(&Scalar::Bool(of))
    }

    fn visit_i64<E: de::Error>(self, of: i64) -> Result<T, E> {
        self.of(&Scalar::Int(of))
    }

    fn visit_f64<E: de::Error>(self, of: f64) -> Result<T, E> {
        self.of(&Scalar::Float(of))
    }

    fn visit_str<E: de::Error>(self, of: &str) -> Result<T, E> {
        self.of(&Scalar::Text(of.to_owned()))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, _: A) -> Result<T, A::Error> {
        // TOML's own dates arrive as maps.
        Err(de::Error::custom("a single value is wanted here, not a table; dates stand in quotes"))
    }
}

/// A value that is read from one [`Scalar`] by `$read`, and described by `$schema`.
macro_rules! value {
    ($(#[$doc:meta])* $name:ident($inner:ty), $read:expr, $schema:tt) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(super) struct $name(pub(super) $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Reading($read)).map(Self)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

value!(
    /// `"90s"`: a whole number and a unit.
    DurationValue(Duration),
    |of| match of {
        Scalar::Text(text) => duration(text),
        other @ (Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_)) => Err(format!("{other} is not a duration: {DURATION}")),
    },
    { "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" }
);

value!(
    /// A whole number from 0.
    Count(u64),
    |of| match of {
        Scalar::Int(n) => whole(*n),
        other @ (Scalar::Bool(_) | Scalar::Float(_) | Scalar::Text(_)) => {
            Err(format!("{other} is not a whole number: write it without quotes or a point, such as 6"))
        }
    },
    { "type": "integer", "minimum": 0, "maximum": 1_000_000_000 }
);

value!(
    /// A limit that a reading is compared with.
    Number(f64),
    |of| match of {
        // Exact up to 2^53; beyond that, a limit would not be the number that was written.
        #[expect(clippy::cast_precision_loss, reason = "guarded: exact in this range")]
        Scalar::Int(n) if n.unsigned_abs() <= 1 << 53 => Ok(*n as f64),
        Scalar::Float(n) if n.is_finite() => Ok(*n),
        other @ (Scalar::Int(_) | Scalar::Bool(_) | Scalar::Float(_) | Scalar::Text(_)) => {
            Err(format!("{other} is not a finite number: a limit is one, such as 0.01"))
        }
    },
    { "type": "number" }
);

value!(
    /// `"20%"` from 0 to 100.
    Percent(Decimal),
    |of| match of {
        Scalar::Text(text) => percentage(text).and_then(at_most_100),
        other @ (Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_)) => Err(format!("{other} is not a percentage: {PERCENTAGE}")),
    },
    { "type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]{1,6})?%$" }
);

value!(
    /// `"20%"` or `"250%"`: an increase may exceed 100.
    Increase(Decimal),
    |of| match of {
        Scalar::Text(text) => percentage(text),
        other @ (Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_)) => Err(format!("{other} is not a percentage: {PERCENTAGE}")),
    },
    { "type": "string", "pattern": "^[0-9]{1,6}(\\.[0-9]{1,6})?%$" }
);

value!(
    /// A factor above 0, such as 3 or 2.5.
    Factor(Decimal),
    |of| {
        let text = match of {
            Scalar::Int(n) => n.to_string(),
            Scalar::Float(n) => n.to_string(),
            Scalar::Bool(_) | Scalar::Text(_) => String::new(),
        };
        match text.parse::<Decimal>() {
            Ok(factor) if factor > Decimal::ZERO && factor <= Decimal::from(1_000_000) && factor.scale() <= 6 => Ok(factor),
            Ok(_) | Err(_) => Err(format!("{of} is not a factor: a number above 0, such as 3 or 2.5")),
        }
    },
    { "type": "number", "exclusiveMinimum": 0 }
);

value!(
    /// `"2026-12-20"`
    Day(jiff::civil::Date),
    |of| match of {
        Scalar::Text(text) => text
            .parse()
            .ok()
            .filter(|_| text.len() == 10)
            .ok_or_else(|| format!("{text:?} is not a day: year-month-day, such as \"2026-12-20\"")),
        other @ (Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_)) => {
            Err(format!("{other} is not a day: year-month-day in quotes, such as \"2026-12-20\""))
        }
    },
    { "type": "string", "format": "date" }
);

value!(
    /// `"Mon-Thu 09:00-16:00"`
    Window(AllowWindow),
    |of| match of {
        Scalar::Text(text) => windows::parse(text),
        other @ (Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_)) => Err(format!("{other} is not a window: {}", windows::FORM)),
    },
    { "type": "string", "pattern": "^[A-Za-z,-]+ [0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$" }
);

value!(
    /// A name: of a fleet, a subsystem or a probe.
    Name(String),
    |of| match of {
        Scalar::Text(text) if is_name(text) => Ok(text.clone()),
        other @ (Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_) | Scalar::Text(_)) => Err(format!(
            "{other} is not a name: up to 64 letters, digits, `-`, `_` and `.`, the first a letter or digit"
        )),
    },
    { "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" }
);

/// A number of units or hosts, or a percentage of baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    Count(u64),
    Percent(Decimal),
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading(|of| match of {
            Scalar::Int(n) => whole(*n).map(Self::Count),
            Scalar::Text(text) => percentage(text).and_then(at_most_100).map(Self::Percent),
            other @ (Scalar::Bool(_) | Scalar::Float(_)) => {
                Err(format!("{other} is neither a whole number, such as 60, nor a percentage, such as \"70%\""))
            }
        }))
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [Count::json_schema(generator), Percent::json_schema(generator)] })
    }
}

/// One pattern or a list of them, each with its place.
#[derive(Clone, Debug)]
pub(super) struct Patterns(pub(super) Vec<Spanned<String>>);

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Patterns;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of patterns, such as [\"index\", \"index-*\"]")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Patterns, E> {
                // The place is the span of the whole value, which the caller has.
                Ok(Patterns(vec![Spanned { value: text.to_owned(), span: 0..0 }]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut of: A) -> Result<Patterns, A::Error> {
                let mut patterns = Vec::new();
                while let Some(pattern) = of.next_element()? {
                    patterns.push(pattern);
                }
                Ok(Patterns(patterns))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Patterns {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Patterns".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string", "minLength": 1 },
            { "type": "array", "minItems": 1, "items": { "type": "string", "minLength": 1 } },
        ] })
    }
}

const DURATION: &str = "a whole number and one of the units ms, s, m, h, d, such as \"90s\"";
const PERCENTAGE: &str = "digits and a percent sign, such as \"70%\" or \"33.3%\"";

fn whole(n: i64) -> Result<u64, String> {
    match u64::try_from(n) {
        Ok(n) if n <= LARGEST_COUNT => Ok(n),
        Ok(_) => Err(format!("{n} is too large: at most {LARGEST_COUNT}")),
        Err(_) => Err(format!("{n} is negative: a whole number from 0 is wanted")),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(length) if length <= LONGEST => Ok(length),
        Ok(_) | Err(BadDuration::TooLong) => Err(format!("{text:?} is too long: at most 3650d")),
        Err(BadDuration::Form) => Err(format!("{text:?} is not a duration: {DURATION}")),
    }
}

fn percentage(text: &str) -> Result<Decimal, String> {
    let wrong = || format!("{text:?} is not a percentage: {PERCENTAGE}");
    let number = text.strip_suffix('%').ok_or_else(wrong)?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |of: &str, most: usize| (1..=most).contains(&of.len()) && of.bytes().all(|b| b.is_ascii_digit());
    // The digits are bounded, so that no product of baseline and percentage can overflow or be rounded.
    if !digits(whole, 6) || !digits(decimals, 6) {
        return Err(if number.starts_with('-') { format!("{text:?} is below 0%") } else { wrong() });
    }
    number.parse::<Decimal>().map(|percent| percent.normalize()).map_err(|_| wrong())
}

fn at_most_100(percent: Decimal) -> Result<Decimal, String> {
    if percent <= Decimal::ONE_HUNDRED { Ok(percent) } else { Err(format!("{percent}% is above 100%")) }
}

/// Names appear in file names, commands and documents: they contain nothing that any of those would have to quote.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_bounded() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("3650d"), Ok(LONGEST));
        for text in ["", "1h30m", "9223372036854775807d", "3651d", "٣s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn percentages_have_bounded_digits() {
        assert_eq!(percentage("33.3%"), Ok(Decimal::new(333, 1)));
        assert_eq!(percentage("100%").and_then(at_most_100), Ok(Decimal::ONE_HUNDRED));
        assert_eq!(percentage("250%"), Ok(Decimal::from(250)));
        for text in ["", "%", "5", "5 %", "-5%", "+5%", ".5%", "5.%", "1e1%", "0.0000001%", "9999999%", "NaN%", "1_0%"]
        {
            assert!(percentage(text).is_err(), "{text}");
        }
        for text in ["100.000001%", "101%", "999999%"] {
            assert!(percentage(text).and_then(at_most_100).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_are_finite() {
        #[derive(Deserialize)]
        struct Of {
            max: Number,
        }
        let read = |text: &str| toml::from_str::<Of>(&format!("max = {text}")).map(|of| of.max.0);
        assert_eq!(read("0.25"), Ok(0.25));
        assert_eq!(read("3"), Ok(3.0));
        for text in ["nan", "-nan", "inf", "-inf", "1e400", "9007199254740993", "\"1\""] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_leaf_panic(text: String) {
            let _ = (duration(&text), percentage(&text), is_name(&text), windows::parse(&text));
        }

        #[test]
        fn whole_durations_read_back(n in 0_u64..87_600, unit in prop::sample::select(vec!["ms", "s", "m", "h"])) {
            let text = format!("{n}{unit}");
            prop_assert!(duration(&text).is_ok());
        }
    }
}
