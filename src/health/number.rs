//! Exact arithmetic on readings, and how a reading is written.
//!
//! A reading means the decimal that was read: `0.36` is exactly 20 % above `0.3`, although the nearest binary fractions
//! are not. This module must not round before a comparison.

use std::str::FromStr;

use bigdecimal::BigDecimal;
use rust_decimal::Decimal;

/// The decimal that a reading was written as: its shortest form that reads back the same. `None` unless finite.
pub(super) fn exact(number: f64) -> Option<BigDecimal> {
    // Rust writes a float's shortest decimal that reads back the same, so this undoes the parsing of the reading.
    if number.is_finite() { BigDecimal::from_str(&format!("{number:e}")).ok() } else { None }
}

/// `reference` plus `percent` of its magnitude (minus, for a negative `percent`), computed exactly.
pub(super) fn shifted(reference: &BigDecimal, percent: Decimal) -> BigDecimal {
    let percent = BigDecimal::new(percent.mantissa().into(), i64::from(percent.scale()));
    // Percent of the magnitude: 20 % above -10 is -8, not -12.
    reference + reference.abs() * percent * BigDecimal::new(1.into(), 2)
}

/// The median; of an even number of them the mean of the two in the middle. `None` if there are no numbers or not all are
/// finite.
pub(super) fn median(numbers: &[f64]) -> Option<f64> {
    if numbers.is_empty() || numbers.iter().any(|number| !number.is_finite()) {
        return None;
    }
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2).copied()?;
    let lower = sorted.get((sorted.len() - 1) / 2).copied()?;
    nearest(&((exact(lower)? + exact(upper)?) / BigDecimal::from(2)))
}

/// The nearest number, for documents; `None` if it is out of range.
pub(super) fn nearest(of: &BigDecimal) -> Option<f64> {
    // The library's own `to_f64` gives up near the ends of the range; the standard parser rounds correctly.
    of.to_scientific_notation().parse().ok().filter(|n: &f64| n.is_finite())
}

/// A reading as people write it, at most a couple of dozen characters long.
pub(crate) fn number_text(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || (1e-6..1e15).contains(&size) { format!("{number}") } else { format!("{number:e}") }
}

/// At most four digits that say something: a glance takes in no more, and the journal has all of them.
pub(crate) fn at_a_glance(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(1e-6..1e15).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = 3 - size.log10().floor() as i32;
    let text = format!("{value:.*}", usize::try_from(digits).unwrap_or(0));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_what_was_written() {
        let third = exact(0.3).expect("finite");
        assert_eq!(shifted(&third, Decimal::from(20)), exact(0.36).expect("finite"));
        assert_eq!(shifted(&exact(-10.0).expect("finite"), Decimal::from(20)), exact(-8.0).expect("finite"));
        assert_eq!(shifted(&exact(5.0).expect("finite"), Decimal::from(-100)), exact(0.0).expect("finite"));
        assert_eq!(exact(f64::NAN), None);
        assert_eq!(exact(f64::NEG_INFINITY), None);
    }

    #[test]
    fn numbers_have_four_digits_that_say_something() {
        let texts =
            [0.0, 100.000_000_000_000_03, 73.333_333_333, 0.012_34, 0.000_012_345, 1500.0, 123_456.0, -2.5, 1e20];
        let texts = texts.map(at_a_glance);
        assert_eq!(texts, ["0", "100", "73.33", "0.01234", "0.00001234", "1500", "123456", "-2.5", "1.000e20"]);
    }

    #[test]
    fn the_ends_of_the_range_are_exact_and_shown_short() {
        for number in [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, -0.0, 0.1, 1.0 / 3.0, 9_007_199_254_740_993.0] {
            assert_eq!(nearest(&exact(number).expect("finite")), Some(number));
            assert!(number_text(number).len() <= 25, "{}", number_text(number));
        }
        let beyond = shifted(&exact(f64::MAX).expect("finite"), Decimal::from(20));
        assert_eq!(nearest(&beyond), None);
        assert!(exact(f64::MAX).expect("finite") < beyond);
    }

    #[test]
    fn a_median_is_one_of_the_numbers_or_between_two() {
        assert_eq!(median(&[0.3, 0.1, 0.2]), Some(0.2));
        assert_eq!(median(&[0.3, 0.1, 0.2, 0.4]), Some(0.25));
        assert_eq!(median(&[f64::MAX; 4]), Some(f64::MAX));
        assert_eq!(median(&[1.0, f64::INFINITY, 1.0]), None);
        assert_eq!(median(&[]), None);
    }
}
