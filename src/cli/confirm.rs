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
    if ask.yes && plan.is_unattended_enough() {
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
    let end = plan.expected_end(now);
    text.push_str(&field("expected", &format!("ends about {end}, in {}", span_text(end.since(now)))));
    if plan.settings.unusual {
        text.push_str(&field("unusual", "far more than was removed in the last 90 days: look twice"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::testing::{NOON, World, counted, policy};
    use crate::policy::{BatchLimit, Budget};

    /// A budget may hold up more than the last batch, and after each of them there is a bake.
    #[test]
    fn the_question_says_when_the_run_ends_however_many_batches_a_budget_holds_up() {
        for count in [2, 4, 5, 6] {
            for (hosts, minutes) in [(2, 60), (3, 20), (4, 60)] {
                let mut world = World::new([policy("index", 4)]).with("index", 12, &["a", "b", "c"], &["index"]);
                let pace = &mut world.policy_mut("index").pace;
                pace.batch = BatchLimit::Hosts(2);
                let per = Duration::from_secs(60 * minutes);
                pace.budgets = vec![Budget { hosts, per }, Budget { hosts: 12, per: Duration::from_secs(86_400) }];
                world.removed("gone-1", Some(NOON.minus(Duration::from_secs(600))));
                let plan = counted(&world, "index", count);
                let (said, end) = (question(&plan, NOON), plan.expected_end(NOON));
                assert!(
                    said.contains(&format!("ends about {end}")),
                    "{count} of {hosts} in {minutes}m: {end}, not {said}"
                );
            }
        }
    }
}
