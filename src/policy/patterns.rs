//! [`Patterns`]: all globs for one tag of hosts, or for their groups, in one table.
//!
//! A value costs few look-ups, whatever the globs are. Nothing here knows what a host or a policy is.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// The owner of a pattern: the index of its subsystem, and whether it is under `never`.
pub(super) type Mark = (usize, bool);

/// All patterns for one tag, or for the group.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    /// `*`, which matches everything.
    any: Vec<Mark>,
    /// Patterns that match only themselves.
    literal: HashMap<String, Vec<Mark>, RandomState>,
    /// Patterns that match whatever begins with a text, which is the key: a table of globs costs more than all else.
    prefixes: HashMap<String, Vec<Mark>, RandomState>,
    /// How long these texts are, in bytes.
    lengths: BTreeSet<usize>,
    /// All other patterns.
    globs: GlobSet,
    /// By index in `globs`.
    of: Vec<Mark>,
}

/// The value that some patterns were asked about last, and the marks of all that match it.
#[derive(Clone, Debug, Default)]
pub(super) struct Last<'h> {
    value: Option<&'h str>,
    hits: Vec<Mark>,
}

impl<'h> Last<'h> {
    /// The marks of all patterns that match the value, each once.
    pub(super) fn hits(&mut self, patterns: &Patterns, value: &'h str) -> &[Mark] {
        if self.value != Some(value) {
            self.hits.clear();
            patterns.find(value, &mut self.hits);
            // One matching pattern is enough: a key counts once for each subsystem.
            self.hits.sort_unstable();
            self.hits.dedup();
            self.value = Some(value);
        }
        &self.hits
    }
}

/// Patterns that are being collected into a table.
#[derive(Default)]
pub(super) struct Building {
    patterns: Patterns,
    globs: Vec<Glob>,
}

impl Building {
    pub(super) fn is_empty(&self) -> bool {
        let Patterns { any, literal, prefixes, of, .. } = &self.patterns;
        any.is_empty() && literal.is_empty() && prefixes.is_empty() && of.is_empty()
    }

    pub(super) fn add(&mut self, patterns: &BTreeSet<String>, index: usize, never: bool) -> Result<(), globset::Error> {
        for pattern in patterns {
            let mark = (index, never);
            let Patterns { any, literal, prefixes, lengths, of, .. } = &mut self.patterns;
            let is_plain = |text: &str| !text.contains(['*', '?', '[', ']', '{', '}', ',', '\\']);
            match pattern.strip_suffix('*') {
                Some("") => any.push(mark),
                Some(prefix) if is_plain(prefix) => {
                    prefixes.entry(prefix.to_owned()).or_default().push(mark);
                    lengths.insert(prefix.len());
                }
                None if is_plain(pattern) => literal.entry(pattern.clone()).or_default().push(mark),
                Some(_) | None => {
                    self.globs.push(glob(pattern)?);
                    of.push(mark);
                }
            }
        }
        Ok(())
    }

    pub(super) fn build(mut self) -> Result<Patterns, globset::Error> {
        let mut set = GlobSetBuilder::new();
        for glob in self.globs {
            set.add(glob);
        }
        self.patterns.globs = set.build()?;
        Ok(self.patterns)
    }
}

impl Patterns {
    /// Adds the mark of every pattern that matches.
    fn find(&self, value: &str, hits: &mut Vec<Mark>) {
        hits.extend(&self.any);
        hits.extend(self.literal.get(value).into_iter().flatten());
        // A length that ends within a character belongs to no beginning of the value.
        let beginnings = self.lengths.iter().filter_map(|&length| value.get(..length));
        hits.extend(beginnings.filter_map(|beginning| self.prefixes.get(beginning)).flatten());
        if !self.of.is_empty() {
            hits.extend(self.globs.matches(value).into_iter().filter_map(|pattern| self.of.get(pattern)));
        }
    }
}

/// A pattern of `[hosts]`. Names and tag values are not paths, so `*` matches any text, slashes included.
pub(super) fn glob(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(false).backslash_escape(true).build()
}
