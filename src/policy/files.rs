//! The only file access of this module: reads a policy directory into texts.
//!
//! A file that cannot be read becomes a problem beside the texts and is never left out: a policy that is not seen would
//! be a minimum that is not kept.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::check::{FLEET_FILE, FleetAlone, LedgerPlace, PolicyText, check, fleet_alone, place};
use super::detour::{straighten, straighten_ledger};
use super::problem::{PolicyErrors, PolicyProblem};
use super::types::PolicySet;

/// Far above the size of any policy; a larger file is something else.
const LARGEST_FILE: u64 = 1 << 20;
/// The mode bit that lets everybody else write.
const WRITABLE_BY_OTHERS: u32 = 0o002;

/// Reads and checks a policy directory: `fleet.toml` and every other `*.toml` that `[provider]` does not name. Hidden
/// files are skipped, as a shell's `*.toml` would skip them.
///
/// # Errors
///
/// [`PolicyErrors`] with every problem of every file: exit 4.
pub(crate) fn load(directory: &Path) -> Result<PolicySet, PolicyErrors> {
    let (names, mut problems) = listed(directory)?;
    let mut texts = Vec::new();
    for name in names {
        let path = directory.join(&name);
        let Some(name) = name.to_str() else {
            let message = format!("the name of {} is not UTF-8", path.display());
            problems.push(PolicyProblem::of_file(message, "rename it: a policy file is named after its subsystem"));
            continue;
        };
        texts.push(PolicyText { name: name.to_owned(), text: text_of(&path) });
    }
    let mut set = check(directory, &texts, problems)?;
    straighten(&mut set.fleet);
    Ok(set)
}

/// Reads and checks `fleet.toml` alone, as strictly as [`load`] does. The other files are only listed.
///
/// # Errors
///
/// [`PolicyErrors`] with every problem of the directory and of `fleet.toml`: exit 4.
pub(crate) fn load_fleet(directory: &Path) -> Result<FleetAlone, PolicyErrors> {
    let (names, problems) = listed(directory)?;
    let names: Vec<String> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
    let has_fleet = names.iter().any(|name| name == FLEET_FILE);
    let fleet = || PolicyText { name: FLEET_FILE.to_owned(), text: text_of(&directory.join(FLEET_FILE)) };
    let texts: Vec<PolicyText> = has_fleet.then(fleet).into_iter().collect();
    let mut alone = fleet_alone(directory, &texts, &names, problems)?;
    straighten(&mut alone.fleet);
    Ok(alone)
}

/// The names of a directory's policy files, and what is wrong with the directory itself.
fn listed(directory: &Path) -> Result<(Vec<std::ffi::OsString>, Vec<PolicyProblem>), PolicyErrors> {
    let fail = |problem| PolicyErrors { directory: directory.to_owned(), problems: vec![problem] };
    let problems = match fs::metadata(directory) {
        Ok(found) if !found.is_dir() => {
            let message = format!("{} is not a directory", directory.display());
            return Err(fail(PolicyProblem::of_file(message, "--policies names the directory that fleet.toml is in")));
        }
        Ok(found) => writable_by_others(directory, found.permissions().mode()).into_iter().collect(),
        Err(error) => return Err(fail(no_directory(directory, &error))),
    };
    let names = toml_files(directory).map_err(|error| fail(no_directory(directory, &error)))?;
    Ok((names, problems))
}

/// Where the ledger is, for a stop order while the directory is invalid: a broken policy must not stand between a
/// person and a halt. Nothing else may be decided on it.
///
/// `None` if `fleet.toml` does not even say that.
pub(crate) fn ledger_place(directory: &Path) -> Option<LedgerPlace> {
    let path = directory.join(FLEET_FILE);
    fs::metadata(&path).ok().filter(|found| found.is_file() && found.len() <= LARGEST_FILE)?;
    let text = fs::read(&path).ok()?;
    let names = toml_files(directory).ok()?;
    let names: Vec<String> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
    let mut place = place(directory, &String::from_utf8_lossy(&text), &names)?;
    straighten_ledger(&mut place.ledger);
    Some(place)
}

fn toml_files(directory: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if !hidden && Path::new(&name).extension().is_some_and(|extension| extension == "toml") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn text_of(path: &Path) -> Result<String, PolicyProblem> {
    let shown = path.display();
    let unreadable = |error: &io::Error| {
        let message = format!("{shown} cannot be read: {error}");
        PolicyProblem::of_file(
            message,
            "a policy that cannot be seen cannot be kept: make it readable, or move it away",
        )
    };
    // Checked before it is opened: opening a pipe would wait for a writer.
    if !fs::metadata(path).map_err(|error| unreadable(&error))?.is_file() {
        return Err(PolicyProblem::of_file(format!("{shown} is not a file"), "move it out of the policy directory"));
    }
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let found = file.metadata().map_err(|error| unreadable(&error))?;
    if let Some(problem) = writable_by_others(path, found.permissions().mode()) {
        return Err(problem);
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > LARGEST_FILE {
        let message = format!("{shown} is larger than 1 MiB");
        return Err(PolicyProblem::of_file(message, "policies are small: is this one?"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count() + 1;
        PolicyProblem::of_file(format!("{shown}:{line}: not UTF-8, as TOML must be"), "save it in UTF-8")
    })
}

fn writable_by_others(path: &Path, mode: u32) -> Option<PolicyProblem> {
    // Anyone who can write a policy can lower a minimum.
    (mode & WRITABLE_BY_OTHERS != 0).then(|| {
        let shown = path.display();
        PolicyProblem::of_file(
            format!("{shown} is writable by everybody (mode {:04o})", mode & 0o7777),
            format!("only its owner and group may change a policy: chmod o-w '{shown}'"),
        )
    })
}

fn no_directory(directory: &Path, error: &io::Error) -> PolicyProblem {
    PolicyProblem::of_file(
        format!("the policy directory {} cannot be read: {error}", directory.display()),
        "name it with --policies DIR or SAFE_REMOVE_POLICIES; the default is ./policies",
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    const FLEET: &str = "name = \"demo\"\n[provider]\nkind = \"simulated\"\nscenario = \"./scenario.toml\"\nstate = \"s.json\"\n\
                         [ledger]\nkind = \"sqlite\"\npath = \"l.db\"\n";

    fn directory() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        let index = include_str!("../../policies/index.toml");
        fs::write(dir.path().join("fleet.toml"), FLEET).expect("written");
        fs::write(dir.path().join("index.toml"), index).expect("written");
        fs::write(dir.path().join("scenario.toml"), "clock = \"virtual\"\n").expect("written");
        fs::write(dir.path().join(".index.toml"), "half a file [").expect("written");
        fs::write(dir.path().join("README.md"), "# not TOML").expect("written");
        dir
    }

    /// Every way to the configuration shows the same path. The ledger of a linked directory is beside its target.
    #[test]
    fn paths_are_shown_without_detours() {
        let top = tempfile::tempdir().expect("a directory");
        let policies = top.path().join("deep/policies");
        fs::create_dir_all(&policies).expect("made");
        fs::write(policies.join("fleet.toml"), FLEET.replace("l.db", "../l.db")).expect("written");
        fs::write(policies.join("index.toml"), include_str!("../../policies/index.toml")).expect("written");
        let link = top.path().join("link");
        std::os::unix::fs::symlink(&policies, &link).expect("linked");
        for (directory, shown) in [(&policies, top.path().join("deep/l.db")), (&link, link.join("../l.db"))] {
            let expected = super::super::LedgerKind::Sqlite { path: shown };
            let set = load(directory).unwrap_or_else(|e| panic!("{:?}", e.problems));
            let alone = load_fleet(directory).unwrap_or_else(|e| panic!("{:?}", e.problems));
            let place = ledger_place(directory).expect("found");
            for found in [set.fleet.ledger.kind, alone.fleet.ledger.kind, place.ledger] {
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn s6_the_ledger_is_found_whatever_else_is_wrong() {
        let dir = directory();
        let ledger = || ledger_place(dir.path()).map(|place| place.ledger);
        let expected = Some(super::super::LedgerKind::Sqlite { path: dir.path().join("l.db") });
        assert_eq!(ledger(), expected);
        for fleet in [
            FLEET.replace("kind = \"simulated\"", "kind = \"azure\""),
            FLEET.replace("[provider]", "[provider]\nsurplus = 7"),
            FLEET.replace("scenario = ", "scenario = = "),
            format!("{FLEET}offline_limit = \"soon\"\nhalf a li"),
        ] {
            fs::write(dir.path().join("fleet.toml"), &fleet).expect("written");
            assert!(load(dir.path()).is_err(), "{fleet}");
            assert_eq!(ledger(), expected, "{fleet}");
        }
        set_mode(&dir.path().join("fleet.toml"), 0o666);
        assert_eq!(ledger(), expected);
        let names = ledger_place(dir.path()).expect("found").subsystems;
        assert!(names.iter().any(|name| name.as_str() == "index"), "{names:?}");
        for fleet in
            ["", "name = \"demo\"", "name = \"demo\"\n[ledger]\nkind = \"sqlite\"", &FLEET.replace("sqlite", "etcd")]
        {
            fs::write(dir.path().join("fleet.toml"), fleet).expect("written");
            assert_eq!(ledger(), None, "{fleet}");
        }
    }

    /// A typo in a subsystem's file does not stand in the way of commands that only put back, lift or look.
    #[test]
    fn s6_fleet_toml_alone_is_enough_and_is_checked_as_strictly_as_ever() {
        let dir = directory();
        let whole = load(dir.path()).unwrap_or_else(|e| panic!("{:?}", e.problems));
        fs::write(dir.path().join("index.toml"), "name = index = 3").expect("written");
        assert!(load(dir.path()).is_err());
        let alone = load_fleet(dir.path()).unwrap_or_else(|e| panic!("{:?}", e.problems));
        assert_eq!((&alone.fleet.name, &alone.fleet.ledger.kind), (&whole.fleet.name, &whole.fleet.ledger.kind));
        assert_eq!(alone.subsystems.iter().map(|n| n.as_str()).collect::<Vec<_>>(), ["index"], "no scenario");
        let accepted = alone.with_accepted(whole.subsystems.clone());
        assert_eq!((accepted.subsystems, accepted.directory), (whole.subsystems, whole.directory));
        for fleet in [
            String::new(),
            FLEET.replace("kind = \"simulated\"", "kind = \"azure\""),
            FLEET.replace("[provider]", "[provider]\nsurplus = 7"),
            format!("{FLEET}offline_limit = \"soon\"\n"),
        ] {
            fs::write(dir.path().join("fleet.toml"), &fleet).expect("written");
            let problems = load_fleet(dir.path()).expect_err("invalid").problems;
            assert!(problems.iter().all(|p| p.to_string().contains("fleet.toml")), "{fleet}: {problems:?}");
        }
        fs::write(dir.path().join("fleet.toml"), FLEET).expect("written");
        set_mode(&dir.path().join("fleet.toml"), 0o666);
        assert!(load_fleet(dir.path()).is_err());
        fs::remove_file(dir.path().join("fleet.toml")).expect("removed");
        assert!(load_fleet(dir.path()).is_err());
    }

    #[test]
    fn s6_a_ledger_in_etcd_is_found_whatever_else_is_wrong() {
        let dir = tempfile::tempdir().expect("a directory");
        let etcd = "name = \"demo\"\nnmae = 1\n[ledger]\nkind = \"etcd\"\nendpoints = [\"https://a:1/\", \"https://b:1\"]\nca = \"ca.pem\"\n";
        fs::write(dir.path().join("fleet.toml"), etcd).expect("written");
        assert!(load(dir.path()).is_err());
        let found = ledger_place(dir.path()).map(|place| place.ledger);
        let expected = super::super::EtcdPlace {
            endpoints: vec!["https://a:1".to_owned(), "https://b:1".to_owned()],
            prefix: "/safe-remove".to_owned(),
            ca: Some(dir.path().join("ca.pem")),
            identity: None,
            attempt: std::time::Duration::from_millis(1500),
        };
        assert_eq!(found, Some(super::super::LedgerKind::Etcd(expected)));
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("changed");
    }

    fn problems(dir: &Path) -> Vec<String> {
        let errors = load(dir).expect_err("invalid");
        errors.problems.iter().map(|p| format!("{p}: {}", p.help.as_deref().unwrap_or_default())).collect()
    }

    #[test]
    fn a_directory_is_its_toml_files_without_those_of_the_provider() {
        let dir = directory();
        let set = load(dir.path()).unwrap_or_else(|e| panic!("{:?}", e.problems));
        assert_eq!(set.subsystems.keys().map(|n| n.as_str()).collect::<Vec<_>>(), ["index"]);
        assert_eq!(set.directory, dir.path());
    }

    #[test]
    fn the_provider_may_name_its_files_in_any_way() {
        let dir = directory();
        let inside = dir.path().file_name().expect("named").to_str().expect("UTF-8");
        for scenario in [format!("../{inside}/scenario.toml"), dir.path().join("scenario.toml").display().to_string()] {
            fs::write(dir.path().join("fleet.toml"), FLEET.replace("./scenario.toml", &scenario)).expect("written");
            let set = load(dir.path()).unwrap_or_else(|e| panic!("{:?}", e.problems));
            assert_eq!(set.subsystems.len(), 1);
        }
    }

    #[test]
    fn a_missing_directory_says_how_to_name_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let told = problems(&dir.path().join("nowhere"));
        assert!(told.len() == 1 && told[0].contains("nowhere") && told[0].contains("--policies"), "{told:?}");
        fs::write(dir.path().join("file"), "").expect("written");
        assert!(problems(&dir.path().join("file"))[0].contains("is not a directory"));
        assert!(problems(dir.path())[0].contains("no fleet.toml"));
    }

    #[test]
    fn s3_files_that_anybody_can_write_are_refused_with_the_command() {
        let dir = directory();
        set_mode(&dir.path().join("index.toml"), 0o666);
        let told = problems(dir.path());
        assert!(told.len() == 1 && told[0].contains("(mode 0666)") && told[0].contains("chmod o-w '"), "{told:?}");
        set_mode(&dir.path().join("index.toml"), 0o664);
        set_mode(dir.path(), 0o777);
        assert!(problems(dir.path())[0].contains("(mode 0777)"));
        set_mode(dir.path(), 0o775);
        assert!(load(dir.path()).is_ok());
    }

    #[test]
    fn s3_whatever_cannot_be_read_is_told_and_the_rest_is_checked_too() {
        let dir = directory();
        fs::write(dir.path().join("a.toml"), b"name = \"a\"\nowner = \"\xff\"\n").expect("written");
        fs::create_dir(dir.path().join("b.toml")).expect("made");
        std::os::unix::fs::symlink("nowhere", dir.path().join("c.toml")).expect("made");
        fs::write(dir.path().join("d.toml"), "").expect("written");
        fs::write(dir.path().join("e.toml"), vec![b'#'; 1 << 21]).expect("written");
        fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff.toml")), "").expect("written");
        let told = problems(dir.path()).join("\n");
        for expected in [
            "a.toml:2: not UTF-8",
            "b.toml is not a file",
            "c.toml cannot be read",
            "d.toml:1: the file is empty",
            "e.toml is larger than 1 MiB",
            ".toml is not UTF-8",
        ] {
            assert!(told.contains(expected), "{expected} in {told}");
        }
    }
}
