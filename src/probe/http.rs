//! `http`: one request. The reading is the number at the JSON pointer, the share of two counts at two of them, or the
//! milliseconds until the whole answer was there. A number is read only from an answer that says that it is JSON.

use std::time::Duration;

use super::web::{Answer, Ask, Web};
use super::{Taken, finite, json, millis, share, text};
use crate::model::Reading;
use crate::policy::{HttpProbe, NumberForm};

/// Asks once, within `timeout`; an answer older than `max_age` is bad, whatever its age if `None`.
pub(super) async fn read(
    web: &Web,
    probe: &HttpProbe,
    max_age: Option<Duration>,
    timeout: Duration,
) -> Result<Taken, String> {
    let ask = Ask {
        url: probe.url.clone(),
        path: "",
        method: probe.method.clone(),
        headers: probe.headers.clone(),
        body: None,
        statuses: probe.expect_status.iter().copied().collect(),
        redirects: probe.redirects,
        max_age,
        timeout,
    };
    let (pointer, of, form) = (probe.pointer.clone(), probe.of.clone(), probe.parse);
    web.ask(ask, move |answer| {
        let reading = match (&pointer, &of) {
            (None, _) => millis(answer.took),
            (Some(pointer), None) => number_of(answer, pointer, form)?,
            (Some(events), Some(of)) => share(number_of(answer, events, form)?, number_of(answer, of, form)?)?,
        };
        Ok(Taken::aged(reading, answer.age))
    })
    .await
}

/// The number at the pointer.
fn number_of(answer: &Answer, pointer: &str, form: NumberForm) -> Result<Reading, String> {
    answer.is_json()?;
    let found = json::at(&answer.body, pointer).map_err(|error| match error.is_data() {
        true => format!("the answer is ambiguous: {error}"),
        false => format!("the answer is not JSON: {error}"),
    })?;
    let shown = text::cut(pointer, 100);
    let found = found.ok_or_else(|| format!("the answer has nothing at {shown}"))?;
    let in_a_string = found.as_str().filter(|_| form == NumberForm::String).and_then(|text| text.parse().ok());
    match found.as_f64().or(in_a_string) {
        Some(number) => finite(number),
        None => Err(format!("the answer has {} at {shown}, not a number", json::kind_of(&found))),
    }
}

#[cfg(test)]
mod tests;
