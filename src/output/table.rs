//! Tables without lines: a heading, columns two spaces apart, long cells wrapped. On a page that is too narrow for the
//! columns each row becomes a paragraph: its first cell, and the others by their headings.

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, presets};
use unicode_width::UnicodeWidthStr as _;

use super::wrap::wrap;
use super::{Page, clean};

/// The alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
    /// Text that is never broken: names and numbers that people copy.
    Whole,
}

/// Between two columns.
const GAP: usize = 2;

/// A column of text that has fewer columns than this cannot be read.
const READABLE: usize = 18;

/// A table that is being filled. Cells are cleaned as they are added.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings, which are this program's own text.
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        Self { columns: columns.iter().map(|(name, align)| ((*name).to_owned(), *align)).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(|cell| clean(cell.as_ref()).into_owned()).collect());
    }

    /// The table on this page, each line indented and without white space at its end.
    pub(crate) fn on(&self, page: Page, indent: usize) -> String {
        let page = page.narrower(indent);
        let indent = " ".repeat(indent);
        let text = if self.narrowest() <= page.width { self.in_columns(page) } else { self.in_paragraphs(page) };
        let mut out = String::with_capacity(text.len() + 64);
        for line in text.lines().map(str::trim_end) {
            if !line.is_empty() {
                out.push_str(&indent);
                out.push_str(line);
            }
            out.push('\n');
        }
        out
    }

    /// The fewest columns in which the table can be read.
    fn narrowest(&self) -> usize {
        let cells = |place: usize| self.rows.iter().filter_map(move |row| row.get(place)).map(|c| c.width());
        let widths = self.columns.iter().enumerate().map(|(place, (name, align))| {
            let widest = cells(place).max().unwrap_or(0);
            let needed = widest.max(name.width());
            if *align == Align::Left { needed.min(READABLE) } else { needed }
        });
        widths.sum::<usize>() + GAP * self.columns.len().saturating_sub(1)
    }

    fn in_columns(&self, page: Page) -> String {
        let mut inner = comfy_table::Table::new();
        inner.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        // The last column's gap is cut off with the white space at the ends of lines.
        inner.force_no_tty().set_width(u16::try_from(page.width + GAP).unwrap_or(u16::MAX));
        inner.set_header(self.cells(self.columns.iter().map(|(name, _)| name.as_str())));
        for (column, (_, align)) in inner.column_iter_mut().zip(&self.columns) {
            column.set_padding((0, u16::try_from(GAP).unwrap_or(0)));
            if *align != Align::Left {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        for row in &self.rows {
            inner.add_row(self.cells(row.iter().map(String::as_str)));
        }
        inner.lines().collect::<Vec<_>>().join("\n")
    }

    fn cells<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Vec<Cell> {
        let aligned = |(text, (_, align)): (&str, &(String, Align))| {
            Cell::new(text).set_alignment(match align {
                Align::Left | Align::Whole => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            })
        };
        texts.zip(&self.columns).map(aligned).collect()
    }

    fn in_paragraphs(&self, page: Page) -> String {
        let mut out = String::new();
        for row in &self.rows {
            let mut cells = row.iter().zip(&self.columns).filter(|(cell, _)| !cell.is_empty());
            let Some((first, (heading, align))) = cells.next() else { continue };
            // A number alone says nothing.
            let first = if *align == Align::Right { format!("{heading} {first}") } else { first.clone() };
            out.push_str(&format!("{}\n", wrap(&first, page.width, 0, 2)));
            let rest: Vec<String> = cells
                .map(|(cell, (heading, _))| if heading.is_empty() { cell.clone() } else { format!("{heading} {cell}") })
                .collect();
            if !rest.is_empty() {
                out.push_str(&format!("  {}\n", wrap(&rest.join("; "), page.width, 2, 2)));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(width: usize) -> String {
        let mut table = Table::new(&[("host", Align::Whole), ("units", Align::Right), ("why", Align::Left)]);
        table.row(["index-0001", "1", "short"]);
        table.row(["i", "1000", &"a long sentence that goes on ".repeat(6)]);
        table.row(["x\x1b[2J", "2", ""]);
        table.on(Page { width, ascii: false }, 2)
    }

    #[test]
    fn columns_line_up_and_stay_in_their_width() {
        for width in [40, 60, 80, 120] {
            let text = on(width);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            assert!(text.starts_with("  host        units  why\n  index-0001      1  short\n"), "{text}");
            assert!(text.contains("x\\u{1b}[2J"), "{text}");
        }
    }

    #[test]
    fn where_there_is_no_room_for_columns_rows_are_paragraphs() {
        let text = on(30);
        assert!(text.starts_with("  index-0001\n    units 1; why short\n  i\n    units 1000; why a long\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 30), "{text}");
    }
}
