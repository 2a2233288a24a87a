//! The report as text for a terminal, and as Markdown for a post-mortem.

use crate::output::{Align, Table, Text, clean};

use super::document::ReportDocument;
use super::sections::{Part, Section, sections, summary};

/// The report as text.
pub(crate) fn text(report: &ReportDocument) -> Text {
    let mut text = Text::of(&summary(report));
    for Section { title, parts } in sections(report) {
        text.blank();
        text.paragraph(&title);
        text.blank();
        for part in parts {
            match part {
                Part::Words(words) => text.paragraph(&words),
                Part::Facts(facts) => facts.iter().for_each(|(name, value)| text.field(name, value)),
                Part::Table(heads, rows) => {
                    let last = heads.len().saturating_sub(1);
                    let align = |place: usize| if place == last { Align::Left } else { Align::Whole };
                    let columns: Vec<_> = heads.iter().enumerate().map(|(place, head)| (*head, align(place))).collect();
                    let mut table = Table::new(&columns);
                    rows.iter().for_each(|row| table.row(&row.cells));
                    text.table(0, table);
                }
            }
        }
    }
    text
}

/// The report as Markdown. Other people's text is escaped: a name cannot become a heading, a link or HTML.
pub(crate) fn markdown(report: &ReportDocument) -> String {
    let mut out = format!("# Run {}\n\n{}\n", escape(report.run.run.as_str()), escape(&summary(report)));
    for Section { title, parts } in sections(report) {
        out.push_str(&format!("\n## {title}\n"));
        for part in parts {
            match part {
                Part::Words(words) => out.push_str(&format!("\n{}\n", escape(&words))),
                Part::Facts(facts) => {
                    out.push('\n');
                    facts.iter().for_each(|(name, value)| out.push_str(&format!("- **{name}**: {}\n", escape(value))));
                }
                Part::Table(heads, rows) => {
                    out.push_str(&format!("\n| {} |\n|{}\n", heads.join(" | "), " --- |".repeat(heads.len())));
                    for row in rows {
                        let cells: Vec<String> = row.cells.iter().map(|cell| escape(cell)).collect();
                        out.push_str(&format!("| {} |\n", cells.join(" | ")));
                    }
                }
            }
        }
    }
    out
}

/// Text in which no character means anything to Markdown. Names in policies and on hosts are plain, and stay as they are.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '&' | '!') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn markdown_means_nothing_in_a_name() {
        assert_eq!(escape("index-0001 at 10:00 (+50% of 73)"), "index-0001 at 10:00 (+50% of 73)");
        assert_eq!(escape("<b>|[x](y)\n# a*"), "\\<b\\>\\|\\[x\\](y)\\\\n\\# a\\*");
    }
}
