//! What a process is about to do, in words: the log of a world, and what its meddlers listen for.

use crate::model::{Effect, HostId};
use crate::run::{Action, RecordUpdate};

pub(super) fn words(action: &Action) -> String {
    match action {
        Action::Send { call, .. } => match &call.effect {
            Effect::Cordon { hosts, .. } => format!("cordon {}", list(hosts.keys())),
            Effect::Restore { hosts, .. } => format!("restore {}", list(hosts.keys())),
            Effect::Terminate { host, .. } => format!("terminate {host}"),
            Effect::Suspend { group, .. } => format!("suspend {group}"),
            Effect::Resume { group, .. } => format!("resume {group}"),
            Effect::Adopt { .. } => "adopt".to_owned(),
            Effect::RaiseMinimum { group, .. } => format!("raise the minimum of {group}"),
        },
        Action::Update(update) => match update {
            RecordUpdate::Enlist { .. } => "enlist".to_owned(),
            RecordUpdate::Grant { batch, asking: None, .. } => format!("grant {batch}"),
            RecordUpdate::Grant { batch, asking: Some(_), .. } => format!("ask about {batch}"),
            RecordUpdate::Pause { .. } => "pause".to_owned(),
            RecordUpdate::StartTermination { .. } => "start termination".to_owned(),
            RecordUpdate::Resolve { outcomes } => format!("resolve {}", list(outcomes.keys())),
            RecordUpdate::RequireSuspension { group, .. } => format!("hold {group}"),
            RecordUpdate::ReleaseSuspension { group } => format!("release {group}"),
            RecordUpdate::SeeRemoval { host, .. } => format!("see {host}"),
            RecordUpdate::Forget { .. } => String::new(),
            RecordUpdate::End { .. } => "end".to_owned(),
        },
        Action::Ask { call, .. } => format!("ask {}", call.hook),
        Action::Record(_) | Action::Observe { .. } | Action::Sleep { .. } | Action::Finish(_) => String::new(),
    }
}

fn list<'a>(hosts: impl Iterator<Item = &'a HostId>) -> String {
    hosts.map(HostId::as_str).collect::<Vec<_>>().join(" ")
}
