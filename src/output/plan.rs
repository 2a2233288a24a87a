//! A plan as text: the place, the request, every subsystem touched, the batches, and what is in the way.

use crate::model::{SubsystemName, counted};
use crate::plan::{OtherRun, PlanDocument, Verdict};

use super::batches::batches_text;
use super::capacity::subsystems_text;
use super::refusal::refusal_text;
use super::{Place, Text, hosts_text};

/// The most named hosts that the request lists.
const HOSTS_SHOWN: usize = 40;

/// The whole plan. `next` is the command to type next, where there is one.
pub(crate) fn plan_text(plan: &PlanDocument, place: &Place, next: Option<&str>) -> Text {
    let mut text = place.text();
    text.field("request", &request_text(plan));
    text.field("plan", plan.plan.as_str());
    text.field("observed", &format!("{}; the plan expires {}", plan.observed_at, plan.expires_at));
    text.append(subsystems_text("Subsystems, in units", &plan.subsystems, &plan.request.subsystem));
    // A person has no use for the hosts of a refused plan; -o json has them.
    if !plan.batches.is_empty() && plan.verdict == Verdict::Allowed {
        text.blank();
        text.paragraph("Batches");
        text.append(batches_text(&plan.batches));
    }
    text.blank();
    let is_touched = |name: &SubsystemName| plan.subsystems.iter().any(|subsystem| subsystem.name == *name);
    let refuses = |name: &SubsystemName| plan.violations.iter().any(|v| v.subsystem.as_ref() == Some(name));
    let owners = plan.owners.iter().filter(|(name, _)| is_touched(name) || refuses(name));
    if let Some(owners) = owners_text(owners.map(|(name, owner)| (name, Some(owner.as_str())))) {
        text.field("owners", &owners);
    }
    if !plan.watched.is_empty() {
        let watched: Vec<_> = plan.watched.iter().map(|name| name.as_str()).collect();
        text.field("watched", &watched.join(" "));
    }
    for other in &plan.others {
        text.field("other run", &other_text(other));
    }
    for warning in &plan.warnings {
        text.field("warning", warning);
    }
    for wait in &plan.waits {
        text.field("waits", wait);
    }
    if let Some(at) = plan.not_before.filter(|_| plan.waits.is_empty()) {
        text.field("waits", &format!("a budget or an interval asks to wait until {at}"));
    }
    text.blank();
    match plan.verdict {
        Verdict::Allowed => text.paragraph("Allowed."),
        Verdict::Refused => text.append(refusal_text(plan)),
    }
    if let Some(next) = next {
        text.copied("next", next);
    }
    text
}

/// `index: storage-index, placement: storage-placement`, of those whose policies name somebody; `None` if none does.
pub(super) fn owners_text<'a>(
    subsystems: impl Iterator<Item = (&'a SubsystemName, Option<&'a str>)>,
) -> Option<String> {
    let owners: Vec<String> =
        subsystems.filter_map(|(name, owner)| owner.map(|owner| format!("{name}: {owner}"))).collect();
    (!owners.is_empty()).then(|| owners.join(", "))
}

/// Who else takes hosts or watches, and what that means for the reader.
pub(crate) fn other_text(other: &OtherRun) -> String {
    let of = other.subsystem.as_str();
    let what = match (other.holds, other.claims) {
        (0, claims) => format!("stands in line for {claims}"),
        (holds, 0) => format!("has {} out", counted(holds, "host")),
        (holds, claims) => format!("has {} out and stands in line for {claims}", counted(holds, "host")),
    };
    let silent = if other.silent { ", and is SILENT: `status` says more" } else { "" };
    format!("{} of {} ({of}, since {}) {what}{silent}", other.run, other.operator, other.since)
}

fn request_text(plan: &PlanDocument) -> String {
    let request = &plan.request;
    let mut text = match (&request.count, &request.hosts) {
        (Some(count), _) => format!("remove {} of {}", counted(*count, "host"), request.subsystem),
        (None, Some(hosts)) => format!("remove {} of {}", hosts_text(hosts, HOSTS_SHOWN), request.subsystem),
        (None, None) => format!("remove nothing of {}", request.subsystem),
    };
    if let Some(reason) = &request.reason {
        text.push_str(&format!(", because: {reason}"));
    }
    if let Some(id) = &request.request_id {
        text.push_str(&format!(" (request id {id})"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Page;
    use crate::plan::testing;

    /// Whoever reads a plan sees whom to ask about each subsystem that refuses or is touched.
    #[test]
    fn every_subsystem_of_a_plan_has_an_owner_or_null() {
        let mut world = testing::World::new([testing::policy("index", 2), testing::policy("placement", 3)]);
        world.policy_mut("index").owner = Some("storage-index".to_owned());
        world.hosts.extend(["i-1", "i-2", "i-3"].map(|id| testing::host(id, "a", &["index", "placement"])));
        let text = |world: &testing::World| {
            let plan = testing::counted(world, "index", 1).document;
            assert_eq!(plan.violations[0].subsystem.as_ref().map(|name| name.as_str()), Some("placement"));
            let json = serde_json::to_value(&plan).expect("written");
            assert_eq!(json["subsystems"][0]["owner"], "storage-index");
            (
                plan_text(&plan, &Place::example(), None).on(Page::new(Some(120), false)),
                json["subsystems"][1]["owner"].clone(),
            )
        };
        let (said, owner) = text(&world);
        assert!(said.contains("owners      index: storage-index\n") && owner.is_null(), "{said}");
        world.policy_mut("placement").owner = Some("storage-placement".to_owned());
        let (said, owner) = text(&world);
        assert!(said.contains("owners      index: storage-index, placement: storage-placement\n"), "{said}");
        assert_eq!(owner, "storage-placement");
        // It is only watched, and it refuses.
        let mut front = testing::policy("front", 0);
        front.owner = Some("web".to_owned());
        front.depends_on.insert("index".into());
        world.policies.subsystems.insert("front".into(), front);
        assert!(!text(&world).0.contains("web"));
        let key = crate::model::ProbeKey { subsystem: "front".into(), probe: "errors".into() };
        world.bad_probes.insert(key, "it reads 3".to_owned());
        assert!(text(&world).0.contains("owners      front: web, index"));
    }
}
