//! The confirmation of a plan: of a removal, or of the rest of a run that is resumed.
//!
//! Nothing is touched here. Only [`Plan::confirm`] creates the permit that results (S8).

use crate::model::{Time, counted};
use crate::output::Place;
use crate::plan::{Confirmation, Confirmed, Plan};
use crate::ports::Clock;

use super::error::OperationError;
use super::frontend::{Frontend, Orders, Part, Question};

/// The circumstances of a confirmation.
pub(crate) struct Ask<'a> {
    pub(crate) place: &'a Place,
    /// When the plan was made.
    pub(crate) now: Time,
    pub(crate) clock: &'a dyn Clock,
    /// `--yes`
    pub(crate) yes: bool,
    pub(crate) part: Part,
}

/// Why a plan was not confirmed.
pub(crate) enum Unconfirmed {
    /// Nobody could be asked, or the answer was not the right one.
    Unanswered { why: String, hint: Option<String> },
    /// The plan expired while the person was thinking.
    Stale,
}

/// Shows the plan and asks, unless `--yes` is enough.
pub(crate) async fn confirm(
    plan: Plan,
    ask: &Ask<'_>,
    orders: &mut Orders,
    frontend: &dyn Frontend,
) -> Result<Confirmed, Unconfirmed> {
    frontend.show_plan(&plan.document, ask.place);
    if ask.yes && plan.is_unattended_enough() {
        let (hosts, most) = (plan.host_count(), plan.settings.unattended_max);
        frontend.note(&format!("confirmed by --yes: {hosts} of at most {}", counted(most, "host")));
        return permit(plan, Confirmation::Unattended, ask.clock.now());
    }
    if !frontend.can_ask() {
        return Err(nobody(&plan, ask));
    }
    let answer = plan.prompt_answer();
    let question = Question::Plan { place: ask.place, plan: &plan, now: ask.now, part: ask.part };
    let reply = frontend.ask(&question, orders).await;
    if let Err(why) = question.is_confirmed_by(&reply) {
        return Err(Unconfirmed::Unanswered { why, hint: None });
    }
    permit(plan, Confirmation::Typed(answer), ask.clock.now())
}

/// The reason where nobody can be asked, and `--yes` is missing or not enough.
fn nobody(plan: &Plan, ask: &Ask<'_>) -> Unconfirmed {
    let (hosts, most, unusual) = (plan.host_count(), plan.settings.unattended_max, plan.settings.unusual);
    let why = match (ask.yes, unusual) {
        (true, true) => "the count is unusual: --yes is not enough, and there is no terminal to ask on".to_owned(),
        (true, false) => {
            format!(
                "--yes is enough for {}, not for {hosts}, and there is no terminal to ask on",
                counted(most, "host")
            )
        }
        (false, _) => "there is no terminal to ask on".to_owned(),
    };
    let hint = if most == 0 || unusual {
        "run it on a terminal: the policies do not allow this unattended".to_owned()
    } else {
        let act = match ask.part {
            Part::Whole => "remove at most",
            Part::Rest => "go on with at most",
        };
        format!("run it on a terminal, or {act} {} with --yes", counted(most, "host"))
    };
    Unconfirmed::Unanswered { why, hint: Some(hint) }
}

fn permit(plan: Plan, how: Confirmation, now: Time) -> Result<Confirmed, Unconfirmed> {
    if now > plan.document.expires_at {
        return Err(Unconfirmed::Stale);
    }
    plan.confirm(how, now).map_err(|why| Unconfirmed::Unanswered { why: why.to_string(), hint: None })
}

/// Asks a person to confirm something that is not a plan. `untouched` ends the message that it was not confirmed. Returns the
/// orders that may still come: a signal does not end the process by itself any more.
///
/// # Errors
///
/// It was not confirmed; this process cannot listen to signals.
pub(crate) async fn by_a_person(
    question: &Question<'_>,
    untouched: &str,
    frontend: &dyn Frontend,
) -> Result<Orders, OperationError> {
    let mut heard = frontend.listen().map_err(|e| OperationError::internal("signals cannot be heard", e))?;
    let reply = frontend.ask(question, &mut heard).await;
    let no = |why| OperationError::NotConfirmed { why: format!("{why}; {untouched}"), hint: None };
    question.is_confirmed_by(&reply).map_err(no)?;
    Ok(heard)
}
