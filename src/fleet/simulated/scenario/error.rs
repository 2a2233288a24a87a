//! [`ScenarioError`]: what is wrong in a scenario file, where, and what was probably meant.

use std::ops::Range;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, NamedSource, SourceSpan};
use thiserror::Error;

/// A scenario that cannot be used: exit 4.
///
/// [`Display`](std::fmt::Display) names file and line; miette's report also shows the offending text.
#[derive(Debug, Error, Diagnostic)]
#[error("{}: {message}", place(.path, *.line))]
pub(crate) struct ScenarioError {
    /// The file.
    pub(crate) path: PathBuf,
    /// From 1; `None` where no line is the cause (the file cannot be read).
    pub(crate) line: Option<usize>,
    /// What is wrong, without the place.
    pub(crate) message: String,
    #[source_code]
    text: NamedSource<String>,
    #[label("here")]
    span: Option<SourceSpan>,
    /// The nearest valid value, or what to do.
    #[help]
    pub(crate) help: Option<String>,
    /// The cause, where the operating system reported one.
    #[source]
    cause: Option<std::io::Error>,
}

fn place(path: &Path, line: Option<usize>) -> String {
    line.map_or_else(|| path.display().to_string(), |line| format!("{}:{line}", path.display()))
}

/// An error before its file is known: which bytes, what is wrong, what to do.
#[derive(Debug)]
pub(super) struct Finding {
    span: Option<Range<usize>>,
    message: String,
    help: Option<String>,
}

impl Finding {
    pub(super) fn new(span: Option<Range<usize>>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None }
    }

    pub(super) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self::new(Some(span), message)
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Suggests the candidate that is spelled most like `found`, if any is near.
    pub(super) fn nearest<'a>(self, found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(found, candidates) {
            Some(candidate) => self.help(format!("did you mean `{candidate}`?")),
            None => self,
        }
    }

    /// The parser's own message, with the nearest valid key where it found an unknown one.
    pub(super) fn from_toml(error: &toml::de::Error) -> Self {
        let message = error.message();
        let finding = Self::new(error.span(), message.trim_end());
        // serde says: unknown field `cuont`, expected one of `pool`, `count`, ...
        let mut quoted = message.split('`').skip(1).step_by(2);
        match quoted.next() {
            Some(found) if message.starts_with("unknown ") => finding.nearest(found, quoted),
            _ => finding,
        }
    }

    pub(super) fn in_file(self, path: &Path, text: &str) -> ScenarioError {
        let line = self.span.as_ref().map(|span| {
            let before = &text.as_bytes()[..span.start.min(text.len())];
            1 + before.iter().filter(|b| **b == b'\n').count()
        });
        ScenarioError {
            path: path.to_owned(),
            line,
            message: self.message,
            text: NamedSource::new(path.display().to_string(), text.to_owned()).with_language("toml"),
            span: self.span.map(SourceSpan::from),
            help: self.help,
            cause: None,
        }
    }
}

impl ScenarioError {
    pub(super) fn unreadable(path: &Path, cause: std::io::Error) -> Self {
        let message = match cause.kind() {
            std::io::ErrorKind::InvalidData => "the scenario is not UTF-8".to_owned(),
            std::io::ErrorKind::NotFound => "there is no such scenario".to_owned(),
            _ => "the scenario cannot be read".to_owned(),
        };
        let help = "[provider] scenario in fleet.toml is relative to that file".to_owned();
        Self { cause: Some(cause), ..Finding::new(None, message).help(help).in_file(path, "") }
    }
}

/// The similarity from which a word is taken for a typing error rather than for another word.
const NEAR: f64 = 0.75;

fn nearest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(found, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
