//! The report as one page: it loads nothing, runs no script, and follows the reader's light, dark or paper.
//!
//! Every text of others passes through [`clean`] and through maud, which escapes it. The page also forbids the browser to
//! load or run anything, so that a mistake here would still do nothing.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::output::clean;

use super::document::ReportDocument;
use super::picture::{legend, picture};
use super::sections::{Part, Row, Section, sections, summary};
use super::timeline::{EntryKind, outcome_text};

/// Colours are variables: the picture and the tables name them, and dark and paper set them anew.
const STYLE: &str = include_str!("page.css");

/// What the page may do: be shown in its own style.
const NOTHING_ELSE: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The page.
pub(crate) fn page(report: &ReportDocument) -> String {
    let title = format!("Run {} on {}", report.run.run, report.run.subsystem);
    let outcome = if report.under_way { "under way" } else { outcome_text(report.run.outcome) };
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(NOTHING_ELSE);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (clean(&title)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (clean(&title)) " " span class=(format!("outcome {}", outcome.replace(' ', "-"))) { (outcome) } }
                    p class="summary" { (clean(&summary(report))) }
                }
                @if report.plan.is_some() { (figure(report)) }
                @for section in sections(report) { (section_of(&section)) }
                footer {
                    p { "safe-remove, " (ReportDocument::SCHEMA) ", made at " (report.at) ". Times are UTC." }
                }
            }
        }
    };
    document.into_string()
}

fn figure(report: &ReportDocument) -> Markup {
    let legend = legend(report);
    html! {
        section class="figure" {
            h2 { "Timeline" }
            figure {
                (picture(report))
                figcaption {
                    p class="keys" {
                        span class="key band-key" {} "a batch is reserved"
                        span class="key bake-key" {} "it is watched while out"
                        span class="key capacity-key" {} "capacity"
                        span class="key minimum-key" {} "minimum or limit"
                        span class="key reference-key" {} "reference"
                        span class="key bad-key" { "\u{d7}" } "bad reading"
                    }
                    @if !legend.is_empty() {
                        ol {
                            @for entries in &legend {
                                li {
                                    @for (place, (at, kind, text)) in entries.iter().enumerate() {
                                        @if place > 0 { br; }
                                        span class="time" { (at) } " "
                                        span class=(class_of(Some(*kind))) { (clean(text)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn section_of(section: &Section) -> Markup {
    html! {
        section {
            h2 { (section.title) }
            @for part in &section.parts {
                @match part {
                    Part::Words(words) => { p { (clean(words)) } }
                    Part::Facts(facts) => {
                        dl { @for (name, value) in facts { dt { (name) } dd { (clean(value)) } } }
                    }
                    Part::Table(heads, rows) => { (table(heads, rows)) }
                }
            }
        }
    }
}

fn table(heads: &[&str], rows: &[Row]) -> Markup {
    html! {
        div class="wide" {
            table {
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody {
                    @for row in rows {
                        tr class=(class_of(row.kind)) { @for cell in &row.cells { td { (clean(cell)) } } }
                    }
                }
            }
        }
    }
}

fn class_of(kind: Option<EntryKind>) -> &'static str {
    match kind {
        Some(EntryKind::Trouble) => "trouble",
        Some(EntryKind::Order) => "order",
        Some(EntryKind::Recovered) => "recovered",
        Some(EntryKind::Step) | None => "step",
    }
}
