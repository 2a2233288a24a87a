//! The operations behind the commands: one file per operation, which resolves, checks, acts and returns a typed result.
//!
//! Nothing here knows arguments, prompts, colours or exit codes. While it is in progress, an operation tells and asks
//! through a [`Frontend`]; without a result it ends with an [`OperationError`].
//!
//! | to read | for |
//! | --- | --- |
//! | `plan`, `removal`, `remove`, `confirm`, `way_back` | a removal from its request to its run |
//! | `idempotency`, `takeover`, `not_taken`, `remainder`, `offline_journal`, `offline_file` | runs begun earlier |
//! | `halt`, `stop_order`, `follow`, `unhalt`, `pause`, `adopt`, `marks`, `accept`, `set_time` | decisions of a person |
//! | `init`, `archive`, `prune` | the ledger as a whole |
//! | `starter` | the first policies of a fleet |
//! | `status`, `run_status`, `advice`, `history`, `headroom`, `hosts`, `doctor`, `run_report`, `report`, `candidates` | reports, and names for the Tab key |
//! | `environment`, `site`, `reader`, `fleets`, `engines`, `clock`, `process` | what the policies name, opened |

mod accept;
mod adopt;
mod advice;
mod archive;
pub(crate) mod candidates;
mod clock;
mod confirm;
mod cores;
mod doctor;
mod engines;
mod environment;
mod error;
mod fleets;
mod follow;
mod frontend;
mod halt;
mod headroom;
mod history;
mod hosts;
mod idempotency;
mod ids;
mod init;
mod marks;
mod minimums;
mod not_taken;
mod offline_file;
mod offline_journal;
mod pause;
mod plan;
mod probes;
mod process;
mod prune;
mod reader;
mod refusal;
mod remainder;
mod removal;
mod remove;
mod report;
mod run_orders;
mod run_report;
mod run_status;
mod set_time;
mod site;
mod starter;
mod status;
mod stop_order;
mod takeover;
mod unhalt;
mod way_back;

pub(crate) use accept::{Acceptance, accept};
pub(crate) use adopt::{Adoption, adopt};
pub(crate) use archive::{export, import};
pub(crate) use candidates::Candidate;
pub use cores::OnAllCores;
pub(crate) use doctor::doctor;
pub(crate) use environment::{can_be_called, policies};
pub(crate) use error::OperationError;
pub(crate) use follow::{Became, in_words};
pub(crate) use frontend::{Frontend, Orders, Part, Question, Reply};
pub(crate) use halt::{Halted, HaltedRun, halt};
pub(crate) use headroom::headroom;
pub(crate) use history::{HistoryOf, history};
pub(crate) use hosts::hosts;
pub(crate) use init::{init, ledger_id};
pub(crate) use marks::Marks;
pub(crate) use minimums::raise_minimums;
pub(crate) use pause::{go_on, pause};
pub(crate) use plan::{Because, PlanAnswer, Proving, plan};
pub(crate) use probes::probes;
pub(crate) use prune::{Pruned, prune};
pub(crate) use removal::{Removal, Removed};
pub(crate) use remove::remove;
pub(crate) use run_report::{run_report, write_page};
pub(crate) use set_time::set_time;
pub(crate) use starter::{StarterOf, starter};
pub(crate) use status::status;
pub(crate) use takeover::{TakenOver, TakeoverOptions, take_over};
pub(crate) use unhalt::{Unhalted, unhalt};
