//! `safe-remove --subsystem NAME (--count N | --host ID...)`: the removal.

use std::sync::Arc;

use crate::model::BatchNumber;
use crate::ops::{self, OperationError, Proving, Removal, Removed};

use super::args::Global;
use super::removal::RemovalArgs;
use super::screen::Screen;
use super::terminal::Terminal;
use super::{CommandOutput, plan, report, selection};

/// Removes hosts, or with `--dry-run` makes a plan, and shows the result.
pub(super) async fn run(
    global: &Global,
    args: &RemovalArgs,
    screen: &Arc<Screen>,
) -> Result<CommandOutput, OperationError> {
    let policies = global.policies.as_path();
    let request = selection::request(&args.selection)?;
    if args.dry_run {
        let proving = Proving { effort: args.selection.prove, certificate: false };
        return plan::answer(&ops::plan(policies, &request, &proving).await?, policies, args.no_wait);
    }
    let (yes, step, max_wait) = (args.yes, args.step, args.max_wait());
    let pause_after = args.pause_after.map(|batch| BatchNumber::new(batch.get()));
    let prove = args.selection.prove;
    let removal = Removal { request, yes, step, pause_after, prove, max_wait };
    if selection::reads_stdin(&args.selection) {
        screen.take_stdin();
    }
    match ops::remove(policies, &removal, &Terminal::of(screen)).await? {
        Removed::Not(answer) => plan::answer(&answer, policies, args.no_wait),
        Removed::Ran(document) => report::of(&document, policies),
    }
}
