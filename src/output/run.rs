//! A run as text: the hosts that are gone, back and in doubt, and the next command.

use crate::model::{counted, is_or_are};
use crate::run::{BatchState, CauseKind, HostDoubt, Outcome, RunDocument, TakenOver};

use super::capacity::subsystems_text;
use super::{Align, Table, Text, clean, hosts_text};

/// The most hosts of one batch that are listed; the document lists all of them.
const HOSTS_SHOWN: usize = 20;

/// The whole document as text.
pub(crate) fn run_text(run: &RunDocument) -> Text {
    let mut text = Text::of(&run_sentence(run));
    if let Some(next) = &run.next_command {
        text.copied("next", next);
        match run.next_command_at {
            Some(at) if at > run.ended_at => {
                text.field("", &format!("at once; where every host is can be proved from {at} on"));
            }
            Some(_) => text.field("", "at once"),
            None => {}
        }
    }
    text.blank();
    text.field("run", run.run.as_str());
    text.field("operator", run.operator.as_str());
    if let Some(reason) = &run.reason {
        text.field("reason", reason);
    }
    if let Some(id) = &run.request_id {
        text.field("request id", id.as_str());
    }
    text.field("plan", run.plan.as_str());
    text.field("time", &format!("{} to {}", run.started_at, run.ended_at));
    text.append(takeovers_text(&run.taken_over_by));
    if let Some(cause) = &run.cause {
        text.field("cause", &cause.message);
    }
    if let Some(recovery) = &run.recovery {
        text.field("readings", &recovery.message);
    }

    if !run.batches.is_empty() {
        text.blank();
        let mut table = Table::new(&[("batch", Align::Right), ("state", Align::Whole), ("hosts", Align::Left)]);
        for batch in &run.batches {
            let state = match batch.state {
                BatchState::Terminated => "terminated",
                BatchState::Restored => "restored",
                BatchState::Cordoned => "CORDONED",
                BatchState::Unknown => "UNKNOWN",
                BatchState::NotStarted => "not started",
            };
            table.row([&batch.number.to_string(), state, &hosts_text(&batch.hosts, HOSTS_SHOWN)]);
        }
        text.table(2, table);
    }
    text.append(subsystems_text("Subsystems, in units", &run.subsystems, &run.subsystem));

    text.blank();
    for (name, hosts) in [("gone", &run.terminated), ("back", &run.restored), ("dropped", &run.dropped)] {
        if !hosts.is_empty() {
            text.field(name, &hosts_text(hosts, HOSTS_SHOWN));
        } else if name == "gone" {
            text.field(name, "none");
        }
    }
    text.append(doubts_text(run));
    for warning in &run.warnings {
        text.field("warning", warning);
    }
    text
}

/// Every host in doubt, one line each, however many there are: a person must check each.
fn doubts_text(run: &RunDocument) -> Text {
    let known = |doubt: &HostDoubt| {
        let state = if doubt.cordoned { "CORDONED" } else { "UNKNOWN" };
        format!("{} {state}: {}", doubt.host, doubt.why)
    };
    // Of what a person gave up the warnings tell.
    let named = run.in_doubt.iter().filter(|host| run.doubts.iter().all(|doubt| doubt.host != **host));
    let lines: Vec<String> = run.doubts.iter().map(known).chain(named.map(ToString::to_string)).collect();
    let mut text = Text::default();
    if lines.is_empty() {
        text.field("in doubt", "none");
    }
    for (place, line) in lines.iter().enumerate() {
        text.field(if place == 0 { "in doubt" } else { "" }, line);
    }
    text
}

/// Who took a run over, one line each.
pub(crate) fn takeovers_text(takeovers: &[TakenOver]) -> Text {
    let mut text = Text::default();
    for by in takeovers {
        text.field("taken over", &format!("{} by {}, at {}", by.how, by.operator, by.at));
    }
    text
}

/// What became of the hosts that were cordoned and not terminated, none of which is in doubt.
fn back_text(run: &RunDocument) -> String {
    match run.dropped.len() {
        0 => "every cordoned host is back in service".to_owned(),
        1 => "1 host left by itself, every other cordoned host is back in service".to_owned(),
        n => format!("{n} hosts left by themselves, every other cordoned host is back in service"),
    }
}

/// How the run ended, in one sentence: the first line of the text, and the message on stderr.
pub(crate) fn run_sentence(run: &RunDocument) -> String {
    let gone = run.terminated.len();
    let asked: usize = run.batches.iter().map(|b| b.hosts.len()).sum();
    let of = format!("{gone} of {} {} gone", counted(asked, "host"), is_or_are(gone));
    let name = &run.subsystem;
    let text = match run.outcome {
        Outcome::Completed => format!("Run {} completed: {of} from {name}.", run.run),
        Outcome::Aborted => {
            let why = match run.cause.as_ref().map(|c| c.kind) {
                Some(CauseKind::Probe) => " on a regression",
                Some(CauseKind::Inconclusive) => " because its bake showed neither harm nor that there is none",
                Some(CauseKind::Hook) => " because a hook said no",
                Some(CauseKind::Rule) => " on a rule that no longer holds",
                Some(CauseKind::Inventory) => " on what the fleet showed",
                Some(CauseKind::Timeout) => " because something took too long",
                Some(CauseKind::Provider) => " because the provider refused or did not answer",
                Some(CauseKind::Internal) => " on an internal failure",
                Some(CauseKind::Ledger) => " because of the ledger",
                Some(CauseKind::Order) | None => "",
            };
            format!("Run {} aborted{why}: {of} from {name}, {}.", run.run, back_text(run))
        }
        Outcome::Halted => {
            format!("Run {} halted: {of} from {name}, {}.", run.run, back_text(run))
        }
        Outcome::NotStarted => format!("Run {} was granted nothing: nothing of {name} was touched.", run.run),
        Outcome::NeedsAttention if run.in_doubt.is_empty() => format!(
            "Run {} stopped and needs a person: {of} from {name}, no host is in doubt or still cordoned; the warnings \
             say what is left to do.",
            run.run
        ),
        Outcome::NeedsAttention => format!(
            "Run {} stopped and needs a person: {of} from {name}, {} in doubt or still cordoned.",
            run.run,
            run.in_doubt.len()
        ),
    };
    clean(&text).into_owned()
}
