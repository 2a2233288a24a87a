//! The plan of a removal. Touches nothing.

use std::path::Path;
use std::time::Duration;

use crate::model::{RunId, Time};
use crate::output::Place;
use crate::plan::{PlanDocument, Request, Verdict, Violation};

use super::environment::Environment;
use super::error::OperationError;
use super::refusal;

/// A plan that is shown and not run, and the reason.
#[derive(Debug)]
pub(crate) struct PlanAnswer {
    pub(crate) document: PlanDocument,
    pub(crate) place: Place,
    pub(crate) because: Because,
    /// Whether the plan was confirmed before something else prevented its run.
    pub(crate) confirmed: bool,
    /// Where a run is continued: the run that the plan is the rest of.
    pub(crate) rest_of: Option<RunId>,
}

/// Why a plan is not run.
#[derive(Debug)]
pub(crate) enum Because {
    /// Nothing more was asked for; the plan is allowed.
    OnlyAsked,
    /// A rule refuses the plan.
    Refused,
    /// Other runs hold or claim what the plan would take, or have just removed it: not a refusal by the policies (S9).
    TakenByOthers,
    /// A budget or another run asks to wait for longer than the caller wants.
    Deferred {
        until: Time,
        now: Time,
        /// The budget, or the other run, if the ledger named it.
        why: Option<String>,
    },
    /// The plan was not confirmed.
    Unconfirmed { why: String, hint: Option<String> },
}

impl PlanAnswer {
    /// A plan that is not run.
    pub(crate) fn new(environment: &Environment, document: PlanDocument, because: Because) -> Self {
        Self { document, place: environment.place(), because, confirmed: false, rest_of: None }
    }

    /// A plan that is refused for these additional reasons.
    pub(crate) fn refused(environment: &Environment, document: &PlanDocument, violations: Vec<Violation>) -> Self {
        Self::new(environment, refusal::with(document, violations), Because::Refused)
    }

    /// Marks the plan as one that was confirmed.
    pub(crate) fn confirmed(mut self) -> Self {
        self.confirmed = true;
        self
    }

    /// Marks the plan as the rest of a run.
    pub(crate) fn rest_of(mut self, run: &RunId) -> Self {
        self.rest_of = Some(run.clone());
        self
    }
}

/// How much is proved.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Proving {
    /// `--prove`
    pub(crate) effort: Option<Duration>,
    /// `--certificate`
    pub(crate) certificate: bool,
}

/// Opens what the policies name, observes, and plans.
///
/// # Errors
///
/// The policies are invalid (4), the fleet cannot be established (5), the ledger cannot be read (10).
pub(crate) async fn plan(policies: &Path, request: &Request, proving: &Proving) -> Result<PlanAnswer, OperationError> {
    let environment = Environment::open(policies).await?.proving(proving.effort);
    let mut observation = environment.observe_then_read().await?;
    let mut plan = environment.plan(request, &mut observation).await?;
    if proving.certificate {
        plan.document.certified(|| environment.certify(request, &observation))?;
    }
    let because = match plan.document.verdict {
        Verdict::Allowed => Because::OnlyAsked,
        Verdict::Refused if environment.is_race(request, &observation, &plan)? => Because::TakenByOthers,
        Verdict::Refused => Because::Refused,
    };
    Ok(PlanAnswer::new(&environment, plan.document, because))
}
