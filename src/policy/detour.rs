//! Paths without detours: `./policies/../state/ledger.db` is `./state/ledger.db`.
//!
//! People read these paths and type them again. Only `..` behind a directory goes: behind a symbolic link it leads to
//! the parent of the link's target, which is another place.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::types::{FleetConfig, LedgerKind, ProviderKind};

/// Takes the detours out of every path of the configuration. The paths still lead to the same files.
pub(super) fn straighten(fleet: &mut FleetConfig) {
    if let ProviderKind::Simulated { scenario, state } = &mut fleet.provider.kind {
        *scenario = straight(scenario);
        *state = straight(state);
    }
    straighten_ledger(&mut fleet.ledger.kind);
}

/// The same for the ledger alone.
pub(super) fn straighten_ledger(ledger: &mut LedgerKind) {
    match ledger {
        LedgerKind::Sqlite { path } => *path = straight(path),
        LedgerKind::Etcd(etcd) => {
            let files = etcd.identity.iter_mut().flat_map(|(cert, key)| [cert, key]);
            files.chain(&mut etcd.ca).for_each(|file| *file = straight(file));
        }
        LedgerKind::Dynamodb(_) => {}
    }
}

/// The path without each `directory/..`. What is not there, or cannot be looked at, stays as it is.
pub(crate) fn straight(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        let is_named = matches!(out.components().next_back(), Some(Component::Normal(_)));
        let is_detour = part == Component::ParentDir && is_named;
        // This does not follow a link in the last place.
        if is_detour && fs::symlink_metadata(&out).is_ok_and(|found| found.is_dir()) {
            out.pop();
        } else {
            if part == Component::ParentDir && out == Path::new(".") {
                out.clear();
            }
            out.push(part);
        }
    }
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_detour_goes_only_behind_a_directory() {
        let top = tempfile::tempdir().expect("a directory");
        let at = |path: &str| top.path().join(path);
        fs::create_dir_all(at("policies/inner")).expect("made");
        fs::create_dir_all(at("elsewhere/real")).expect("made");
        symlink(at("elsewhere/real"), at("link")).expect("linked");
        fs::write(at("file"), "").expect("written");
        for (path, expected) in [
            ("policies/../state/ledger.db", "state/ledger.db"),
            ("policies/inner/../../state", "state"),
            ("policies/./inner/..", "policies"),
            ("policies/state/ledger.db", "policies/state/ledger.db"),
            // The parent of `elsewhere/real`.
            ("link/../state", "link/../state"),
            ("link/../real/../state", "link/../state"),
            ("file/../state", "file/../state"),
            ("nowhere/../state", "nowhere/../state"),
        ] {
            assert_eq!(straight(&at(path)), at(expected), "{path}");
        }
        fs::write(at("elsewhere/state"), "the one").expect("written");
        assert_eq!(fs::read_to_string(straight(&at("link/../state"))).expect("read"), "the one");
    }

    /// The tests run in the package's directory.
    #[test]
    fn a_relative_path_stays_relative() {
        for (path, expected) in [
            ("./src/../state", "./state"),
            ("src/../state", "state"),
            ("src/..", "."),
            ("../..", "../.."),
            ("./../src", "../src"),
            ("./src/../../src", "../src"),
        ] {
            assert_eq!(straight(Path::new(path)).as_os_str(), expected, "{path}");
        }
    }
}
