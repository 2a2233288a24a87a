//! `safe-remove policy check | show | schema | accept`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::coordination::{self, Command};
use crate::model::{Nonce, OperatorId, SubsystemName};
use crate::output::{Align, Table, clean, clean_lines};
use crate::policy::{self, PolicySet, SubsystemPolicy, loosened};
use crate::ports::Written;

use super::args::Global;
use super::error::CommandError;
use super::screen::Screen;
use super::signals::Signals;
use super::world::{self, World};
use super::{Answered, Exit, process, prompt};

/// Attempts at a conditional write that others keep winning.
const WRITE_TRIES: u32 = 20;

/// `policy check`
pub(super) fn check(global: &Global) -> Result<Answered, CommandError> {
    let policies = world::policies(global)?;
    let names: Vec<_> = policies.subsystems.keys().cloned().collect();
    let warnings: Vec<String> = policies.warnings.iter().map(ToString::to_string).collect();
    let mut text = format!(
        "{} is valid: fleet {}, {} subsystems: {}\n",
        policies.directory.display(),
        policies.fleet.name,
        names.len(),
        names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
    );
    for warning in &warnings {
        text.push_str(&format!("warning: {}\n", clean(warning)));
    }
    let result = serde_json::json!({ "fleet": policies.fleet.name, "subsystems": names });
    Answered::result(Exit::DONE, "policy check", clean_lines(&text).into_owned(), &result, &warnings)
}

/// `policy show [NAME]`
pub(super) fn show(global: &Global, name: Option<&SubsystemName>) -> Result<Answered, CommandError> {
    let policies = world::policies(global)?;
    let mut document = policy::show(&policies);
    if let Some(name) = name {
        let Some(only) = policies.subsystems.get(name) else { return Err(unknown(name, &policies)) };
        document.subsystems = vec![policy::effective(only)];
    }
    let text = clean_lines(&document.text()).into_owned();
    Answered::result(Exit::DONE, "policy show", text, &document, &document.warnings)
}

/// `policy schema`: the schema itself, in every format, so that an editor can read it.
pub(super) fn schema() -> Result<Answered, CommandError> {
    let schema = policy::schema();
    let text = crate::output::json_document(&schema)
        .map_err(|error| CommandError::internal("the schema cannot be written as JSON", error))?;
    Answered::document(Exit::DONE, text, &schema)
}

/// `policy accept NAME --reason TEXT`: show the difference, ask, write.
pub(super) async fn accept(
    global: &Global,
    name: &SubsystemName,
    reason: &str,
    screen: &Arc<Screen>,
) -> Result<Answered, CommandError> {
    let world = World::open(global).await?;
    let (_, record) = world.ledger.read().await?;
    let accepted = record.accepted.get(name).map(|accepted| &accepted.policy);
    let now = world.policies.subsystems.get(name);
    let difference = match (accepted, now) {
        (None, None) => return Err(unknown(name, &world.policies)),
        (None, Some(_)) if record.accepted.is_empty() => {
            let text = format!("Nothing to accept: the first run of this fleet accepts {name} as it finds it.\n");
            return accepted_answer(text, name, None, reason);
        }
        (Some(was), Some(is)) if was == is => {
            let text = format!("Nothing to accept: {name} is as it was accepted.\n");
            return accepted_answer(text, name, None, reason);
        }
        (was, is) => difference(was, is),
    };
    if !prompt::is_possible() {
        return Err(CommandError::NotConfirmed {
            why: "there is no terminal to ask on; nothing was changed".to_owned(),
            hint: Some("a looser policy is accepted by a person: run it on a terminal".to_owned()),
        });
    }
    screen.stderr(&format!("{}\n{difference}\n", world.place().text()));
    let mut signals = Signals::listen(screen).map_err(|e| CommandError::internal("signals cannot be heard", e))?;
    let question = format!("Type {name} to accept this for every operator, anything else to stop");
    let reply = prompt::ask(&question, &mut signals).await;
    reply
        .is(name.as_str())
        .map_err(|why| CommandError::NotConfirmed { why: format!("{why}; nothing was changed"), hint: None })?;
    let by = process::operator(world.fleet.identity());
    write(&world, name, &by, reason, accepted).await?;
    accepted_answer(format!("Accepted: {name}, by {by}.\n"), name, Some(by), reason)
}

/// What an acceptance changed.
#[derive(Debug, Serialize)]
struct Accepted<'a> {
    subsystem: &'a SubsystemName,
    /// `None`: there was nothing to accept.
    accepted_by: Option<OperatorId>,
    reason: &'a str,
}

fn accepted_answer(
    text: String,
    subsystem: &SubsystemName,
    accepted_by: Option<OperatorId>,
    reason: &str,
) -> Result<Answered, CommandError> {
    let result = Accepted { subsystem, accepted_by, reason };
    Answered::result(Exit::DONE, "policy accept", clean_lines(&text).into_owned(), &result, &[])
}

/// Writes what was shown and nothing else: where the accepted policy changed meanwhile, the difference did too.
async fn write(
    world: &World,
    name: &SubsystemName,
    by: &OperatorId,
    reason: &str,
    shown: Option<&SubsystemPolicy>,
) -> Result<(), CommandError> {
    let ledger = world.writable_ledger().await?;
    let command = Command::AcceptPolicy { subsystem: name.clone(), operator: by.clone(), reason: reason.to_owned() };
    for _ in 0..WRITE_TRIES {
        let (version, record) = ledger.read().await.map_err(CommandError::Ledger)?;
        if record.accepted.get(name).map(|accepted| &accepted.policy) != shown {
            return Err(CommandError::NotConfirmed {
                why: "somebody else accepted another policy meanwhile; nothing was changed".to_owned(),
                hint: Some("look at the difference again: repeat the command".to_owned()),
            });
        }
        let (record, _) =
            coordination::decide(&record, &command, &world.context()).map_err(|refusal| CommandError::NotStarted {
                exit: Exit::REFUSED,
                message: "the policy cannot be accepted; nothing was changed".to_owned(),
                causes: vec![refusal.to_string()],
                hint: "safe-remove status says what is under way",
            })?;
        let nonce = Nonce::new(uuid::Uuid::new_v4().to_string());
        match ledger.compare_and_swap(version, &record, &nonce).await.map_err(CommandError::Ledger)? {
            Written::Acknowledged(_) => return Ok(()),
            Written::Conflict => {}
        }
    }
    Err(CommandError::NotStarted {
        exit: Exit::LEDGER,
        message: "the ledger is too busy; nothing was changed".to_owned(),
        causes: Vec::new(),
        hint: "try again",
    })
}

/// A name that no policy has: exit 3, with the nearest.
pub(super) fn unknown(name: &SubsystemName, policies: &PolicySet) -> CommandError {
    no_such("subsystem", name.as_str(), policies.subsystems.keys().map(|name| name.as_str()))
}

/// The same for anything that has a name.
pub(super) fn no_such<'a>(what: &str, name: &str, names: impl Iterator<Item = &'a str> + Clone) -> CommandError {
    let nearest = policy::nearest(name, names.clone());
    let hint = if nearest.is_empty() {
        format!("there are: {}", names.collect::<Vec<_>>().join(" "))
    } else {
        format!("did you mean {}?", nearest.join(" or "))
    };
    CommandError::NoSuch { message: format!("there is no {what} {name}"), hint: Some(hint) }
}

/// Every field that differs, those that are looser first and marked.
fn difference(was: Option<&SubsystemPolicy>, is: Option<&SubsystemPolicy>) -> String {
    let fields = |policy: Option<&SubsystemPolicy>| {
        let mut fields = BTreeMap::new();
        if let Some(policy) = policy {
            flatten("", &policy::effective(policy), &mut fields);
        }
        fields
    };
    let (before, after) = (fields(was), fields(is));
    let looser: BTreeSet<String> = match (was, is) {
        (Some(was), Some(is)) => loosened(was, is).into_iter().map(|found| found.field).collect(),
        _ => BTreeSet::new(),
    };
    let is_looser = |field: &str| {
        looser
            .iter()
            .any(|of| field == of || field.starts_with(&format!("{of}.")) || of.starts_with(&format!("{field}.")))
    };
    let mut table =
        Table::new(&[("", Align::Left), ("field", Align::Whole), ("accepted", Align::Left), ("now", Align::Left)]);
    for field in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (before.get(field), after.get(field));
        if was != is {
            let shown = |value: Option<&String>| value.map_or("-".to_owned(), ToString::to_string);
            table.row([if is_looser(field) { "looser" } else { "" }, field, &shown(was), &shown(is)]);
        }
    }
    match (was, is) {
        (Some(_), None) => {
            format!("The policy is gone: its hosts would no longer be protected by it.\n{}", table.render("  "))
        }
        _ => table.render("  "),
    }
}

/// `capacity.minimum` and so on, each with its value as text.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, into);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (n, item) in items.iter().enumerate() {
                // Probes are known by their names: one more of them moves no other.
                let name = item.get("name").and_then(Value::as_str).map_or_else(|| n.to_string(), str::to_owned);
                flatten(&format!("{path}.{name}"), item, into);
            }
        }
        Value::Null => {}
        Value::String(text) => _ = into.insert(path.to_owned(), text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => _ = into.insert(path.to_owned(), value.to_string()),
    }
}
