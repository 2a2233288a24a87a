//! What the run makes of an answer: knowledge first, and a stop where what is known asks for one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::coordination::{FleetRecord, Granted, HostOutcome, Refusal};
use crate::health::{self, BakeVerdict};
use crate::model::{Call, CallOutcome, Effect, HostId, ProbeKey, Time, duration_text};
use crate::plan::Stage;

use super::action::{Finish, Loss, NotStarted, Observation, RecordUpdate, Response};
use super::cause::{plain, violation};
use super::machine::{Machine, Phase, Todo};
use super::{Cause, CauseKind, Event, timeouts};

impl Machine {
    pub(super) fn handle(&mut self, response: Response, now: Time) {
        let awaited = self.awaiting.take();
        match (awaited, response) {
            (_, Response::Begin) | (Some(Todo::Sleep { .. }), Response::Woke) => {}
            (Some(Todo::Record(event)), Response::Recorded) => {
                self.is_opened |= matches!(event, Event::RunOpened { .. });
                // `offline_until` is counted from what the journal says, so that whoever takes over counts the same.
                if self.offline && !self.offline_notice_sent && !matches!(self.phase, Phase::Closing { .. }) {
                    self.send_offline_notice();
                }
                self.acked_at = self.journal.last().map(|record| record.at);
                self.offline = false;
            }
            (Some(Todo::Record(event)), Response::Lost(loss)) => self.lost(&loss, Some(&event), now),
            (Some(Todo::RecordUpdate(change)), Response::Changed(granted)) => self.changed(change, &granted, now),
            (Some(Todo::RecordUpdate(change)), Response::Refused(refusal)) => self.refused(&change, refusal, now),
            (
                Some(Todo::RecordUpdate(RecordUpdate::Grant { batch, hosts, snapshot, .. })),
                Response::Lost(Loss::Unreachable(why)),
            ) => {
                // Schedule 13: the grant may be written. What may be reserved is named, and let go of like what is.
                if self.begun {
                    self.hold(batch, &hosts, &snapshot);
                }
                let named: Vec<&str> = hosts.keys().map(HostId::as_str).collect();
                let why = format!("{why}; run {} may have reserved {}", self.spec.identity.run, named.join(", "));
                self.lost(&Loss::Unreachable(why), None, now);
            }
            // A convenience for later runs: what else is left to say shows whether the ledger is lost.
            (Some(Todo::RecordUpdate(RecordUpdate::Forget { .. })), Response::Lost(Loss::Unreachable(_))) => {}
            // The journal has ended: what the record still lists of the run is in nobody's way.
            (Some(Todo::RecordUpdate(RecordUpdate::End { .. })), Response::Lost(Loss::Unreachable(_))) => {}
            (Some(Todo::RecordUpdate(_)), Response::Lost(loss)) => self.lost(&loss, None, now),
            (Some(Todo::Observe { .. }), Response::Observed(observation)) => self.observed(*observation, now),
            (Some(Todo::Send { call, intent }), Response::Answered(outcome)) => {
                self.answered(call, &intent, outcome, now)
            }
            // The driver answers each act with its own kind of input; anything else changes nothing it could harm.
            (Some(todo), _) => self.queue.push_front(todo),
            (None, _) => {}
        }
    }

    /// The ledger did not take a write.
    fn lost(&mut self, loss: &Loss, event: Option<&Event>, now: Time) {
        if let Some(why) = self.withdrawing.take() {
            // It took nothing, and whoever looks after it finds that out.
            self.finish(Finish::NotStarted(why));
            return;
        }
        match loss {
            Loss::Fenced(_) if !self.is_opened => {
                // S9: of calls with one request id that start together one begins the journal; the others report it.
                let run = self.spec.identity.run.clone();
                self.finish(Finish::NotStarted(NotStarted::Consumed { run }));
            }
            Loss::Fenced(why) => {
                if matches!(event, Some(Event::RunEnded { .. })) {
                    // The journal has no such end: how the run ends is another process's to say.
                    self.journal.pop();
                }
                // S9: another process has the run. Nothing more is sent, not even a restore.
                self.attention = true;
                self.taken_by = Some(why.clone());
                let cause = plain(CauseKind::Ledger, format!("this run was taken over: {why}"));
                self.cause = Some(cause.clone());
                if self.begun && self.calls > 0 {
                    // Kept for the document only: the journal is another process's now.
                    let _ = self.journalled(Event::Stopped { cause }, now);
                    self.finish(Finish::Ended);
                } else {
                    self.finish(Finish::NotStarted(NotStarted::TakenOver(cause.message)));
                }
            }
            Loss::Unreachable(why) => {
                self.stop_for_what_came_meanwhile(now);
                if matches!(self.phase, Phase::Closing { .. }) {
                    // S7: what the ledger was not told somebody must tell it.
                    self.attention = true;
                }
                // Half of the limit is for waiting, half for putting back.
                let limit = self.settings().offline_limit / 2;
                let bearable = self.acked_at.is_some_and(|at| now.since(at) < limit);
                if matches!(event, Some(Event::Sampled { .. })) && bearable && !self.is_stopping() {
                    // No effect hangs on it: the bake goes on being watched, and nothing starts without the ledger.
                    return;
                }
                if self.offline {
                    // S7 outranks S5 for a restore, and only until `offline_until`, which its deadline already is:
                    // its send stays in the queue.
                    return;
                }
                self.offline = true;
                if let Some(Event::CallIntended { call, .. }) = event {
                    // S5: no acknowledged intent, no effect.
                    let call = *call;
                    self.queue.retain(|t| !matches!(t, Todo::Send { call: c, .. } if *c == call));
                    if let Some(intent) = self.in_flight.remove(&call) {
                        let outcome = CallOutcome::Refused {
                            message: "not sent: the ledger did not take its intent".to_owned(),
                            retryable: true,
                        };
                        self.answered(call, &intent, outcome, now);
                    }
                }
                if self.calls == 0 {
                    let reserved: Vec<&str> = self.reserved.keys().map(HostId::as_str).collect();
                    let reserved = if reserved.is_empty() {
                        String::new()
                    } else {
                        format!("; it may still hold {}", reserved.join(", "))
                    };
                    self.finish(Finish::NotStarted(NotStarted::Ledger(format!("{why}{reserved}"))));
                    return;
                }
                if self.is_stopping() {
                    return;
                }
                let cause = plain(CauseKind::Ledger, format!("the ledger cannot be reached: {why}"));
                self.stop(cause, Some(NotStarted::Ledger(why.clone())), now);
            }
        }
    }

    /// Takes in a look: what is seen of the held hosts, halts, probes, rules.
    pub(super) fn observed(&mut self, observation: Observation, now: Time) {
        let observation = Arc::new(observation);
        self.observation = Some(Arc::clone(&observation));
        if observation.probed {
            self.probed_at = Some(observation.begun_at);
        }
        match &observation.record {
            Ok(record) => self.read(record, observation.taken_over_by.as_deref(), now),
            Err(why) => {
                let limit = self.settings().offline_limit / 2;
                let silent = self.acked_at.is_none_or(|at| now.since(at) > limit);
                if silent && !self.is_stopping() && !self.glimpsing {
                    self.offline = true;
                    let cause = plain(CauseKind::Ledger, format!("the ledger cannot be read: {why}"));
                    self.stop(cause, Some(NotStarted::Ledger(why.clone())), now);
                }
            }
        }
        match &observation.fleet {
            Ok(snapshot) => {
                self.blind_observations = 0;
                self.snapshot = Some(Arc::clone(snapshot));
                for reserved in self.reserved.values_mut() {
                    reserved.observe(snapshot);
                }
                for group in self.groups.values_mut() {
                    group.suspend.observations = group.suspend.observations.saturating_add(1);
                    group.resume.observations = group.resume.observations.saturating_add(1);
                }
            }
            Err(blind) => {
                self.blind_observations += 1;
                if !self.glimpsing {
                    self.queue.push_front(Todo::Sleep { until: now.plus(timeouts::CALL_PAUSE) });
                }
                if !self.is_stopping()
                    && (blind.contradictory || self.blind_observations >= timeouts::BLIND_OBSERVATIONS)
                {
                    let kind = if blind.contradictory { CauseKind::Inventory } else { CauseKind::Provider };
                    let cause = plain(kind, blind.message.clone());
                    self.stop(cause, Some(NotStarted::Blind(blind.message.clone())), now);
                }
            }
        }
        if !self.is_stopping() && observation.fleet.is_ok() {
            self.judge_fleet(now);
        }
        if !self.is_stopping() && observation.probed {
            self.judge_health(&observation, now);
        }
        if observation.probed
            && matches!(self.phase, Phase::Cordoning { .. } | Phase::Baking { .. } | Phase::Verifying { .. })
        {
            let batch = self.batch().map_or(0, |b| b.0);
            self.queue.push_back(Todo::Record(Event::Sampled { batch, readings: readings(&observation) }));
        }
    }

    fn read(&mut self, record: &Arc<FleetRecord>, taken_over_by: Option<&str>, now: Time) {
        let is_first_look = self.record.replace(Arc::clone(record)).is_none();
        if let Err(other) = record.is_of(&self.spec.fleet) {
            let message = other.to_string();
            self.stop(plain(CauseKind::Inventory, message.clone()), Some(NotStarted::OtherFleet(message)), now);
            return;
        }
        if let Some(why) = self.is_anothers(record) {
            self.lost(&Loss::Fenced(taken_over_by.map_or(why, str::to_owned)), None, now);
            return;
        }
        self.on_halt(record, is_first_look, now);
    }

    /// S9: who acts for the run, if the record says that it is not this process any more.
    fn is_anothers(&self, record: &FleetRecord) -> Option<String> {
        let identity = &self.spec.identity;
        match record.runs.get(&identity.run) {
            Some(entry) if entry.epoch != identity.epoch || entry.process != identity.process => {
                let (pid, host) = (entry.process.pid, &entry.process.host);
                Some(format!("process {pid} on {host} acts for it, epoch {}", entry.epoch))
            }
            // The record lets go of a run at its end, and where whoever took it over has ended it.
            None if !self.reserved.is_empty() && self.unreported.is_empty() => {
                Some("the record has let go of it".to_owned())
            }
            Some(_) | None => None,
        }
    }

    /// S2, S3: a probe that is bad or cannot be read, as often as its policy bears, is a regression.
    fn judge_health(&mut self, observation: &Observation, now: Time) {
        let shown =
            observation.fleet.is_ok() && self.batch_reserved().all(super::reservation::ReservedHost::is_cordoned);
        let regressions = if let Phase::Baking { bake } = &mut self.phase {
            let verdict = if shown {
                bake.fold(&health::Round {
                    begun_at: observation.begun_at,
                    ended_at: observation.ended_at,
                    samples: observation.samples.clone(),
                    // Where the fleet does not hold, the run was stopped before this.
                    fleet_holds: true,
                })
            } else {
                // A round that did not show the batch cordoned is no link of the chain; an alarm in it counts all the same.
                bake.fold_unseen(observation.begun_at, &observation.samples)
            };
            match verdict {
                BakeVerdict::Regressed { probes, .. } => probes,
                BakeVerdict::Baking { restarted: Some(gap) } => {
                    self.bake_broke(gap, now);
                    return;
                }
                BakeVerdict::Baking { restarted: None } => return,
                BakeVerdict::Clean { .. } => {
                    if shown {
                        self.baked();
                    }
                    return;
                }
            }
        } else if let Some(watch) = &mut self.watch {
            watch.round(&observation.samples)
        } else {
            return;
        };
        for regression in regressions {
            let cause = Cause {
                kind: CauseKind::Probe,
                rule: None,
                probe: Some(regression.key.to_string()),
                message: format!("probe {} {}", regression.key, regression.message),
                measured: regression.measured,
                limit: regression.limit,
            };
            let refused = violation(
                crate::plan::Rule::UnhealthyNow,
                Some(regression.key.subsystem.clone()),
                cause.message.clone(),
            );
            self.stop(cause, Some(NotStarted::Rules(vec![refused])), now);
        }
    }

    /// S2: the bake begins again, but not for ever.
    pub(super) fn bake_broke(&mut self, gap: health::Gap, now: Time) {
        let Phase::Baking { bake } = &self.phase else { return };
        let batch = self.batch().map_or(0, |b| b.0);
        let gap_ms = u64::try_from(gap.length.as_millis()).unwrap_or(u64::MAX);
        let restarts = bake.progress(now).restarts;
        self.queue.push_back(Todo::Record(Event::BakeRestarted { batch, gap_ms }));
        if restarts >= timeouts::BAKE_RESTARTS {
            let message = format!(
                "the bake broke {restarts} times because sampling took too long or the clock was set back, the last time for \
                 {}",
                duration_text(gap.length)
            );
            self.stop(plain(CauseKind::Timeout, message), None, now);
        }
    }

    /// S1: while hosts are out, every rule must hold as if they were gone; and they must be where the run put them.
    fn judge_fleet(&mut self, now: Time) {
        let is_out = matches!(
            self.phase,
            Phase::TakingOver { .. } | Phase::Cordoning { .. } | Phase::Baking { .. } | Phase::Terminating { .. }
        );
        if !is_out {
            return;
        }
        if matches!(self.phase, Phase::Baking { .. }) {
            // S2: a bake is worth nothing for a host that serves meanwhile (schedule 5).
            // "In service" from a read that may lie before the cordon's reply proves nothing (protocol section 5).
            let bounds = self.spec.bounds;
            let wandered = self.batch_reserved().find(|h| !h.is_cordoned() && !h.may_be_seen_late(bounds));
            if let Some(reserved) = wandered {
                let message = format!("host {} left its cordon by itself: {}", reserved.id, reserved.doubt());
                self.stop(plain(CauseKind::Inventory, message), None, now);
                return;
            }
        }
        match self.violations(BTreeSet::new(), Stage::Hold, now) {
            Ok(violations) => {
                if !violations.is_empty() {
                    self.stop_for_rules(&violations, NotStarted::Rules(violations.clone()), now);
                }
            }
            Err(message) => self.stop(plain(CauseKind::Inventory, message), None, now),
        }
    }

    /// Takes in what is known of a call and queues its record.
    pub(super) fn answered(&mut self, call: u64, intent: &Call, outcome: CallOutcome, now: Time) {
        self.in_flight.remove(&call);
        let bounds = self.spec.bounds;
        let group = match &intent.effect {
            Effect::Suspend { group, .. } => self.groups.get_mut(group).map(|g| &mut g.suspend),
            Effect::Resume { group, .. } => self.groups.get_mut(group).map(|g| &mut g.resume),
            Effect::Cordon { .. } | Effect::Restore { .. } | Effect::Terminate { .. } | Effect::Adopt { .. } => None,
        };
        if let Some(calls) = group {
            calls.answered(&outcome, intent.not_after, bounds, now);
        }
        for id in intent.effect.hosts() {
            let Some(reserved) = self.reserved.get_mut(id) else { continue };
            let calls = match &intent.effect {
                Effect::Cordon { .. } => &mut reserved.cordon,
                Effect::Restore { .. } => &mut reserved.restore,
                Effect::Terminate { .. } => &mut reserved.terminate,
                Effect::Suspend { .. } | Effect::Resume { .. } | Effect::Adopt { .. } => continue,
            };
            calls.answered(&outcome, intent.not_after, bounds, now);
        }
        self.queue.push_front(Todo::Record(Event::CallAnswered { call, outcome }));
    }

    /// The record took a change.
    fn changed(&mut self, change: RecordUpdate, granted: &Granted, now: Time) {
        match change {
            RecordUpdate::Enlist { .. } => {
                self.is_enlisted = true;
                self.phase = Phase::Reference { observations: Vec::new(), next_at: now };
                // What was seen so far was seen without the probes.
                self.observation = None;
            }
            RecordUpdate::Grant { batch, hosts, snapshot, .. } => self.granted(batch, &hosts, &snapshot, granted),
            RecordUpdate::StartTermination { .. } => {
                let batch = self.batch().map_or(0, |b| b.0);
                self.phase = Phase::Terminating { granted: true };
                self.queue.push_back(Todo::Record(Event::TerminationStarted { batch }));
            }
            RecordUpdate::Resolve { outcomes } => {
                for (host, outcome) in outcomes {
                    self.unreported.remove(&host);
                    match outcome {
                        HostOutcome::Settling(_) => {}
                        HostOutcome::Removed(_)
                        | HostOutcome::Restored
                        | HostOutcome::NeverCordoned
                        | HostOutcome::GivenUp => {
                            self.reserved.remove(&host);
                        }
                    }
                }
            }
            RecordUpdate::RequireSuspension { group, .. } => {
                self.groups.entry(group.clone()).or_default();
                self.queue.push_back(Todo::Record(Event::GroupHeld { group }));
            }
            RecordUpdate::ReleaseSuspension { group } => self.released(&group, granted),
            RecordUpdate::Forget { .. } => {}
            RecordUpdate::End { .. } => {}
        }
    }

    /// The record refused a change.
    fn refused(&mut self, change: &RecordUpdate, refusal: Refusal, now: Time) {
        match (change, refusal) {
            // It took nothing, and has said so.
            (RecordUpdate::End { .. }, _) if self.withdrawing.is_some() => {}
            (_, Refusal::Fenced { why, .. }) => self.lost(&Loss::Fenced(why), None, now),
            (RecordUpdate::Enlist { .. }, refusal) => self.not_enlisted(refusal, now),
            (RecordUpdate::Grant { .. }, refusal) => self.grant_refused(refusal, now),
            (RecordUpdate::StartTermination { .. }, Refusal::Stale { .. }) => {
                self.queue.push_back(Todo::Observe { probes: true })
            }
            (RecordUpdate::RequireSuspension { .. }, Refusal::Wait { until, .. }) => {
                // S6: it may be a quarter of an hour; orders are seen meanwhile.
                self.observe_at(until, now);
            }
            (RecordUpdate::Forget { .. }, _) => {}
            // What is over cannot be refused by a rule: the record and the run disagree, and a person must look.
            (RecordUpdate::Resolve { outcomes }, refusal) => {
                self.attention = true;
                let message = format!("the ledger does not take what became of the hosts: {refusal}");
                self.stop(plain(CauseKind::Ledger, message.clone()), None, now);
                self.queue.push_back(Todo::Record(Event::Warned { message }));
                if matches!(self.phase, Phase::Restoring { .. }) {
                    // S7: the others are put back all the same; the record is told once more at the end.
                    self.reserved.retain(|id, _| !outcomes.contains_key(id));
                    self.unreported.extend(outcomes.iter().map(|(id, outcome)| (id.clone(), outcome.clone())));
                }
            }
            (RecordUpdate::ReleaseSuspension { group }, refusal) => {
                self.attention = true;
                self.unreleased(group, &refusal.to_string());
            }
            // The journal has ended, and nothing is held that it does not name: `status` shows what the record keeps.
            (RecordUpdate::End { .. }, _) => {}
            (RecordUpdate::StartTermination { .. } | RecordUpdate::RequireSuspension { .. }, refusal) => {
                let violations = match refusal {
                    Refusal::Rules(violations) | Refusal::Race(violations) => violations,
                    // S4: what asks to wait at this step is a budget, and a budget is a rule: the ledger works.
                    Refusal::Wait { why, .. } => vec![violation(crate::plan::Rule::Budget, None, why)],
                    Refusal::OtherFleet { .. }
                    | Refusal::Reference { .. }
                    | Refusal::Full { .. }
                    | Refusal::Stale { .. }
                    | Refusal::Clock { .. }
                    | Refusal::Fenced { .. }
                    | Refusal::Assess(_)
                    | Refusal::Illegal(_) => {
                        self.stop(plain(CauseKind::Ledger, refusal.to_string()), None, now);
                        return;
                    }
                };
                self.stop_for_rules(&violations, NotStarted::Rules(violations.clone()), now);
            }
        }
    }
}

/// What the probes read, for the journal: a number, or words.
pub(super) fn readings(observation: &Observation) -> BTreeMap<ProbeKey, String> {
    observation
        .samples
        .iter()
        .map(|s| {
            let text = match &s.reading {
                Ok(crate::model::Reading::Number(value)) => value.to_string(),
                Ok(crate::model::Reading::Good) => "good".to_owned(),
                Err(why) => why.clone(),
            };
            (s.key.clone(), text)
        })
        .collect()
}
