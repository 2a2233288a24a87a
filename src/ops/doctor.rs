//! What a removal would rely on, looked at before anything is relied on: the caller, the ledger, the permissions, the
//! provider's speed, the groups. Touches nothing.
//!
//! A check that fails does not end the report; what depends on it is told as not tried. That a group's hosts can go is
//! asked of the planner, one host of each group, so that no rule has to be known here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use crate::model::{
    FleetSnapshot, GroupName, Host, HostId, HostState, HostTargets, PUT_BACK, Scope, Time, counted, duration_text,
    span_text,
};
use crate::output::{Check, CheckState, DoctorDocument, MinimumsDocument, Place, next};
use crate::plan::{HostList, Membership, Request, Rule, Selection, group_minimums};
use crate::policy::PolicySet;
use crate::ports::{Lasting, Ledger, Permission, Trial, Trials};

use super::environment::{self, Environment, ObservedFleet};
use super::error::OperationError;
use super::fleets::{self, Opened};
use super::reader::LedgerReader;

/// Groups and hosts that one line names; the document has no more than the line.
const NAMED: usize = 6;

/// Looks at everything that the policies name. `minimums`: what was done about those of the provider before.
///
/// # Errors
///
/// The policies are invalid.
pub(crate) async fn doctor(
    directory: &Path,
    minimums: Option<MinimumsDocument>,
) -> Result<DoctorDocument, OperationError> {
    let policies = environment::policies(directory)?;
    let (mut checks, mut lasting) = (vec![policy(&policies)], Vec::new());
    let now = fleets::now(&policies.fleet);
    checks.extend(fleets::environment(&policies.fleet));
    let opened = fleets::open(&policies).await;
    match &opened {
        Ok(opened) => {
            checks.push(identity(opened));
            lasting.push(opened.fleet.lasting().await);
        }
        Err(error) => checks.push(failed("fleet", error)),
    }
    let begun = Instant::now();
    let ledger = LedgerReader::open(&policies.fleet, now).await;
    let ledger = match ledger {
        Ok(ledger) => match ledger.read().await {
            Ok(_) => {
                lasting.push(ledger.journals().lasting().await);
                checks.push(round_trip(&ledger, begun));
                checks.extend(ledger_permissions(ledger.journals()).await);
                Some(ledger)
            }
            Err(error) => {
                checks.push(failed("ledger", &error));
                None
            }
        },
        Err(error) => {
            checks.push(failed("ledger", &error));
            None
        }
    };
    checks.extend(
        lasting.into_iter().find(|lasting| *lasting != Lasting::Unlimited).map(|lasting| credentials(lasting, now)),
    );
    let place = place(&policies, &opened, ledger.as_ref());
    match (opened, ledger) {
        (Ok(opened), Some(ledger)) => {
            let environment = Environment::of_parts(policies, opened, ledger, now);
            checks.extend(of_fleet(&environment).await);
        }
        (Ok(_) | Err(_), _) => {
            let why = "the fleet and the ledger must be open before";
            checks.push(Check::ok("observation", why).is(CheckState::NotTried));
        }
    }
    for advice in checks.iter_mut().filter_map(|check| check.advice.as_mut()) {
        *advice = next::placed(advice, directory);
    }
    let is_bad = checks.iter().any(|check| check.state == CheckState::Bad);
    let exit_code = if is_bad { 5 } else { 0 };
    Ok(DoctorDocument { schema: DoctorDocument::SCHEMA, place, at: now, checks, minimums, exit_code })
}

fn place(policies: &PolicySet, opened: &Result<Opened, OperationError>, ledger: Option<&LedgerReader>) -> Place {
    let fleet = &policies.fleet;
    let named = || fleets::named_identity(fleet);
    let provider = opened.as_ref().map_or_else(|_| named(), |opened| opened.fleet.identity().clone());
    let place = match ledger {
        Some(ledger) => ledger.place(&fleet.name, &policies.directory, provider),
        None => Place {
            fleet: fleet.name.clone(),
            provider,
            ledger: None,
            ledger_place: fleet.ledger.kind.place(),
            policies: policies.directory.clone(),
            clock: None,
        },
    };
    Place { clock: fleets::clock_speed(fleet), ..place }
}

/// A check that ended with an error.
fn failed(check: &'static str, error: &OperationError) -> Check {
    let causes = error.causes();
    let found = if causes.is_empty() { error.to_string() } else { format!("{error}: {}", causes.join(": ")) };
    Check::ok(check, found).is(CheckState::Bad).advice(error.hint())
}

fn policy(policies: &PolicySet) -> Check {
    let found = format!("{} valid", counted(policies.subsystems.len(), "policy file"));
    let Some(first) = policies.warnings.first() else { return Check::ok("policies", found) };
    let more = policies.warnings.len();
    let found = format!("{found}, with {}: {first}", counted(more, "warning"));
    Check::ok("policies", found).is(CheckState::Warning).advice(Some("`safe-remove policy check` has all".to_owned()))
}

fn identity(opened: &Opened) -> Check {
    let identity = opened.fleet.identity();
    let caller = identity.caller.as_ref().map(|caller| format!(", as {caller}")).unwrap_or_default();
    Check::ok("fleet", format!("{identity}{caller}"))
}

/// Fleet and ledger have the same source.
fn credentials(lasting: Lasting, now: Time) -> Check {
    let check = |found: String| Check::ok("credentials", found);
    let renew = || Some("use a source that renews them: a profile, single sign-on, a role".to_owned());
    match lasting {
        Lasting::Unlimited => check("they do not end".to_owned()),
        Lasting::Renewed(end) => check(format!("renewed before they end at {end}")),
        Lasting::Until(end) => {
            let is_late = end < now.plus(PUT_BACK);
            let found = format!("they end at {end}, {} from now, and are not renewed", span_text(end.since(now)));
            check(found).is(if is_late { CheckState::Bad } else { CheckState::Warning }).advice(renew())
        }
        Lasting::Unknown => {
            let found = "they are temporary, and nobody says when they end";
            check(found.to_owned()).is(CheckState::Warning).advice(renew())
        }
    }
}

fn round_trip(ledger: &LedgerReader, begun: Instant) -> Check {
    let took = duration_text(begun.elapsed());
    if ledger.exists() {
        return Check::ok("ledger", format!("opened and read in {took}"));
    }
    let found = format!("there is none yet (looked for in {took})");
    Check::ok("ledger", found).is(CheckState::Warning).advice(Some("`safe-remove ledger init` makes it".to_owned()))
}

async fn ledger_permissions(ledger: &dyn Ledger) -> Vec<Check> {
    match ledger.try_permissions().await {
        Ok(tried) => permissions(&tried),
        Err(error) => vec![failed("ledger", &OperationError::Ledger(error))],
    }
}

/// What an observation shows, and what it takes.
async fn of_fleet(environment: &Environment) -> Vec<Check> {
    let observation = match environment.observe_then_read().await {
        Ok(observation) => observation,
        Err(error) => return vec![failed("observation", &error)],
    };
    let membership = Membership::new(&environment.policies, &observation.snapshot);
    let selected: Vec<&Host> = (0..observation.snapshot.hosts().len())
        .filter(|&host| membership.of(host).len() > 0)
        .map(|host| membership.host(host))
        .collect();
    let groups: BTreeSet<GroupName> = selected.iter().filter_map(|host| host.group.clone()).collect();
    let outside = selected.iter().filter(|host| host.group.is_none());
    let outside: HostTargets = outside.map(|host| (host.id.clone(), host.target_groups.clone())).collect();
    let scope = Scope {
        groups: groups.clone(),
        hosts: selected.iter().map(|host| host.id.clone()).collect(),
        target_groups: BTreeSet::new(),
    };
    let mut checks = vec![speed(environment, &observation, &scope).await];
    if selected.is_empty() {
        let check = Check::ok("hosts", "no policy selects any host that the provider lists").is(CheckState::Bad);
        checks.push(check.advice(Some("correct `[hosts]` in the policies, or `region` in fleet.toml".to_owned())));
    }
    match environment.fleet.try_permissions(Trials::All, &groups, &outside).await {
        Ok(tried) => checks.extend(permissions(&tried)),
        Err(error) => checks.push(failed("permissions", &OperationError::Fleet(error))),
    }
    checks.extend(obstacles(environment, &observation, &selected));
    checks.extend(floors(environment, &observation, &membership));
    checks
}

/// A plan looks at everything. A run that touches all subsystems looks at this much, again and again, and cannot act on what
/// is older than `max_age` when it is answered.
async fn speed(environment: &Environment, observation: &ObservedFleet, scope: &Scope) -> Check {
    let took = |snapshot: &FleetSnapshot| snapshot.completed_at.since(snapshot.begun_at);
    let whole = &observation.snapshot;
    let whole = format!("{} in {}", counted(whole.hosts().len(), "host"), duration_text(took(whole)));
    let part = match environment.fleet.observe_part(scope).await {
        Ok(part) => part,
        Err(error) => return failed("observation", &OperationError::Fleet(error)),
    };
    let (took, most) = (took(&part), environment.fleet.bounds().max_age);
    let found = format!("{whole}; the look of a run in {}, of {}", duration_text(took), duration_text(most));
    let check = Check::ok("observation", found);
    let slow = "run it nearer to the provider, or where fewer hosts share groups and policies";
    match () {
        () if took > most => check.is(CheckState::Bad).advice(Some(slow.to_owned())),
        () if took > most / 2 => check.is(CheckState::Warning).advice(Some(slow.to_owned())),
        () => check,
    }
}

/// A line for each refusal, and one for each action that was not refused.
fn permissions(tried: &[Permission]) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut rest: BTreeMap<(&str, Option<&str>), Vec<&str>> = BTreeMap::new();
    for permission in tried {
        match &permission.trial {
            Trial::Denied(why) => {
                let (action, on) = (permission.action, &permission.resource);
                let advice =
                    format!("allow {action} to this identity; `safe-remove iam-policy` prints all that it needs");
                let check = Check::ok("permission", format!("denied on {on}: {why}")).of(action);
                checks.push(check.is(CheckState::Bad).advice(Some(advice)));
            }
            Trial::Allowed => rest.entry((permission.action, None)).or_default().push(&permission.resource),
            Trial::NotTried(why) => rest.entry((permission.action, Some(why))).or_default().push(&permission.resource),
        }
    }
    checks.extend(rest.into_iter().map(|((action, why), on)| {
        let on = listed(&on);
        match why {
            None => Check::ok("permission", format!("allowed on {on}")).of(action),
            Some(why) => Check::ok("permission", why).of(action).is(CheckState::NotTried),
        }
    }));
    checks
}

fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(NAMED) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// The rules that would refuse one host of each group, and one host outside groups, whatever else goes.
fn obstacles(environment: &Environment, observation: &ObservedFleet, selected: &[&Host]) -> Vec<Check> {
    let mut places: BTreeMap<Option<&GroupName>, Vec<&Host>> = BTreeMap::new();
    for host in selected {
        places.entry(host.group.as_ref()).or_default().push(host);
    }
    let mut checks = Vec::new();
    for (group, hosts) in places {
        let check = |found: String| match group {
            Some(group) => Check::ok("group", found).of(group.as_str()),
            None => Check::ok("hosts outside groups", found),
        };
        let in_service = hosts.iter().filter(|host| host.state == HostState::InService && host.protection.is_none());
        let Some(host) = in_service.clone().next() else {
            let found = format!("none of its {} is in service and unprotected", counted(hosts.len(), "host"));
            checks.push(check(found).is(CheckState::Warning));
            continue;
        };
        let refused = match refusals(environment, observation, &host.id) {
            Ok(refused) => refused,
            Err(error) => {
                checks.push(failed("group", &error));
                continue;
            }
        };
        if refused.is_empty() {
            let fit = counted(in_service.count(), "host");
            checks.push(check(format!("{fit} in service, and no rule stands against its state")));
        }
        checks.extend(refused.into_iter().map(|(found, advice)| check(found).is(CheckState::Bad).advice(advice)));
        let notes = group.and_then(|group| observation.snapshot.group(group)).map(|group| group.notes.as_slice());
        checks.extend(notes.unwrap_or_default().iter().map(|note| check(note.clone()).is(CheckState::Warning)));
    }
    checks
}

/// Why this host could not go, as far as it does not depend on what else goes, when, or on who asks.
fn refusals(
    environment: &Environment,
    observation: &ObservedFleet,
    host: &HostId,
) -> Result<Vec<(String, Option<String>)>, OperationError> {
    let membership = Membership::new(&environment.policies, &observation.snapshot);
    let first = membership.find(host).and_then(|host| membership.of(host).next());
    let Some(subsystem) = first else { return Ok(Vec::new()) };
    let Ok(selected) = HostList::new(vec![host.clone()]) else { return Ok(Vec::new()) };
    let request = Request {
        subsystem: membership.subsystem(subsystem).name.clone(),
        selection: Selection::Hosts(selected),
        reason: None,
        request_id: None,
        expect_remaining: None,
    };
    let none = BTreeMap::new();
    let plan = crate::plan::plan(&environment.inputs(observation, &none), &request).map_err(OperationError::Assess)?;
    let of_state = plan.document.violations.into_iter().filter(|violation| is_of_state(violation.rule));
    let code = environment.fleet.infrastructure_code();
    Ok(of_state.map(|violation| (violation.message, advice(violation.rule, code))).collect())
}

/// Whether a rule is about the state of hosts and groups: not about how much goes, when, or who asks.
fn is_of_state(rule: Rule) -> bool {
    !matches!(
        rule,
        Rule::Minimum
            | Rule::ZoneMinimum
            | Rule::ZoneLoss
            | Rule::RunSize
            | Rule::Budget
            | Rule::Window
            | Rule::UnhealthyNow
            | Rule::TooNoisy
            | Rule::Consult
            | Rule::ReasonRequired
            | Rule::Approval
            | Rule::NotProved
            // It has a line of its own.
            | Rule::Credentials
    )
}

/// `code`: what must be told to the code that describes the fleet, so that marks stay.
fn advice(rule: Rule, code: Option<&'static str>) -> Option<String> {
    match rule {
        Rule::ForeignLedger => {
            let adopt = "`safe-remove ledger adopt --reason TEXT`";
            Some(code.map_or_else(|| adopt.to_owned(), |code| format!("{adopt}; if it was done before: {code}")))
        }
        Rule::ProviderFloor => Some("`safe-remove doctor --fix` raises it, or says why it cannot".to_owned()),
        Rule::Halted => Some("`safe-remove status` shows the order, `safe-remove unhalt` lifts it".to_owned()),
        _ => None,
    }
}

/// What holds the minimum if this program is wrong.
fn floors(environment: &Environment, observation: &ObservedFleet, membership: &Membership<'_>) -> Vec<Check> {
    let none = BTreeMap::new();
    let inputs = environment.inputs(observation, &none);
    let of = |(index, policy): (usize, &&crate::policy::SubsystemPolicy)| {
        let name = policy.name.as_str();
        match group_minimums(&inputs, membership, index) {
            Some(found) => Check::ok("floor", found).of(name).is(CheckState::Warning),
            None => Check::ok("floor", "the provider's own minimum, where it has one, is the policy's").of(name),
        }
    };
    membership.subsystems().iter().enumerate().map(of).collect()
}
