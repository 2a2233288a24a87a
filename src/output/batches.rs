//! The batches of a plan: a line for each, so that a plan of many hosts stays in sight.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{HostId, counted};
use crate::plan::{Batch, PlannedHost};

use super::{Align, Table, Text, hosts_text};

/// The most hosts of one batch that are listed; `plan -o json` lists all of them.
const HOSTS_SHOWN: usize = 40;

/// The most batches that are listed.
const BATCHES_SHOWN: usize = 20;

/// The batches, and what is special about their hosts.
pub(super) fn batches_text(batches: &[Batch]) -> Text {
    let has_groups = batches.iter().flat_map(|batch| &batch.hosts).any(|host| host.group.is_some());
    let mut columns = vec![("batch", Align::Right), ("hosts", Align::Left), ("zones", Align::Left)];
    columns.extend(has_groups.then_some(("groups", Align::Left)));
    columns.push(("serve", Align::Left));
    let mut table = Table::new(&columns);
    let shown = if batches.len() > BATCHES_SHOWN { BATCHES_SHOWN - 1 } else { batches.len() };
    for batch in &batches[..shown] {
        let hosts = &batch.hosts;
        let mut cells = vec![batch.number.to_string(), hosts_text(hosts.iter().map(|host| &host.id), HOSTS_SHOWN)];
        cells.push(each(hosts.iter().map(|host| host.zone.as_str())));
        cells
            .extend(has_groups.then(|| each(hosts.iter().map(|host| host.group.as_ref().map_or("-", |g| g.as_str())))));
        cells.push(served(hosts));
        table.row(cells);
    }
    let mut text = Text::default();
    text.table(2, table);
    if shown < batches.len() {
        let hosts: usize = batches[shown..].iter().map(|batch| batch.hosts.len()).sum();
        let more = batches.len() - shown;
        text.paragraph(&format!("  and {more} more batches with {}: -o json has them all", counted(hosts, "host")));
    }
    let hosts = || batches.iter().flat_map(|batch| &batch.hosts);
    let list = |is: fn(&PlannedHost) -> bool| -> Vec<&HostId> {
        hosts().filter(|host| is(host)).map(|host| &host.id).collect()
    };
    for (what, of) in [
        ("not serving now", list(|host| !host.serving && !host.doubtful)),
        ("unhealthy, may still get work", list(|host| !host.serving && host.doubtful)),
    ] {
        if !of.is_empty() {
            text.paragraph(&format!("  {what}: {}", hosts_text(of, HOSTS_SHOWN)));
        }
    }
    let weighed: Vec<String> =
        hosts().filter(|host| host.units != 1).map(|host| format!("{} {}", host.id, host.units)).collect();
    if !weighed.is_empty() {
        let more = weighed.len().saturating_sub(HOSTS_SHOWN);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        let listed: Vec<_> = weighed.into_iter().take(HOSTS_SHOWN).collect();
        text.paragraph(&format!("  units, where a host is not one: {}{rest}", listed.join(", ")));
    }
    text
}

/// Each of them once, in order.
fn each<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
}

/// The subsystems that lose hosts, with how many of them if not all.
fn served(hosts: &[PlannedHost]) -> String {
    let mut of: BTreeMap<&str, usize> = BTreeMap::new();
    for subsystem in hosts.iter().flat_map(|host| &host.subsystems) {
        *of.entry(subsystem.as_str()).or_default() += 1;
    }
    let word = |(name, count): (&str, usize)| {
        if count == hosts.len() { name.to_owned() } else { format!("{name} ({count})") }
    };
    of.into_iter().map(word).collect::<Vec<_>>().join(" ")
}
