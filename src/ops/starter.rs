//! The first policies of a fleet: observes it once, and writes a directory that did not exist. Touches no host, and neither
//! opens nor makes a ledger.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::model::FleetName;
use crate::policy::{self, FleetConfig, LedgerConfig, LedgerKind, Starter};

use super::error::OperationError;
use super::fleets;

/// The result: what was written, and what a person has to look at.
#[derive(Debug, Serialize)]
pub(crate) struct Started {
    /// The new policy directory.
    pub(crate) directory: PathBuf,
    /// Its files.
    pub(crate) files: Vec<String>,
    /// The subsystems that have a policy now.
    pub(crate) subsystems: Vec<String>,
    /// How many guesses are marked in them.
    pub(crate) guesses: usize,
    /// What has no policy, and why.
    pub(crate) left_out: Vec<String>,
}

/// Where the fleet is, and how its hosts are told apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StarterOf<'a> {
    /// A policy directory whose fleet is meant, where it has a `fleet.toml`.
    pub(crate) policies: &'a Path,
    /// The AWS region that is meant otherwise; `None` is the environment's.
    pub(crate) region: Option<&'a str>,
    /// The tag whose value names the subsystems of a host. Without one, each group is a subsystem.
    pub(crate) subsystem_tag: Option<&'a str>,
}

/// Writes `out`, whole or not at all.
///
/// # Errors
///
/// There is something in `out` already; the fleet cannot be observed; nothing in it could have a policy.
pub(crate) async fn starter(of: StarterOf<'_>, out: &Path) -> Result<Started, OperationError> {
    let is_vacant = match std::fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if !is_vacant {
        return Err(OperationError::Occupied { directory: out.to_owned() });
    }
    let (mut fleet, is_known) = fleet(of).await?;
    if let Some(tag) = of.subsystem_tag {
        fleet.provider.subsystem_tag = Some(tag.to_owned());
    }
    let snapshot = fleets::open_alone(&fleet).await?.observe().await.map_err(OperationError::Fleet)?;
    let starter = policy::starter(&fleet, is_known, &snapshot, snapshot.begun_at);
    if starter.subsystems.is_empty() {
        let hint = match starter.left_out.is_empty() {
            true => "is this the region and account that is meant?".to_owned(),
            false => starter.left_out.join("; "),
        };
        let message = "nothing there could have a policy: no group with a host that serves".to_owned();
        return Err(OperationError::NoSuch { message, hint: Some(hint) });
    }
    write(&starter, out)?;
    Ok(Started {
        directory: out.to_owned(),
        guesses: starter.files.values().map(|text| text.matches("GUESS:").count()).sum(),
        files: starter.files.into_keys().collect(),
        subsystems: starter.subsystems,
        left_out: starter.left_out,
    })
}

/// The fleet of the directory that was named, with its paths good from everywhere; or that of the caller's AWS account, whose
/// name and ledger nobody chose yet.
async fn fleet(of: StarterOf<'_>) -> Result<(FleetConfig, bool), OperationError> {
    if of.region.is_none() && of.policies.join("fleet.toml").is_file() {
        let mut fleet = policy::load_fleet(of.policies).map_err(OperationError::policies)?.fleet;
        fleet
            .make_absolute()
            .map_err(|error| OperationError::internal("the working directory cannot be found", error))?;
        return Ok((fleet, true));
    }
    let (region, account) = fleets::callers(of.region).await?;
    let fleet = FleetConfig {
        name: FleetName::new(format!("aws-{account}-{region}")),
        provider: policy::ProviderConfig {
            kind: policy::ProviderKind::Aws { region, account, role: None },
            subsystem_tag: None,
            settle: None,
        },
        ledger: LedgerConfig {
            // Beside the directory, as in the policies that come with this program.
            kind: LedgerKind::Sqlite { path: PathBuf::from("../.safe-remove/ledger.db") },
            offline_limit: Duration::from_secs(30),
        },
    };
    Ok((fleet, false))
}

/// Writes beside `out` and then moves: nobody finds half a directory. What is written must be valid.
fn write(starter: &Starter, out: &Path) -> Result<(), OperationError> {
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = || {
        std::fs::create_dir_all(parent)?;
        let new = tempfile::Builder::new().prefix(".policy-init-").tempdir_in(parent)?;
        std::fs::set_permissions(new.path(), std::fs::Permissions::from_mode(0o755))?;
        for (name, text) in &starter.files {
            let path = new.path().join(name);
            std::fs::write(&path, text)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))?;
        }
        Ok(new)
    };
    let cannot = |error: io::Error| {
        OperationError::usage(
            format!("{} cannot be written: {error}", out.display()),
            "name a directory that does not exist yet, below one that can be written: --out policies",
        )
    };
    let new = written().map_err(cannot)?;
    policy::load(new.path()).map_err(|errors| {
        let problems: Vec<String> = errors.problems.iter().map(ToString::to_string).collect();
        OperationError::internal("the policies that were guessed are not valid", problems.join("; "))
    })?;
    // Fails where somebody wrote something there meanwhile.
    std::fs::rename(new.path(), out).map_err(cannot)?;
    // It is not there any more.
    drop(new.keep());
    Ok(())
}
