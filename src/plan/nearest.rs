//! The nearest names to one that does not exist.

/// As many suggestions as one reads.
const MOST: usize = 3;

/// Below this likeness (0 to 1) a suggestion is a guess.
const LIKENESS: f64 = 0.7;

/// `; nearest: index, index-2`, or nothing where none is near.
pub(crate) fn hint<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut near: Vec<(f64, &str)> = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(wanted, name), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let names: Vec<&str> = near.into_iter().take(MOST).map(|(_, name)| name).collect();
    if names.is_empty() { String::new() } else { format!("; nearest: {}", names.join(", ")) }
}
