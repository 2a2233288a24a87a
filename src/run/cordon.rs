//! A batch on its way out of service.

use crate::model::{BatchNumber, CALL_HOSTS, Effect, HostState, HostTargets, Time};

use super::calls::Calls;
use super::machine::Machine;
use super::reason::Reason;
use super::reservation::ReservedHost;
use super::{Event, timeouts};

impl Machine {
    /// Takes the batch out of service, with as few calls as the provider allows, and waits until it is seen there.
    pub(super) fn cordon(&mut self, batch: BatchNumber, since: Time, now: Time) -> Result<(), Reason> {
        let all: Vec<ReservedHost> = self.reservations.of_batch(batch).cloned().collect();
        if all.iter().all(ReservedHost::is_cordoned) {
            self.record(Event::BatchCordoned { batch });
            self.drain_or_bake(batch, now);
            return Ok(());
        }
        let bounds = self.spec.bounds;
        if let Some(gone) = all.iter().find(|host| host.gone_at(bounds).is_some()) {
            // S7: the others are not kept out of service while one is waited for that will never come.
            return Err(Reason::Fleet(format!("host {} vanished by itself", gone.id)));
        }
        // Nor while one is waited for that others put elsewhere.
        if let Some(host) = all.iter().find(|host| host.left(bounds).is_some() || host.is_undone(bounds)) {
            return Err(host.strayed(bounds));
        }
        let given_up = all.iter().filter(|h| !h.is_cordoned()).find_map(|h| h.cordon.gave_up().map(|why| (h, why)));
        if let Some((host, why)) = given_up {
            // An earlier call may have done it: what is seen decides, not what was answered.
            if host.cordon.may_yet_show(host.observed_at(), bounds) {
                self.observe_for(&host.cordon, now);
                return Ok(());
            }
            return Err(Reason::Provider(format!("host {} cannot be cordoned: {why}", host.id)));
        }
        if now.since(since) > timeouts::CORDON_TIMEOUT {
            let late: Vec<&str> = all.iter().filter(|h| !h.is_cordoned()).map(|h| h.id.as_str()).collect();
            return Err(Reason::Timeout(format!("not seen out of service in time: {}", late.join(", "))));
        }
        // One call for as many hosts of one group as it takes.
        let ready: Vec<&ReservedHost> = all.iter().filter(|h| !h.is_cordoned() && h.cordon.may_try(now)).collect();
        let Some(group) = ready.first().map(|host| host.granted.group.clone()) else {
            self.observe_at(self.poll_at(now), now);
            return Ok(());
        };
        if self.is_sample_due(now) {
            // S6: a batch of many groups takes many calls; orders are seen between them.
            return self.observe_again(true);
        }
        let hosts: HostTargets = ready
            .iter()
            .filter(|host| host.granted.group == group)
            .take(CALL_HOSTS)
            .map(|host| (host.id.clone(), host.granted.target_groups.clone()))
            .collect();
        if self.preflight(batch, &hosts.keys().cloned().collect(), HostState::InService, now)? {
            self.intend(Effect::Cordon { group, hosts }, now);
        }
        Ok(())
    }

    /// Observes at once after an answer, and then now and again.
    pub(super) fn observe_for(&mut self, calls: &Calls, now: Time) {
        if calls.observations == 0 {
            self.observe(false);
        } else {
            self.observe_at(now.plus(timeouts::POLL), now);
        }
    }
}
