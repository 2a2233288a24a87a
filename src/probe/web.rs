//! [`Web`]: one HTTP request and its answer, for the kinds that ask by HTTP.
//!
//! A probe checks exactly the server that its URL names: no proxy from the environment, no redirect unless the policy
//! allows it, and a new connection each time, because a connection that was kept alive does not show whether new ones
//! still get through. The certificate is checked against the operating system's trust store. Credentials, headers and
//! the query of a URL must not appear in messages.
//!
//! An answer from a cache says nothing of now: the request asks for none, and an answer that is older than `max_age` by its
//! own `Age` or `Date` is bad (RFC 9111, sections 4.2.3 and 5.1).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use ureq::Agent;
use ureq::config::RedirectAuthHeaders;
use ureq::http::header::{AGE, CACHE_CONTROL, CONTENT_TYPE, DATE};
use ureq::http::{self, HeaderMap, HeaderName, Uri};
use ureq::tls::{RootCerts, TlsConfig};

use super::secrets::{self, Secrets};
use super::text;
use crate::model::{chain, span_text};
use crate::policy::{Headers, Masked};

/// The limit of an answer; a larger one is unreadable: a probe is read every few seconds, and its answer is kept in
/// memory.
const LARGEST_BODY: u64 = 1 << 20;

/// Requests that may be under way. Each holds a thread, and one that waits for a file of a network that is gone holds it for
/// good: fleet and ledger need threads too (S7).
const THREADS: usize = 128;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) url: Masked,
    /// Follows the path of `url`.
    pub(crate) path: &'static str,
    pub(crate) method: String,
    pub(crate) headers: Headers,
    /// What is sent; without one the request has no body.
    pub(crate) body: Option<Body>,
    /// Statuses whose answer is read; any other is the error.
    pub(crate) statuses: Vec<u16>,
    /// Redirects that are followed.
    pub(crate) redirects: u64,
    /// `None`: whatever its age.
    pub(crate) max_age: Option<Duration>,
    pub(crate) timeout: Duration,
}

/// The body of a request.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// Its content type.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// From the request to the last byte.
    pub(crate) took: Duration,
    pub(crate) body: Vec<u8>,
    /// How old it is by its own account.
    pub(crate) age: Option<Duration>,
    headers: HeaderMap,
    secrets: Secrets,
}

impl Answer {
    /// What the server says, without what it was told in secret, on one line, at most so long.
    pub(crate) fn quoted(&self, text: &str, most: usize) -> String {
        self.secrets.quoted(text, most)
    }

    /// A login page, or that of a proxy, has numbers too.
    pub(crate) fn is_json(&self) -> Result<(), String> {
        let mut is_said = false;
        for said in texts_of(&self.headers, &CONTENT_TYPE) {
            let kind = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let suffixed = kind.starts_with("application/") && kind.ends_with("+json");
            if !suffixed && kind != "application/json" && kind != "text/json" {
                return Err(format!("the answer is {}, not JSON by its Content-Type", self.quoted(&said, 60)));
            }
            is_said = true;
        }
        match is_said {
            true => Ok(()),
            false => Err("the answer has no Content-Type, and does not say that it is JSON".to_owned()),
        }
    }
}

/// The part that all requests share.
pub(crate) struct Web {
    agent: Agent,
    threads: Arc<Semaphore>,
}

impl Web {
    pub(crate) fn new() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .proxy(None)
            .max_idle_connections(0)
            .allow_non_standard_methods(true)
            .user_agent(concat!("safe-remove/", env!("CARGO_PKG_VERSION")))
            .accept("*/*")
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .build();
        Self { agent: config.into(), threads: Arc::new(Semaphore::new(THREADS)) }
    }

    /// Sends the request, and passes the answer to `read`. The request's timeout covers all of it.
    ///
    /// # Errors
    ///
    /// The request and what is wrong with it, its answer, or its reading, without anything that is secret.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        ask: Ask,
        read: impl FnOnce(&Answer) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let agent = self.agent.clone();
        let timeout = ask.timeout;
        let tried = format!("{} {}", ask.method, place(&ask));
        // The agent enforces the timeout itself, so that its thread ends too. The outer timeout covers what the agent
        // may not see (a full thread pool, a slow file).
        let Ok(permit) = Arc::clone(&self.threads).try_acquire_owned() else {
            return Err(format!("{tried}: {THREADS} requests are stuck already"));
        };
        let answer = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let begun = Instant::now();
            let secrets = Secrets::of(&ask.headers, &ask.url).map_err(Failure::Bad)?;
            let left = ask.timeout.saturating_sub(begun.elapsed());
            let answer = send(&agent, &ask, &secrets, left);
            answer.and_then(|answer| read(&answer).map_err(Failure::Bad)).map_err(|failure| match failure {
                Failure::TimedOut => Failure::TimedOut,
                Failure::Bad(why) => Failure::Bad(secrets.hide(&why)),
            })
        });
        match tokio::time::timeout(timeout, answer).await {
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

fn send(agent: &Agent, ask: &Ask, secrets: &Secrets, timeout: Duration) -> Result<Answer, Failure> {
    let begun = Instant::now();
    let whole = ask.url.text().ok_or_else(|| Failure::Bad(secrets::KNOWN_BY_DIGEST.to_owned()))?;
    let mut message = http::Request::builder()
        .method(ask.method.as_str())
        .uri(with_path(whole, ask.path))
        .header(CACHE_CONTROL, "no-cache");
    for (name, value) in secrets.headers() {
        message = message.header(name, value);
    }
    let redirects = u32::try_from(ask.redirects).unwrap_or(0);
    let mut response = match &ask.body {
        None => {
            let message = message.body(()).map_err(ureq::Error::Http)?;
            let message = agent.configure_request(message).timeout_global(Some(timeout)).max_redirects(redirects);
            agent.run(message.build())?
        }
        Some(body) => {
            let message = message.header(CONTENT_TYPE, body.kind);
            let message = message.body(body.text.as_str()).map_err(ureq::Error::Http)?;
            let message = agent.configure_request(message).timeout_global(Some(timeout)).max_redirects(redirects);
            agent.run(message.build())?
        }
    };
    let status = response.status().as_u16();
    if !ask.statuses.contains(&status) {
        let expected: Vec<String> = ask.statuses.iter().map(u16::to_string).collect();
        return Err(Failure::Bad(format!("status {status}, expected {}", expected.join(" or "))));
    }
    let age = age_of(response.headers(), ask.max_age, jiff::Timestamp::now(), secrets).map_err(Failure::Bad)?;
    let body = response.body_mut().with_config().limit(LARGEST_BODY).read_to_vec()?;
    Ok(Answer {
        status,
        took: begun.elapsed(),
        body,
        age,
        headers: response.headers().clone(),
        secrets: secrets.clone(),
    })
}

/// The address with this behind its path.
fn with_path(url: &str, path: &str) -> String {
    if path.is_empty() {
        return url.to_owned();
    }
    let (place, query) = url.split_once('?').map_or((url, None), |(place, query)| (place, Some(query)));
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{path}{query}", place.trim_end_matches('/'))
}

/// Each value of the header: it may be there more than once.
fn texts_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> + 'a {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
}

/// How old an answer is by its own account.
///
/// # Errors
///
/// S3: it is older than `most`, or so much ahead that it will not be for long; or its account cannot be read, so that it may
/// be of any age.
fn age_of(
    headers: &HeaderMap,
    most: Option<Duration>,
    now: jiff::Timestamp,
    secrets: &Secrets,
) -> Result<Option<Duration>, String> {
    let age = |text: &str| text.parse().ok().map(Duration::from_secs);
    let date = |text: &str| {
        let at = jiff::Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok()?;
        // One that is a little ahead is of a clock that is. One that is far ahead would look fresh for as long.
        let ahead = Duration::try_from(at.duration_since(now)).unwrap_or_default();
        let age = Duration::try_from(now.duration_since(at)).unwrap_or_default();
        most.is_none_or(|most| ahead <= most).then_some(age)
    };
    let mut oldest = None;
    let told = texts_of(headers, &AGE).map(|text| (AGE, age(&text), text));
    for (name, age, text) in told.chain(texts_of(headers, &DATE).map(|text| (DATE, date(&text), text))) {
        match (age, most) {
            (None, Some(_)) => return Err(format!("its {name} cannot be believed: {}", secrets.quoted(&text, 60))),
            (Some(age), Some(most)) if age > most => {
                return Err(format!(
                    "the answer is {} old by its {name}, of {} allowed",
                    span_text(age),
                    span_text(most)
                ));
            }
            (age, _) => oldest = oldest.max(age),
        }
    }
    Ok(oldest)
}

/// Scheme, host, port and path: the parts of a URL that may appear in a message.
fn place(ask: &Ask) -> String {
    let uri = ask.url.text().and_then(|url| with_path(url, ask.path).parse::<Uri>().ok());
    let Some(uri) = uri else { return "(a URL that cannot be read)".to_owned() };
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = uri.host().unwrap_or("?");
    let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    text::cut(&format!("{scheme}://{host}{port}{}", uri.path()), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_before_the_query() {
        for (url, whole) in [
            ("http://h", "http://h/api"),
            ("http://h/", "http://h/api"),
            ("http://h/prom/", "http://h/prom/api"),
            ("http://h/prom?tenant=a", "http://h/prom/api?tenant=a"),
        ] {
            assert_eq!(with_path(url, "/api"), whole);
            assert_eq!(with_path(url, ""), url);
        }
    }
}
