//! `prometheus`: an instant query, whose answer is one sample (HTTP API, "Instant queries").
//!
//! The query goes in the body of a POST, which no cache answers. Where a series has stopped, the server leaves it out of the
//! answer: at once where it saw it stop, else after its lookback of 5 minutes, which `lookback_delta` shortens to `max_age`.
//! An answer with a warning is not whole.

use std::time::Duration;

use serde::Deserialize;

use super::web::{Answer, Ask, Body, Web};
use super::{Taken, finite, share};
use crate::model::{counted, span_text};
use crate::policy::PrometheusProbe;

/// The path of an instant query.
const PATH: &str = "/api/v1/query";

/// Statuses that come with an answer in JSON: good, a bad parameter, a query that cannot be evaluated, a time-out.
const STATUSES: [u16; 4] = [200, 400, 422, 503];

/// Asks once, or at once for both counts of a share, within `timeout`; a sample older than `max_age` is bad, whatever its age
/// if `None`.
pub(super) async fn read(
    web: &Web,
    probe: &PrometheusProbe,
    max_age: Option<Duration>,
    timeout: Duration,
) -> Result<Taken, String> {
    let ask = |query: &str| ask(web, probe, query.to_owned(), max_age, timeout);
    let Some(of) = &probe.of else { return ask(&probe.query).await };
    let (events, of) = tokio::join!(ask(&probe.query), ask(of));
    let (events, of) = (events.map_err(|why| format!("events: {why}"))?, of.map_err(|why| format!("of: {why}"))?);
    // As old as the older one.
    let age = events.own_time.age.max(of.own_time.age);
    Ok(Taken::aged(share(events.reading, of.reading)?, age))
}

/// The answer to one query.
async fn ask(
    web: &Web,
    probe: &PrometheusProbe,
    query: String,
    max_age: Option<Duration>,
    timeout: Duration,
) -> Result<Taken, String> {
    let mut form = vec![("query", query), ("timeout", seconds(timeout))];
    form.extend(max_age.map(|age| ("lookback_delta", seconds(age))));
    let ask = Ask {
        url: probe.url.clone(),
        path: PATH,
        method: "POST".to_owned(),
        headers: probe.headers.clone(),
        body: Some(Body { kind: "application/x-www-form-urlencoded", text: encoded(&form) }),
        statuses: STATUSES.to_vec(),
        redirects: 0,
        max_age,
        timeout,
    };
    web.ask(ask, move |answer| sample_of(answer, max_age, jiff::Timestamp::now())).await
}

/// `1.5`: the API takes seconds.
fn seconds(of: Duration) -> String {
    of.as_secs_f64().to_string()
}

/// A form as browsers send it: every byte but letters and digits in per cent (URL standard,
/// "application/x-www-form-urlencoded").
fn encoded(form: &[(&str, String)]) -> String {
    let value = |text: &str| -> String {
        let byte = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        };
        text.bytes().map(byte).collect()
    };
    form.iter().map(|(key, text)| format!("{key}={}", value(text))).collect::<Vec<_>>().join("&")
}

/// What the API answers.
#[derive(Debug, Deserialize)]
struct Response {
    status: String,
    data: Option<Data>,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    /// VictoriaMetrics: some of its stores did not answer.
    #[serde(default, rename = "isPartial")]
    is_partial: bool,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Series>),
    Scalar(Value),
    Matrix(serde::de::IgnoredAny),
    String(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
struct Series {
    /// `None`: a histogram.
    value: Option<Value>,
    histogram: Option<serde::de::IgnoredAny>,
}

/// Unix seconds, and the number as text: JSON has neither `NaN` nor infinities.
#[derive(Debug, Deserialize)]
struct Value(f64, String);

fn sample_of(answer: &Answer, max_age: Option<Duration>, now: jiff::Timestamp) -> Result<Taken, String> {
    answer.is_json()?;
    // serde would quote what it did not expect.
    let not_one = |error: &serde_json::Error| {
        format!("the answer is not one of Prometheus, by its line {}, column {}", error.line(), error.column())
    };
    let response: Response = serde_json::from_slice(&answer.body).map_err(|error| not_one(&error))?;
    let quoted = |text: &str| answer.quoted(text, 200);
    if response.status != "success" || answer.status != 200 || response.error.is_some() {
        let kind = response.error_type.as_deref().unwrap_or("error");
        return Err(format!("{}: {}", quoted(kind), quoted(response.error.as_deref().unwrap_or("without a message"))));
    }
    if let Some(warning) = response.warnings.first() {
        return Err(format!("the answer is not whole: {}", quoted(warning)));
    }
    if response.is_partial {
        return Err("the answer is not whole: isPartial".to_owned());
    }
    let Value(at, number) = match response.data {
        Some(Data::Scalar(value)) => value,
        Some(Data::Vector(series)) => match <[Series; 1]>::try_from(series) {
            Ok([Series { value: Some(value), histogram: None }]) => value,
            Ok([_]) => return Err("the query answers with a histogram, not a number".to_owned()),
            Err(others) if others.is_empty() => return Err("the query answers with no sample".to_owned()),
            Err(others) => {
                let many = counted(others.len(), "sample");
                return Err(format!("the query answers with {many}: one is wanted, such as by sum(...)"));
            }
        },
        Some(Data::Matrix(_)) => return Err("the query answers with a range of samples, not one".to_owned()),
        Some(Data::String(_)) => return Err("the query answers with a string, not a number".to_owned()),
        None => return Err("the answer has no data".to_owned()),
    };
    let age = age_of(at, max_age, now)?;
    // S3: a server whose clock stands still, or a cache in front of it, answers with the past.
    if let Some(most) = max_age.filter(|most| age > *most) {
        return Err(format!("the sample is {} old, of {} allowed", span_text(age), span_text(most)));
    }
    match number.parse::<f64>() {
        Ok(number) => Ok(Taken::aged(finite(number)?, Some(age))),
        Err(_) => Err(format!("the sample is not a number: {}", quoted(&number))),
    }
}

/// The age of a sample of this Unix time. One that is a little ahead is of a clock that is; one that is further ahead than a
/// sample may be old would look fresh for as long.
fn age_of(at: f64, most: Option<Duration>, now: jiff::Timestamp) -> Result<Duration, String> {
    let age = now.as_duration().as_secs_f64() - at;
    if most.is_some_and(|most| -age > most.as_secs_f64()) {
        return Err("the sample has a time that lies ahead: the server's clock, or a cache, is wrong".to_owned());
    }
    Duration::try_from_secs_f64(age.max(0.0)).map_err(|_| "the sample has no time".to_owned())
}

#[cfg(test)]
mod tests;
