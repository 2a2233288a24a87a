//! `safe-remove policy init | check | show | schema | accept`.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::model::{OperatorId, SubsystemName, counted};
use crate::ops::{self, Acceptance, OperationError, StarterOf};
use crate::output::{Text, clean_lines, judges, judges_text, next, probes_text};
use crate::policy::{self, PolicyFile};

use super::args::Global;
use super::commands::SchemaOf;
use super::screen::Screen;
use super::terminal::Terminal;
use super::{CommandOutput, Exit};

/// `policy check --probe`: exit 5 where a probe is bad or cannot be read.
pub(super) async fn check_probes(global: &Global) -> Result<CommandOutput, OperationError> {
    let read = ops::probes(&global.policies).await?;
    let bad: Vec<String> = read
        .probes
        .iter()
        .filter(|probe| !probe.measured.reading.good)
        .map(|probe| probe.measured.key.to_string())
        .collect();
    let mut warnings: Vec<String> = read.policies.warnings.iter().map(ToString::to_string).collect();
    warnings.extend(read.warnings);
    let mut text = probes_text(&read.probes);
    text.blank();
    text.paragraph(&match (read.probes.len(), bad.as_slice()) {
        (0, _) => "No policy has a probe: only the fleet's own state is watched.".to_owned(),
        (all, []) => format!(
            "{} read, all good. Relative limits are judged in a run, against its reference.",
            counted(all, "probe")
        ),
        (all, bad) => format!("{} of {} bad: {}", bad.len(), counted(all, "probe"), bad.join(" ")),
    });
    for warning in &warnings {
        text.paragraph(&format!("warning: {warning}"));
    }
    let exit = if bad.is_empty() { Exit::DONE } else { Exit::FLEET_UNKNOWN };
    let result = serde_json::json!({ "fleet": read.policies.fleet.name, "probes": read.probes });
    CommandOutput::result(exit, "policy check", text, &result, &warnings)
}

/// `policy check`
pub(super) fn check(global: &Global) -> Result<CommandOutput, OperationError> {
    let policies = ops::policies(&global.policies)?;
    ops::can_be_called(&policies, &policies.subsystems.keys().cloned().collect())?;
    let names: Vec<_> = policies.subsystems.keys().cloned().collect();
    let warnings: Vec<String> = policies.warnings.iter().map(ToString::to_string).collect();
    let mut text = Text::of(&format!(
        "{} is valid: fleet {}, {}: {}",
        policies.directory.display(),
        policies.fleet.name,
        counted(names.len(), "subsystem"),
        names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
    ));
    let judges = judges(&policies);
    text.append(judges_text(&judges));
    for warning in &warnings {
        text.paragraph(&format!("warning: {warning}"));
    }
    let result = serde_json::json!({ "fleet": policies.fleet.name, "subsystems": names, "probes": judges });
    CommandOutput::result(Exit::DONE, "policy check", text, &result, &warnings)
}

/// `policy init --out DIR`
pub(super) async fn init(of: StarterOf<'_>, out: &Path) -> Result<CommandOutput, OperationError> {
    let started = ops::starter(of, out).await?;
    let mut text = Text::of(&format!(
        "Wrote {}: fleet.toml, and the policies of {}.",
        started.directory.display(),
        started.subsystems.join(" ")
    ));
    for left_out in &started.left_out {
        text.paragraph(&format!("no policy: {left_out}"));
    }
    let guesses = counted(started.guesses, "line");
    text.paragraph(&format!("{guesses} with GUESS: somebody who knows the subsystems corrects them. Then:"));
    text.copied("next", &next::command(out, "policy check"));
    CommandOutput::result(Exit::DONE, "policy init", text, &started, &started.left_out)
}

/// `policy show [NAME]`
pub(super) fn show(global: &Global, name: Option<&SubsystemName>) -> Result<CommandOutput, OperationError> {
    let policies = ops::policies(&global.policies)?;
    let mut document = policy::show(&policies);
    if let Some(name) = name {
        let Some(only) = policies.subsystems.get(name) else {
            return Err(OperationError::unknown_subsystem(name, &policies));
        };
        document.subsystems = vec![policy::effective(only)];
    }
    let text = Text::verbatim(clean_lines(&document.text()).into_owned());
    CommandOutput::result(Exit::DONE, "policy show", text, &document, &document.warnings)
}

/// `policy schema [FILE]`: the schema itself in every format, so that an editor can read it.
pub(super) fn schema(of: SchemaOf) -> Result<CommandOutput, OperationError> {
    let schema = policy::schema(match of {
        SchemaOf::Subsystem => PolicyFile::Subsystem,
        SchemaOf::Fleet => PolicyFile::Fleet,
        SchemaOf::HookAnswer => PolicyFile::HookAnswer,
    });
    let text = crate::output::json_document(&schema)
        .map_err(|error| OperationError::internal("the schema cannot be written as JSON", error))?;
    CommandOutput::document(Exit::DONE, Text::verbatim(text), &schema)
}

/// `policy accept NAME --reason TEXT`
pub(super) async fn accept(
    global: &Global,
    name: &SubsystemName,
    reason: &str,
    screen: &Arc<Screen>,
) -> Result<CommandOutput, OperationError> {
    let acceptance = ops::accept(&global.policies, name, reason, &Terminal::of(screen)).await?;
    let (text, accepted_by) = match acceptance {
        Acceptance::FirstRunDoes => {
            (format!("Nothing to accept: the first run of this fleet accepts {name} as it finds it."), None)
        }
        Acceptance::AsItWas => (format!("Nothing to accept: {name} is as it was accepted."), None),
        Acceptance::Accepted { by } => (format!("Accepted: {name}, by {by}."), Some(by)),
    };
    let result = Accepted { subsystem: name, accepted_by, reason };
    CommandOutput::result(Exit::DONE, "policy accept", Text::of(&text), &result, &[])
}

/// The result of an acceptance.
#[derive(Debug, Serialize)]
struct Accepted<'a> {
    subsystem: &'a SubsystemName,
    /// `None` where there was nothing to accept.
    accepted_by: Option<OperatorId>,
    reason: &'a str,
}
