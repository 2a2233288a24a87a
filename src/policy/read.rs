//! From a file's text to its raw type, reporting everything that does not fit and not only the first problem.
//!
//! serde stops at the first error. So the text is parsed once into a tree that knows its places. Each error from serde
//! is recorded, the part that it is about is taken out of the tree and remembered as *damaged*, and the rest is read
//! again. Later checks do not report a damaged key: it is not missing, it was reported already.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::problem::{Reporter, misleads, suggest};
use super::schema;

/// More errors about one file help nobody, and each costs another pass.
const MOST_COMPLAINTS: usize = 50;

/// Keys that were reported and taken out, as `capacity.minimum` or `health.probe.1.max`.
#[derive(Debug, Default)]
pub(super) struct Damaged(BTreeSet<String>);

impl Damaged {
    /// Whether this key, a key inside it or a table around it was taken out.
    pub(super) fn touches(&self, path: &str) -> bool {
        self.0.iter().any(|damaged| within(damaged, path) || within(path, damaged))
    }
}

fn within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A parsed file, before its type is known.
pub(super) struct Tree<'a> {
    root: Spanned<DeTable<'a>>,
    damaged: Damaged,
    /// The text is not TOML: its content cannot be judged.
    broken: bool,
}

impl<'a> Tree<'a> {
    /// Parses the text. Reports all syntax errors, and text that could mislead a terminal.
    pub(super) fn parse(text: &'a str, reporter: &mut Reporter) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let broken = !errors.is_empty();
        for error in errors.into_iter().take(MOST_COMPLAINTS) {
            let span = error.span().unwrap_or(0..0);
            reporter.error(span, format!("not valid TOML: {}", error.message()), "here", "");
        }
        let mut tree = Self { root, damaged: Damaged::default(), broken };
        if !broken {
            tree.refuse_misleading_text(reporter);
        }
        tree
    }

    /// Whether there is no key at all.
    pub(super) fn is_empty(&self) -> bool {
        !self.broken && self.root.get_ref().is_empty() && self.damaged.0.is_empty()
    }

    /// The string values of a table, even if the rest of the file is wrong.
    pub(super) fn strings_under(&self, table: &str) -> Option<Vec<String>> {
        let table = self.root.get_ref().get(table)?.get_ref().as_table()?;
        Some(table.iter().filter_map(|(_, value)| value.get_ref().as_str().map(str::to_owned)).collect())
    }

    /// One string value, even if the rest of the file is wrong.
    pub(super) fn string(&self, path: &[&str]) -> Option<String> {
        let (key, tables) = path.split_last()?;
        let mut table = self.root.get_ref();
        for name in tables {
            table = table.get(*name)?.get_ref().as_table()?;
        }
        table.get(*key)?.get_ref().as_str().map(str::to_owned)
    }

    /// The strings of a list, even if the rest of the file is wrong.
    pub(super) fn strings(&self, table: &str, key: &str) -> Option<Vec<String>> {
        let list = self.root.get_ref().get(table)?.get_ref().as_table()?.get(key)?.get_ref().as_array()?;
        list.iter().map(|value| value.get_ref().as_str().map(str::to_owned)).collect()
    }

    /// Whether this is a simulated fleet's scenario rather than a subsystem: in a scenario, `[[hosts]]` is a list.
    pub(super) fn looks_like_scenario(&self) -> bool {
        let root = self.root.get_ref();
        root.contains_key("clock") || root.get("hosts").is_some_and(|hosts| hosts.get_ref().as_array().is_some())
    }

    /// Reads the file as a `T`. `None` if it is not TOML or nothing of it can be read.
    pub(super) fn read<T: DeserializeOwned>(mut self, reporter: &mut Reporter) -> (Option<T>, Damaged) {
        if self.broken {
            return (None, self.damaged);
        }
        for _ in 0..MOST_COMPLAINTS {
            let error = match T::deserialize(Deserializer::from(self.root.clone())) {
                Ok(raw) => return (Some(raw), self.damaged),
                Err(error) => error,
            };
            let Some(span) = error.span() else { break };
            let path = remove_from_table(self.root.get_mut(), &span);
            complain(reporter, &error, span, path.as_deref());
            match path {
                Some(path) => _ = self.damaged.0.insert(path.join(".")),
                None => return (None, self.damaged),
            }
        }
        reporter.error(0..0, "too much is wrong with this file to read on", "", "correct what is shown first");
        (None, self.damaged)
    }

    fn refuse_misleading_text(&mut self, reporter: &mut Reporter) {
        let mut found = Vec::new();
        misleading(self.root.get_ref(), &mut found);
        for (span, text) in found.into_iter().take(MOST_COMPLAINTS) {
            let path = remove_from_table(self.root.get_mut(), &span);
            let named = match path.as_ref().is_some_and(|path| path.iter().any(|part| part == "headers")) {
                true => "a header's value".to_owned(),
                false => text.escape_debug().to_string(),
            };
            let message = format!("{named} contains a character that could mislead a terminal");
            reporter.error(span.clone(), message, "control or invisible character", "write it without");
            if let Some(path) = path {
                self.damaged.0.insert(path.join("."));
            }
        }
    }
}

/// Replaces serde's words with our own if an unknown key can be explained better.
fn complain(reporter: &mut Reporter, error: &toml::de::Error, span: Range<usize>, path: Option<&[String]>) {
    let key = path.and_then(|path| path.last()).map(String::as_str).unwrap_or_default();
    // The prefix is serde's own wording for `deny_unknown_fields`; a test checks it.
    let Some(rest) = error.message().strip_prefix(&format!("unknown field `{key}`")) else {
        // serde quotes what it did not expect, and that may be a header's value.
        let message = match path.is_some_and(|path| path.iter().any(|part| part == "headers")) {
            true => "headers are a table of values, or of where each value is".to_owned(),
            false => error.message().to_owned(),
        };
        reporter.error(span, message, "here", "");
        return;
    };
    let parents = path.map(|path| &path[..path.len().saturating_sub(1)]).unwrap_or_default();
    let table: Vec<&str> = parents.iter().map(String::as_str).filter(|part| part.parse::<usize>().is_err()).collect();
    let table = table.join(".");
    let valid: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let place = if table.is_empty() { "at the top of the file".to_owned() } else { format!("in [{table}]") };
    let near = super::problem::nearest(key, valid.iter().copied());
    let homes = schema::homes_of(key);
    let help = if near.is_empty() && !homes.is_empty() {
        format!("it belongs {}; what stands below a [table] header is in that table", homes.join(" or "))
    } else {
        suggest(key, "valid keys", valid)
    };
    reporter.error(span, format!("unknown key `{key}` {place}"), "unknown key", &help);
}

/// Removes whatever is exactly at `span`, a key or a value, and returns its path.
fn remove_from_table<'a>(table: &mut DeTable<'a>, span: &Range<usize>) -> Option<Vec<String>> {
    let mut hit = None;
    for (key, value) in table.iter_mut() {
        // Inner values first: an implicit table may share its place with the key that creates it.
        if let Some(path) = remove_from_value(value, span) {
            return Some(prefixed(key.get_ref(), path));
        }
        if hit.is_none() && (key.span() == *span || value.span() == *span) {
            hit = Some(key.get_ref().to_string());
        }
    }
    let hit = hit?;
    table.remove(hit.as_str());
    Some(vec![hit])
}

fn remove_from_value<'a>(value: &mut Spanned<DeValue<'a>>, span: &Range<usize>) -> Option<Vec<String>> {
    match value.get_mut() {
        DeValue::Table(table) => remove_from_table(table, span),
        DeValue::Array(array) => {
            for (index, item) in array.iter_mut().enumerate() {
                if let Some(path) = remove_from_value(item, span) {
                    return Some(prefixed(&index.to_string(), path));
                }
            }
            let index = array.iter().position(|item| item.span() == *span)?;
            let items = std::mem::replace(array, DeArray::new()).into_iter().enumerate();
            *array = items.filter(|(at, _)| *at != index).map(|(_, item)| item).collect();
            Some(vec![index.to_string()])
        }
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            None
        }
    }
}

fn prefixed(first: &str, mut path: Vec<String>) -> Vec<String> {
    path.insert(0, first.to_owned());
    path
}

fn misleading(table: &DeTable<'_>, found: &mut Vec<(Range<usize>, String)>) {
    for (key, value) in table {
        if key.get_ref().contains(misleads) {
            found.push((key.span(), key.get_ref().to_string()));
        } else {
            misleading_value(value, found);
        }
    }
}

fn misleading_value(value: &Spanned<DeValue<'_>>, found: &mut Vec<(Range<usize>, String)>) {
    match value.get_ref() {
        DeValue::String(text) if text.contains(misleads) => found.push((value.span(), text.to_string())),
        DeValue::Table(table) => misleading(table, found),
        DeValue::Array(array) => array.iter().for_each(|item| misleading_value(item, found)),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::policy::raw::RawSubsystem;

    fn read(text: &str) -> (Option<RawSubsystem>, Damaged, Vec<String>) {
        let mut reporter = Reporter::new(Path::new("x.toml"), text);
        let tree = Tree::parse(text, &mut reporter);
        let (raw, damaged) = tree.read(&mut reporter);
        let told = reporter
            .finish()
            .0
            .iter()
            .map(|e| {
                format!("{} {}: {}", e.place().expect("a place").1, e.message, e.help.as_deref().unwrap_or_default())
            })
            .collect();
        (raw, damaged, told)
    }

    #[test]
    fn everything_that_does_not_fit_is_found_in_one_go() {
        let (raw, damaged, told) = read(
            "nmae = \"index\"\n[capacity]\nbaseline = \"ninety\"\nminimum = \"170%\"\n[pace]\nbudgets = [{ hosts = 1, per = \"1w\" }, \
             { hosts = true, per = \"1h\" }]\n[health]\nbatch = 2\nbake = 3\n",
        );
        assert!(raw.is_some());
        assert!(
            damaged.touches("capacity.minimum") && damaged.touches("pace.budgets.0") && !damaged.touches("pace.batch")
        );
        assert_eq!(
            told,
            [
                "1 unknown key `nmae` at the top of the file: did you mean `name`?",
                "3 \"ninety\" is not a whole number: write it without quotes or a point, such as 6: ",
                "4 170% is above 100%: ",
                "6 \"1w\" is not a duration: a whole number and one of the units ms, s, m, h, d, such as \"90s\": ",
                "6 true is neither a whole number, such as 60, nor a percentage, such as \"70%\": ",
                "8 unknown key `batch` in [health]: it belongs in [pace]; what stands below a [table] header is in that table",
                "9 3 is not a duration: a whole number and one of the units ms, s, m, h, d, such as \"90s\": ",
            ]
        );
    }

    #[test]
    fn every_error_of_syntax_is_found_and_nothing_else_is_said() {
        let (raw, _, told) = read("name = \n[capacity\nminimum = 1\nminimum = 2\n");
        assert!(raw.is_none());
        assert!(told.len() >= 2 && told.iter().all(|told| told.contains("not valid TOML")), "{told:?}");
    }

    #[test]
    fn text_that_could_mislead_a_terminal_is_refused() {
        let (_, damaged, told) = read("owner = \"\\u001b[2J\"\n[hosts.tags]\n\"a\\u202e\" = [\"x\"]\n");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(damaged.touches("owner") && damaged.touches("hosts.tags"));
        assert!(!told.concat().contains('\u{1b}'));
    }
}
