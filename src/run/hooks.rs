//! Hooks: the system that is shrunk is asked about a batch, and told to drain its hosts.
//!
//! All hooks of a stage are called at once, each for the hosts of its own subsystem. Their calls are intents like any other
//! (S5), and are repeated after a crash: whoever takes the run over asks anew. Health is watched meanwhile, and a stop gives
//! up what was asked (S6). No answer, or one that cannot be understood, is no.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{HookAnswer, HookCall, HookHost, HookKey, HookStage, HostId, SubsystemName, Time, duration_text};
use crate::policy::HookSpec;

use super::action::Action;
use super::hook_calls::{Question, Round, State, Verdict};
use super::machine::{Machine, Next};
use super::reason::Reason;
use super::{Event, timeouts};

impl Machine {
    /// Takes in the answer of a hook, whenever it comes.
    pub(crate) fn hook_answered(&mut self, call: u64, answer: HookAnswer) {
        self.hooks.arrived.push((call, answer));
    }

    /// Whether the answer to a call is still wanted: a hook that is not heard any more is to be ended.
    pub(crate) fn awaits_hook(&self, call: u64) -> bool {
        self.hooks.open.contains_key(&call)
    }

    /// Asks every hook of the stage whose subsystem has hosts in the question, and says what they say together.
    ///
    /// # Errors
    ///
    /// [`Reason::Hook`], [`Reason::Deferred`]: one says no, or asks for more time than there is.
    pub(super) fn ask_hooks(&mut self, question: Question, now: Time) -> Result<Verdict, Reason> {
        if self.observed.fleet.is_none() {
            // S3: without it nobody can tell whom to ask.
            self.observe_again(false)?;
            return Ok(Verdict::Awaited);
        }
        let due = self.hooks_of(question.on, &question.hosts);
        if due.is_empty() {
            return Ok(Verdict::Allowed);
        }
        let mut round = match self.hooks.round.take() {
            Some(round) if round.question == question && !round.is_over(now) => round,
            Some(_) | None => Round::new(question, now),
        };
        let verdict = self.ask_round(&mut round, due, now);
        self.hooks.round = Some(round);
        verdict
    }

    fn ask_round(
        &mut self,
        round: &mut Round,
        due: BTreeMap<HookKey, (HookSpec, BTreeSet<HostId>)>,
        now: Time,
    ) -> Result<Verdict, Reason> {
        // Answers that grow old before the last one comes are asked for again, but not for ever.
        let most = self.spec.hook_wait.max(timeouts::CONSULT_LIFE * 10);
        if round.question.on == HookStage::Consult && now.since(round.since) > most {
            let message = format!("the hooks did not agree within {}", duration_text(most));
            return Err(Reason::Hook { key: None, message });
        }
        let (mut kept, mut again_at) = (round.question.hosts.clone(), None::<Time>);
        for (key, (spec, hosts)) in due {
            let asked = round.asked.entry(key.clone()).or_default();
            match &asked.state {
                State::Open => again_at = earlier(again_at, self.poll_at(now)),
                State::Waits { until, .. } if now < *until => {
                    again_at = earlier(again_at, *until);
                }
                State::Said { at, answer } if round.question.is_fresh(*at, now) => match answer {
                    HookAnswer::Allow {} => {}
                    HookAnswer::Only { hosts: only, .. } => kept.retain(|id| !hosts.contains(id) || only.contains(id)),
                    HookAnswer::Wait { seconds, reason } if !self.begun => {
                        let until = at.plus(Duration::from_secs(*seconds));
                        return Err(Reason::Deferred { until, why: format!("hook {key} says not yet: {reason}") });
                    }
                    HookAnswer::Deny { .. } | HookAnswer::Wait { .. } | HookAnswer::Failed { .. } => {
                        return Err(no(&key, round.question.on, &refusal_text(answer)));
                    }
                },
                State::Due | State::Waits { .. } | State::Said { .. } => {
                    asked.calls = asked.calls.saturating_add(1);
                    asked.state = State::Open;
                    let Question { on, before, batch, .. } = round.question.clone();
                    let call = HookCall { hook: key, on, before, batch, hosts, attempt: asked.calls };
                    self.call_hook(call, spec);
                    again_at = earlier(again_at, now);
                }
            }
        }
        if let Some(at) = again_at {
            if self.queue.is_empty() {
                // The look was good enough to be judged.
                self.observed.stale = 0;
                self.observe_at(at.min(self.poll_at(now)).max(now), now);
            }
            return Ok(Verdict::Awaited);
        }
        match kept {
            kept if kept == round.question.hosts => {
                round.is_done = true;
                Ok(Verdict::Allowed)
            }
            kept if kept.is_empty() => {
                Err(Reason::Hook { key: None, message: "the hooks together leave no host of the batch".to_owned() })
            }
            kept => Ok(Verdict::Only(kept)),
        }
    }

    /// Queues the intent of a hook's call and, behind it, the call.
    pub(super) fn call_hook(&mut self, call: HookCall, spec: HookSpec) {
        self.hooks.last += 1;
        let number = self.hooks.last;
        self.hooks.open.insert(number, call.clone());
        self.record(Event::HookIntended { call: number, intent: call.clone() });
        let hosts = call.hosts.iter().map(|id| self.as_hooks_see(id)).collect();
        self.queue.push_back(Next::Action(Action::Ask { number, call, hosts, spec: Box::new(spec) }));
    }

    /// The hooks of a stage, each with those of the hosts that serve its subsystem: by the plan that was confirmed or by what is
    /// seen now. S3: tags that somebody changes, or a host that a look does not show, silence no hook.
    pub(super) fn hooks_of(
        &self,
        on: HookStage,
        hosts: &BTreeSet<HostId>,
    ) -> BTreeMap<HookKey, (HookSpec, BTreeSet<HostId>)> {
        let mut specs = self.spec.policies.hooks_of(&self.spec.identity.watched);
        specs.retain(|_, spec| spec.on == on);
        if specs.is_empty() {
            return BTreeMap::new();
        }
        let mut serves = self.planned_subsystems(hosts);
        let matcher = self.spec.policies.matcher();
        let seen = self.observed.fleet.iter().flat_map(|fleet| hosts.iter().filter_map(|id| fleet.host(id)));
        for host in seen {
            let now = matcher.membership(host);
            serves.entry(&host.id).or_default().extend(now.subsystems.iter().cloned());
        }
        let mut of: BTreeMap<HookKey, (HookSpec, BTreeSet<HostId>)> = BTreeMap::new();
        for (host, serves) in serves {
            for (key, spec) in specs.iter().filter(|(key, _)| serves.contains(&key.subsystem)) {
                of.entry(key.clone()).or_insert_with(|| (spec.clone(), BTreeSet::new())).1.insert(host.clone());
            }
        }
        of
    }

    /// The subsystems that these hosts served when the plan was confirmed.
    fn planned_subsystems<'a>(&self, hosts: &'a BTreeSet<HostId>) -> BTreeMap<&'a HostId, BTreeSet<SubsystemName>> {
        let batches = &self.spec.confirmed.document().batches;
        let planned = batches.iter().flat_map(|batch| &batch.hosts);
        planned.filter_map(|host| Some((hosts.get(&host.id)?, host.subsystems.iter().cloned().collect()))).collect()
    }

    fn as_hooks_see(&self, id: &HostId) -> HookHost {
        let host = self.observed.fleet.as_ref().and_then(|fleet| fleet.host(id));
        HookHost {
            id: id.clone(),
            zone: host.map(|host| host.zone.clone()),
            address: host.and_then(|host| host.address).map(|address| address.to_string()),
            group: host.and_then(|host| host.group.clone()),
            tags: host.map(|host| host.tags.clone()).unwrap_or_default(),
        }
    }

    /// Takes in what hooks answered since the last step.
    pub(super) fn take_hook_answers(&mut self, now: Time) {
        for (number, answer) in std::mem::take(&mut self.hooks.arrived) {
            let Some(call) = self.hooks.open.remove(&number) else { continue };
            // Behind what is queued: an intent and its call are not parted (S5).
            self.record(Event::HookAnswered { call: number, outcome: answer.clone() });
            match call.on {
                HookStage::Undrain => self.undrain_answered(&call, answer, now),
                HookStage::Consult | HookStage::Drain => self.round_answered(&call, answer, now),
            }
        }
    }

    fn round_answered(&mut self, call: &HookCall, answer: HookAnswer, now: Time) {
        let answer = understood(call, answer);
        let most = self.spec.hook_wait;
        let Some(round) = self.hooks.round.as_mut().filter(|round| round.question.is_of(call)) else { return };
        let mut told = None;
        let state = match &answer {
            HookAnswer::Wait { seconds, reason } => {
                let since = *round.waits_since.get_or_insert(now);
                // One that asks for no time at all is asked again after a moment.
                let until = now.plus(Duration::from_secs(*seconds).max(timeouts::POLL));
                told = Some((format!("hook {} says not yet: {reason}", call.hook), until));
                match until.since(since) > most {
                    true => State::Said { at: now, answer },
                    false => State::Waits { until, reason: reason.clone() },
                }
            }
            HookAnswer::Allow {} | HookAnswer::Deny { .. } | HookAnswer::Only { .. } | HookAnswer::Failed { .. } => {
                State::Said { at: now, answer }
            }
        };
        if let Some(asked) = round.asked.get_mut(&call.hook) {
            asked.state = state;
        }
        if let Some((why, until)) = told {
            self.tell_waiting(why, until, now);
        }
    }

    /// S6: a run that stops asks nothing any more, and ends what it asked.
    pub(super) fn give_up_hooks(&mut self) {
        self.hooks.round = None;
        let is_forward = |call: &HookCall| matches!(call.on, HookStage::Consult | HookStage::Drain);
        let (gone, kept) = std::mem::take(&mut self.hooks.open).into_iter().partition(|(_, call)| is_forward(call));
        self.hooks.open = kept;
        let gone: BTreeMap<u64, HookCall> = gone;
        for call in gone.into_keys() {
            self.queue.retain(|next| !is_ask(next, call));
            let outcome = HookAnswer::Failed { message: "given up: the run stops".to_owned() };
            self.record(Event::HookAnswered { call, outcome });
        }
    }

    /// Ends the open calls of a hook: nobody waits for its answer any more.
    pub(super) fn give_up_call(&mut self, key: &HookKey) {
        let open: Vec<u64> =
            self.hooks.open.iter().filter(|(_, call)| call.hook == *key).map(|(call, _)| *call).collect();
        for call in open {
            self.hooks.open.remove(&call);
            self.queue.retain(|next| !is_ask(next, call));
            let outcome = HookAnswer::Failed { message: "given up: it takes too long".to_owned() };
            self.record(Event::HookAnswered { call, outcome });
        }
    }

    /// Takes a call out of the queue whose intent the ledger did not take (S5).
    pub(super) fn unask(&mut self, number: u64) {
        self.queue.retain(|next| !is_ask(next, number));
        if self.hooks.open.contains_key(&number) {
            self.hook_answered(number, HookAnswer::Failed { message: "the ledger did not take its intent".to_owned() });
        }
    }

    /// What is waited for, in words, for people.
    pub(super) fn awaited_hooks(&self) -> Vec<String> {
        let open = self.hooks.open.values().map(|call| format!("hook {} is asked ({})", call.hook, call.on.name()));
        let waits =
            self.hooks.round.iter().flat_map(|round| &round.asked).filter_map(|(key, asked)| match &asked.state {
                State::Waits { until, reason } => {
                    Some(format!("hook {key} says not yet, and is asked again at {until}: {reason}"))
                }
                State::Due | State::Open | State::Said { .. } => None,
            });
        open.chain(waits).collect()
    }
}

/// S3: what the stage does not know, or names other hosts, is no answer.
fn understood(call: &HookCall, answer: HookAnswer) -> HookAnswer {
    let HookAnswer::Only { hosts, .. } = &answer else { return answer };
    let strangers = hosts.difference(&call.hosts).next();
    if call.on != HookStage::Consult {
        return HookAnswer::Failed { message: format!("\"only\" is no answer to {}", call.on.name()) };
    }
    match strangers {
        Some(host) => HookAnswer::Failed { message: format!("\"only\" names {host}, which it was not asked about") },
        None => answer,
    }
}

fn earlier(one: Option<Time>, other: Time) -> Option<Time> {
    Some(one.map_or(other, |one| one.min(other)))
}

fn is_ask(next: &Next, number: u64) -> bool {
    matches!(next, Next::Action(Action::Ask { number: of, .. }) if *of == number)
}

fn no(key: &HookKey, on: HookStage, why: &str) -> Reason {
    Reason::Hook { key: Some(key.clone()), message: format!("hook {key} ({}) {why}", on.name()) }
}

/// `says no: 2 replicas are behind`
fn refusal_text(answer: &HookAnswer) -> String {
    match answer {
        HookAnswer::Allow {} => "says yes".to_owned(),
        HookAnswer::Only { .. } => "allows only some of the hosts".to_owned(),
        HookAnswer::Deny { reason } => format!("says no: {reason}"),
        HookAnswer::Wait { reason, .. } => format!("asks for more time than `--max-wait` allows: {reason}"),
        HookAnswer::Failed { message } => format!("has no answer, which is no: {message}"),
    }
}
