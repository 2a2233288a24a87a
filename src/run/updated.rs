//! The record's answer to an update: an accepted update is taken in; a refused one becomes a wait or a reason to stop.

use crate::coordination::{Granted, HostOutcome, Refusal};
use crate::model::Time;
use crate::plan::Rule;

use super::action::RecordUpdate;
use super::machine::Machine;
use super::phase::{BatchStep, Phase};
use super::reason::{Reason, violation};
use super::{Event, Loss};

impl Machine {
    /// The record took an update.
    pub(super) fn updated(&mut self, update: RecordUpdate, granted: &Granted, now: Time) {
        match update {
            RecordUpdate::Enlist { .. } => {
                self.link.is_enlisted = true;
                self.phase = Phase::reference_from(now);
                // The observations so far did not read the probes.
                self.observed.newest = None;
            }
            RecordUpdate::Grant { asking: Some(asking), .. } => self.asked(&asking),
            RecordUpdate::Pause { order } => self.paused_itself(granted.pause.clone().unwrap_or(order), now),
            RecordUpdate::Grant { batch, hosts, snapshot, asking: None, .. } => {
                self.granted(batch, &hosts, &snapshot, granted)
            }
            RecordUpdate::StartTermination { hosts, .. } => {
                for host in self.reservations.hosts.values_mut().filter(|host| hosts.contains(&host.id)) {
                    host.is_started = true;
                }
                if let Phase::InBatch(batch) = &mut self.phase {
                    batch.step = BatchStep::Terminating { granted: true };
                    let batch = batch.number;
                    self.record(Event::TerminationStarted { batch });
                }
            }
            RecordUpdate::Resolve { outcomes } => {
                for (host, outcome) in outcomes {
                    self.link.unreported.remove(&host);
                    match outcome {
                        HostOutcome::Settling(_) => {}
                        HostOutcome::Removed(_)
                        | HostOutcome::Restored
                        | HostOutcome::NeverCordoned
                        | HostOutcome::GivenUp => {
                            self.reservations.hosts.remove(&host);
                        }
                    }
                }
            }
            RecordUpdate::RequireSuspension { group, .. } => {
                self.reservations.groups.entry(group.clone()).or_default();
                self.record(Event::GroupHeld { group });
            }
            RecordUpdate::ReleaseSuspension { group } => self.released(&group, granted),
            RecordUpdate::SeeRemoval { .. } => {
                self.calls.is_removal_seen = true;
                if matches!(self.phase, Phase::Opening { .. }) {
                    self.phase = Phase::opening_at(now);
                }
            }
            RecordUpdate::Forget { .. } | RecordUpdate::End { .. } => {}
        }
    }

    /// The record refused an update.
    pub(super) fn refused(&mut self, update: &RecordUpdate, refusal: Refusal, now: Time) {
        match (update, refusal) {
            // It took nothing, and has said so.
            (RecordUpdate::End { .. }, _) if matches!(self.phase, Phase::Withdrawing { .. }) => {}
            (_, Refusal::Fenced { why, .. }) => self.lost(&Loss::Fenced(why), None, now),
            (RecordUpdate::Enlist { .. }, Refusal::Stale { .. }) => {
                if let Err(reason) = self.observe_again(false) {
                    self.stop(reason, now);
                }
            }
            (RecordUpdate::Enlist { .. } | RecordUpdate::Grant { .. }, refusal) => {
                if let Err(reason) = self.not_granted(refusal, now) {
                    self.stop(reason, now);
                }
            }
            (RecordUpdate::StartTermination { .. }, Refusal::Stale { .. }) => self.observe(true),
            (RecordUpdate::RequireSuspension { .. }, Refusal::Wait { until, .. }) => {
                // S6: it may be a quarter of an hour; orders are seen meanwhile.
                self.observe_at(until, now);
            }
            // No rule can refuse an outcome: the record and the run disagree, and a person must look.
            (RecordUpdate::Resolve { outcomes }, refusal) => {
                self.stopping.attention = true;
                let message = format!("the ledger does not take what became of the hosts: {refusal}");
                self.stop(Reason::Ledger(message.clone()), now);
                self.record(Event::Warned { message });
                if matches!(self.phase, Phase::Restoring { .. }) {
                    // S7: the others are put back all the same; the record is told once more at the end.
                    self.reservations.hosts.retain(|id, _| !outcomes.contains_key(id));
                    self.link.unreported.extend(outcomes.iter().map(|(id, outcome)| (id.clone(), outcome.clone())));
                }
            }
            (RecordUpdate::ReleaseSuspension { group }, refusal) => {
                self.stopping.attention = true;
                self.unreleased(group, &refusal.to_string());
            }
            // `End`: the journal has ended, and nothing is held that it does not name: `status` shows what the record keeps.
            (RecordUpdate::Forget { .. } | RecordUpdate::End { .. }, _) => {}
            (
                RecordUpdate::StartTermination { .. }
                | RecordUpdate::RequireSuspension { .. }
                | RecordUpdate::SeeRemoval { .. }
                | RecordUpdate::Pause { .. },
                refusal,
            ) => {
                self.stop(not_taken(refusal), now);
            }
        }
    }
}

/// Why a batch under way stops that the record does not let go on.
fn not_taken(refusal: Refusal) -> Reason {
    match refusal {
        Refusal::Rules(violations) | Refusal::Race(violations) => Reason::Rules(violations),
        // S4: what asks to wait at this step is a budget, and a budget is a rule: the ledger works.
        Refusal::Wait { why, .. } => Reason::Rules(vec![violation(Rule::Budget, None, why)]),
        Refusal::OtherFleet { .. }
        | Refusal::Reference { .. }
        | Refusal::Full { .. }
        | Refusal::Stale { .. }
        | Refusal::Clock { .. }
        | Refusal::Fenced { .. }
        | Refusal::Assess(_)
        | Refusal::Illegal(_) => Reason::Ledger(refusal.to_string()),
    }
}
