//! What a confirmation is bound to: a digest over the fleet, its policies and the hosts of each batch.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::model::{FleetIdentity, FleetName, HostId, PlanDigest, SubsystemName};
use crate::policy::SubsystemPolicy;

use super::{AssessError, Batch, Inputs};

/// Bytes of SHA-256 that are kept, shown as 32 hexadecimal digits: 128 bits, so that finding a second plan with the
/// same digest takes about 2^128 attempts.
const BYTES: usize = 16;

/// The canonical text: maps in the order of their keys, structures in the order of their fields.
#[derive(Serialize)]
struct Covered<'a> {
    schema: &'static str,
    fleet: &'a FleetName,
    provider: &'a FleetIdentity,
    policies: &'a BTreeMap<SubsystemName, SubsystemPolicy>,
    batches: Vec<Vec<&'a HostId>>,
}

/// The digest of a plan. The same fleet, policies and batches give the same digest, and nothing else goes into it.
pub(crate) fn digest(inputs: &Inputs<'_>, batches: &[Batch]) -> Result<PlanDigest, AssessError> {
    let covered = Covered {
        schema: "safe-remove/plan-digest/v1",
        fleet: &inputs.policies.fleet.name,
        provider: inputs.identity,
        policies: &inputs.policies.subsystems,
        batches: batches.iter().map(|b| b.hosts.iter().map(|h| &h.id).collect()).collect(),
    };
    let mut hasher = Sha256::new();
    // The text comes in pieces of a few bytes.
    let mut text = BufWriter::new(Hashing(&mut hasher));
    serde_json::to_writer(&mut text, &covered).map_err(|e| AssessError::Digest(e.to_string()))?;
    text.flush().map_err(|e| AssessError::Digest(e.to_string()))?;
    drop(text);
    let digest = hasher.finalize();
    Ok(PlanDigest::new(digest.iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect::<String>()))
}

struct Hashing<'a>(&'a mut Sha256);

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
