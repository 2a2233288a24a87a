//! [`Page`]: the surface that text is laid out for.

/// How wide the surface is, and what it can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// In columns.
    pub(crate) width: usize,
    /// Whether it shows ASCII only. Everything else is then replaced or written out.
    pub(crate) ascii: bool,
}

/// The width where there is no terminal: every terminal, ticket and mail takes it.
const WIDTH: usize = 80;

/// Lines beyond this width cannot be read.
const WIDEST: usize = 120;

/// Below this width nothing is laid out: the terminal breaks the lines.
const NARROWEST: usize = 40;

impl Page {
    /// A page for a terminal of so many columns, or for something that is none.
    pub(crate) fn new(columns: Option<usize>, ascii: bool) -> Self {
        Self { width: columns.map_or(WIDTH, |columns| columns.clamp(NARROWEST, WIDEST)), ascii }
    }

    /// A page for text that is indented by so many columns.
    pub(crate) fn narrower(self, by: usize) -> Self {
        Self { width: self.width.saturating_sub(by).max(1), ..self }
    }

    /// The text in the characters that the page shows.
    pub(crate) fn spelled(self, text: String) -> String {
        if text.is_ascii() {
            return text;
        }
        let text = text.replace(NO_BREAK, " ");
        if !self.ascii {
            return text;
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match BARS.iter().position(|bar| *bar == c) {
                Some(step) => out.push(ASCII_BARS[step]),
                None if c.is_ascii() => out.push(c),
                None => out.extend(c.escape_unicode()),
            }
        }
        out
    }
}

/// A space at which no line breaks.
const NO_BREAK: char = '\u{a0}';

/// The words so that no line breaks between them.
pub(super) fn together(words: &str) -> String {
    words.replace(' ', &NO_BREAK.to_string())
}

/// The steps of a sparkline, the lowest first.
pub(super) const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Their likes in ASCII: each has more ink than the one before it.
const ASCII_BARS: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_wide_as_people_read() {
        let width = |columns| Page::new(columns, false).width;
        assert_eq!([None, Some(60), Some(300), Some(5)].map(width), [80, 60, 120, 40]);
    }

    #[test]
    fn ascii_is_ascii() {
        let page = Page::new(None, true);
        assert_eq!(page.spelled("latency ▁▂█ in Zürich".to_owned()), "latency _.# in Z\\u{fc}rich");
        assert_eq!(Page::new(None, false).spelled("Zürich".to_owned()), "Zürich");
    }
}
