//! `fleet.toml`, checked: which fleet, which provider, which ledger.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{Arn, FleetName};

/// `fleet.toml`, with paths made absolute or relative to the working directory.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// The scope of the ledger's record.
    pub name: FleetName,
    /// Which fleet.
    pub provider: ProviderConfig,
    /// Which ledger.
    pub ledger: LedgerConfig,
}

impl FleetConfig {
    /// Makes its paths good from every directory.
    ///
    /// # Errors
    ///
    /// There is no working directory.
    pub(crate) fn make_absolute(&mut self) -> std::io::Result<()> {
        let mut paths = Vec::new();
        if let ProviderKind::Simulated { scenario, state } = &mut self.provider.kind {
            paths.extend([scenario, state]);
        }
        match &mut self.ledger.kind {
            LedgerKind::Sqlite { path } => paths.push(path),
            LedgerKind::Dynamodb(_) => {}
            LedgerKind::Etcd(EtcdPlace { ca, identity, .. }) => {
                paths.extend(ca);
                paths.extend(identity.iter_mut().flat_map(|(cert, key)| [cert, key]));
            }
        }
        paths.into_iter().try_for_each(|path| {
            *path = std::path::absolute(&*path)?;
            Ok(())
        })
    }
}

/// `[provider]`
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// Which provider.
    pub kind: ProviderKind,
    /// A tag whose value lists the host's subsystems, for rule `no-policy`.
    pub subsystem_tag: Option<String>,
    /// `settle`: how far in the past the provider's answers may lie; `None` is the provider's default.
    pub settle: Option<Duration>,
}

/// The provider's own keys.
#[derive(Clone, Debug)]
pub enum ProviderKind {
    /// The embedded fleet (contract section 6).
    Simulated {
        /// `scenario.toml`
        scenario: PathBuf,
        /// The file in which the fleet outlives one invocation.
        state: PathBuf,
    },
    /// Auto Scaling groups and instances of one account and region.
    Aws {
        /// `us-east-1`
        region: String,
        /// Twelve digits: credentials of any other account are refused.
        account: String,
        /// The role to assume; `None` uses the credentials as they are.
        role: Option<AssumedRole>,
    },
}

impl ProviderKind {
    /// The role that is assumed for the fleet.
    #[cfg(feature = "aws")]
    pub(crate) fn role(&self) -> Option<&AssumedRole> {
        match self {
            Self::Aws { role, .. } => role.as_ref(),
            Self::Simulated { .. } => None,
        }
    }
}

/// A role that is assumed with the credentials of the environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AssumedRole {
    /// `arn:aws:iam::ACCOUNT:role/NAME`
    pub arn: String,
    /// What its trust policy asks for.
    pub external_id: Option<String>,
}

/// `[ledger]`
#[derive(Clone, Debug)]
pub struct LedgerConfig {
    /// Which engine.
    pub kind: LedgerKind,
    /// How long a run may restore without its ledger.
    pub offline_limit: Duration,
}

impl LedgerConfig {
    /// The timeout of one attempt of a call where a run may restore for so long without its ledger: a twentieth of that,
    /// because retries count towards it, and from 1.5 s to 10 s. 1.5 s is a thousand times what a read takes, and above
    /// etcd's election timeout of a second; who raises `offline_limit` for a slow machine or a far ledger gets more.
    #[must_use]
    pub fn attempt(offline_limit: Duration) -> Duration {
        (offline_limit / 20).clamp(Duration::from_millis(1500), Duration::from_secs(10))
    }
}

/// The engine's own keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerKind {
    /// A file on this machine.
    Sqlite {
        /// Where.
        path: PathBuf,
    },
    /// A DynamoDB table.
    Dynamodb(DynamodbPlace),
    /// An etcd cluster.
    Etcd(EtcdPlace),
}

/// Which DynamoDB table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamodbPlace {
    /// Its name, or its ARN.
    pub table: String,
    /// Its region; `None` means the region that the environment names.
    pub region: Option<String>,
    /// The role to assume; `None` uses the credentials as they are.
    pub role: Option<AssumedRole>,
    /// The timeout of one attempt of a call, [`LedgerConfig::attempt`].
    pub attempt: Duration,
}

impl fmt::Display for DynamodbPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamoDB table {}", self.table)?;
        // An ARN has it.
        let region = self.region.as_ref().filter(|_| Arn::parse(&self.table).is_none());
        region.iter().try_for_each(|region| write!(f, " in {region}"))
    }
}

/// Where an etcd cluster is, and how to connect to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdPlace {
    /// `https://host:2379`, one or more.
    pub endpoints: Vec<String>,
    /// The prefix of every key, without a slash at its end.
    pub prefix: String,
    /// PEM file: the authorities that may have signed the servers' certificates; `None` means those that this machine
    /// trusts.
    pub ca: Option<PathBuf>,
    /// PEM files: this client's certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The timeout of one attempt at one endpoint, [`LedgerConfig::attempt`].
    pub attempt: Duration,
}

impl fmt::Display for EtcdPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "etcd {} at {}", self.prefix, self.endpoints.join(", "))
    }
}

impl LedgerKind {
    /// Where the ledger is, for people.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Sqlite { path } => path.display().to_string(),
            Self::Dynamodb(table) => table.to_string(),
            Self::Etcd(etcd) => etcd.to_string(),
        }
    }
}
