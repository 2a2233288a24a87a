//! [`listed`]: a map from a file that lists it in order.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Reads a map as a list first: of a list in order, a map is made at once. In any other order it is the same map.
///
/// # Errors
///
/// As those of the format.
pub(super) fn listed<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    deserializer.deserialize_map(Listed(PhantomData))
}

struct Listed<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Visitor<'de> for Listed<K, V> {
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = map.next_entry()? {
            list.push(entry);
        }
        Ok(list.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Read(#[serde(deserialize_with = "listed")] BTreeMap<String, u8>);

    proptest! {
        #[test]
        fn a_map_is_the_same_in_any_order_and_the_last_of_a_name_stays(
            entries in prop::collection::vec(("[a-d]", 0..9_u8), 0..9),
        ) {
            let text: Vec<String> = entries.iter().map(|(name, value)| format!("{name:?}: {value}")).collect();
            let text = format!("{{{}}}", text.join(", "));
            let one_by_one: BTreeMap<String, u8> = serde_json::from_str(&text).expect("a map");
            prop_assert_eq!(serde_json::from_str::<Read>(&text).expect("a map"), Read(one_by_one));
        }
    }
}
