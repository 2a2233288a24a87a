//! [`missing`]: what hooks need of this machine and is not there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::model::{HookKey, chain};
use crate::policy::{HookKind, HookSpecs};

/// Programs that are not there or cannot be executed, each with why.
pub(crate) fn missing(hooks: &HookSpecs) -> BTreeMap<HookKey, String> {
    let missing = |(key, spec): (&HookKey, &crate::policy::HookSpec)| match &spec.kind {
        HookKind::Exec { command } => {
            let program = command.first()?;
            Some((key.clone(), not_executable(program, std::env::var_os("PATH").as_deref())?))
        }
        HookKind::Http { .. } => None,
    };
    hooks.iter().filter_map(missing).collect()
}

fn not_executable(program: &str, path: Option<&std::ffi::OsStr>) -> Option<String> {
    if program.contains('/') {
        return execute(Path::new(program)).err();
    }
    let places = path.map(|path| std::env::split_paths(path).collect::<Vec<PathBuf>>()).unwrap_or_default();
    let is_there = places.iter().any(|place| execute(&place.join(program)).is_ok());
    (!is_there).then(|| format!("{program}: there is no such program in the PATH"))
}

fn execute(file: &Path) -> Result<(), String> {
    let shown = file.display();
    let metadata = std::fs::metadata(file).map_err(|error| format!("{shown}: {}", chain(&error)))?;
    if !metadata.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    access(file, Access::EXEC_OK).map_err(|error| format!("{shown} cannot be executed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_up_as_they_are_started() {
        let place = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(not_executable("sh", Some("/usr/bin:/bin".as_ref())), None);
        assert_eq!(not_executable("/bin/sh", None), None);
        assert!(not_executable("sh", Some("/nowhere".as_ref())).is_some_and(|why| why.contains("PATH")));
        let file = place.join("Cargo.toml").display().to_string();
        assert!(not_executable(&file, None).is_some_and(|why| why.contains("cannot be executed")));
        let folder = place.display().to_string();
        assert!(not_executable(&folder, None).is_some_and(|why| why.ends_with("is not a file")));
        assert!(not_executable("./not-there", None).is_some());
    }
}
