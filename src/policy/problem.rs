//! [`PolicyProblem`]: one problem in a policy file, shown at its place; [`PolicyErrors`]: all of them.
//!
//! Errors and warnings are the same type and differ in severity. This module must not decide what is wrong.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity, SourceCode};

use super::hidden::hidden;

/// One error or warning, with its place in the file.
#[derive(Clone, Debug)]
pub struct PolicyProblem {
    severity: Severity,
    pub(super) message: String,
    label: String,
    pub(super) help: Option<String>,
    place: Option<Box<Place>>,
}

/// A stretch of a file's text.
#[derive(Clone, Debug)]
struct Place {
    source: NamedSource<Arc<str>>,
    span: Range<usize>,
}

impl PolicyProblem {
    /// The file and the line (from 1), if the problem is in a file's text.
    pub(crate) fn place(&self) -> Option<(&str, usize)> {
        let Place { source, span } = self.place.as_deref()?;
        let before = source.inner().get(..span.start).unwrap_or_default();
        Some((source.name(), before.bytes().filter(|b| *b == b'\n').count() + 1))
    }

    /// A problem with a file or directory as a whole; the message must name it.
    pub(super) fn of_file(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            label: String::new(),
            help: Some(help.into()),
            place: None,
        }
    }
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((file, line)) = self.place() {
            write!(f, "{file}:{line}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for PolicyProblem {}

/// For rendering: the message without the place, which is drawn beside the text.
#[derive(Debug)]
struct Shown<'a>(&'a PolicyProblem);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(self.0.severity)
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.0.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.place.as_ref().map(|place| &place.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = &self.0.place.as_ref()?.span;
        let label = Some(self.0.label.clone()).filter(|label| !label.is_empty());
        Some(Box::new(std::iter::once(LabeledSpan::new(label, span.start, span.len()))))
    }
}

/// How diagnostics are drawn. The shell knows its terminal; this module does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// ANSI colours.
    pub(crate) color: bool,
    /// Line-drawing characters; otherwise ASCII.
    pub(crate) unicode: bool,
    /// Width in columns.
    pub(crate) width: usize,
}

/// Draws the problems one below the other, each with its place underlined. Ends with a newline unless empty.
pub(crate) fn render(problems: &[PolicyProblem], look: Look) -> String {
    let theme = match (look.color, look.unicode) {
        (true, true) => GraphicalTheme::unicode(),
        (true, false) => {
            GraphicalTheme { styles: GraphicalTheme::unicode().styles, characters: GraphicalTheme::none().characters }
        }
        (false, true) => GraphicalTheme::unicode_nocolor(),
        (false, false) => GraphicalTheme::none(),
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(look.width.max(40))
        .with_links(false)
        .with_context_lines(1)
        .without_cause_chain();
    let mut out = String::new();
    for problem in problems {
        // A span outside of its text cannot be drawn; the plain line says the same.
        let before = out.len();
        if handler.render_report(&mut out, &Shown(problem)).is_err() {
            out.truncate(before);
            out.push_str(&format!("{problem}\n"));
        }
        out.push('\n');
    }
    out
}

/// Why a policy directory cannot be used: every problem of every file, exit 4.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the policies in {} are invalid: {}", .directory.display(), count(.problems.len()))]
pub(crate) struct PolicyErrors {
    /// The policy directory.
    pub(crate) directory: PathBuf,
    /// Never empty. Problems of the directory and of `fleet.toml` come first, then those of the policies in the order of the
    /// files' names and of the places in them.
    pub(crate) problems: Vec<PolicyProblem>,
}

impl PolicyErrors {
    /// All problems, drawn by [`render`].
    pub(crate) fn render(&self, look: Look) -> String {
        render(&self.problems, look)
    }
}

fn count(problems: usize) -> String {
    if problems == 1 { "1 problem".to_owned() } else { format!("{problems} problems") }
}

/// Collects the problems of one file.
pub(super) struct Reporter {
    source: NamedSource<Arc<str>>,
    /// The errors found so far.
    pub(super) errors: Vec<PolicyProblem>,
    /// The warnings found so far.
    pub(super) warnings: Vec<PolicyProblem>,
}

impl Reporter {
    pub(super) fn new(path: &Path, text: &str) -> Self {
        let source = NamedSource::new(path.display().to_string(), Arc::from(hidden(&drawable(text)).as_str()));
        Self { source, errors: Vec::new(), warnings: Vec::new() }
    }

    /// Records an error at `span`: what is wrong, a short label beside the text, and what to do.
    pub(super) fn error(&mut self, span: Range<usize>, message: impl Into<String>, label: &str, help: &str) {
        let problem = self.problem(Severity::Error, span, message.into(), label, help);
        self.errors.push(problem);
    }

    /// Records a warning at `span`.
    pub(super) fn warning(&mut self, span: Range<usize>, message: impl Into<String>, label: &str, help: &str) {
        let problem = self.problem(Severity::Warning, span, message.into(), label, help);
        self.warnings.push(problem);
    }

    /// Everything that was found, errors and warnings, in the order of their places.
    pub(super) fn finish(self) -> (Vec<PolicyProblem>, Vec<PolicyProblem>) {
        let sorted = |mut problems: Vec<PolicyProblem>| {
            problems.sort_by_key(|problem| problem.place.as_ref().map(|place| place.span.start));
            problems
        };
        (sorted(self.errors), sorted(self.warnings))
    }

    fn problem(
        &self,
        severity: Severity,
        span: Range<usize>,
        message: String,
        label: &str,
        help: &str,
    ) -> PolicyProblem {
        let length = self.source.inner().len();
        let start = span.start.min(length);
        PolicyProblem {
            severity,
            message,
            label: label.to_owned(),
            help: Some(help.to_owned()).filter(|help| !help.is_empty()),
            place: Some(Box::new(Place { source: self.source.clone(), span: start..span.end.clamp(start, length) })),
        }
    }
}

/// The text with every misleading character replaced by the same number of bytes, so that places stay the same.
fn drawable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c.to_string(),
            '\r' => " ".to_owned(),
            c if misleads(c) => "?".repeat(c.len_utf8()),
            c => c.to_string(),
        })
        .collect()
}

/// Control characters, and characters that hide or reorder the text beside them.
pub(super) fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The candidates that `word` may be a misspelling of, nearest first; at most three.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let lower = word.to_lowercase();
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        // A third of the letters may be wrong; beyond that, a suggestion misleads more than it helps.
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(3)) / 3)
        .collect();
    near.sort_unstable();
    near.dedup();
    // Next to a much nearer candidate, the others only distract.
    let best = near.first().map_or(0, |(distance, _)| *distance);
    near.retain(|(distance, _)| *distance <= best + 1);
    near.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

/// `did you mean ...? ` if a candidate is near; otherwise all valid ones.
pub(super) fn suggest<'a>(word: &str, what: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<&str> = candidates.into_iter().collect();
    let quoted = |of: &[&str]| of.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
    let near = nearest(word, all.iter().copied());
    match (near.is_empty(), all.is_empty()) {
        (false, _) => {
            format!("did you mean {}?", near.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(" or "))
        }
        (true, false) => format!("{what}: {}", quoted(&all)),
        (true, true) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first_and_strangers_not_at_all() {
        assert_eq!(nearest("minimun", ["minimum", "minimum_per_zone", "baseline"]), ["minimum"]);
        assert_eq!(nearest("Indx", ["index", "billing"]), ["index"]);
        assert!(nearest("storage", ["index", "billing"]).is_empty());
    }

    #[test]
    fn text_that_could_mislead_a_terminal_keeps_its_length() {
        let text = "a = \"\u{1b}[2J\u{202e}x\"\r\n\tb";
        assert_eq!(drawable(text).len(), text.len());
        assert_eq!(drawable(text), "a = \"?[2J???x\" \n\tb");
    }

    #[test]
    fn a_place_outside_of_the_text_is_clamped_and_drawn() {
        let mut reporter = Reporter::new(Path::new("x.toml"), "name");
        reporter.error(90..100, "wrong", "here", "right");
        let out = render(&reporter.errors, Look { color: false, unicode: false, width: 80 });
        assert!(out.contains("wrong") && out.contains("right"), "{out}");
        assert_eq!(reporter.errors[0].to_string(), "x.toml:1: wrong");
    }
}
