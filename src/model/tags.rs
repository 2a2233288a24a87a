//! [`Tags`]: the tags of a host, in one piece of memory.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::FusedIterator;
use std::ops::Index;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The tags of a host: each key once, with its value. Neither is limited in length or content.
///
/// They never change, and clones share them. A fleet has many hosts, and every plan reads all of their tags: one text is
/// read more quickly than a map of texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Tags {
    /// How many tags there are, then keys and values in turn, ascending by key, each after its length in bytes; numbers
    /// are as of [`push`].
    text: Arc<str>,
}

/// How many bits of a number are in one character.
const BITS: u32 = 6;
/// Set in all characters of a number but its last.
const MORE: u8 = 1 << BITS;

/// Appends the number: six bits in each character, the highest first.
fn push(text: &mut String, number: usize) {
    let more = (1..usize::BITS.div_ceil(BITS)).rev().filter(|place| number >> (place * BITS) > 0);
    let character = |place: u32| (number >> (place * BITS)) as u8 & (MORE - 1);
    text.extend(more.map(|place| char::from(character(place) | MORE)));
    text.push(char::from(character(0)));
}

/// The number at the beginning of a text that [`push`] made, and what follows it.
fn number(text: &str) -> (usize, &str) {
    // Nearly every number has one character.
    if let Some(&only @ 0..MORE) = text.as_bytes().first() {
        return (only.into(), text.split_at(1).1);
    }
    let (mut number, mut characters) = (0, 0);
    for byte in text.bytes() {
        number = number << BITS | usize::from(byte & (MORE - 1));
        characters += 1;
        if byte & MORE == 0 {
            break;
        }
    }
    (number, text.split_at(characters).1)
}

/// The piece at the beginning of a text, which stands after its length, and what follows it.
fn piece(text: &str) -> (&str, &str) {
    let (length, rest) = number(text);
    // S3: a text that does not hold what its lengths say would hide tags, so it must not be read at all.
    rest.split_at(length)
}

impl Tags {
    /// The value of a tag.
    pub fn get(&self, key: &str) -> Option<&str> {
        // In ascending order, so the first that is not less decides.
        self.iter().find(|(own, _)| *own >= key).filter(|(own, _)| *own == key).map(|(_, value)| value)
    }

    /// Whether there is such a tag.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The keys with their values, ascending by key.
    pub fn iter(&self) -> TagsIter<'_> {
        let (left, rest) = number(&self.text);
        TagsIter { left, rest }
    }

    /// How many tags there are.
    pub fn len(&self) -> usize {
        number(&self.text).0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// These tags with others, which win where a key is in both.
    pub fn with<'a>(&'a self, others: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.iter().chain(others).collect()
    }

    /// Whether others are clones of these, as far as is known; equal tags need not be.
    pub(crate) fn are_shared(&self) -> bool {
        Arc::strong_count(&self.text) > 1
    }

    /// The same number for clones of each other, and for no others that exist at the same time.
    pub(crate) fn place(&self) -> usize {
        self.text.as_ptr().addr()
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Tags {
    /// Of tags with the same key, the last one counts.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(tags: I) -> Self {
        let mut tags: Vec<(K, V)> = tags.into_iter().collect();
        tags.sort_by(|(one, _), (other, _)| one.as_ref().cmp(other.as_ref()));
        // The last of each key comes first, and stays.
        tags.reverse();
        tags.dedup_by(|(key, _), (kept, _)| (*key).as_ref() == (*kept).as_ref());
        let mut text = String::new();
        push(&mut text, tags.len());
        for (key, value) in tags.iter().rev() {
            for piece in [key.as_ref(), value.as_ref()] {
                push(&mut text, piece.len());
                text.push_str(piece);
            }
        }
        Self { text: text.into() }
    }
}

impl From<BTreeMap<String, String>> for Tags {
    fn from(tags: BTreeMap<String, String>) -> Self {
        tags.into_iter().collect()
    }
}

impl<K: AsRef<str>, V: AsRef<str>, const N: usize> From<[(K, V); N]> for Tags {
    fn from(tags: [(K, V); N]) -> Self {
        tags.into_iter().collect()
    }
}

impl Default for Tags {
    fn default() -> Self {
        [("", ""); 0].into()
    }
}

impl Index<&str> for Tags {
    type Output = str;

    /// # Panics
    ///
    /// If there is no such tag.
    #[expect(clippy::expect_used, reason = "an index promises that the tag is there")]
    fn index(&self, key: &str) -> &str {
        self.get(key).expect("a tag with this key")
    }
}

impl<'a> IntoIterator for &'a Tags {
    type Item = (&'a str, &'a str);
    type IntoIter = TagsIter<'a>;

    fn into_iter(self) -> TagsIter<'a> {
        self.iter()
    }
}

/// The tags of a host in turn: [`Tags::iter`].
#[derive(Clone, Debug)]
pub struct TagsIter<'a> {
    /// How many tags are still to be read.
    left: usize,
    /// The rest of the text, which is still to be read.
    rest: &'a str,
}

impl<'a> Iterator for TagsIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (key, rest) = piece(self.rest);
        let (value, rest) = piece(rest);
        self.rest = rest;
        Some((key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for TagsIter<'_> {}

impl FusedIterator for TagsIter<'_> {}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<String, String>::deserialize(deserializer).map(Self::from)
    }
}

/// Tags that are being changed on one host alone, for tests. They are as they were until this is dropped.
#[cfg(test)]
pub(crate) struct Changing<'a> {
    tags: &'a mut Tags,
    map: BTreeMap<String, String>,
}

#[cfg(test)]
mod changing {
    use std::ops::{Deref, DerefMut};

    use super::*;

    impl Tags {
        pub(crate) fn changing(&mut self) -> Changing<'_> {
            let map = self.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            Changing { tags: self, map }
        }
    }

    impl Deref for Changing<'_> {
        type Target = BTreeMap<String, String>;

        fn deref(&self) -> &Self::Target {
            &self.map
        }
    }

    impl DerefMut for Changing<'_> {
        fn deref_mut(&mut self) -> &mut Self::Target {
            &mut self.map
        }
    }

    impl Drop for Changing<'_> {
        fn drop(&mut self) {
            *self.tags = std::mem::take(&mut self.map).into();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts of lengths around those at which one more character is needed for the length, and any others.
    fn piece() -> impl Strategy<Value = String> {
        let any = "\\PC{0,5}|[ab]{0,2}|[\\x00-\\x7f]{0,3}";
        let long = (prop::sample::select(vec![62_usize, 63, 64, 65, 4095, 4096, 4097, 300_000]), "[@é]")
            .prop_map(|(length, of)| of.repeat(length / of.len()) + &"x".repeat(length % of.len()));
        prop_oneof![8 => any, 1 => long]
    }

    proptest! {
        #[test]
        fn tags_are_what_a_map_is(
            listed in prop::collection::vec((piece(), piece()), 0..8),
            others in prop::collection::vec((piece(), piece()), 0..4),
            wanted in piece(),
        ) {
            let mut map: BTreeMap<String, String> = listed.iter().cloned().collect();
            let tags: Tags = listed.iter().map(|(key, value)| (key, value)).collect();
            prop_assert_eq!(&tags, &Tags::from(map.clone()), "in any order");
            prop_assert!(tags.iter().eq(map.iter().map(|(key, value)| (key.as_str(), value.as_str()))));
            prop_assert_eq!((tags.len(), tags.is_empty()), (map.len(), map.is_empty()));
            for key in map.keys().chain([&wanted]).chain(others.iter().map(|(key, _)| key)) {
                prop_assert_eq!(tags.get(key), map.get(key).map(String::as_str));
                prop_assert_eq!(tags.contains_key(key), map.contains_key(key));
            }
            let json = serde_json::to_string(&tags).expect("serializable");
            prop_assert_eq!(&json, &serde_json::to_string(&map).expect("serializable"));
            prop_assert_eq!(&serde_json::from_str::<Tags>(&json).expect("the same"), &tags);
            prop_assert_eq!(format!("{tags:?}"), format!("{map:?}"));
            let more = tags.with(others.iter().map(|(key, value)| (key.as_str(), value.as_str())));
            map.extend(others);
            prop_assert_eq!(&more, &Tags::from(map.clone()));
            prop_assert_eq!(more == tags, more.iter().eq(tags.iter()));
        }
    }

    #[test]
    fn clones_share_and_others_do_not() {
        let [one, other] = [Tags::from([("role", "index")]), Tags::from([("role", "index")])];
        assert!(one == other && one.place() != other.place() && !one.are_shared());
        let clone = one.clone();
        assert!(clone.place() == one.place() && clone.are_shared() && one.are_shared() && !other.are_shared());
    }

    #[test]
    #[should_panic(expected = "out of bounds")]
    fn a_text_that_is_cut_off_is_not_read_as_fewer_tags() {
        let whole = Tags::from([("keep", "true")]);
        let cut = Tags { text: whole.text.get(..8).expect("longer").into() };
        _ = cut.get("keep");
    }
}
