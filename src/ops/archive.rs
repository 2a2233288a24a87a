//! Export and import of a ledger: to repair it, or to move it to another engine.
//!
//! An import creates another ledger. It has a new id, so that no run uses it before its hosts were adopted, and it
//! starts halted, so that a person checks it first. An import writes only where there is no ledger, or one in which
//! nothing has happened yet: `ledger init` creates such a ledger, and so does an import that was stopped right at its
//! beginning.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::coordination::{FleetRecord, Halt};
use crate::driver::{Unchanged, record_alone, update};
use crate::ledger::codec;
use crate::model::{FleetName, LedgerId, RunId, Time, chain};
use crate::policy::PolicySet;
use crate::ports::{Ledger, Written};
use crate::run::{EVENT_SCHEMA, Event, Failure, JournalRecord, has_ended, report};

use super::error::OperationError;
use super::reader::{LedgerReader, writable_ledger};
use super::{engines, environment, fleets, ids, process};

const SCHEMA: &str = "safe-remove/ledger-export/v1";

/// How many writes of others may come first: nobody else knows of a ledger that is being created.
const CONFLICTS: u32 = 3;

/// A whole ledger.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Archive {
    schema: String,
    fleet: FleetName,
    exported_at: Time,
    /// The record; a string where it is not even JSON.
    record: Value,
    /// Each run's journal, in order.
    journals: BTreeMap<RunId, Vec<Value>>,
    /// Journals that cannot be read, and why.
    unreadable: BTreeMap<RunId, String>,
}

/// The result of an import.
#[derive(Debug, Serialize)]
pub(crate) struct Imported {
    pub(crate) fleet: FleetName,
    pub(crate) ledger: LedgerId,
    pub(crate) place: String,
    pub(crate) replaces: LedgerId,
    pub(crate) journals: usize,
}

/// Exports everything that is there, decodable or not. Returns warnings as well.
///
/// # Errors
///
/// There is no ledger; it cannot be read.
pub(crate) async fn export(policies: &Path) -> Result<(Archive, Vec<String>), OperationError> {
    let policies = environment::policies(policies)?;
    let now = fleets::now(&policies.fleet);
    // Also exports a copy, and a ledger that went back: an export is the way to make a ledger of it again.
    let reader = LedgerReader::open_unchecked(&policies.fleet, now).await?;
    let ledger = reader.journals();
    let Some(text) = ledger.stored().await.map_err(OperationError::Ledger)? else {
        return Err(OperationError::NoSuch {
            message: format!("there is no ledger of fleet {} at {}", policies.fleet.name, place(&policies)),
            hint: Some("it is made by the first run, or by: safe-remove ledger init".to_owned()),
        });
    };
    let mut warnings = Vec::new();
    if let Some(displaced) = engines::displaced(&policies.fleet.ledger.kind)? {
        warnings
            .push(format!("this is not the ledger that was used last, and may lack what that has: {}", displaced.why));
    }
    match codec::decode_record(&text) {
        Ok(record) if record.runs.is_empty() => {}
        Ok(_) => {
            warnings.push("runs are under way or hold hosts: what they write from now on is not in this".to_owned())
        }
        Err(error) => warnings.push(format!("the record cannot be read, and is shown as it is: {}", chain(&error))),
    }
    let (mut journals, mut unreadable) = (BTreeMap::new(), BTreeMap::new());
    for run in ledger.runs(None).await.map_err(OperationError::Ledger)? {
        match ledger.journal(&run).await {
            Ok(journal) => {
                let records = journal.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
                let records = records.map_err(|error| OperationError::internal("a journal is no JSON", error))?;
                journals.insert(run, records);
            }
            Err(error) => {
                warnings.push(format!("the journal of run {run} cannot be read and is missing"));
                unreadable.insert(run, chain(&error));
            }
        }
    }
    let record = serde_json::from_str(&text).unwrap_or(Value::String(text));
    let fleet = policies.fleet.name.clone();
    let archive = Archive { schema: SCHEMA.to_owned(), fleet, exported_at: now, record, journals, unreadable };
    Ok((archive, warnings))
}

/// Checks the whole file first, then writes: a halted record, the journals, the whole record. Returns warnings as well.
///
/// # Errors
///
/// The file is not a whole export of this fleet; there is a ledger already; the new one cannot be written.
pub(crate) async fn import(policies: &Path, file: &Path) -> Result<(Imported, Vec<String>), OperationError> {
    let policies = environment::policies(policies)?;
    let now = fleets::now(&policies.fleet);
    let Read { record, journals, exported_at, missing } = read(file, &policies)?;
    let reader = LedgerReader::open(&policies.fleet, now).await?;
    let is_used = reader.exists() && !reader.journals().runs(None).await.map_err(OperationError::Ledger)?.is_empty();
    if is_used {
        return Err(not_imported(
            vec![format!("there is a ledger of fleet {} at {} already", policies.fleet.name, place(&policies))],
            "name an empty place under `[ledger]` in fleet.toml: an import never replaces a ledger",
        ));
    }
    // Stamped 0, and then with the time of the import: a clock that is wrong here must not refuse the first run later.
    let ledger = writable_ledger(&policies.fleet, Time::from_millis(0)).await?;
    let order = Halt {
        subsystem: None,
        operator: process::operator(&fleets::named_identity(&policies.fleet)),
        reason: Some(format!("imported from ledger {}: look before you lift it", record.ledger)),
        at: now,
    };
    let replaces = record.ledger.clone();
    let made = write(ledger.as_ref(), record, &journals, order).await.map_err(|why| {
        not_imported(
            vec![why, format!("the ledger at {} is not this one, or not all of it", place(&policies))],
            "begin again in another empty place: name it under `[ledger]` in fleet.toml",
        )
    })?;
    let mut warnings = vec![format!("what happened since {exported_at}, when it was exported, is not in it")];
    if !missing.is_empty() {
        let runs: Vec<String> = missing.iter().map(ToString::to_string).collect();
        warnings.push(format!("the journals of ended runs that could not be read are missing: {}", runs.join(", ")));
    }
    let imported = Imported {
        fleet: policies.fleet.name.clone(),
        ledger: made,
        place: place(&policies),
        replaces,
        journals: journals.len(),
    };
    Ok((imported, warnings))
}

/// A file that was decoded completely.
struct Read {
    record: FleetRecord,
    journals: Vec<Vec<JournalRecord>>,
    exported_at: Time,
    /// Ended runs whose journals are not in the file.
    missing: Vec<RunId>,
}

fn read(file: &Path, policies: &PolicySet) -> Result<Read, OperationError> {
    const REPAIR: &str = "correct the file, or export again: safe-remove ledger export";
    let wrong = |causes| not_imported(causes, REPAIR);
    let text = std::fs::read_to_string(file)
        .map_err(|error| OperationError::usage(format!("{} cannot be read: {error}", file.display()), REPAIR))?;
    let archive: Archive = serde_json::from_str(&text)
        .map_err(|error| wrong(vec![format!("{} is not an export: {error}", file.display())]))?;
    if archive.schema != SCHEMA {
        return Err(wrong(vec![format!("it is of schema {}; this version reads {SCHEMA}", archive.schema)]));
    }
    let record = codec::decode_record(&archive.record.to_string())
        .map_err(|error| wrong(vec!["its `record` cannot be used".to_owned(), chain(&error)]))?;
    if record.fleet != policies.fleet.name || archive.fleet != policies.fleet.name {
        return Err(wrong(vec![format!(
            "it is of fleet {}, and the policies name {}",
            record.fleet, policies.fleet.name
        )]));
    }
    // S7: a run without a journal is taken for a run that never sent a call, and its hosts would be released as they
    // are.
    if let Some((run, why)) = archive.unreadable.iter().find(|(run, _)| record.runs.contains_key(*run)) {
        return Err(not_imported(
            vec![
                format!("run {run} is under way by the record, and its journal could not be read: {why}"),
                "so nobody can tell which of its hosts are out of service".to_owned(),
            ],
            "put the hosts of that run in `record.runs` back into service by hand, take the run out of there and out \
             of `unreadable`, and import again",
        ));
    }
    let mut journals = Vec::new();
    for (run, records) in archive.journals {
        let mut journal = Vec::new();
        for (next, record) in (0_u64..).zip(records) {
            let record = codec::decode_event(&record.to_string())
                .map_err(|error| wrong(vec![format!("record {next} of run {run} cannot be used"), chain(&error)]))?;
            if record.seq != next || record.run != run {
                return Err(wrong(vec![format!("the journal of run {run} is not whole: record {next} is missing")]));
            }
            journal.push(record);
        }
        journals.push(journal);
    }
    // S7: such a run could be taken over, and nothing would reserve its hosts meanwhile.
    for journal in journals.iter().filter(|journal| !has_ended(journal)) {
        let Some(open) = report(journal).filter(|open| !record.runs.contains_key(&open.run)) else { continue };
        if let Some(host) = open.in_doubt.first() {
            return Err(wrong(vec![format!(
                "host {host} is out of service by the journal of run {}, which the record does not know",
                open.run
            )]));
        }
    }
    let missing = archive.unreadable.into_keys().collect();
    Ok(Read { record, journals, exported_at: archive.exported_at, missing })
}

/// Writes the ledger, halted from its first write on. Returns the new ledger's id.
async fn write(
    ledger: &dyn Ledger,
    old: FleetRecord,
    journals: &[Vec<JournalRecord>],
    order: Halt,
) -> Result<LedgerId, String> {
    let halted = std::slice::from_ref(&order);
    let begin = |there: &FleetRecord| {
        let fresh = FleetRecord::new(there.ledger.clone(), there.fleet.clone(), there.written_at);
        let is_fresh = *there == fresh;
        is_fresh.then(|| FleetRecord { halts: halted.to_vec(), ..fresh }).ok_or("it is in use already")
    };
    change(ledger, begin).await?;
    for record in journals.iter().flatten() {
        append(ledger, record).await?;
    }
    let ordered = JournalRecord {
        schema: EVENT_SCHEMA.to_owned(),
        run: ids::order_id(),
        seq: 0,
        at: order.at,
        event: Event::HaltOrdered { order: order.clone() },
    };
    append(ledger, &ordered).await?;
    let halts: Vec<Halt> = old.halts.iter().chain(halted).cloned().collect();
    change(ledger, |now| {
        let mut imported = FleetRecord { ledger: now.ledger.clone(), halts: halts.clone(), ..old.clone() };
        // The record's time is now, whatever clock wrote the old record last.
        imported.set_time(order.at);
        Ok(imported)
    })
    .await
}

async fn change(
    ledger: &dyn Ledger,
    next: impl Fn(&FleetRecord) -> Result<FleetRecord, &'static str>,
) -> Result<LedgerId, String> {
    let changed = update(ledger, CONFLICTS, |record| next(record).map(|next| (Some(next), record.ledger.clone())));
    changed.await.map_err(|why| match why {
        Unchanged::Refused(why) => why.to_owned(),
        Unchanged::Busy(_) => "somebody else writes to it".to_owned(),
        Unchanged::Lost(error) => chain(&error),
    })
}

async fn append(ledger: &dyn Ledger, record: &JournalRecord) -> Result<(), String> {
    match record_alone(ledger, record).await {
        Ok(Written::Acknowledged(())) => Ok(()),
        Ok(Written::Conflict) => Err(format!("somebody else wrote record {} of run {}", record.seq, record.run)),
        Err(error) => Err(chain(&error)),
    }
}

fn place(policies: &PolicySet) -> String {
    policies.fleet.ledger.kind.place()
}

fn not_imported(causes: Vec<String>, hint: &'static str) -> OperationError {
    OperationError::NotStarted {
        failure: Failure::Ledger,
        message: "the ledger cannot be imported".to_owned(),
        causes,
        hint,
    }
}
