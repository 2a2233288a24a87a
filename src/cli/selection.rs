//! Converts arguments to a request: which hosts, and what is wrong with the selection as it was typed.

use std::io::Read as _;

use crate::model::HostId;
use crate::ops::OperationError;
use crate::plan::{HostList, NoHostList, Request, Selection};

use super::removal::SelectionArgs;
use super::values;

/// How many bytes `--host -` reads at most: far above any fleet, far below memory.
const STDIN_MAX: u64 = 64 * 1024 * 1024;

/// The request, or why the command line makes no sense as it stands.
pub(super) fn request(of: &SelectionArgs) -> Result<Request, OperationError> {
    let example = |ask: &str| format!("{ask}: safe-remove plan --subsystem index --count 3");
    let Some(subsystem) = of.subsystem.clone() else {
        return Err(OperationError::usage("--subsystem is missing", example("say which")));
    };
    let selection = match (of.count, of.host.as_slice()) {
        (Some(count), []) => Selection::Count(count),
        (None, []) => {
            // An empty selection never means everything.
            return Err(OperationError::usage("neither --count nor --host is given", example("say how many or which")));
        }
        (None, hosts) => Selection::Hosts(named(hosts)?),
        (Some(_), _) => {
            return Err(OperationError::usage("both --count and --host are given", "say either how many or which"));
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

/// Whether hosts are read from stdin.
pub(super) fn reads_stdin(of: &SelectionArgs) -> bool {
    of.host.iter().any(is_stdin)
}

fn is_stdin(host: &HostId) -> bool {
    host.as_str() == "-"
}

/// The named hosts, with those read from stdin.
fn named(given: &[HostId]) -> Result<HostList, OperationError> {
    let mut hosts = Vec::new();
    let mut read = false;
    for host in given {
        if !is_stdin(host) {
            hosts.push(host.clone());
        } else if read {
            return Err(OperationError::usage("--host - is given twice", "stdin can be read once"));
        } else {
            read = true;
            let mut text = String::new();
            std::io::stdin().lock().take(STDIN_MAX).read_to_string(&mut text).map_err(|error| {
                OperationError::usage(format!("stdin cannot be read: {error}"), "give one host id a line, in UTF-8")
            })?;
            hosts.extend(lines(&text)?);
        }
    }
    HostList::new(hosts).map_err(|why| {
        let hint = match why {
            NoHostList::Empty => "name at least one host, one id a line on stdin",
            NoHostList::Twice(_) => "name each host once: a list with repeats is not the list that was meant",
        };
        OperationError::usage(why.to_string(), hint)
    })
}

fn lines(text: &str) -> Result<Vec<HostId>, OperationError> {
    let mut hosts = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let host = values::host(line.trim()).map_err(|why| {
            OperationError::usage(format!("line {} of stdin: {why}", n + 1), "give one host id a line")
        })?;
        hosts.push(host);
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    #[test]
    fn a_selection_is_one_or_the_other() {
        let args = |count: Option<u64>, hosts: &[&str]| SelectionArgs {
            subsystem: Some("index".into()),
            count: count.and_then(NonZeroU64::new),
            host: hosts.iter().map(|id| (*id).into()).collect(),
            ..SelectionArgs::default()
        };
        for wrong in [args(None, &[]), args(Some(1), &["a"]), args(None, &["a", "b", "a"]), SelectionArgs::default()] {
            assert!(matches!(request(&wrong), Err(OperationError::Usage { .. })), "{wrong:?}");
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
