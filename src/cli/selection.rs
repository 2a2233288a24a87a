//! From arguments to a request: which hosts, and what is wrong with the selection as it was typed.

use std::collections::BTreeSet;
use std::io::Read as _;

use sha2::{Digest as _, Sha256};

use crate::model::{FleetName, HostId, RequestId, RunId, SubsystemName};
use crate::plan::{Request, RequestDocument, Selection};

use super::args::SelectionArgs;
use super::error::CommandError;
use super::values;

/// Bytes of `--host -` that are read: far above any fleet, far below memory.
const STDIN_MAX: u64 = 64 * 1024 * 1024;

/// The request, or why the command line cannot be meant as it stands.
pub(super) fn request(of: &SelectionArgs) -> Result<Request, CommandError> {
    let example = "safe-remove plan --subsystem index --count 3";
    let Some(subsystem) = of.subsystem.clone() else {
        return Err(CommandError::usage("--subsystem is missing", format!("say which: {example}")));
    };
    let selection = match (of.count, of.host.as_slice()) {
        (Some(count), []) => Selection::Count(count),
        (None, []) => {
            // Nothing selected never means everything.
            let hint = format!("say how many or which: {example}");
            return Err(CommandError::usage("neither --count nor --host is given", hint));
        }
        (None, hosts) => Selection::Hosts(named(hosts)?),
        (Some(_), _) => {
            return Err(CommandError::usage("both --count and --host are given", "say either how many or which"));
        }
    };
    Ok(Request {
        subsystem,
        selection,
        reason: of.reason.clone(),
        request_id: of.request_id.clone(),
        expect_remaining: of.expect_remaining,
    })
}

/// The hosts that were named, those on stdin included.
fn named(given: &[HostId]) -> Result<Vec<HostId>, CommandError> {
    let mut hosts = Vec::new();
    let mut read = false;
    for host in given {
        if host.as_str() != "-" {
            hosts.push(host.clone());
        } else if read {
            return Err(CommandError::usage("--host - is given twice", "stdin can be read once"));
        } else {
            read = true;
            let mut text = String::new();
            std::io::stdin().lock().take(STDIN_MAX).read_to_string(&mut text).map_err(|error| {
                CommandError::usage(format!("stdin cannot be read: {error}"), "give one host id a line, in UTF-8")
            })?;
            hosts.extend(lines(&text)?);
        }
    }
    let mut seen = BTreeSet::new();
    for host in &hosts {
        if !seen.insert(host) {
            let hint = "name each host once: a list with repeats is not the list that was meant";
            return Err(CommandError::usage(format!("host {host} is named twice"), hint));
        }
    }
    Ok(hosts)
}

fn lines(text: &str) -> Result<Vec<HostId>, CommandError> {
    let mut hosts = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let host = values::host(line.trim())
            .map_err(|why| CommandError::usage(format!("line {} of stdin: {why}", n + 1), "give one host id a line"))?;
        hosts.push(host);
    }
    Ok(hosts)
}

/// What makes two requests the same: the subsystem, and the count or the set of hosts.
pub(super) fn fingerprint(request: &Request) -> String {
    match &request.selection {
        Selection::Count(count) => digest(&request.subsystem, Some(*count), None),
        Selection::Hosts(hosts) => digest(&request.subsystem, None, Some(hosts)),
    }
}

/// The same of a request as a plan has it.
pub(super) fn fingerprint_of(request: &RequestDocument) -> String {
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

/// The run's id: derived from the request id where there is one, so that a retried call finds the same run.
pub(super) fn run_id(fleet: &FleetName, request: Option<&RequestId>) -> RunId {
    let digest = match request {
        Some(request) => Sha256::digest(serde_json::json!([fleet, request]).to_string().as_bytes()),
        None => Sha256::digest(uuid::Uuid::new_v4().as_bytes()),
    };
    RunId::new(format!("r-{}", base32(&digest, RUN_ID_LETTERS)))
}

/// The journal of one adoption.
pub(super) fn adoption_id() -> RunId {
    RunId::new(format!("a-{}", base32(&Sha256::digest(uuid::Uuid::new_v4().as_bytes()), RUN_ID_LETTERS)))
}

/// The journal of a time that is set right.
pub(super) fn time_id() -> RunId {
    RunId::new(format!("t-{}", base32(&Sha256::digest(uuid::Uuid::new_v4().as_bytes()), RUN_ID_LETTERS)))
}

/// The journal of one stop order, or of one that is lifted.
pub(super) fn order_id() -> RunId {
    RunId::new(format!("h-{}", base32(&Sha256::digest(uuid::Uuid::new_v4().as_bytes()), RUN_ID_LETTERS)))
}

/// 60 bits: short enough to read out, and two runs of a fleet do not meet.
const RUN_ID_LETTERS: usize = 12;

/// Crockford's alphabet, small: no letter that is taken for a digit.
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
        let three = of(Selection::Count(3));
        let mut reasoned = three.clone();
        reasoned.reason = Some("another".to_owned());
        assert_eq!(fingerprint(&three), fingerprint(&reasoned));
        assert_ne!(fingerprint(&three), fingerprint(&of(Selection::Count(4))));
        let hosts = |ids: &[&str]| fingerprint(&of(Selection::Hosts(ids.iter().map(|id| (*id).into()).collect())));
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

    #[test]
    fn a_selection_is_one_or_the_other() {
        let args = |count, hosts: &[&str]| SelectionArgs {
            subsystem: Some("index".into()),
            count,
            host: hosts.iter().map(|id| (*id).into()).collect(),
            ..SelectionArgs::default()
        };
        for wrong in [args(None, &[]), args(Some(1), &["a"]), args(None, &["a", "b", "a"]), SelectionArgs::default()] {
            assert!(matches!(request(&wrong), Err(CommandError::Usage { .. })), "{wrong:?}");
        }
        assert!(request(&args(Some(1), &[])).is_ok() && request(&args(None, &["a", "b"])).is_ok());
    }

    #[test]
    fn a_blank_line_is_no_host() {
        assert_eq!(lines("a\r\n b \n").expect("two"), [HostId::from("a"), HostId::from("b")]);
        assert!(lines("a\n\nb\n").is_err());
        assert!(lines("").expect("none").is_empty());
    }
}
