//! Numbers with their nouns: `1 host`, `2 hosts`.

/// A count with its noun, which takes an `s` in the plural. A noun of several words is given with the counted word last.
pub(crate) fn counted(count: impl TryInto<u64>, noun: &str) -> String {
    // Whatever does not fit is far from one.
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {}", plural(count, noun))
}

fn plural(count: u64, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// `is` for one, `are` for any other number.
pub(crate) fn is_or_are(count: impl TryInto<u64>) -> &'static str {
    if count.try_into().is_ok_and(|count| count == 1) { "is" } else { "are" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!(
            [counted(0_u64, "host"), counted(1_usize, "host"), counted(2_u32, "host")],
            ["0 hosts", "1 host", "2 hosts"]
        );
        assert_eq!((is_or_are(1_u64), is_or_are(0_u64)), ("is", "are"));
    }
}
