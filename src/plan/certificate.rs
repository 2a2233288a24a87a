//! `safe-remove/certificate/v1`: why a number of hosts cannot go, in a form that anybody can check without a solver
//! (`docs/planner.md`). It is made on request, for a plan that is refused because of numbers.

use serde::{Deserialize, Serialize};

use crate::model::{GroupName, HostId, SubsystemName, ZoneName};

use super::constraints::Constraints;
use super::gates::Gates;
use super::membership::Membership;
use super::solver::{Effort, Made, Part, Proof, Rounded, Selector, Step, Sum, UNIT};
use super::stock::Ground;
use super::{AssessError, Inputs, Request, Rule, Selection};

/// Rows that every removal keeps, and steps that exclude every choice of so many hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Certificate {
    /// `safe-remove/certificate/v1`
    pub(crate) schema: String,
    /// No choice of so many hosts keeps all rows.
    pub(crate) count: u64,
    /// The worth of one host, in the parts that prices are counted in.
    pub(crate) unit: i64,
    /// Candidates that no row tells apart. A choice is a number of hosts for each of these.
    pub(crate) columns: Vec<Vec<HostId>>,
    /// The limits of a choice.
    pub(crate) rows: Vec<CertificateRow>,
    /// The choices, split in parts until none is left: a part, then its half with fewer hosts and all of its parts, then
    /// the other half.
    pub(crate) parts: Vec<CertificatePart>,
}

/// A row: the sum of units times hosts, over its columns, is at most the bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CertificateRow {
    /// The rule that it stands for. `run-size` also stands for budgets.
    pub(crate) rule: Rule,
    /// Whose rule it is; null for a group.
    pub(crate) subsystem: Option<SubsystemName>,
    /// The zone that it is about, if it is about one.
    pub(crate) zone: Option<ZoneName>,
    /// The group that it is about, if it is about one.
    pub(crate) group: Option<GroupName>,
    /// Units, or hosts, that may be taken.
    pub(crate) bound: i64,
    /// Column, and the units of one host.
    pub(crate) takes: Vec<(usize, i64)>,
}

/// A part of the choices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CertificatePart {
    /// One after the other.
    pub(crate) steps: Vec<CertificateStep>,
    /// The column at which what is left is split, and the most hosts of the first half; null if nothing is left.
    pub(crate) split: Option<(usize, u64)>,
}

/// A step. Rows are named by number: those above, and then the cuts in the order of their steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CertificateStep {
    /// Prices of one unit of rows, never negative. A choice is worth at most what the rows have at these prices, and what
    /// each host is worth beyond the price of what it takes.
    Priced(Vec<(usize, i64)>),
    /// Multiples of rows, never negative, that no choice in this part keeps together.
    Broken(Vec<(usize, i64)>),
    /// One more row: whoever keeps row `of` keeps it.
    Cover {
        /// The row.
        of: usize,
        /// The bound of the new row.
        bound: i64,
        /// Column, and the units of one host in the new row.
        takes: Vec<(usize, i64)>,
    },
    /// One more row: a sum of multiples of rows, rounded (mixed-integer rounding).
    Rounded {
        /// Rows, and their multiples.
        rows: Vec<(usize, i64)>,
        /// The number over which the sum is rounded, at least 1.
        divisor: i64,
        /// The number by which the result is divided and rounded down, at least 1.
        shrink: i64,
        /// Column, the end of its range that it is counted from, and whether it is counted down.
        ends: Vec<(usize, u64, bool)>,
    },
}

/// Why the count of a request cannot go, whatever is open or closed now. `None` if it can, if hosts were named, or if no
/// proof was found with the inputs' effort.
///
/// # Errors
///
/// [`AssessError`] if a host of a subsystem concerned cannot be weighed or placed: exit 5.
pub(crate) fn certify(inputs: &Inputs<'_>, request: &Request) -> Result<Option<Certificate>, AssessError> {
    let membership = &Membership::new(inputs.policies, inputs.snapshot);
    let gates = &Gates::new(inputs, membership);
    let (Some(named), Selection::Count(count)) = (membership.find_subsystem(&request.subsystem), &request.selection)
    else {
        return Ok(None);
    };
    let constraints = Constraints::new(&Ground::new(inputs, membership, gates), named)?;
    let selector = Selector::new(&constraints.problem, false);
    let proof = selector.proof(count.get(), &Effort::about(inputs.prove));
    Ok(proof.and_then(|proof| Certificate::of(&proof, &constraints, membership, count.get())))
}

impl Certificate {
    /// `None` if a number is too large to be written down.
    fn of(proof: &Proof, constraints: &Constraints<'_>, membership: &Membership<'_>, count: u64) -> Option<Self> {
        let problem = &constraints.problem;
        let hosts = |classes: &Vec<usize>| {
            let ranks = classes.iter().flat_map(|&class| &problem.classes[class].ranks);
            ranks.map(|&rank| membership.host(problem.candidates[rank]).id.clone()).collect()
        };
        let row = |(row, name): (&Sum, &usize)| {
            let names = constraints.names[*name];
            Some(CertificateRow {
                rule: names.rule,
                subsystem: names.subsystem.cloned(),
                zone: names.zone.cloned(),
                group: names.group.cloned(),
                bound: row.bound.try_into().ok()?,
                takes: short(&row.takes)?,
            })
        };
        Some(Self {
            schema: "safe-remove/certificate/v1".to_owned(),
            count,
            unit: UNIT.try_into().ok()?,
            columns: proof.columns.iter().map(hosts).collect(),
            rows: proof.rows.iter().zip(&proof.names).map(row).collect::<Option<_>>()?,
            parts: proof.parts.iter().map(CertificatePart::of).collect::<Option<_>>()?,
        })
    }
}

impl CertificatePart {
    fn of(part: &Part) -> Option<Self> {
        let steps = part.steps.iter().map(CertificateStep::of).collect::<Option<_>>()?;
        Some(Self { steps, split: part.split.map(|(column, most, _)| (column, most)) })
    }
}

impl CertificateStep {
    fn of(step: &Step) -> Option<Self> {
        Some(match step {
            Step::Priced(prices) => Self::Priced(short(prices)?),
            Step::Broken(multiples) => Self::Broken(short(multiples)?),
            Step::Cut { takes, bound, made: Made::Cover(of) } => {
                Self::Cover { of: *of, bound: (*bound).try_into().ok()?, takes: short(takes)? }
            }
            Step::Cut { made: Made::Rounded(Rounded { rows, divisor, shrink, ends }), .. } => {
                Self::Rounded { rows: rows.clone(), divisor: *divisor, shrink: *shrink, ends: ends.clone() }
            }
        })
    }
}

/// Numbers that every reader of JSON can have.
fn short(of: &[(usize, i128)]) -> Option<Vec<(usize, i64)>> {
    of.iter().map(|&(place, number)| Some((place, i64::try_from(number).ok()?))).collect()
}
