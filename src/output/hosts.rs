//! `hosts/v1`: every host, what it serves, and what stands against taking it.

use serde::Serialize;

use crate::model::{HostState, Time};
use crate::plan::{ListedHost, ListedMembership};

use super::page::together;
use super::place::Place;
use super::{Align, Table, Text};

/// `safe-remove/hosts/v1`
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HostsDocument {
    /// `safe-remove/hosts/v1`
    pub(crate) schema: &'static str,
    /// Where it was read.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// When the fleet was observed.
    pub(crate) observed_at: Time,
    /// By id.
    pub(crate) hosts: Vec<ListedHost>,
    /// What the provider contradicts itself about.
    pub(crate) warnings: Vec<String>,
}

impl HostsDocument {
    /// The schema's name.
    pub(crate) const SCHEMA: &'static str = "safe-remove/hosts/v1";
}

/// The whole document as text.
pub(crate) fn hosts_list_text(document: &HostsDocument) -> Text {
    let mut text = document.place.text();
    text.field("observed", &document.observed_at.to_string());
    for warning in &document.warnings {
        text.field("warning", warning);
    }
    text.blank();
    let columns = [
        ("host", Align::Whole),
        ("zone", Align::Left),
        ("state", Align::Left),
        ("serves, in units", Align::Left),
        ("against taking it", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for host in &document.hosts {
        let serves = host.subsystems.iter().map(membership_text).collect::<Vec<_>>().join(" ");
        let prefix = format!("host {} ", host.host);
        let against =
            host.against.iter().map(|violation| violation.message.strip_prefix(&prefix).unwrap_or(&violation.message));
        let against = against.collect::<Vec<_>>().join("; ");
        table.row([host.host.as_str(), host.zone.as_str(), state_text(host), &serves, &against]);
    }
    text.table(2, table);
    let free = document.hosts.iter().filter(|host| host.against.is_empty()).count();
    text.blank();
    text.paragraph(&format!(
        "Nothing stands against {free} of {} by itself; `headroom` says how many may go.",
        document.hosts.len()
    ));
    text
}

/// `index 2`
fn membership_text(of: &ListedMembership) -> String {
    let units = of.units.map_or_else(|| "?".to_owned(), |units| units.to_string());
    together(&format!("{} {units}", of.name))
}

fn state_text(host: &ListedHost) -> &'static str {
    match host.state {
        HostState::InService if host.serves => "serves",
        HostState::InService if host.idle => "in service, fails every check",
        HostState::InService => "in service, no capacity",
        HostState::Pending => "pending",
        HostState::Cordoned => "cordoned",
        HostState::Terminating => "terminating",
    }
}
