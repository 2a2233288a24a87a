//! Checks a certificate. It shares nothing with the solver: it reads the JSON, and knows whole numbers. Every rule of it is
//! in `docs/planner.md`.

use serde_json::Value;

/// `sum(units * hosts) <= bound`, by column.
struct Row {
    takes: Vec<(usize, i128)>,
    bound: i128,
}

/// Choices between a lower and an upper number of hosts for each column.
#[derive(Clone)]
struct Part {
    low: Vec<i128>,
    high: Vec<i128>,
}

/// Whether the certificate shows that no choice of its count keeps its rows; and what is wrong if not.
pub(super) fn check(certificate: &Value) -> Result<(), String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let count = number(&certificate["count"]);
    let unit = number(&certificate["unit"]);
    let high: Vec<i128> = list(&certificate["columns"]).iter().map(|hosts| list(hosts).len() as i128).collect();
    let mut rows: Vec<Row> = list(&certificate["rows"])
        .iter()
        .map(|row| Row { takes: pairs(&row["takes"]), bound: number(&row["bound"]) })
        .collect();
    let given = rows.len();
    let mut open = vec![Some(Part { low: vec![0; high.len()], high })];
    for (place, part) in list(&certificate["parts"]).iter().enumerate() {
        // What is empty already needs no steps, but its halves are still listed.
        let mut left =
            open.pop().ok_or("more parts than halves")?.and_then(|part| part.tightened(&rows[..given], count));
        for step in list(&part["steps"]) {
            let Some(range) = left else { break };
            left = if step["cover"].is_object() || step["rounded"].is_object() {
                if place > 0 {
                    return Err("a cut within a part".to_owned());
                }
                rows.push(cut(&step, &rows, &range)?);
                Some(range)
            } else {
                range.excluded(&step, &rows, count, unit)?.and_then(|part| part.tightened(&rows[..given], count))
            };
        }
        if part["split"].is_null() {
            if left.is_some() {
                return Err(format!("part {place} is not excluded"));
            }
            continue;
        }
        let (column, most) = (index(&part["split"][0]), number(&part["split"][1]));
        let half = |low: bool| {
            let mut half = left.clone()?;
            let end = if low { &mut half.low[column] } else { &mut half.high[column] };
            *end = if low { (most + 1).max(*end) } else { most.min(*end) };
            Some(half)
        };
        open.extend([half(true), half(false)]);
    }
    if open.is_empty() { Ok(()) } else { Err("fewer parts than halves".to_owned()) }
}

impl Part {
    /// Without what single rows exclude; `None` if nothing is left.
    fn tightened(mut self, rows: &[Row], count: i128) -> Option<Self> {
        loop {
            let before = (self.low.clone(), self.high.clone());
            for row in rows {
                let least: i128 =
                    row.takes.iter().map(|&(c, u)| u * if u > 0 { self.low[c] } else { self.high[c] }).sum();
                let spare = row.bound - least;
                if spare < 0 {
                    return None;
                }
                for &(column, units) in &row.takes {
                    let (low, high) = (self.low[column], self.high[column]);
                    if units > 0 {
                        self.high[column] = high.min(low + spare / units);
                    } else {
                        self.low[column] = low.max(high - spare / -units);
                    }
                }
            }
            if self.low.iter().zip(&self.high).any(|(low, high)| low > high) || self.high.iter().sum::<i128>() < count {
                return None;
            }
            if before == (self.low.clone(), self.high.clone()) {
                return Some(self);
            }
        }
    }

    /// Without what prices or multiples exclude. Both are sums of rows: whatever is chosen has at most what they allow.
    fn excluded(mut self, step: &Value, rows: &[Row], count: i128, unit: i128) -> Result<Option<Self>, String> {
        let is_priced = step["priced"].is_array();
        let times = pairs(if is_priced { &step["priced"] } else { &step["broken"] });
        let (unit, wanted) = if is_priced { (unit, count) } else { (0, 0) };
        let mut gains = vec![unit; self.low.len()];
        let mut spare = -wanted * unit;
        for (row, price) in times {
            if price < 0 {
                return Err("a negative price".to_owned());
            }
            spare += price * rows[row].bound;
            rows[row].takes.iter().for_each(|&(column, units)| gains[column] -= price * units);
        }
        for (column, &gain) in gains.iter().enumerate() {
            spare += gain * if gain > 0 { self.high[column] } else { self.low[column] };
        }
        if spare < 0 {
            return Ok(None);
        }
        for (column, &gain) in gains.iter().enumerate().filter(|(_, gain)| is_priced && **gain != 0) {
            let (low, high) = (self.low[column], self.high[column]);
            if gain > 0 {
                self.low[column] = low.max(high - spare / gain);
            } else {
                self.high[column] = high.min(low + spare / -gain);
            }
        }
        Ok(Some(self))
    }
}

/// One more row that follows from those before, within the part.
fn cut(step: &Value, rows: &[Row], part: &Part) -> Result<Row, String> {
    if step["rounded"].is_object() { rounded(&step["rounded"], rows, part) } else { cover(&step["cover"], rows, part) }
}

/// The least weight of row `of` at which the new row is broken is more than row `of` has.
fn cover(step: &Value, rows: &[Row], part: &Part) -> Result<Row, String> {
    let (of, new) = (&rows[index(&step["of"])], Row { takes: pairs(&step["takes"]), bound: number(&step["bound"]) });
    let (mut weight, mut missing) = (of.bound, new.bound + 1);
    let mut items = Vec::new();
    for &(column, units) in &of.takes {
        let lift = new.takes.iter().find(|(other, _)| *other == column).map_or(0, |(_, lift)| *lift);
        // Whoever counts down takes more the fewer there are.
        let from = if units > 0 { part.low[column] } else { part.high[column] };
        weight -= units * from;
        missing -= lift * from;
        let gain = if units > 0 { lift } else { -lift };
        for _ in part.low[column]..part.high[column] {
            items.push((units.abs(), usize::try_from(gain).map_err(|_| "a lift of the wrong sign")?));
        }
    }
    if new.takes.iter().any(|(column, _)| !of.takes.iter().any(|(other, _)| other == column)) {
        return Err("a cover of a column that its row does not have".to_owned());
    }
    let missing = usize::try_from(missing).map_err(|_| "a cover that nothing keeps")?;
    let mut least = vec![i128::MAX; missing + 1];
    least[0] = 0;
    for (units, gain) in items {
        for sum in (0..=missing).rev() {
            let reached = (sum + gain).min(missing);
            least[reached] = least[reached].min(least[sum].saturating_add(units));
        }
    }
    if least[missing] > weight { Ok(new) } else { Err("a cover that does not follow".to_owned()) }
}

/// Mixed-integer rounding: columns count from an end of their range, and what a row has left is a whole number too.
fn rounded(step: &Value, rows: &[Row], part: &Part) -> Result<Row, String> {
    let (divisor, shrink) = (number(&step["divisor"]), number(&step["shrink"]));
    if divisor < 1 || shrink < 1 {
        return Err("a divisor below 1".to_owned());
    }
    let mut ends = vec![None; part.low.len()];
    for end in step["ends"].as_array().into_iter().flatten() {
        let (column, from, down) = (index(&end[0]), number(&end[1]), end[2] == true);
        if if down { from < part.high[column] } else { from > part.low[column] } {
            return Err("an end within the range".to_owned());
        }
        ends[column] = Some((from, if down { -1 } else { 1 }));
    }
    let (mut sum, mut bound) = (vec![0; ends.len()], 0);
    let mut slacks = Vec::new();
    for (row, times) in pairs(&step["rows"]) {
        let (mut spare, mut takes) = (rows[row].bound, Vec::new());
        for &(column, units) in &rows[row].takes {
            let (from, sign) = ends[column].ok_or("a column without an end")?;
            spare -= units * from;
            takes.push((column, units * sign));
            sum[column] += times * units * sign;
        }
        bound += times * spare;
        slacks.push((times, spare, takes));
    }
    let left = bound.rem_euclid(divisor);
    let round = |a: i128| (divisor - left) * a.div_euclid(divisor) + (a.rem_euclid(divisor) - left).max(0);
    let mut cut: Vec<i128> = sum.into_iter().map(round).collect();
    let mut bound = (divisor - left) * bound.div_euclid(divisor);
    for (times, spare, takes) in slacks {
        bound -= round(times) * spare;
        takes.into_iter().for_each(|(column, units)| cut[column] -= round(times) * units);
    }
    let mut new = Row { takes: Vec::new(), bound: bound.div_euclid(shrink) };
    for (column, units) in cut.into_iter().enumerate().filter(|(_, units)| *units != 0) {
        let (from, sign) = ends[column].ok_or("a column without an end")?;
        let units = units.div_euclid(shrink) * sign;
        new.bound += units * from;
        new.takes.push((column, units));
    }
    Ok(new)
}

fn number(value: &Value) -> i128 {
    value.as_i64().expect("a whole number").into()
}

fn index(value: &Value) -> usize {
    usize::try_from(number(value)).expect("an index")
}

fn pairs(value: &Value) -> Vec<(usize, i128)> {
    value.as_array().into_iter().flatten().map(|pair| (index(&pair[0]), number(&pair[1]))).collect()
}
