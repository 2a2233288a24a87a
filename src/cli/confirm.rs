//! Showing a plan and asking for its confirmation: of a removal, and of what is left of a run that somebody resumes.
//!
//! Nothing is touched here. The permit that comes of it is made by [`Plan::confirm`] alone (S8).

use crate::model::Time;
use crate::output::{Place, field, plan_text, span_text};
use crate::plan::{Confirmation, Confirmed, Plan};
use crate::ports::Clock;

use super::prompt;
use super::screen::Screen;
use super::signals::Signals;

/// A question: about which plan, and in which words.
pub(super) struct Ask<'a> {
    pub(super) place: &'a Place,
    /// When the plan was made.
    pub(super) now: Time,
    pub(super) clock: &'a dyn Clock,
    /// `--yes`
    pub(super) yes: bool,
    /// The verb of the question, before the number of hosts: `remove`.
    pub(super) act: &'static str,
    /// The other answers' effect: `to stop`.
    pub(super) otherwise: &'static str,
    /// The remedy without a terminal, before the number of hosts: `remove at most`.
    pub(super) unattended: &'static str,
}

/// Why a plan was not confirmed.
pub(super) enum Unconfirmed {
    /// Nobody could be asked, or the answer was not the answer.
    Unanswered { why: String, hint: Option<String> },
    /// The plan expired while somebody thought about it.
    Stale,
}

/// Shows the plan and asks, unless `--yes` is enough.
pub(super) async fn confirm(
    plan: Plan,
    ask: &Ask<'_>,
    signals: &mut Signals,
    screen: &Screen,
) -> Result<Confirmed, Unconfirmed> {
    screen.stderr(&plan_text(&plan.document, ask.place, None));
    let hosts = plan.host_count();
    let (most, unusual) = (plan.settings.unattended_max, plan.settings.unusual);
    if ask.yes && hosts <= most && !unusual {
        screen.note(&format!("confirmed by --yes: {hosts} of at most {most} hosts"));
        return permit(plan, Confirmation::Unattended, ask.clock.now());
    }
    if !prompt::is_possible() {
        let why = match (ask.yes, unusual) {
            (true, true) => "the count is unusual: --yes is not enough, and there is no terminal to ask on".to_owned(),
            (true, false) => {
                format!("--yes is enough for {most} hosts, not for {hosts}, and there is no terminal to ask on")
            }
            (false, _) => "there is no terminal to ask on".to_owned(),
        };
        let hint = if most == 0 || unusual {
            "run it on a terminal: the policies do not allow this unattended".to_owned()
        } else {
            format!("run it on a terminal, or {} {most} hosts with --yes", ask.unattended)
        };
        return Err(Unconfirmed::Unanswered { why, hint: Some(hint) });
    }
    let answer = plan.prompt_answer();
    screen.stderr(&question(&plan, ask.now));
    let words = format!("Type {answer} to {} {hosts} hosts, anything else {}", ask.act, ask.otherwise);
    let reply = prompt::ask(&words, signals).await;
    if let Err(why) = reply.is(&answer) {
        return Err(Unconfirmed::Unanswered { why, hint: None });
    }
    permit(plan, Confirmation::Typed(answer), ask.clock.now())
}

fn permit(plan: Plan, how: Confirmation, now: Time) -> Result<Confirmed, Unconfirmed> {
    if now > plan.document.expires_at {
        return Err(Unconfirmed::Stale);
    }
    plan.confirm(how, now).map_err(|why| Unconfirmed::Unanswered { why: why.to_string(), hint: None })
}

/// What somebody should know who is about to answer.
fn question(plan: &Plan, now: Time) -> String {
    let mut text = String::new();
    let end = expected_end(plan, now);
    text.push_str(&field("expected", &format!("ends about {end}, in {}", span_text(end.since(now)))));
    if plan.settings.unusual {
        text.push_str(&field("unusual", "far more than was removed in the last 90 days: look twice"));
    }
    text
}

/// When the run would end if nothing goes wrong and the provider takes no time.
fn expected_end(plan: &Plan, now: Time) -> Time {
    let settings = &plan.settings;
    let batches = u32::try_from(plan.document.batches.len()).unwrap_or(u32::MAX);
    let reference = settings.every.saturating_mul(2);
    let work = settings.bake.saturating_mul(batches);
    let pauses = settings.interval.saturating_mul(batches.saturating_sub(1));
    let end = now.plus(reference).plus(work).plus(pauses);
    // A budget holds up the last batch, not what comes before it.
    plan.document.not_before.map_or(end, |at| end.max(at.plus(settings.bake)))
}
