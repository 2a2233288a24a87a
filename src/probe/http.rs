//! `http`: one request. The reading is the number at the JSON pointer, or the milliseconds until the whole answer was
//! there.
//!
//! A probe checks exactly the server that its URL names: no proxy from the environment, no redirects (a 302 is its
//! status), and a new connection each time, because a connection that was kept alive does not show whether new ones
//! still get through. The certificate is checked against the operating system's trust store. Credentials and the query
//! of a URL must not appear in messages.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{self, Uri};
use ureq::tls::{RootCerts, TlsConfig};

use super::{finite, millis, text};
use crate::model::{Reading, chain};

/// The limit of an answer; a larger one is unreadable: a probe is read every few seconds, and its answer is kept in
/// memory.
const LARGEST_BODY: u64 = 1 << 20;

/// One request of a probe.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) url: String,
    pub(super) method: String,
    pub(super) expect_status: BTreeSet<u16>,
    pub(super) pointer: Option<String>,
    pub(super) timeout: Duration,
}

/// The part that all requests share.
pub(super) struct HttpClient {
    agent: Agent,
}

impl HttpClient {
    pub(super) fn new() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .max_idle_connections(0)
            .allow_non_standard_methods(true)
            .user_agent(concat!("safe-remove/", env!("CARGO_PKG_VERSION")))
            .accept("*/*")
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .build();
        Self { agent: config.into() }
    }

    /// Sends the request and reads the answer. The request's timeout covers both.
    pub(super) async fn read(&self, request: Request) -> Result<Reading, String> {
        let agent = self.agent.clone();
        let timeout = request.timeout;
        let tried = format!("{} {}", request.method, place(&request.url));
        // The agent enforces the timeout itself, so that its thread ends too. The outer timeout covers what the agent
        // may not see (a full thread pool).
        let reading = tokio::task::spawn_blocking(move || send(&agent, &request));
        match tokio::time::timeout(timeout, reading).await {
            Err(_) | Ok(Ok(Err(Failure::TimedOut))) => Err(text::timed_out(&tried, timeout)),
            Ok(Ok(Err(Failure::Bad(why)))) => Err(format!("{tried}: {why}")),
            Ok(Ok(Ok(reading))) => Ok(reading),
            Ok(Err(_)) => Err(format!("{tried}: the request was given up")),
        }
    }
}

enum Failure {
    TimedOut,
    Bad(String),
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::TimedOut,
            ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::TimedOut => Self::TimedOut,
            // These would quote the URL with its credentials.
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Self::Bad("not a valid request".to_owned()),
            ureq::Error::BodyExceedsLimit(most) => Self::Bad(format!("the answer is larger than {most} bytes")),
            other => Self::Bad(chain(&other)),
        }
    }
}

fn send(agent: &Agent, request: &Request) -> Result<Reading, Failure> {
    let begun = Instant::now();
    let message = http::Request::builder()
        .method(request.method.as_str())
        .uri(request.url.as_str())
        .body(())
        .map_err(ureq::Error::Http)?;
    let message = agent.configure_request(message).timeout_global(Some(request.timeout)).build();
    let mut response = agent.run(message)?;
    let status = response.status().as_u16();
    if !request.expect_status.contains(&status) {
        let expected: Vec<String> = request.expect_status.iter().map(u16::to_string).collect();
        return Err(Failure::Bad(format!("status {status}, expected {}", expected.join(" or "))));
    }
    let body = response.body_mut().with_config().limit(LARGEST_BODY).read_to_vec()?;
    match &request.pointer {
        None => Ok(millis(begun.elapsed())),
        Some(pointer) => number_at(&body, pointer).map_err(Failure::Bad),
    }
}

/// The JSON number at the pointer. A string, even one of digits, is not a number.
fn number_at(body: &[u8], pointer: &str) -> Result<Reading, String> {
    let document: serde_json::Value =
        serde_json::from_slice(body).map_err(|error| format!("the answer is not JSON: {error}"))?;
    let shown = text::cut(pointer, 100);
    let found = document.pointer(pointer).ok_or_else(|| format!("the answer has nothing at {shown}"))?;
    match found.as_f64() {
        Some(number) => finite(number),
        None => Err(format!("the answer has {} at {shown}, not a number", kind_of(found))),
    }
}

fn kind_of(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number out of range",
        serde_json::Value::String(_) => "a string",
        serde_json::Value::Array(_) => "an array",
        serde_json::Value::Object(_) => "an object",
    }
}

/// Scheme, host, port and path: the parts of a URL that may appear in a message.
fn place(url: &str) -> String {
    let Ok(uri) = url.parse::<Uri>() else { return "(a URL that cannot be read)".to_owned() };
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = uri.host().unwrap_or("?");
    let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    text::cut(&format!("{scheme}://{host}{port}{}", uri.path()), 200)
}

#[cfg(test)]
mod tests;
