//! More and fewer rows in a [`Tableau`] that goes on from where it is.

use super::{Row, Tableau};

impl Tableau {
    /// Adds rows to the relaxation; the basis stays.
    pub(in super::super) fn add(&mut self, rows: &[Row]) {
        let count = self.outside.len();
        // By variable, its row or its place.
        let mut where_is = vec![Err(0); count];
        self.outside.iter().enumerate().filter(|(_, v)| **v < count).for_each(|(place, &v)| where_is[v] = Err(place));
        self.basic.iter().enumerate().filter(|(_, v)| **v < count).for_each(|(row, &v)| where_is[v] = Ok(row));
        for row in rows {
            let number = self.model.bounds.len();
            let slack = self.model.add(row);
            let (mut cells, mut value) = (vec![0.0; count], self.model.bounds[number]);
            for &(variable, units) in &self.model.takes[number] {
                match where_is[variable] {
                    Err(place) => {
                        cells[place] += units;
                        value -= units * self.end(place);
                    }
                    Ok(row) => {
                        let own = &self.cells[row * count..(row + 1) * count];
                        cells.iter_mut().zip(own).for_each(|(cell, own)| *cell -= units * own);
                        value -= units * self.values[row];
                    }
                }
            }
            self.cells.extend(cells);
            self.values.push(value);
            self.weights.push(1.0);
            self.basic.push(self.low.len());
            self.low.push(0.0);
            self.high.push(slack);
        }
        self.work += rows.len() as u64 * Self::size(count, self.values.len());
    }

    /// Removes the rows for which `is_kept` is false, unless they have no room to spare; returns those that are left.
    pub(in super::super) fn keep(&mut self, is_kept: impl Fn(usize) -> bool) -> Vec<usize> {
        let (count, rows) = (self.outside.len(), self.values.len());
        let needed = self.needed();
        let left: Vec<usize> = (0..rows).filter(|&row| needed[row] || is_kept(row)).collect();
        let mut renamed: Vec<usize> = (0..count + rows).collect();
        left.iter().enumerate().for_each(|(place, &row)| renamed[count + row] = count + place);
        let stays = |variable: usize| variable < count || left.binary_search(&(variable - count)).is_ok();
        let own: Vec<usize> = (0..rows).filter(|&row| stays(self.basic[row])).collect();
        self.cells = own.iter().flat_map(|&row| &self.cells[row * count..(row + 1) * count]).copied().collect();
        self.values = own.iter().map(|&row| self.values[row]).collect();
        self.weights = own.iter().map(|&row| self.weights[row]).collect();
        self.basic = own.iter().map(|&row| renamed[self.basic[row]]).collect();
        self.outside.iter_mut().for_each(|variable| *variable = renamed[*variable]);
        let ends = |ends: &[f64]| -> Vec<f64> {
            (0..count).chain(left.iter().map(|row| count + row)).map(|variable| ends[variable]).collect()
        };
        (self.low, self.high) = (ends(&self.low), ends(&self.high));
        self.model.takes = left.iter().map(|&row| std::mem::take(&mut self.model.takes[row])).collect();
        self.model.bounds = left.iter().map(|&row| self.model.bounds[row]).collect();
        self.model.scales = left.iter().map(|&row| self.model.scales[row]).collect();
        left
    }
}
