//! Tables without lines: a heading, columns two spaces apart, long cells wrapped.

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, presets};

use super::{WIDTH, clean};

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

/// A table that is being filled. Cells are cleaned as they are added.
pub(crate) struct Table {
    inner: comfy_table::Table,
    columns: Vec<Align>,
}

impl Table {
    /// A table with these headings, which are this program's own text.
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        // `render` removes the padding at the ends of lines.
        inner.force_no_tty().set_width(u16::try_from(WIDTH).unwrap_or(u16::MAX));
        let columns_of = columns.iter().map(|(_, align)| *align).collect();
        let mut table = Self { inner, columns: columns_of };
        let heading: Vec<Cell> = table.cells(columns.iter().map(|(name, _)| (*name).to_owned()));
        table.inner.set_header(heading);
        for (column, align) in table.inner.column_iter_mut().zip(&table.columns) {
            column.set_padding((0, 2));
            if *align == Align::Whole {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        table
    }

    fn cells(&self, texts: impl IntoIterator<Item = String>) -> Vec<Cell> {
        let aligns = self.columns.iter().copied().chain(std::iter::repeat(Align::Left));
        texts
            .into_iter()
            .zip(aligns)
            .map(|(text, align)| {
                Cell::new(text).set_alignment(match align {
                    Align::Left | Align::Whole => CellAlignment::Left,
                    Align::Right => CellAlignment::Right,
                })
            })
            .collect()
    }

    /// Adds a row.
    pub(crate) fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| clean(cell.as_ref()).into_owned()).collect();
        let cells = self.cells(cells);
        self.inner.add_row(cells);
    }

    /// Renders the table: each line indented, without white space at its end. The text ends with a line end.
    pub(crate) fn render(&self, indent: &str) -> String {
        let mut out = String::new();
        for line in self.inner.lines() {
            let line = line.trim_end();
            if !line.is_empty() {
                out.push_str(indent);
                out.push_str(line);
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_stay_in_their_width() {
        let mut table = Table::new(&[("host", Align::Whole), ("units", Align::Right), ("why", Align::Left)]);
        table.row(["index-0001", "1", "short"]);
        table.row(["i", "1000", &"a long sentence that goes on ".repeat(6)]);
        table.row(["x\x1b[2J", "2", ""]);
        let text = table.render("  ");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH + 2), "{text}");
        assert!(text.starts_with("  host        units  why\n  index-0001      1  short\n"), "{text}");
        assert!(text.contains("x\\u{1b}[2J"), "{text}");
    }
}
