//! Real servers on the loopback interface, each with one answer, right or wrong.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use super::*;
use crate::policy::{AuthScheme, HeaderSource, Headers, Masked, ValueSource};
use crate::probe::testing::Server;

const LONG: Duration = Duration::from_secs(20);

/// A request to this server.
trait Asked {
    fn request(&self) -> Request;
}

impl Asked for Server {
    fn request(&self) -> Request {
        Request {
            url: format!("{}/health", self.url),
            method: "GET".to_owned(),
            expect_status: BTreeSet::from([200]),
            pointer: None,
            of: None,
            parse: NumberForm::Number,
            redirects: 0,
            headers: Headers::new(),
            max_age: Some(Duration::from_secs(60)),
            timeout: LONG,
        }
    }
}

/// A probe that is read once.
struct Request {
    url: String,
    method: String,
    expect_status: BTreeSet<u16>,
    pointer: Option<String>,
    of: Option<String>,
    parse: NumberForm,
    redirects: u64,
    headers: Headers,
    max_age: Option<Duration>,
    timeout: Duration,
}

impl Request {
    async fn read(self) -> Result<Reading, String> {
        let Self { url, method, expect_status, pointer, of, parse, redirects, headers, max_age, timeout } = self;
        let probe = HttpProbe { url: Masked::url(&url), method, expect_status, pointer, of, parse, redirects, headers };
        read(&Web::new(), &probe, max_age, timeout).await.map(|taken| taken.reading)
    }
}

async fn at(pointer: &str, body: &str) -> Result<Reading, String> {
    let server = Server::saying("200 OK", body);
    let request = Request { pointer: Some(pointer.to_owned()), ..server.request() };
    request.read().await.map_err(|why| why.replace(&server.url, "URL"))
}

/// The share of `/failed` in `/all`.
async fn share_of(body: &str, parse: NumberForm) -> Result<Reading, String> {
    let server = Server::saying("200 OK", body);
    let (pointer, of) = (Some("/failed".to_owned()), Some("/all".to_owned()));
    let request = Request { pointer, of, parse, ..server.request() };
    request.read().await.map_err(|why| why.replace(&server.url, "URL"))
}

#[tokio::test]
async fn two_counts_of_one_answer_are_a_share() {
    let share = |events, of| Ok(Reading::Share(crate::model::Share { events, of }));
    assert_eq!(share_of(r#"{"failed": 3, "all": 120}"#, NumberForm::Number).await, share(3.0, 120.0));
    assert_eq!(share_of(r#"{"failed": 0, "all": 0.5}"#, NumberForm::Number).await, share(0.0, 0.5));
    assert_eq!(share_of(r#"{"failed": "3", "all": "120"}"#, NumberForm::String).await, share(3.0, 120.0));
}

#[tokio::test]
async fn s3_counts_that_are_no_share_are_bad() {
    for (body, why) in [
        (r#"{"failed": 0, "all": 0}"#, "read 0 of 0: nothing happened that could fail"),
        (r#"{"failed": 5, "all": 4}"#, "read 5 of 4: more than there are"),
        (r#"{"failed": -1, "all": 4}"#, "read -1 of 4: a count is not negative"),
        (r#"{"failed": 1}"#, "the answer has nothing at /all"),
        (r#"{"all": 1}"#, "the answer has nothing at /failed"),
        (r#"{"failed": "1", "all": 4}"#, "the answer has a string at /failed, not a number"),
    ] {
        assert_eq!(share_of(body, NumberForm::Number).await, Err(format!("GET URL/health: {why}")), "{body}");
    }
}

#[tokio::test]
async fn without_a_pointer_the_reading_is_milliseconds() {
    let server = Server::new(|stream| {
        std::thread::sleep(Duration::from_millis(60));
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
        std::thread::sleep(Duration::from_millis(60));
        let _ = stream.write_all(b"k");
    });
    let reading = server.request().read().await;
    let Ok(Reading::Number(ms)) = reading else { panic!("{reading:?}") };
    assert!((120.0..20_000.0).contains(&ms), "{ms}");
    let head = server.asked.recv().expect("a request").to_lowercase();
    assert!(head.starts_with("get /health http/1.1\r\n"), "{head}");
    assert!(head.contains("cache-control: no-cache\r\n"), "{head}");
    assert!(head.contains(concat!("user-agent: safe-remove/", env!("CARGO_PKG_VERSION"))), "{head}");
}

#[tokio::test]
async fn the_number_at_the_pointer_is_the_reading() {
    assert_eq!(at("/a/0/b~1c", r#"{"a": [{"b/c": 0.25}]}"#).await, Ok(Reading::Number(0.25)));
    assert_eq!(at("", "-3").await, Ok(Reading::Number(-3.0)));
    assert_eq!(at("/n", r#"{"n": 18446744073709551615}"#).await, Ok(Reading::Number(18_446_744_073_709_551_615.0)));
}

#[tokio::test]
async fn s3_what_is_not_a_json_number_is_unreadable() {
    for (pointer, body, why) in [
        ("/n", r#"{"n": "5"}"#, "GET URL/health: the answer has a string at /n, not a number"),
        ("/n", r#"{"n": null}"#, "GET URL/health: the answer has null at /n, not a number"),
        ("/n", r#"{"n": true}"#, "GET URL/health: the answer has a boolean at /n, not a number"),
        ("/n", r#"{"n": [5]}"#, "GET URL/health: the answer has an array at /n, not a number"),
        ("/m", r#"{"n": 5}"#, "GET URL/health: the answer has nothing at /m"),
        ("n", r#"{"n": 5}"#, "GET URL/health: the answer has nothing at n"),
    ] {
        assert_eq!(at(pointer, body).await, Err(why.to_owned()));
    }
    for body in ["", "<html>", r#"{"n": NaN}"#, r#"{"n": 1e999}"#, r#"{"n": 5"#, r#"{"n": 5} {"n": 6}"#] {
        let why = at("/n", body).await.expect_err(body);
        assert!(why.starts_with("GET URL/health: the answer is not JSON: "), "{why}");
    }
    let deep = "[".repeat(100_000);
    assert!(at("/0", &deep).await.is_err());
}

#[tokio::test]
async fn s3_another_status_is_bad_and_a_redirect_is_its_status() {
    let server = Server::saying("503 Service Unavailable", "");
    let why = server.request().read().await.expect_err("503");
    assert_eq!(why, format!("GET {}/health: status 503, expected 200", server.url));

    let target = Server::saying("200 OK", "");
    let location = format!("{}/health", target.url);
    let redirect = move |stream: &mut TcpStream| {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
    };
    let server = Server::new(redirect.clone());
    let expect_status = BTreeSet::from([200, 204]);
    let request = Request { expect_status, ..server.request() };
    let why = request.read().await.expect_err("302");
    assert_eq!(why, format!("GET {}/health: status 302, expected 200 or 204", server.url));
    let server = Server::new(redirect);
    let request = Request { expect_status: BTreeSet::from([302]), ..server.request() };
    assert!(request.read().await.is_ok());
    assert!(target.asked.try_recv().is_err(), "a redirect was followed");
}

#[tokio::test]
async fn methods_are_sent_as_they_are() {
    for method in ["HEAD", "POST", "OPTIONS", "PURGE"] {
        let server = Server::new(|stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        });
        let request = Request { method: method.to_owned(), ..server.request() };
        let reading = request.read().await;
        assert!(reading.is_ok(), "{method}: {reading:?}");
        assert!(server.asked.recv().expect("a request").starts_with(&format!("{method} /health HTTP/1.1\r\n")));
    }
}

#[tokio::test]
async fn s3_a_body_that_trickles_ends_with_the_time_limit() {
    let server = Server::new(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        // Bounded: the probe's timeout is much shorter.
        for _ in 0..200 {
            if stream.write_all(b" ").is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let begun = Instant::now();
    let request = Request { timeout: Duration::from_millis(400), ..server.request() };
    let why = request.read().await.expect_err("too slow");
    assert_eq!(why, format!("GET {}/health: no answer within 400ms", server.url));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn s3_the_thread_of_a_request_that_is_given_up_ends_with_the_time_limit_too() {
    let server = Server::new(|_| std::thread::sleep(Duration::from_secs(8)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let begun = Instant::now();
    let request = Request { timeout: Duration::from_millis(400), ..server.request() };
    let why = runtime.block_on(request.read()).expect_err("no answer");
    assert_eq!(why, format!("GET {}/health: no answer within 400ms", server.url));
    // Waits for the thread.
    drop(runtime);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn s3_a_body_that_is_too_large_or_cut_off_is_unreadable() {
    let server = Server::saying("200 OK", vec![b' '; (1 << 20) + 1]);
    let why = server.request().read().await.expect_err("too large");
    assert_eq!(why, format!("GET {}/health: the answer is larger than 1048576 bytes", server.url));
    let server = Server::saying("200 OK", vec![b' '; 1 << 20]);
    assert!(server.request().read().await.is_ok());
    let server = Server::new(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"n\": 5}");
    });
    assert!(server.request().read().await.is_err());
    let endless = Server::new(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b' '; 4096]).is_ok() {}
    });
    assert!(endless.request().read().await.is_err());
}

#[tokio::test]
async fn s3_what_does_not_speak_http_is_bad() {
    for answer in
        [&b""[..], b"SSH-2.0-OpenSSH_9.6\r\n", b"\x15\x03\x01\x00\x02\x02\x46", b"HTTP/1.1 999999 Odd\r\n\r\n"]
    {
        let server = Server::new(move |stream| {
            let _ = stream.write_all(answer);
        });
        let why = server.request().read().await.expect_err("not HTTP");
        assert!(why.starts_with(&format!("GET {}/health: ", server.url)), "{why}");
    }
    let server = Server::saying("200 OK", "");
    let over_tls = Request { url: server.url.replace("http:", "https:"), ..server.request() };
    assert!(over_tls.read().await.is_err());
}

#[tokio::test]
async fn s3_a_server_that_is_not_there_is_bad() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    drop(listener);
    let request = Request { url: url.clone(), ..Server::saying("200 OK", "").request() };
    let why = request.read().await.expect_err("closed");
    assert!(why.starts_with(&format!("GET {url}: ")) && why.contains("refused"), "{why}");
}

#[tokio::test]
async fn messages_do_not_show_what_a_url_may_hide() {
    let server = Server::saying("500 Oops", "");
    let url = format!("{}/health?token=hidden", server.url.replace("http://", "http://user:hidden@"));
    let why = (Request { url, ..server.request() }).read().await.expect_err("500");
    assert_eq!(why, format!("GET {}/health: status 500, expected 200", server.url));
    for url in
        ["http://user:hidden@/x", "hidden", "ftp://user:hidden@127.0.0.1/", "http://user:hidden@[x/", "http:hidden"]
    {
        let request = Request { url: url.to_owned(), ..Server::saying("200 OK", "").request() };
        let why = request.read().await.expect_err("no URL");
        assert!(!why.contains("user:hidden"), "{why}");
    }
}

/// An answer of 2024 from a cache passed for one of now.
#[tokio::test]
async fn s3_what_a_cache_has_kept_for_too_long_is_bad() {
    let ago = |seconds: i64| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds);
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).expect("a date")
    };
    for (header, why) in [
        ("Age: 59".to_owned(), None),
        ("Age: 86400".to_owned(), Some("the answer is 24h old by its age, of 1m allowed")),
        ("Age: soon".to_owned(), Some("its age cannot be believed: soon")),
        (format!("Date: {}", ago(30)), None),
        (format!("Date: {}", ago(-30)), None),
        // It would look fresh for an hour.
        (format!("Date: {}", ago(-3600)), Some("its date cannot be believed: ")),
        // The other two forms of RFC 9110, section 5.6.7.
        ("Date: Sunday, 06-Nov-94 08:49:37 GMT".to_owned(), Some("old by its date, of 1m allowed")),
        ("Date: Sun Nov  6 08:49:37 1994".to_owned(), Some("old by its date, of 1m allowed")),
        (format!("Date: {}", ago(7200)), Some("old by its date, of 1m allowed")),
        ("Date: yesterday".to_owned(), Some("its date cannot be believed: yesterday")),
        (format!("Age: 0\r\nDate: {}", ago(7200)), Some("old by its date")),
        ("Age: 0\r\nAge: 86400".to_owned(), Some("old by its age")),
        (format!("Date: {}\r\nDate: {}", ago(0), ago(7200)), Some("old by its date")),
    ] {
        let server = Server::with("200 OK", header.clone(), "ok");
        let read = server.request().read().await;
        match why {
            None => assert!(read.is_ok(), "{header}: {read:?}"),
            Some(why) => assert!(read.as_ref().is_err_and(|said| said.contains(why)), "{header}: {read:?}"),
        }
        let server = Server::with("200 OK", header.clone(), "ok");
        let any = (Request { max_age: None, ..server.request() }).read().await;
        assert!(any.is_ok(), "{header}: {any:?}");
    }
}

/// A page for people has numbers too.
#[tokio::test]
async fn a_number_is_read_only_from_what_says_that_it_is_json() {
    for (header, is_json) in [
        ("Content-Type: application/json", true),
        ("Content-Type: application/json; charset=utf-8", true),
        ("content-type: Application/Health+JSON", true),
        ("Content-Type: text/html", false),
        ("Content-Type: application/json\r\nContent-Type: text/html", false),
        ("Content-Type: text/plain", false),
        ("Server: x", false),
    ] {
        let server = Server::with("200 OK", header, r#"{"n": 1}"#);
        let read = (Request { pointer: Some("/n".to_owned()), ..server.request() }).read().await;
        assert_eq!(read.is_ok(), is_json, "{header}: {read:?}");
        let server = Server::with("200 OK", header, "1");
        assert!(server.request().read().await.is_ok(), "without a pointer nothing is read of it");
    }
    let twice = at("/n", r#"{"n": 1, "n": 2}"#).await;
    assert!(twice.as_ref().is_err_and(|said| said.contains("is there twice")), "{twice:?}");
}

#[tokio::test]
async fn redirects_are_followed_only_as_often_as_the_policy_says() {
    let redirect = |location: String| {
        Server::new(move |stream: &mut TcpStream| {
            let head = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(head.as_bytes());
        })
    };
    for (allowed, is_read) in [(2, true), (1, false)] {
        let target = Server::saying("200 OK", r#"{"n": 5}"#);
        let second = redirect(format!("{}/b", target.url));
        let first = redirect(format!("{}/a", second.url));
        let request = Request { redirects: allowed, pointer: Some("/n".to_owned()), ..first.request() };
        let read = request.read().await;
        match is_read {
            true => assert_eq!(read, Ok(Reading::Number(5.0))),
            false => assert_eq!(read, Err(format!("GET {}/health: status 302, expected 200", first.url))),
        }
    }
}

fn authorization(text: &str) -> Headers {
    let from = ValueSource::Value(Masked::secret(text));
    Headers::from([("authorization".to_owned(), HeaderSource { from, scheme: Some(AuthScheme::Bearer) })])
}

/// `policy show` printed a password from a URL; so may what a server answers.
#[tokio::test]
async fn headers_are_sent_and_never_shown() {
    let server = Server::saying("200 OK", "");
    let read = Request { headers: authorization("hunter2"), ..server.request() }.read().await;
    assert!(read.is_ok(), "{read:?}");
    let head = server.asked.recv().expect("a request").to_lowercase();
    assert!(head.contains("authorization: bearer hunter2\r\n"), "{head}");
    let server = Server::with("200 OK", "Content-Type: hunter2", "");
    let request = Request { headers: authorization("hunter2"), pointer: Some(String::new()), ..server.request() };
    let why = request.read().await.expect_err("no JSON");
    assert_eq!(why, format!("GET {}/health: the answer is (hidden), not JSON by its Content-Type", server.url));
}

/// Another host than the one that was meant for it hears nothing of it: `127.0.0.2` is one.
#[tokio::test]
async fn a_redirect_takes_the_authorization_to_no_other_host() {
    let listener = TcpListener::bind("127.0.0.2:0").expect("a free port");
    let target = Server::on(listener, |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let location = target.url.clone();
    let server = Server::new(move |stream: &mut TcpStream| {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {location}/\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
    });
    let read = Request { headers: authorization("hunter2"), redirects: 1, ..server.request() }.read().await;
    assert!(read.is_ok(), "{read:?}");
    assert!(server.asked.recv().expect("a request").contains("hunter2"));
    assert!(!target.asked.recv().expect("a request").contains("hunter2"));
}

#[tokio::test]
async fn a_number_in_a_string_is_one_only_where_the_policy_says_so() {
    for (body, number) in [
        (r#"{"n": "5"}"#, Some(5.0)),
        (r#"{"n": "0.25"}"#, Some(0.25)),
        (r#"{"n": 5}"#, Some(5.0)),
        (r#"{"n": ""}"#, None),
        (r#"{"n": "5 ms"}"#, None),
        (r#"{"n": "NaN"}"#, None),
        (r#"{"n": "inf"}"#, None),
        (r#"{"n": true}"#, None),
    ] {
        let server = Server::saying("200 OK", body);
        let request = Request { parse: NumberForm::String, pointer: Some("/n".to_owned()), ..server.request() };
        assert_eq!(request.read().await.ok(), number.map(Reading::Number), "{body}");
    }
}
