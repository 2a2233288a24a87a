//! [`Text`]: what a screen says, in blocks that are laid out when the width of the page is known.
//!
//! Everything that goes in is cleaned, because it may quote other people. [`Text::verbatim`] alone takes what was laid out
//! elsewhere.

use unicode_width::UnicodeWidthStr as _;

use crate::model::HostId;

use super::wrap::{wrap, wrap_lines};
use super::{Page, Table, clean, clean_lines};

/// A text in blocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text(Vec<Block>);

#[derive(Clone, Debug)]
enum Block {
    Paragraph(String),
    /// Indented by two; its name takes so many columns.
    Item {
        name: String,
        columns: usize,
        value: String,
    },
    Field {
        name: String,
        value: String,
    },
    /// A field that people copy: it is never broken.
    Copied {
        name: String,
        value: String,
    },
    /// The longest form of a line that the page takes.
    Fitting {
        name: String,
        forms: Vec<String>,
    },
    Table {
        indent: usize,
        table: Table,
    },
    Verbatim(String),
    Blank,
}

/// The column in which the values of fields begin.
const FIELD: usize = 12;

impl Text {
    /// A text of one paragraph.
    pub(crate) fn of(paragraph: &str) -> Self {
        let mut text = Self::default();
        text.paragraph(paragraph);
        text
    }

    /// Text that was laid out elsewhere, and that is clean: JSON, a script, a page of the manual.
    pub(crate) fn verbatim(text: String) -> Self {
        Self(vec![Block::Verbatim(text)])
    }

    /// Adds sentences, which begin a line of their own. Line ends in them are kept.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.0.push(Block::Paragraph(clean_lines(text).into_owned()));
    }

    /// Adds an empty line, unless there is one.
    pub(crate) fn blank(&mut self) {
        self.0.push(Block::Blank);
    }

    /// Adds a line of a list, indented: a name in so many columns, and what there is to say about it.
    pub(crate) fn item(&mut self, name: &str, columns: usize, value: &str) {
        let (name, value) = (clean(name).into_owned(), clean(value).into_owned());
        self.0.push(Block::Item { name, columns, value });
    }

    /// Adds a name and its value, which is wrapped beside the name. An empty name continues the field above.
    pub(crate) fn field(&mut self, name: &str, value: &str) {
        self.0.push(Block::Field { name: name.to_owned(), value: clean(value).into_owned() });
    }

    /// Adds a name and what people copy, such as a command: it stays on one line.
    pub(crate) fn copied(&mut self, name: &str, value: &str) {
        self.0.push(Block::Copied { name: name.to_owned(), value: clean(value).into_owned() });
    }

    /// Adds a name and the first of these forms that fits beside it; the last one on more lines, where none does.
    pub(crate) fn fitting(&mut self, name: &str, forms: &[String]) {
        let forms = forms.iter().map(|form| clean_lines(form).into_owned()).collect();
        self.0.push(Block::Fitting { name: name.to_owned(), forms });
    }

    /// Adds a table, indented by so many columns.
    pub(crate) fn table(&mut self, indent: usize, table: Table) {
        self.0.push(Block::Table { indent, table });
    }

    /// Adds another text.
    pub(crate) fn append(&mut self, text: Self) {
        self.0.extend(text.0);
    }

    /// The text on this page. Unless it is empty it ends with a line end.
    pub(crate) fn on(&self, page: Page) -> String {
        let mut text = String::new();
        for block in &self.0 {
            match block {
                Block::Blank if text.ends_with("\n\n") => {}
                _ => text.push_str(&block.on(page)),
            }
        }
        page.spelled(text)
    }
}

impl Block {
    fn on(&self, page: Page) -> String {
        let width = page.width;
        match self {
            Self::Paragraph(text) => ended(wrap_lines(text, width)),
            Self::Item { name, columns, value } => {
                let column = columns + 2;
                format!("  {name:<columns$}{}\n", wrap(value, width, column.max(name.chars().count() + 2), column))
            }
            Self::Field { name, value } => format!("{name:<FIELD$}{}\n", wrap(value, width, FIELD, FIELD)),
            Self::Copied { name, value } => format!("{name:<FIELD$}{value}\n"),
            Self::Fitting { name, forms } => {
                let value = fitting(forms, page.narrower(FIELD)).replace('\n', &format!("\n{:FIELD$}", ""));
                format!("{name:<FIELD$}{value}\n")
            }
            Self::Table { indent, table } => table.on(page, *indent),
            Self::Verbatim(text) => text.clone(),
            Self::Blank => "\n".to_owned(),
        }
    }
}

fn ended(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// The first form whose lines fit on this page; the last one on more lines, where none does.
pub(super) fn fitting(forms: &[String], page: Page) -> String {
    let fits = |form: &&String| form.lines().all(|line| line.width() <= page.width);
    let last = || forms.last().map(|form| wrap_lines(form, page.width));
    forms.iter().find(fits).cloned().or_else(last).unwrap_or_default()
}

/// Host ids as a list for people: all of them up to `most`, otherwise the first ones and how many more there are.
pub(crate) fn hosts_text<'a>(hosts: impl IntoIterator<Item = &'a HostId>, most: usize) -> String {
    let hosts: Vec<_> = hosts.into_iter().collect();
    let shown = if hosts.len() > most { most.saturating_sub(1) } else { hosts.len() };
    let mut text = hosts[..shown].iter().map(|h| clean(h.as_str())).collect::<Vec<_>>().join(" ");
    if shown < hosts.len() {
        text.push_str(&format!(" and {} more", hosts.len() - shown));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_hosts_are_counted() {
        let hosts: Vec<HostId> = (1..=5).map(|n| HostId::new(format!("h{n}"))).collect();
        assert_eq!(hosts_text(&hosts, 5), "h1 h2 h3 h4 h5");
        assert_eq!(hosts_text(&hosts, 3), "h1 h2 and 3 more");
    }

    #[test]
    fn a_text_is_laid_out_for_its_page() {
        let mut text = Text::of("A sentence that says how it ended, in so many words.");
        text.field("operator", &"word ".repeat(12));
        text.copied("next", "safe-remove --subsystem index --count 3 --reason 'rack 7 is replaced'");
        text.item("minimum", 18, "index would keep 3 units of the 12 that it must keep");
        text.fitting("readings", &["latency 100 ms  max 110 (+50% of 73)".into(), "latency 100 ms".into()]);
        for width in [40, 60, 80] {
            let shown = text.on(Page { width, ascii: false });
            let is_copied = |line: &&str| line.starts_with("next");
            assert!(shown.lines().filter(|line| !is_copied(line)).all(|line| line.chars().count() <= width), "{shown}");
            assert_eq!(shown.lines().filter(is_copied).count(), 1, "{shown}");
            assert_eq!(shown.contains("max 110"), width > 40, "{shown}");
        }
    }

    #[test]
    fn nothing_in_it_controls_a_terminal() {
        let mut text = Text::of("a\x1b[2J");
        text.field("x", "b\x1b[2J");
        text.copied("x", "c\x1b[2J");
        text.item("d\x1b[2J", 4, "e\x1b[2J");
        text.fitting("x", &["f\x1b[2J".to_owned()]);
        assert!(!text.on(Page::new(None, false)).contains('\x1b'));
    }
}
