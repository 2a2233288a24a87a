//! Cuts from sums of rows: [`super::search`] and [`super::tree`] add them to a relaxation before they branch. Without them, a
//! gap of one host can take more branches than anybody waits for.
//!
//! They are Gomory's mixed-integer cuts in the form of mixed-integer rounding (Nemhauser and Wolsey, "A recursive
//! procedure to generate all cuts for 0-1 mixed integer programs", 1990): multiples of rows are added up to one
//! equation in whole numbers, and the remainders of its coefficients over a common divisor are rounded ([`Counted`]).
//! Floats only propose the multiples and the divisor: a poor proposal makes a weak cut, never a wrong one.

use std::collections::BTreeSet;

use super::basis::{Basis, Range};
use super::counted::{Counted, RoundedSum};
use super::cut::Cut;

/// The largest divisor that is tried.
const DIVISOR: f64 = 1e6;

/// A multiple of a row counts as a whole number if it is this close to one.
const WHOLE: f64 = 1e-5;

/// Larger multiples of a row are not used: floats do not know them well enough.
const COEFFICIENT: f64 = 1e7;

/// The divisor where a simpler one is not known.
const FINE: i64 = 1 << 20;

/// What multiples are multiplied by before they are rounded.
const SCALES: [f64; 6] = [1.0, -1.0, 2.0, -2.0, 3.0, -3.0];

/// The work of one proposal, for each entry of a row and each column.
const WORK: u64 = 30;

/// Two cuts at a smaller angle than this do the same; its cosine.
const ALIKE: f64 = 0.9;

/// How far a cut must be broken, as a distance in hosts, to be worth adding.
const BROKEN: f64 = 1e-4;

/// Maximum number of cuts from one relaxation.
const CUTS: usize = 32;

/// Cuts that hold within `range` and that the fractions `at` break, made from the tight rows by their place; and the work
/// that it was to find them.
pub(super) fn rounded_sums(basis: &Basis<'_>, range: &Range, at: &[f64]) -> (Vec<Cut>, u64) {
    let Some(counted) = Counted::of(&basis.tight, range, at) else { return (Vec::new(), 0) };
    let mut broken: Vec<Broken> = Vec::new();
    let proposals = proposals(basis);
    let entries: usize = basis.tight.iter().map(|row| row.takes.len()).sum();
    let work = (proposals.len() * (entries + at.len())) as u64 * WORK;
    for proposal in proposals {
        let Some(sum) = counted.rounded(&proposal.times, proposal.divisor) else { continue };
        let length = sum.takes.iter().map(|&(_, units)| (units as f64).powi(2)).sum::<f64>().sqrt();
        let taken: f64 = sum.takes.iter().map(|&(column, units)| units as f64 * at[column]).sum();
        let distance = (taken - sum.bound as f64) / length;
        if distance > BROKEN {
            broken.push(Broken { distance, length, sum, proposal });
        }
    }
    broken.sort_by(|a, b| b.distance.total_cmp(&a.distance));
    let mut chosen: Vec<Cut> = Vec::new();
    // The directions of those that are chosen, by column.
    let mut directions: Vec<Vec<f64>> = Vec::new();
    for Broken { length, sum, proposal, .. } in broken {
        let cosine = |known: &Vec<f64>| {
            sum.takes.iter().map(|&(column, units)| units as f64 * known[column]).sum::<f64>() / length
        };
        if directions.iter().all(|known| cosine(known) < ALIKE) {
            let mut direction = vec![0.0; at.len()];
            sum.takes.iter().for_each(|&(column, units)| direction[column] = units as f64 / length);
            directions.push(direction);
            chosen.push(counted.cut(sum, &proposal.times, proposal.divisor));
        }
        if chosen.len() == CUTS {
            break;
        }
    }
    (chosen, work)
}

/// Multiples of the tight rows, by place, and a divisor of their sum.
struct Proposal {
    times: Vec<i64>,
    divisor: i64,
}

/// A cut that the relaxation breaks.
struct Broken {
    /// How far, in hosts.
    distance: f64,
    /// Of the vector of its units.
    length: f64,
    sum: RoundedSum,
    proposal: Proposal,
}

/// Proposes multiples of the tight rows, and a divisor of their sum: the multiples that isolate a column, and every
/// single row, divided by the units that such a column takes from it. Where the multiples are no simple fractions, they
/// are rounded: then it is worth trying others than the nearest.
fn proposals(basis: &Basis<'_>) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    for multiples in &basis.multiples {
        if let Some(exact) = whole(multiples) {
            proposals.push(exact);
            continue;
        }
        for times in SCALES {
            let rounded = multiples.iter().map(|multiple| (multiple * times * FINE as f64).round());
            if rounded.clone().all(|times| times.abs() < COEFFICIENT) {
                // `as` saturates and maps NaN to 0.
                proposals.push(Proposal { times: rounded.map(|times| times as i64).collect(), divisor: FINE });
            }
        }
    }
    for (place, row) in basis.tight.iter().enumerate() {
        let inside = |column: &usize| basis.inside.binary_search(column).is_ok();
        let taken = row.takes.iter().filter(|(column, units)| units.abs() > 1 && inside(column));
        let divisors: BTreeSet<i64> = taken.filter_map(|(_, units)| i64::try_from(units.abs()).ok()).collect();
        proposals.extend(divisors.into_iter().map(|divisor| {
            let mut times = vec![0; basis.tight.len()];
            times[place] = 1;
            Proposal { times, divisor }
        }));
    }
    proposals
}

/// Whole multiples, and the divisor that they need.
fn whole(multiples: &[f64]) -> Option<Proposal> {
    let mut divisor = 1.0;
    for multiple in multiples {
        divisor *= denominator(multiple * divisor)?;
        if divisor > DIVISOR {
            return None;
        }
    }
    // `as` saturates; numbers that are not finite were refused above.
    let times = multiples.iter().map(|multiple| (multiple * divisor).round() as i64).collect();
    Some(Proposal { times, divisor: divisor as i64 })
}

/// The smallest whole number whose product with `x` is a whole number, by continued fractions.
fn denominator(x: f64) -> Option<f64> {
    let (mut before, mut now) = (0.0, 1.0);
    let mut rest = x.abs().fract();
    while now <= DIVISOR {
        if ((x * now) - (x * now).round()).abs() < WHOLE {
            return Some(now);
        }
        if rest == 0.0 {
            return None;
        }
        let turned = 1.0 / rest;
        rest = turned.fract();
        (before, now) = (now, turned.floor() * now + before);
    }
    None
}
