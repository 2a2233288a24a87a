//! The report of one run, from its journal alone: also of one that is under way, and while the fleet cannot be reached.

use std::io::Write as _;
use std::path::Path;

use crate::model::RunId;
use crate::output::report::ReportDocument;

use super::error::OperationError;
use super::reader::LedgerReader;
use super::site::Site;
use super::status::no_such_run;
use super::{fleets, offline_journal, report, run_orders};

/// Reads the journal of a run, and makes its report.
///
/// # Errors
///
/// The ledger cannot be read; there is no such run.
pub(crate) async fn run_report(policies: &Path, run: &RunId) -> Result<ReportDocument, OperationError> {
    // A typing error in a policy must not hide what happened.
    let site = Site::find(policies)?;
    let now = fleets::now(&site.fleet);
    let ledger = LedgerReader::open(&site.fleet, now).await?;
    let journal = ledger.journals().journal(run).await.map_err(OperationError::Ledger)?;
    let (orders, unread) = match journal.first() {
        Some(first) => run_orders::of_run(ledger.journals(), run, first.at).await,
        None => (Vec::new(), None),
    };
    if let Some(mut document) = ReportDocument::of(&journal, &orders, now) {
        if !document.under_way {
            document.run = report::placed(report::so_far(document.run, &journal, now), &site.directory);
        }
        document.run.warnings.extend(unread);
        return Ok(document);
    }
    if let Some(lost) = offline_journal::known_here_only(&site.fleet, run) {
        return Err(lost);
    }
    let (_, record) = ledger.read().await?;
    Err(no_such_run(run, &record, &ledger).await)
}

/// Writes a page to a file, whole or not at all. A page that is there already is an older one of the same run, and is
/// replaced.
///
/// # Errors
///
/// The file cannot be written.
pub(crate) fn write_page(file: &Path, page: &str) -> Result<(), OperationError> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut new = tempfile::Builder::new().permissions(readable()).tempfile_in(directory)?;
        new.write_all(page.as_bytes())?;
        new.persist(file).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error: std::io::Error| {
        OperationError::usage(
            format!("the page cannot be written to {}: {error}", file.display()),
            "name a file in a directory that can be written: --html report.html",
        )
    })
}

/// As the umask has it, and not for its owner alone: a report is for others.
fn readable() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}
