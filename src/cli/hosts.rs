//! `safe-remove hosts`: every host, what it serves, and what stands against taking it.

use crate::model::SubsystemName;
use crate::ops::{self, OperationError};
use crate::output::hosts_list_text;

use super::args::Global;
use super::{CommandOutput, Exit};

/// Lists the hosts, and shows them.
pub(super) async fn run(global: &Global, only: Option<&SubsystemName>) -> Result<CommandOutput, OperationError> {
    let document = ops::hosts(&global.policies, only).await?;
    CommandOutput::document(Exit::DONE, hosts_list_text(&document), &document)
}
