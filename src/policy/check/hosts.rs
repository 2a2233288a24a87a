//! `[hosts]`: which hosts serve a subsystem. An empty selection never means everything.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use crate::policy::patterns;
use crate::policy::raw::RawHosts;
use crate::policy::types::Selector;
use crate::policy::value::{Patterns, Spanned};

/// Longer patterns are not names of hosts; compiled, they would take unlimited memory.
const LONGEST_PATTERN: usize = 256;

const GROUPS: &str = "hosts.auto_scaling_groups";

const EXAMPLE: &str = "write: [hosts], tags = { role = [\"index\"] }, or auto_scaling_groups = [\"index-*\"]";

pub(super) fn hosts(context: &mut Context<'_>, at: Option<&Spanned<RawHosts>>) -> Option<Selector> {
    let Some(at) = at else {
        if !context.damaged.touches("hosts") {
            context.error(&(0..0), "there is no [hosts]", "", EXAMPLE);
        }
        return None;
    };
    let raw = &at.value;
    if raw.tags.is_none() && raw.auto_scaling_groups.is_none() && !context.damaged.touches("hosts") {
        let message = "[hosts] has neither `tags` nor `auto_scaling_groups`: it selects nothing";
        context.error(&at.span, message, "at least one of them", EXAMPLE);
        return None;
    }
    let selected = match &raw.tags {
        None => Some(BTreeMap::new()),
        Some(map) => tags(context, map, "hosts.tags"),
    };
    let groups = match &raw.auto_scaling_groups {
        None => Some(BTreeSet::new()),
        Some(list) => patterns(context, list, GROUPS),
    };
    let never = match &raw.never {
        None => Some(BTreeMap::new()),
        Some(at) => {
            let help = "write: never = { tags = { \"keep\" = [\"true\"] } }";
            context
                .required(&at.value.tags, &at.span, "hosts.never.tags", help)
                .and_then(|map| tags(context, map, "hosts.never.tags"))
        }
    };
    Some(Selector {
        tags: selected?,
        auto_scaling_groups: groups?,
        never: never?,
        managed: raw.managed.unwrap_or_default(),
    })
}

fn tags(
    context: &mut Context<'_>,
    map: &Spanned<BTreeMap<String, Spanned<Patterns>>>,
    path: &str,
) -> Option<BTreeMap<String, BTreeSet<String>>> {
    if map.value.is_empty() && !context.damaged.touches(path) {
        context.error(&map.span, format!("`{path}` is empty"), "no tag", "write: tags = { role = [\"index\"] }");
        return None;
    }
    let mut all = Some(BTreeMap::new());
    for (tag, list) in &map.value {
        let patterns = patterns(context, list, &format!("{path}.{tag}"));
        if tag.is_empty() {
            context.error(&list.span, format!("`{path}` has a tag without a name"), "its patterns", "name the tag");
            all = None;
        }
        all = all.zip(patterns).map(|(mut all, patterns)| {
            all.insert(tag.clone(), patterns);
            all
        });
    }
    all
}

fn patterns(context: &mut Context<'_>, list: &Spanned<Patterns>, path: &str) -> Option<BTreeSet<String>> {
    if list.value.0.is_empty() && !context.damaged.touches(path) {
        let help = "nothing selected never means everything: write a pattern, or leave the key out";
        context.error(&list.span, format!("`{path}` is an empty list"), "no pattern", help);
        return None;
    }
    let mut all = Some(BTreeSet::new());
    for pattern in &list.value.0 {
        // A single pattern without a list has the span of the whole value.
        let span = if pattern.span.is_empty() { &list.span } else { &pattern.span };
        // Tags often have an empty value, and only the empty pattern matches exactly that. No group has an empty name.
        let wrong = if pattern.value.is_empty() && path == GROUPS {
            Some("it is empty".to_owned())
        } else if pattern.value.len() > LONGEST_PATTERN {
            Some(format!("it is longer than {LONGEST_PATTERN} bytes"))
        } else {
            patterns::glob(&pattern.value).err().map(|error| error.kind().to_string())
        };
        match wrong {
            Some(why) => {
                let message = format!("{:?} is not a pattern: {why}", pattern.value);
                let help = "`*` is any text, `?` any character, `[ab]` one of these, `{x,y}` either";
                context.error(span, message, "not a glob", help);
                all = None;
            }
            None => _ = all.as_mut().map(|all| all.insert(pattern.value.clone())),
        }
    }
    all
}
