//! Numbers for what a snapshot names, and many short lists of such numbers: what [`super::membership`] indexes with.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

/// A number of one of the hosts, zones, groups, kinds or subsystems, in half of the memory.
#[expect(clippy::expect_used, reason = "so many hosts fit in no memory")]
pub(super) fn narrow(number: usize) -> u32 {
    u32::try_from(number).expect("fewer than 2^32 hosts")
}

/// The number that was given to [`narrow`].
pub(super) fn wide(number: u32) -> usize {
    number as usize
}

/// Numbers for names, in the order in which they first appear.
pub(super) struct Places<'a, N> {
    places: HashMap<&'a N, u32, RandomState>,
    /// The same by where a name's text is and how long it is: a snapshot keeps each name once, and a text need not be read
    /// to see that it is the same one.
    by_text: HashMap<(usize, usize), u32, RandomState>,
}

impl<N> Default for Places<'_, N> {
    fn default() -> Self {
        Self { places: HashMap::default(), by_text: HashMap::default() }
    }
}

impl<'a, N: Ord + Hash> Places<'a, N> {
    /// The number of a name, whose text this is.
    pub(super) fn of(&mut self, name: &'a N, text: &'a str) -> u32 {
        let Self { places, by_text } = self;
        *by_text.entry((text.as_ptr().addr(), text.len())).or_insert_with(|| {
            let next = narrow(places.len());
            *places.entry(name).or_insert(next)
        })
    }

    /// The names in sorted order, and by number the place in that order.
    pub(super) fn sorted(self) -> (Vec<&'a N>, Vec<u32>) {
        let mut names: Vec<(&N, u32)> = self.places.into_iter().collect();
        names.sort_unstable();
        let mut places = vec![0; names.len()];
        names.iter().enumerate().for_each(|(place, &(_, number))| places[wide(number)] = narrow(place));
        (names.into_iter().map(|(name, _)| name).collect(), places)
    }
}

/// Many short lists of numbers, stored one after the other: this saves a hundred thousand allocations.
pub(super) struct Lists {
    /// Where each list begins, and where the last one ends.
    bounds: Vec<usize>,
    items: Vec<u32>,
}

impl Lists {
    /// Has no list yet, and room for so many of two numbers each.
    pub(super) fn with_capacity(lists: usize) -> Self {
        let mut bounds = Vec::with_capacity(lists + 1);
        bounds.push(0);
        Self { bounds, items: Vec::with_capacity(2 * lists) }
    }

    pub(super) fn push(&mut self, list: &[usize]) {
        self.items.extend(list.iter().copied().map(narrow));
        self.bounds.push(self.items.len());
    }

    /// How many lists there are.
    pub(super) fn lists(&self) -> usize {
        self.bounds.len() - 1
    }

    pub(super) fn get(&self, list: usize) -> impl ExactSizeIterator<Item = usize> + Clone {
        self.find(Some(list))
    }

    /// The list, or an empty one where there is none.
    pub(super) fn find(&self, list: Option<usize>) -> impl ExactSizeIterator<Item = usize> + Clone {
        let place = list.map_or(0..0, |list| self.bounds[list]..self.bounds[list + 1]);
        self.items[place].iter().copied().map(wide)
    }
}

/// For each item below `items`, the places in `lists` of the lists that it is in, ascending.
pub(super) fn inverted<L: IntoIterator<Item = usize>>(items: usize, lists: impl Iterator<Item = L> + Clone) -> Lists {
    let mut bounds = vec![0; items + 1];
    for list in lists.clone() {
        for item in list {
            bounds[item + 1] += 1;
        }
    }
    for item in 0..items {
        bounds[item + 1] += bounds[item];
    }
    let mut next = bounds.clone();
    let mut inverse = vec![0; bounds[items]];
    for (place, list) in lists.enumerate() {
        let place = narrow(place);
        for item in list {
            inverse[next[item]] = place;
            next[item] += 1;
        }
    }
    Lists { bounds, items: inverse }
}
