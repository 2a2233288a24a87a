//! The report of one run, for whoever writes down what happened: as a document, as text, as Markdown, and as one page.
//!
//! | file | what it is |
//! | --- | --- |
//! | `document` | `safe-remove/report/v1`, made of the journal and nothing else |
//! | `timeline` | its records as sentences |
//! | `sections` | what every form of it says, in order |
//! | `text` | the sections as text and as Markdown |
//! | `picture` | the timeline as SVG |
//! | `page` | the sections and the picture as one page that needs nothing else |

mod document;
mod page;
mod picture;
mod sections;
mod text;
mod timeline;

pub(crate) use document::ReportDocument;
pub(crate) use page::page;
pub(crate) use text::{markdown, text};
