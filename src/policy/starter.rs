//! The first policies of a fleet, guessed from one observation. Main function: [`starter`]. Pure.
//!
//! What cannot be seen from outside is guessed on the strict side, and each guess is marked with `GUESS` and its reason: a
//! person who knows the subsystem corrects it. It never judges whether a host may go.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::misleads;
use super::types::{FleetConfig, LedgerKind, ProviderKind};
use crate::model::{FleetSnapshot, Group, Host, TargetGroupId, Time, counted};

/// The tags that name an owner, as people write them; the first one that hosts have is taken.
/// Source: AWS whitepaper "Best Practices for Tagging AWS Resources", owner and support tags; the others are common.
const OWNERS: [&str; 6] = ["owner", "team", "service-owner", "technical-owner", "contact", "squad"];

/// The longest pattern that a policy takes, in bytes.
const LONGEST_PATTERN: usize = 256;

/// The longest name of a subsystem.
const LONGEST_NAME: usize = 64;

/// A policy directory that does not exist yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Starter {
    /// The text of each file, by its name.
    pub(crate) files: BTreeMap<String, String>,
    /// The subsystem of each group or value of the tag.
    pub(crate) subsystems: Vec<String>,
    /// What has no policy, and why.
    pub(crate) left_out: Vec<String>,
}

/// Hosts that get one policy.
struct Part<'a> {
    /// `Auto Scaling group web`
    what: String,
    /// What the subsystem's name is made of.
    name: &'a str,
    /// `auto_scaling_groups = ["web"]`
    selector: String,
    hosts: Vec<&'a Host>,
    groups: Vec<&'a Group>,
}

/// `fleet.toml` for this fleet, and a policy for each group, or for each subsystem that the fleet's tag names. `is_known`:
/// its name and its ledger are a person's choice.
pub(crate) fn starter(fleet: &FleetConfig, is_known: bool, snapshot: &FleetSnapshot, at: Time) -> Starter {
    let mut starter = Starter::default();
    let parts = match &fleet.provider.subsystem_tag {
        Some(tag) => by_tag(tag, snapshot, &mut starter),
        None => by_group(snapshot, &mut starter),
    };
    let is_simulated = matches!(fleet.provider.kind, ProviderKind::Simulated { .. });
    let mut names = Names::default();
    for part in parts {
        if part.hosts.iter().all(|host| !host.is_serving()) {
            starter.left_out.push(format!("{}: no host of it serves", shown(&part.what)));
            continue;
        }
        let name = names.of(part.name);
        starter.files.insert(format!("{name}.toml"), policy(&name, &part, is_simulated, at));
        starter.subsystems.push(name);
    }
    starter.files.insert("fleet.toml".to_owned(), of_fleet(fleet, is_known, at));
    starter
}

fn by_group<'a>(snapshot: &'a FleetSnapshot, starter: &mut Starter) -> Vec<Part<'a>> {
    let outside = snapshot.hosts().filter(|host| host.group.is_none()).count();
    if outside > 0 {
        let found = counted(outside, "host");
        starter
            .left_out
            .push(format!("{found} outside groups: name the tag that says what they serve: --subsystem-tag"));
    }
    let mut parts = Vec::new();
    for group in snapshot.groups() {
        let what = format!("Auto Scaling group {}", group.name);
        match pattern(group.name.as_str()) {
            _ if group.deleting => starter.left_out.push(format!("{}: it is being deleted", shown(&what))),
            None => starter.left_out.push(format!("{}: its name is too long for a pattern", shown(&what))),
            Some(pattern) => parts.push(Part {
                what,
                name: group.name.as_str(),
                selector: format!("auto_scaling_groups = [{}]", quoted(&pattern)),
                hosts: snapshot.hosts().filter(|host| host.group.as_ref() == Some(&group.name)).collect(),
                groups: vec![group],
            }),
        }
    }
    parts
}

fn by_tag<'a>(tag: &'a str, snapshot: &'a FleetSnapshot, starter: &mut Starter) -> Vec<Part<'a>> {
    let mut hosts: BTreeMap<&str, Vec<&Host>> = BTreeMap::new();
    let mut without = 0;
    for host in snapshot.hosts() {
        let names: BTreeSet<&str> = host.tags.get(tag).into_iter().flat_map(names_of).collect();
        without += usize::from(names.is_empty());
        names.into_iter().for_each(|name| hosts.entry(name).or_default().push(host));
    }
    if without > 0 {
        starter.left_out.push(format!("{} without tag {}", counted(without, "host"), shown(tag)));
    }
    let mut parts = Vec::new();
    for (name, hosts) in hosts {
        let values: BTreeSet<&str> = hosts.iter().filter_map(|host| host.tags.get(tag)).collect();
        let patterns: Option<Vec<String>> =
            values.into_iter().map(|value| pattern(value).map(|pattern| quoted(&pattern))).collect();
        let what = format!("hosts whose tag {tag} names {name}");
        let Some(patterns) = patterns else {
            starter.left_out.push(format!("{}: a value is too long for a pattern", shown(&what)));
            continue;
        };
        let of_hosts: BTreeSet<_> = hosts.iter().filter_map(|host| host.group.as_ref()).collect();
        let selector = format!("tags = {{ {} = [{}] }}", quoted(tag), patterns.join(", "));
        let groups = of_hosts.into_iter().filter_map(|group| snapshot.group(group)).collect();
        parts.push(Part { what, name, selector, hosts, groups });
    }
    parts
}

/// The subsystems that a value names, split as the contract says.
pub(crate) fn names_of(value: &str) -> impl Iterator<Item = &str> {
    let splits = |c: char| c.is_whitespace() || [',', ';', '+', '/'].contains(&c);
    value.split(splits).filter(|name| !name.is_empty())
}

fn policy(name: &str, part: &Part<'_>, is_simulated: bool, at: Time) -> String {
    let serving = part.hosts.iter().filter(|host| host.is_serving()).count() as u64;
    // Hosts outside groups, and members of groups in which other subsystems are too, are counted; a group says itself.
    let of_groups: u64 = part.groups.iter().map(|group| group.desired).sum();
    let is_whole = part.groups.len() == 1 && part.groups[0].stated_members == part.hosts.len() as u64;
    let baseline = if is_whole { of_groups.max(serving) } else { part.hosts.len() as u64 };
    let floor: u64 = if is_whole { part.groups[0].min_size } else { 0 };
    let minimum = (baseline * 3).div_ceil(4).max(floor).min(baseline);
    let zones: BTreeSet<&str> = part.hosts.iter().map(|host| host.zone.as_str()).collect();
    let (hourly, daily) = ((baseline / 20).max(1), (baseline / 10).max(1));
    let mut text = format!(
        "# {} at {at}: {} of {} serve.\n# Lines with GUESS are guesses: correct them before the first removal.\n\nname = {}\n",
        shown(&part.what),
        serving,
        counted(part.hosts.len(), "host"),
        quoted(name),
    );
    text.push_str(&owner(&part.hosts));
    text.push_str("depends_on = []         # GUESS: what it needs cannot be seen from outside\n\n[hosts]\n");
    text.push_str(&part.selector);
    if part.selector.starts_with("tags") {
        text.push_str("    # GUESS: the values that hosts have now");
    }
    let of = if is_whole { "its desired capacity" } else { "its hosts" };
    let floored = if is_whole { format!(", and not below MinSize ({floor})") } else { String::new() };
    text.push_str(&format!(
        "\n\n[capacity]\nbaseline = {baseline}           # GUESS: {of} at that time\nminimum = {minimum}            # GUESS: \
         three quarters of that{floored}\n"
    ));
    let named: Vec<String> = zones.iter().map(|zone| quoted(zone)).collect();
    text.push_str(&format!("zones = [{}]    # GUESS: where its hosts are now\n", named.join(", ")));
    if zones.len() > 1 {
        text.push_str("minimum_per_zone = \"50%\"    # GUESS: of what a zone has when all are alike\n");
    }
    text.push_str("# provider_floor = \"required\"    # where MinSize of every group holds its share of the minimum\n");
    text.push_str("# survive_zone_loss = true    # where it must keep its minimum without its largest zone\n");
    text.push_str(&format!(
        "\n[pace]\nmax_hosts_per_run = {hourly}    # GUESS: one in twenty\nbatch = 1               # GUESS: one at a \
         time\ninterval = \"5m\"         # GUESS\nbudgets = [{{ hosts = {hourly}, per = \"1h\" }}, {{ hosts = {daily}, per = \
         \"24h\" }}]    # GUESS: one in twenty, one in ten\n\n[health]\nbake = \"5m\"             # GUESS: longer than its \
         alarms take\nevery = \"10s\"\n"
    ));
    text.push_str(&probes(part, is_simulated));
    text
}

fn owner(hosts: &[&Host]) -> String {
    let mut values: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for host in hosts {
        for (tag, value) in host.tags.iter() {
            let place = OWNERS.iter().position(|owner| tag.eq_ignore_ascii_case(owner));
            if let Some(place) = place.filter(|_| !value.is_empty() && !value.contains(misleads)) {
                *values.entry((place, value)).or_default() += 1;
            }
        }
    }
    let first = values.keys().map(|(place, _)| *place).min();
    let of_first = values.iter().filter(|((place, _), _)| Some(*place) == first);
    match of_first.max_by_key(|(_, count)| **count) {
        None => {
            format!("# owner = \"...\"         # GUESS: nobody; no host has a tag such as {}\n", OWNERS[..2].join(", "))
        }
        Some(((place, value), count)) => {
            let of = counted(hosts.len(), "host");
            format!("owner = {}    # GUESS: the tag {} of {count} of {of}\n", quoted(value), OWNERS[*place])
        }
    }
}

fn probes(part: &Part<'_>, is_simulated: bool) -> String {
    if is_simulated {
        let probe = "\n[[health.probe]]\nname = \"errors\"\nkind = \"simulated\"\nmetric = \"error_rate\"\nmax = 0.01";
        return format!("{probe}              # GUESS\n");
    }
    let used: BTreeSet<&TargetGroupId> = part.hosts.iter().flat_map(|host| host.target_health.keys()).collect();
    if used.is_empty() {
        return "# GUESS: no load balancer sends it work, so nothing but the state of its hosts is watched. Add what shows \
                its health:\n# [[health.probe]]\n# name = \"errors\"\n# kind = \"http\"\n# url = \
                \"https://example.com/metrics/error-rate\"\n# pointer = \"/value\"\n# max = 0.01\n"
            .to_owned();
    }
    let mut text = String::new();
    for (number, group) in used.into_iter().enumerate() {
        let suffix = if number == 0 { String::new() } else { format!("-{}", number + 1) };
        text.push_str(&format!(
            "\n[[health.probe]]\nname = \"targets{suffix}\"\nkind = \"target-group\"\narn = {}\nmin = 0.9               # \
             GUESS: a tenth of its targets may be unhealthy. Add what its users see, too\n",
            quoted(group.as_str()),
        ));
    }
    text
}

fn of_fleet(fleet: &FleetConfig, is_known: bool, at: Time) -> String {
    let guess = |why: &str| if is_known { String::new() } else { format!("    # GUESS: {why}") };
    let provider = match &fleet.provider.kind {
        ProviderKind::Simulated { scenario, state } => format!(
            "kind = \"simulated\"\nscenario = {}\nstate = {}\n",
            quoted(&scenario.to_string_lossy()),
            quoted(&state.to_string_lossy())
        ),
        ProviderKind::Aws { region, account, role } => {
            let external_id = role.as_ref().and_then(|role| role.external_id.as_ref());
            format!(
                "kind = \"aws\"\nregion = {}\naccount = {}    # credentials of any other account are refused\n{}{}",
                quoted(region),
                quoted(account),
                line("role_arn", role.as_ref().map(|role| &role.arn)),
                line("external_id", external_id)
            )
        }
    };
    let tag = line("subsystem_tag", fleet.provider.subsystem_tag.as_ref());
    let ledger = match &fleet.ledger.kind {
        LedgerKind::Sqlite { path } => format!(
            "kind = \"sqlite\"{}\npath = {}\n",
            guess("all operators work on this machine. Otherwise \"dynamodb\" or \"etcd\": README.md"),
            quoted(&path.to_string_lossy())
        ),
        LedgerKind::Dynamodb(place) => {
            let (region, role) = (place.region.as_ref(), place.role.as_ref().map(|role| &role.arn));
            let (region, role) = (line("region", region), line("role_arn", role));
            format!("kind = \"dynamodb\"\ntable = {}\n{region}{role}", quoted(&place.table))
        }
        LedgerKind::Etcd(place) => {
            let endpoints: Vec<String> = place.endpoints.iter().map(|endpoint| quoted(endpoint)).collect();
            let file = |key: &str, path: &std::path::Path| format!("{key} = {}\n", quoted(&path.to_string_lossy()));
            let ca = place.ca.as_deref().map(|ca| file("ca", ca)).unwrap_or_default();
            let identity = place.identity.as_ref().map(|(cert, key)| file("cert", cert) + &file("key", key));
            format!(
                "kind = \"etcd\"\nendpoints = [{}]\nprefix = {}\n{ca}{}",
                endpoints.join(", "),
                quoted(&place.prefix),
                identity.unwrap_or_default()
            )
        }
    };
    format!(
        "# Found at {at} by `safe-remove policy init`. Lines with GUESS are guesses.\n\nname = {}{}\n\n\
         [provider]\n{provider}{tag}\n[ledger]\n{ledger}",
        quoted(fleet.name.as_str()),
        guess("names the ledger's scope")
    )
}

/// A key with its value, if it has one.
fn line(key: &str, value: Option<&String>) -> String {
    value.map(|value| format!("{key} = {}\n", quoted(value))).unwrap_or_default()
}

/// A text as TOML.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A text for a comment.
fn shown(text: &str) -> String {
    text.replace(misleads, "\u{fffd}")
}

/// A glob that matches this text. What policy files do not take stands as "any character". `None` where it is too long.
fn pattern(text: &str) -> Option<String> {
    let mut pattern = String::new();
    for c in text.chars() {
        match c {
            // To globset `?` is any byte.
            _ if misleads(c) => pattern.extend(std::iter::repeat_n('?', c.len_utf8())),
            '*' | '?' | '[' | ']' | '{' | '}' | '\\' => pattern.extend(['\\', c]),
            _ => pattern.push(c),
        }
    }
    (pattern.len() <= LONGEST_PATTERN).then_some(pattern)
}

/// Names of subsystems, each once.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn of(&mut self, text: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
        let name: String = text.chars().map(plain).skip_while(|c| !c.is_ascii_alphanumeric()).collect();
        let name = if name.is_empty() { "hosts".to_owned() } else { name };
        (1_usize..)
            .map(|number| {
                // `fleet.toml` is another file; and some file systems do not tell capitals.
                let suffix = if number == 1 { String::new() } else { format!("-{number}") };
                let most = LONGEST_NAME - suffix.len();
                format!("{}{suffix}", name.get(..most).unwrap_or(&name))
            })
            .find(|name| !name.eq_ignore_ascii_case("fleet") && self.0.insert(name.to_ascii_lowercase()))
            .unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "starter_tests.rs"]
mod tests;
