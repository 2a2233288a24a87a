//! How the cordon of an instance outside groups is recorded: in its tags, before it is deregistered, so that anybody
//! who finds it can restore it, with or without the ledger. Main type: [`Marker`]. Pure.
//!
//! `safe-remove:cordoned` holds the time of the intent and the number of registrations. `safe-remove:cordoned:1` and so
//! on hold the registrations, as `NAME/ID:PORT` or `NAME/ID=ADDRESS:PORT`, as many in each as fit. One call writes the tags of one instance, and
//! does all or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use thiserror::Error;

use crate::model::{TargetGroupId, Time};

/// The tag that marks an instance as cordoned.
pub(super) const KEY: &str = "safe-remove:cordoned";

/// The most characters of a tag's value.
/// Source: Amazon EC2 User Guide, "Tag your Amazon EC2 resources": 256 in UTF-8, of which ours use one byte each.
const VALUE_LIMIT: usize = 256;

/// The most tags of an instance. Those that AWS sets itself do not count.
/// Source: Amazon EC2 User Guide, "Tag your Amazon EC2 resources", "Tag restrictions".
const TAGS_LIMIT: usize = 50;

/// Why an instance that is registered in these target groups cannot be marked, if it cannot.
pub(super) fn no_room<'a>(
    tags: &BTreeMap<String, String>,
    registered: impl Iterator<Item = (&'a TargetGroupId, Option<IpAddr>)>,
) -> Option<String> {
    let own = tags.keys().filter(|key| !key.starts_with("aws:")).count();
    // The longest port: the ports themselves are read right before the cordon.
    let registrations = registered.map(|(group, by)| Registration::new(group, by, Some(65_535))).collect();
    let needed = Marker { at: Time::from_millis(0), registrations }.tags().len();
    (own + needed > TAGS_LIMIT)
        .then(|| format!("it has {own} tags, its cordon needs {needed} more, and EC2 allows {TAGS_LIMIT}"))
}

/// One registration in a target group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Registration {
    /// The end of the target group's ARN: `NAME/ID`.
    pub(super) target_group: String,
    /// The address of the instance by which it is registered; else it is by its id.
    pub(super) address: Option<IpAddr>,
    /// The port. It may differ from the target group's default, and deregistering needs it named.
    /// Source: Elastic Load Balancing API reference, `DeregisterTargets`.
    pub(super) port: Option<i32>,
}

impl Registration {
    pub(super) fn new(target_group: &TargetGroupId, address: Option<IpAddr>, port: Option<i32>) -> Self {
        Self { target_group: short(target_group).to_owned(), address, port }
    }
}

/// The record that is made when an instance is cordoned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// When the intent was recorded.
    pub(super) at: Time,
    /// Where it was registered.
    pub(super) registrations: BTreeSet<Registration>,
}

/// A marker that cannot be read: where the instance was registered is not known.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("its tag {KEY} cannot be read: {0}")]
pub(super) struct Unreadable(&'static str);

/// The end of a target group's ARN: unique within its account and region, and short enough for tags.
pub(super) fn short(target_group: &TargetGroupId) -> &str {
    let arn = target_group.as_str();
    arn.rsplit_once(":targetgroup/").map_or(arn, |(_, end)| end)
}

/// The name of a target group.
pub(super) fn name_in(target_group: &TargetGroupId) -> &str {
    let end = short(target_group);
    end.split_once('/').map_or(end, |(name, _)| name)
}

impl Marker {
    /// The tags to write.
    pub(super) fn tags(&self) -> BTreeMap<String, String> {
        let mut parts: Vec<String> = Vec::new();
        for registration in &self.registrations {
            let mut text = registration.target_group.clone();
            if let Some(address) = registration.address {
                text.push_str(&format!("={address}"));
            }
            // An address of IPv6 has colons: a part after it is always there, and may be empty.
            match registration.port {
                Some(port) => text.push_str(&format!(":{port}")),
                None if registration.address.is_some() => text.push(':'),
                None => {}
            }
            match parts.last_mut() {
                Some(part) if part.len() + 1 + text.len() <= VALUE_LIMIT => {
                    part.push(' ');
                    part.push_str(&text);
                }
                _ => parts.push(text),
            }
        }
        let mut tags =
            BTreeMap::from([(KEY.to_owned(), format!("{} {}", self.at.rfc3339(), self.registrations.len()))]);
        tags.extend(parts.into_iter().enumerate().map(|(n, part)| (format!("{KEY}:{}", n + 1), part)));
        tags
    }

    /// The marker in an instance's tags, if it has one.
    pub(super) fn read(tags: &BTreeMap<String, String>) -> Result<Option<Self>, Unreadable> {
        let Some(head) = tags.get(KEY) else { return Ok(None) };
        let (at, count) = head.split_once(' ').ok_or(Unreadable("it is not TIME COUNT"))?;
        let at = at.parse().map_err(|_| Unreadable("its time is none"))?;
        let count: usize = count.parse().map_err(|_| Unreadable("its count is none"))?;
        let mut registrations = BTreeSet::new();
        for part in keys(tags).skip(1).filter_map(|key| tags.get(&key)) {
            for text in part.split(' ') {
                let (target, port) = match text.rsplit_once(':') {
                    Some((target, "")) => (target, None),
                    Some((target, port)) => (target, Some(port.parse().map_err(|_| Unreadable("a port is none"))?)),
                    None => (text, None),
                };
                let (target_group, address) = match target.split_once('=') {
                    Some((name, address)) => {
                        (name, Some(address.parse().map_err(|_| Unreadable("an address is none"))?))
                    }
                    None => (target, None),
                };
                registrations.insert(Registration { target_group: target_group.to_owned(), address, port });
            }
        }
        if registrations.len() != count {
            return Err(Unreadable("registrations are missing"));
        }
        Ok(Some(Self { at, registrations }))
    }

    /// The target groups of the registrations, by the end of their ARN.
    pub(super) fn target_groups(&self) -> BTreeSet<&str> {
        self.registrations.iter().map(|r| r.target_group.as_str()).collect()
    }
}

/// The keys of a marker's tags, in order. No instance has more than 50 tags.
pub(super) fn keys(tags: &BTreeMap<String, String>) -> impl Iterator<Item = String> {
    std::iter::once(KEY.to_owned()).chain((1..=50).map(|n| format!("{KEY}:{n}"))).filter(|key| tags.contains_key(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(n: usize, port: Option<i32>) -> Registration {
        let address = [None, "10.0.0.5".parse().ok(), "2001:db8::5".parse().ok()][n % 3];
        Registration { target_group: format!("{:-<32}/{n:016x}", "group"), address, port }
    }

    #[test]
    fn a_marker_reads_what_it_wrote_however_many_registrations() {
        for n in [0, 1, 4, 5, 30] {
            let marker = Marker {
                at: "2017-02-28T17:37:00.000Z".parse().expect("valid"),
                registrations: (0..n).map(|i| registration(i, (i % 2 == 0).then_some(8080))).collect(),
            };
            let tags = marker.tags();
            assert!(tags.values().all(|value| value.len() <= VALUE_LIMIT));
            assert_eq!(Marker::read(&tags), Ok(Some(marker)), "{n} registrations");
        }
    }

    #[test]
    fn s3_a_marker_that_lost_a_part_is_unreadable_not_empty() {
        let marker =
            Marker { at: Time::from_millis(0), registrations: (0..9).map(|i| registration(i, Some(80))).collect() };
        let mut tags = marker.tags();
        tags.remove("safe-remove:cordoned:2");
        assert_eq!(Marker::read(&tags), Err(Unreadable("registrations are missing")));
        assert_eq!(
            Marker::read(&BTreeMap::from([(KEY.to_owned(), "yes".to_owned())])),
            Err(Unreadable("it is not TIME COUNT"))
        );
        assert_eq!(Marker::read(&BTreeMap::new()), Ok(None));
    }

    #[test]
    fn target_groups_are_known_by_the_end_of_their_arn() {
        let arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/73e2d6bc24d8a067";
        assert_eq!(short(&arn.into()), "web/73e2d6bc24d8a067");
    }
}
