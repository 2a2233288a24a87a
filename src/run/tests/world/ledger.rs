//! The ledger of a [`World`]: the one journal and the record, and when neither answers.

use std::collections::BTreeSet;

use super::World;
use crate::coordination::{Context, decide};
use crate::run::{JournalRecord, Loss, RecordUpdate, Response, Spec};

impl World {
    pub(in crate::run::tests) fn is_ledger_lost(&self) -> bool {
        self.ledger_lost_at.is_some_and(|at| self.now >= at) && self.ledger_back_at.is_none_or(|at| self.now < at)
    }

    /// What was lost before it comes first, as the driver has it.
    pub(super) fn append_all(&mut self, record: JournalRecord) -> Response {
        self.backlog.push(record);
        while let Some(first) = self.backlog.first().cloned() {
            match self.append(&first) {
                Response::Recorded => _ = self.backlog.remove(0),
                lost => return lost,
            }
        }
        Response::Recorded
    }

    pub(super) fn append(&mut self, record: &JournalRecord) -> Response {
        if self.is_ledger_lost() {
            return Response::Lost(Loss::Unreachable("the disk is gone".to_owned()));
        }
        if let Some(there) = usize::try_from(record.seq).ok().and_then(|seq| self.journal.get(seq)) {
            let by = format!("record {} is {:?}", record.seq, there.event);
            return Response::Lost(Loss::Fenced(by));
        }
        assert_eq!(record.seq, self.journal.len() as u64, "journals have no gaps");
        let text = serde_json::to_string(record).expect("records can be written");
        let back: JournalRecord = serde_json::from_str(&text).expect("records can be read back");
        assert_eq!(&back, record, "a record reads back as it was");
        self.journal.push(record.clone());
        Response::Recorded
    }

    pub(super) fn change(&mut self, spec: &Spec, change: &RecordUpdate) -> Response {
        if self.is_ledger_lost() {
            return Response::Lost(Loss::Unreachable("the disk is gone".to_owned()));
        }
        let context = Context {
            policies: &self.policies,
            identity: &spec.fleet,
            bounds: self.bounds,
            now: self.now,
            silent: &BTreeSet::new(),
            room: None,
        };
        match decide(&self.record, &change.command(&spec.identity), &context) {
            Ok((next, granted)) => {
                self.record = next;
                Response::Updated(granted)
            }
            Err(refusal) => Response::Refused(refusal),
        }
    }
}
