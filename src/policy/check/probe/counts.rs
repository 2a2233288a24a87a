//! `events` and `of`: two counts, in place of the key that names a number.

use super::super::context::Context;
use super::place::Place;
use crate::policy::value::Spanned;

/// The two keys that name the counts of a share, as they stand in the file.
#[derive(Clone, Copy)]
pub(super) struct Counts<'a> {
    pub(super) events: &'a Spanned<String>,
    pub(super) of: &'a Spanned<String>,
}

/// Both or neither: `Some(None)` is neither, and `None` that an error is reported. `key` names the number without them, and
/// stands at `number` if it does.
pub(super) fn counts<'a>(
    context: &mut Context<'_>,
    place: Place<'a>,
    key: &str,
    number: Option<&Spanned<String>>,
) -> Option<Option<Counts<'a>>> {
    let raw = &place.at.value;
    let counts = match (&raw.events, &raw.of) {
        (None, None) => return Some(None),
        (Some(events), Some(of)) => Counts { events, of },
        (Some(events), None) => {
            let help = "`of` is the count of all that there were, such as all requests";
            one_alone(context, place, events, ("events", "of"), help);
            return None;
        }
        (None, Some(of)) => {
            let help = "`events` is the count of what happened, such as requests that failed";
            one_alone(context, place, of, ("of", "events"), help);
            return None;
        }
    };
    if let Some(at) = number {
        let message = format!("`{key}` names one number, and `events` and `of` stand in its place");
        context.error(&at.span, message, "beside `events`", &format!("take it out, or write `{key}` alone"));
        return None;
    }
    Some(Some(counts))
}

fn one_alone(context: &mut Context<'_>, place: Place<'_>, at: &Spanned<String>, keys: (&str, &str), help: &str) {
    let (given, missing) = keys;
    if !context.damaged.touches(&place.path(missing)) {
        let message = format!("`{given}` is one of the two counts of a share, and there is no `{missing}`");
        context.error(&at.span, message, "half of it", help);
    }
}
