//! Ids of runs, and the comparison of requests (S9).

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::model::{FleetName, HostId, RequestId, RunId, SubsystemName};
use crate::plan::{Request, RequestDocument, Selection};

/// The fingerprint of a request. Two requests are the same if they have the same subsystem, and the same count or set
/// of hosts.
pub(crate) fn fingerprint(request: &Request) -> String {
    match &request.selection {
        Selection::Count(count) => digest(&request.subsystem, Some(count.get()), None),
        Selection::Hosts(hosts) => digest(&request.subsystem, None, Some(hosts.as_slice())),
    }
}

/// The fingerprint of a request in a plan's document.
pub(crate) fn fingerprint_of(request: &RequestDocument) -> String {
    digest(&request.subsystem, request.count, request.hosts.as_deref())
}

fn digest(subsystem: &SubsystemName, count: Option<u64>, hosts: Option<&[HostId]>) -> String {
    let selection = match (count, hosts) {
        (_, Some(hosts)) => serde_json::json!({ "hosts": hosts.iter().collect::<BTreeSet<_>>() }),
        (count, None) => serde_json::json!({ "count": count }),
    };
    let text = serde_json::json!([subsystem, selection]).to_string();
    base32(&Sha256::digest(text.as_bytes()), 26)
}

/// The run's id. It is derived from the request id where there is one, so that a retried call finds the same run.
pub(crate) fn run_id(fleet: &FleetName, request: Option<&RequestId>) -> RunId {
    let digest = match request {
        Some(request) => Sha256::digest(serde_json::json!([fleet, request]).to_string().as_bytes()),
        None => Sha256::digest(uuid::Uuid::new_v4().as_bytes()),
    };
    RunId::new(format!("r-{}", base32(&digest, RUN_ID_LETTERS)))
}

/// The id of the journal of one adoption.
pub(crate) fn adoption_id() -> RunId {
    of_its_own("a")
}

/// The id of the journal of one group whose minimum is raised.
pub(crate) fn minimum_id() -> RunId {
    of_its_own("m")
}

/// The id of the journal of a time that is set right.
pub(crate) fn time_id() -> RunId {
    of_its_own("t")
}

/// The id of the journal of one stop order, or of the lifting of one.
pub(crate) fn order_id() -> RunId {
    of_its_own("h")
}

/// The id of the journal of one `pause` or `continue`.
pub(crate) fn run_order_id() -> RunId {
    of_its_own(RUN_ORDER)
}

/// Whether a journal of this id is that of a `pause` or `continue`.
pub(crate) fn is_run_order(id: &RunId) -> bool {
    id.as_str().strip_prefix(RUN_ORDER).is_some_and(|rest| rest.starts_with('-'))
}

const RUN_ORDER: &str = "p";

fn of_its_own(kind: &str) -> RunId {
    RunId::new(format!("{kind}-{}", base32(&Sha256::digest(uuid::Uuid::new_v4().as_bytes()), RUN_ID_LETTERS)))
}

/// 60 bits: short enough to read out, and two runs of a fleet do not collide.
const RUN_ID_LETTERS: usize = 12;

/// Crockford's alphabet in lower case: it has no letter that could be taken for a digit.
fn base32(bytes: &[u8], letters: usize) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut out = String::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            if out.len() == letters {
                return out;
            }
            out.push(char::from(ALPHABET[(held >> bits) as usize & 31]));
        }
        held &= (1 << bits) - 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(selection: Selection) -> Request {
        Request { subsystem: "index".into(), selection, reason: None, request_id: None, expect_remaining: None }
    }

    #[test]
    fn s9_the_same_request_is_the_same_subsystem_and_hosts() {
        let three = of(Selection::counted(3));
        let mut reasoned = three.clone();
        reasoned.reason = Some("another".to_owned());
        assert_eq!(fingerprint(&three), fingerprint(&reasoned));
        assert_ne!(fingerprint(&three), fingerprint(&of(Selection::counted(4))));
        let hosts = |ids: &[&str]| fingerprint(&of(Selection::named(ids.iter().map(|id| (*id).into()))));
        assert_eq!(hosts(&["a", "b"]), hosts(&["b", "a"]));
        assert_ne!(hosts(&["a", "b"]), hosts(&["ab"]));
    }

    #[test]
    fn s9_a_request_id_makes_one_run() {
        let (one, two) = (FleetName::from("one"), FleetName::from("two"));
        let id = RequestId::from("ticket-1");
        assert_eq!(run_id(&one, Some(&id)), run_id(&one, Some(&id)));
        assert_ne!(run_id(&one, Some(&id)), run_id(&two, Some(&id)));
        assert_ne!(run_id(&one, None), run_id(&one, None));
        assert_eq!(run_id(&one, None).as_str().len(), "r-".len() + RUN_ID_LETTERS);
    }

    #[test]
    fn base32_takes_the_bits_in_order() {
        assert_eq!(base32(&[0xff, 0x00, 0xff], 4), "zw0f");
        assert_eq!(base32(&[0; 32], 12), "000000000000");
    }
}
