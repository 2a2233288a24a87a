//! Cuts from single rows: whole hosts within one row keep them, and the relaxation breaks them.
//!
//! Hosts that together are too many for a row are a cover: one of them must stay. The other hosts are lifted into that
//! sentence one after the other, each with the largest number that keeps it true (Gu, Nemhauser, Savelsbergh, "Lifted
//! cover inequalities for 0-1 integer programs: computation", 1998). Floats only say in which order. The numbers come from
//! the least weight at which each sum can be had, in integers.

use std::cmp::Ordering;

use super::basis::{Range, Row};

/// Rows of more hosts are left alone.
const HOSTS: u64 = 512;

/// A share that is this close to all or to nothing counts as such; and a cut must be broken by as much.
const WHOLE: f64 = 1e-6;

/// One host of a column that a row may take.
#[derive(Clone, Copy)]
struct Item {
    column: usize,
    /// More than 0.
    weight: i128,
    /// From 0 to 1.
    share: f64,
}

impl Item {
    fn by_share(&self, other: &Self) -> Ordering {
        other.share.total_cmp(&self.share).then(other.weight.cmp(&self.weight)).then(self.column.cmp(&other.column))
    }

    /// Those first that make a cover with the least that the relaxation leaves of them.
    fn by_missing(&self, other: &Self) -> Ordering {
        let missing = |item: &Self| (1.0 - item.share) / item.weight as f64;
        missing(self).total_cmp(&missing(other)).then(self.column.cmp(&other.column))
    }
}

/// Rows that follow from this one within `range`, and that the fractions `at` break; and the work that it was.
pub(super) fn covers(row: &Row, range: &Range, at: &[f64]) -> (Vec<Row>, u64) {
    let mut work = row.takes.len() as u64;
    let mut found: Vec<Row> = Vec::new();
    if let Some((mut items, room)) = items(row, range, at) {
        for order in [Item::by_share, Item::by_missing] {
            items.sort_by(order);
            let Some(lifted) = Lifted::of(&items, room) else { continue };
            work += lifted.work;
            found.extend(
                lifted.row(row, range).filter(|cut| cut.taken(at) > cut.bound as f64 + WHOLE && !found.contains(cut)),
            );
        }
    }
    (found, work)
}

/// The hosts that a row may take beyond the least, and what there is for them.
fn items(row: &Row, range: &Range, at: &[f64]) -> Option<(Vec<Item>, i128)> {
    if row.exact {
        return None;
    }
    let (mut room, mut hosts) = (row.bound, 0_u64);
    let mut items = Vec::new();
    for &(column, units) in &row.takes {
        let (low, high) = (range.low[column], range.high[column]);
        hosts = hosts.saturating_add(high - low);
        if hosts > HOSTS {
            return None;
        }
        // What takes less than nothing is counted down from its upper end.
        let (from, mut share) =
            if units > 0 { (low, at[column] - low as f64) } else { (high, high as f64 - at[column]) };
        room = room.checked_sub(units.checked_mul(from.into())?)?;
        for _ in low..high {
            items.push(Item { column, weight: units.checked_abs()?, share: share.clamp(0.0, 1.0) });
            share -= 1.0;
        }
    }
    // No sum of weights overflows.
    items.iter().try_fold(0_i128, |sum, item| sum.checked_add(item.weight))?;
    (room >= 0).then_some((items, room))
}

/// `sum(lifts * items) <= bound`, for all choices of items that the row allows.
struct Lifted {
    items: Vec<(Item, usize)>,
    bound: usize,
    /// By sum, the least weight of items that reach it; `None` if none do.
    least: Vec<Option<i128>>,
    work: u64,
}

impl Lifted {
    /// A cover of the first of these items, and all others lifted into it.
    fn of(items: &[Item], room: i128) -> Option<Self> {
        let (cover, mut others) = cover(items, room)?;
        // Items that the relaxation takes whole are taken for granted at first.
        let (mut given, mut first): (Vec<Item>, Vec<Item>) =
            cover.into_iter().partition(|item| item.share > 1.0 - WHOLE);
        while first.len() < 2 {
            first.push(given.pop()?);
        }
        given.sort_by_key(|item| std::cmp::Reverse(item.weight));
        others.sort_by(Item::by_share);
        let mut room = room - given.iter().map(|item| item.weight).sum::<i128>();
        let mut lifted = Self { items: Vec::new(), bound: first.len() - 1, least: vec![Some(0)], work: 0 };
        first.into_iter().for_each(|item| lifted.add(item, 1));
        // Those that the relaxation does not take at all come last.
        let between = others.iter().take_while(|item| item.share > WHOLE).count();
        let (between, nothing) = others.split_at(between);
        between.iter().for_each(|item| lifted.lift(*item, room));
        for item in given {
            room += item.weight;
            lifted.free(item, room);
        }
        nothing.iter().for_each(|item| lifted.lift(*item, room));
        Some(lifted)
    }

    /// The largest sum that this much weight allows.
    fn most(&self, weight: i128) -> usize {
        self.least.iter().rposition(|least| least.is_some_and(|least| least <= weight)).unwrap_or(0)
    }

    /// Adds an item that was left out, with as much as it can count for.
    fn lift(&mut self, item: Item, room: i128) {
        let lift = self.bound.saturating_sub(self.most(room - item.weight));
        self.add(item, lift);
    }

    /// Adds an item that was taken for granted: `room` has its weight again. What can be had without it is the new bound.
    fn free(&mut self, item: Item, room: i128) {
        let lift = self.most(room).saturating_sub(self.bound);
        self.bound += lift;
        self.add(item, lift);
    }

    fn add(&mut self, item: Item, lift: usize) {
        if lift == 0 {
            return;
        }
        self.items.push((item, lift));
        self.work += self.least.len() as u64;
        self.least.resize(self.least.len() + lift, None);
        for sum in (lift..self.least.len()).rev() {
            if let Some(with) = self.least[sum - lift].map(|least| least + item.weight) {
                self.least[sum] = Some(self.least[sum].map_or(with, |least| least.min(with)));
            }
        }
    }

    /// As a row of columns.
    fn row(&self, of: &Row, range: &Range) -> Option<Row> {
        let mut takes = Vec::new();
        let mut bound = self.bound as i128;
        for &(column, units) in &of.takes {
            let own = self.items.iter().filter(|(item, _)| item.column == column);
            let (hosts, lift) = own.fold((0, usize::MAX), |(hosts, least), (_, lift)| (hosts + 1, least.min(*lift)));
            let (low, high) = (range.low[column], range.high[column]);
            // Hosts of one column take the same: the least of their lifts, which is 0 if one was not lifted.
            if hosts == high - low && hosts > 0 {
                let (units, from) = if units > 0 { (lift as i128, low) } else { (-(lift as i128), high) };
                bound += units * i128::from(from);
                takes.push((column, units));
            }
        }
        (!takes.is_empty()).then_some(Row { takes, bound, exact: false })
    }
}

/// The first of these items that are too heavy together, without those that are not needed for that; and all others.
fn cover(items: &[Item], room: i128) -> Option<(Vec<Item>, Vec<Item>)> {
    let mut weight = 0;
    let first = items.iter().position(|item| {
        weight += item.weight;
        weight > room
    })?;
    let (first, rest) = items.split_at(first + 1);
    let (mut cover, mut others) = (first.to_vec(), rest.to_vec());
    cover.sort_by(|a, b| b.by_share(a));
    cover.retain(|item| {
        let is_needed = weight - item.weight <= room;
        if !is_needed {
            weight -= item.weight;
            others.push(*item);
        }
        is_needed
    });
    Some((cover, others))
}
