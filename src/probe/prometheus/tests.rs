//! Answers as a server gives them, and as it never should. Those of a real one are in `tests/all/probes`.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use crate::model::Reading;
use crate::policy::{Headers, Masked};
use crate::probe::testing::Server;

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// The age that is allowed: ten years, for answers that were written down.
const ANY: Duration = Duration::from_secs(10 * 365 * 86_400);

async fn read_from(server: &Server, max_age: Duration) -> Result<Reading, String> {
    ask_of(&server.url, None, max_age).await.map(|taken| taken.reading)
}

async fn ask_of(url: &str, of: Option<&str>, max_age: Duration) -> Result<Taken, String> {
    let probe = PrometheusProbe {
        url: Masked::url(url),
        query: "sum(rate(errors[2m])) + 1".to_owned(),
        of: of.map(str::to_owned),
        headers: Headers::new(),
    };
    read(&Web::new(), &probe, Some(max_age), LONG).await.map_err(|why| why.replace(url, "URL"))
}

async fn of(body: &str) -> Result<Reading, String> {
    read_from(&Server::saying("200 OK", body), ANY).await
}

fn vector(of: &str) -> String {
    format!(r#"{{"status": "success", "data": {{"resultType": "vector", "result": [{of}]}}}}"#)
}

#[tokio::test]
async fn one_sample_is_the_reading() {
    let sample = r#"{"metric": {"job": "index"}, "value": [1796014938.371, "0.25"]}"#;
    assert_eq!(of(&vector(sample)).await, Ok(Reading::Number(0.25)));
    let scalar = r#"{"status": "success", "data": {"resultType": "scalar", "result": [1796014938, "-3e2"]}}"#;
    assert_eq!(of(scalar).await, Ok(Reading::Number(-300.0)));
    let infos = vector(sample).replacen('{', r#"{"infos": ["metric might not be a counter"], "#, 1);
    assert_eq!(of(&infos).await, Ok(Reading::Number(0.25)));
}

#[tokio::test]
async fn s3_whatever_is_not_one_sample_is_bad() {
    let sample = r#"{"metric": {}, "value": [1796014938.371, "1"]}"#;
    let with = |number: &str| vector(&sample.replace("\"1\"", number));
    for (body, why) in [
        (vector(""), "the query answers with no sample"),
        (
            vector(&format!("{sample}, {sample}")),
            "the query answers with 2 samples: one is wanted, such as by sum(...)",
        ),
        (vector(r#"{"metric": {}, "histogram": [1.0, {}]}"#), "the query answers with a histogram, not a number"),
        (with("\"NaN\""), "read NaN, not a finite number"),
        (with("\"+Inf\""), "read inf, not a finite number"),
        (with("\"many\""), "the sample is not a number: many"),
        (
            vector(sample).replacen('{', r#"{"warnings": ["store x is away"], "#, 1),
            "the answer is not whole: store x is away",
        ),
        (vector(sample).replace("vector", "matrix"), "the query answers with a range of samples, not one"),
        (
            r#"{"status": "success", "data": {"resultType": "string", "result": [1, "1"]}}"#.to_owned(),
            "the query answers with a string, not a number",
        ),
        (r#"{"status": "success"}"#.to_owned(), "the answer has no data"),
        (
            r#"{"status": "error", "errorType": "timeout", "error": "query timed out"}"#.to_owned(),
            "timeout: query timed out",
        ),
        (vector(sample).replace("success", "partial"), "error: without a message"),
        (vector(sample).replacen('{', r#"{"error": "half of it", "#, 1), "error: half of it"),
        (vector(sample).replacen('{', r#"{"isPartial": true, "#, 1), "the answer is not whole: isPartial"),
        (
            vector(&sample.replacen('{', r#"{"histogram": [1, {}], "#, 1)),
            "the query answers with a histogram, not a number",
        ),
    ] {
        assert_eq!(of(&body).await, Err(format!("POST URL/api/v1/query: {why}")), "{body}");
    }
    for body in ["", "1", "{}", "<html>", r#"{"status": "success", "data": {"resultType": "vector", "result": 1}}"#] {
        let why = of(body).await.expect_err(body);
        assert!(why.starts_with("POST URL/api/v1/query: the answer is not one of Prometheus, by its line "), "{why}");
    }
}

#[tokio::test]
async fn s3_an_answer_of_the_past_is_bad() {
    let now = jiff::Timestamp::now().as_second();
    for (ago, is_young) in
        [(0, true), (50, true), (70, false), (86_400, false), (-50, true), (-70, false), (-86_400, false)]
    {
        let body = vector(&format!(r#"{{"metric": {{}}, "value": [{}, "1"]}}"#, now - ago));
        let read = read_from(&Server::saying("200 OK", body), Duration::from_secs(60)).await;
        assert_eq!(read.is_ok(), is_young, "{ago}: {read:?}");
    }
    // A cache's own account of it.
    let fresh = vector(&format!(r#"{{"metric": {{}}, "value": [{now}, "1"]}}"#));
    let server = Server::with("200 OK", "Content-Type: application/json\r\nAge: 100", fresh);
    assert!(read_from(&server, Duration::from_secs(60)).await.is_err());
}

#[tokio::test]
async fn the_query_goes_in_a_form_and_an_error_says_what_the_server_says() {
    let body = r#"{"status": "error", "errorType": "bad_data", "error": "parse error: unclosed left parenthesis"}"#;
    let server = Server::saying("400 Bad Request", body);
    let why = read_from(&server, Duration::from_secs(150)).await.expect_err("400");
    assert_eq!(why, "POST URL/api/v1/query: bad_data: parse error: unclosed left parenthesis");
    let asked = server.asked.recv().expect("a request");
    assert!(asked.starts_with("POST /api/v1/query HTTP/1.1\r\n"), "{asked}");
    let form = "query=sum%28rate%28errors%5B2m%5D%29%29%20%2B%201&timeout=20&lookback_delta=150";
    assert!(asked.ends_with(&format!("\r\n\r\n{form}")), "{asked}");
    let elsewhere = Server::saying("404 Not Found", "");
    let why = read_from(&elsewhere, ANY).await.expect_err("404");
    assert_eq!(why, "POST URL/api/v1/query: status 404, expected 200 or 400 or 422 or 503");
}

/// The share that a server tells which answers with one of these bodies to the query for the events, and with the other to
/// that for all. It answers neither before both have come.
async fn share_of(events: String, of: String) -> Result<Taken, String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        let mut both = Vec::new();
        for _ in 0..2 {
            let Ok((stream, _)) = listener.accept() else { return };
            both.push(asked(stream));
        }
        for (mut stream, request) in both {
            let body = if request.contains("query=sum%28all%29&") { &of } else { &events };
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    ask_of(&url, Some("sum(all)"), ANY).await
}

/// A connection, and the whole request that came on it.
fn asked(stream: TcpStream) -> (TcpStream, String) {
    let (mut text, mut reader) = (String::new(), BufReader::new(&stream));
    while !text.ends_with("\r\n\r\n") && reader.read_line(&mut text).is_ok_and(|count| count > 0) {}
    let length = text.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    let _ = reader.read_exact(&mut body);
    text.push_str(&String::from_utf8_lossy(&body));
    drop(reader);
    (stream, text)
}

#[tokio::test]
async fn two_queries_that_are_asked_at_once_are_a_share() {
    let now = jiff::Timestamp::now().as_second();
    let one = |ago: i64, count: &str| vector(&format!(r#"{{"metric": {{}}, "value": [{}, "{count}"]}}"#, now - ago));
    let taken = share_of(one(10, "3"), one(70, "120.5")).await.expect("a share");
    assert_eq!(taken.reading, Reading::Share(crate::model::Share { events: 3.0, of: 120.5 }));
    let age = taken.own_time.age.expect("an age");
    assert!((69..80).contains(&age.as_secs()), "that of the older one: {age:?}");
    for (events, of, why) in [
        (one(0, "0"), one(0, "0"), "read 0 of 0: nothing happened that could fail"),
        (one(0, "7"), one(0, "6"), "read 7 of 6: more than there are"),
        (vector(""), one(0, "6"), "events: POST URL/api/v1/query: the query answers with no sample"),
        (one(0, "1"), vector(""), "of: POST URL/api/v1/query: the query answers with no sample"),
        (one(0, "1"), one(0, "NaN"), "of: POST URL/api/v1/query: read NaN, not a finite number"),
    ] {
        assert_eq!(share_of(events, of).await, Err(why.to_owned()));
    }
}
