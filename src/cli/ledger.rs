//! `safe-remove ledger ...`: the results of the ledger commands, for people and for programs.

use std::path::Path;
use std::sync::Arc;

use crate::model::{Time, counted};
use crate::ops::{self, Adoption, OperationError, Pruned};
use crate::output::{Text, json_document, next};

use super::args::Global;
use super::screen::Screen;
use super::terminal::Terminal;
use super::values::Since;
use super::{CommandOutput, Exit};

/// `ledger init`
pub(super) async fn init(global: &Global) -> Result<CommandOutput, OperationError> {
    let made = ops::init(&global.policies).await?;
    let mut text = Text::default();
    text.field("ledger", &format!("{} of fleet {}", made.ledger, made.fleet));
    text.field("place", &made.place);
    if made.done.is_empty() {
        text.field("done", "nothing: it was there already");
    }
    for done in &made.done {
        text.field("done", done);
    }
    CommandOutput::result(Exit::DONE, "ledger init", text, &made, &[])
}

/// `ledger adopt`
pub(super) async fn adopt(
    global: &Global,
    reason: &str,
    screen: &Arc<Screen>,
) -> Result<CommandOutput, OperationError> {
    let (text, adopted) = match ops::adopt(&global.policies, reason, &Terminal::of(screen)).await? {
        Adoption::Nothing(adopted) => {
            (format!("Everything that the policies select is under ledger {} already.", adopted.ledger), adopted)
        }
        Adoption::Done { adopted, moved: Some(moved) } => {
            (format!("Ledger {} is at home in {}.", adopted.ledger, moved.is.display()), adopted)
        }
        Adoption::Done { adopted, moved: None } => (format!("Adopted by ledger {}.", adopted.ledger), adopted),
    };
    let mut text = Text::of(&text);
    let advice: Vec<String> = adopted.infrastructure_code.map(str::to_owned).into_iter().collect();
    for advice in &advice {
        text.paragraph(&format!("{advice}."));
    }
    CommandOutput::result(Exit::DONE, "ledger adopt", text, &adopted, &advice)
}

/// `ledger set-time`
pub(super) async fn set_time(
    global: &Global,
    reason: &str,
    screen: &Arc<Screen>,
) -> Result<CommandOutput, OperationError> {
    let set = ops::set_time(&global.policies, reason, &Terminal::of(screen)).await?;
    let (was, is) = (set.was, set.is);
    let text = if was == is {
        format!("The ledger was written at {was}, and it is {}: there is nothing to set right.", set.now)
    } else {
        format!("The ledger's time is {is}; it was {was}.")
    };
    CommandOutput::result(Exit::DONE, "ledger set-time", Text::of(&text), &set, &[])
}

/// `ledger export`: JSON on stdout in every mode.
pub(super) async fn export(global: &Global) -> Result<CommandOutput, OperationError> {
    let (archive, warnings) = ops::export(&global.policies).await?;
    let shown = json_document(&archive)
        .map_err(|error| OperationError::internal("the export cannot be written as JSON", error))?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    CommandOutput::document(Exit::DONE, Text::verbatim(shown), &archive)
}

/// `ledger import FILE`
pub(super) async fn import(global: &Global, file: &Path) -> Result<CommandOutput, OperationError> {
    let (imported, warnings) = ops::import(&global.policies, file).await?;
    let mut text = Text::of(&format!(
        "Imported: ledger {} of fleet {} at {}, in place of ledger {}; journals: {}.\n\
         It is halted, and governs no host yet.",
        imported.ledger, imported.fleet, imported.place, imported.replaces, imported.journals,
    ));
    for warning in &warnings {
        text.paragraph(&format!("warning: {warning}"));
    }
    for (name, words) in [("next", "status"), ("then", "ledger adopt --reason TEXT"), ("then", "unhalt --reason TEXT")]
    {
        text.copied(name, &next::command(&global.policies, words));
    }
    CommandOutput::result(Exit::DONE, "ledger import", text, &imported, &warnings)
}

/// `ledger prune --before T`
pub(super) async fn prune(global: &Global, before: Since, to: Option<&Path>) -> Result<CommandOutput, OperationError> {
    let pruned = ops::prune(&global.policies, |now: Time| before.time(now), to).await?;
    CommandOutput::result(Exit::DONE, "ledger prune", text_of(&pruned), &pruned, &[])
}

fn text_of(pruned: &Pruned) -> Text {
    let mut text = Text::default();
    match &pruned.file {
        Some(file) => {
            text.paragraph(&format!(
                "Pruned: {} of runs that ended before {}, with {}. Keep the file that has them, the ledger has only the \
                 document of each run.",
                counted(pruned.runs.len(), "journal"),
                pruned.before,
                counted(pruned.records, "record"),
            ));
            text.copied("file", &file.display().to_string());
        }
        None => text.paragraph(&format!(
            "No journal is left of a run that ended before {}: nothing was pruned.",
            pruned.before
        )),
    }
    let kept = &pruned.kept;
    for (count, why) in [
        (kept.later, "ended later, or in the week before the ledger's last write"),
        (kept.under_way, "are under way, or hold hosts"),
        (kept.repeatable, "took nothing, and their request ids may be used again"),
        (kept.pruned, "were pruned before"),
    ] {
        if count > 0 {
            text.field("kept", &format!("{count}: they {why}"));
        }
    }
    text
}
