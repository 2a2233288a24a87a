//! The metadata services, single sign-on and a proxy on 127.0.0.1: what the AWS SDK asks for credentials, and which way its
//! calls take.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

/// It ends with its process; what was asked of it is kept.
pub(crate) struct Sources {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Sources {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&asked);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let asked = Arc::clone(&shared);
                std::thread::spawn(move || answer(stream, &asked));
            }
        });
        Self { url, asked }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The first line of each request so far: `CONNECT sts.us-east-1.amazonaws.com:443 HTTP/1.1`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panics").clone()
    }
}

fn answer(stream: TcpStream, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
    let (mut first, mut header, mut token, mut length) = (String::new(), String::new(), String::new(), 0);
    if reader.read_line(&mut first).unwrap_or(0) == 0 {
        return;
    }
    while reader.read_line(&mut header).unwrap_or(0) > 2 {
        let lower = header.to_lowercase();
        if let Some((_, value)) = header.split_once(": ")
            && lower.starts_with("authorization")
        {
            token = value.trim().to_owned();
        }
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        header.clear();
    }
    let _ = reader.read_exact(&mut vec![0; length]);
    asked.lock().expect("no panics").push(first.trim().to_owned());
    let (status, body) = of(&first, &token);
    let mut stream = stream;
    let _ = write!(
        stream,
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

/// Each source gives a key of its own.
fn of(first: &str, token: &str) -> (u16, String) {
    let path = first.split_whitespace().nth(1).unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(6);
    let end = end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let credentials = |key: &str| {
        json!({"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": key, "SecretAccessKey": "secret", "Token": "token",
               "Expiration": end, "LastUpdated": "2026-01-01T00:00:00Z"})
        .to_string()
    };
    match path {
        "/pod" if token == "the-pod" => (200, credentials("ASIAPOD")),
        "/task" => (200, credentials("ASIATASK")),
        "/latest/api/token" => (200, "a-token".to_owned()),
        "/latest/meta-data/iam/security-credentials/" => (200, "ops".to_owned()),
        "/latest/meta-data/iam/security-credentials/ops" => (200, credentials("ASIAINSTANCE")),
        path if path.starts_with("/federation/credentials?") => {
            let in_a_day = jiff::Timestamp::now().as_millisecond() + 86_400_000;
            let role = json!({"accessKeyId": "ASIASSO", "secretAccessKey": "secret", "sessionToken": "token",
                              "expiration": in_a_day});
            (200, json!({ "roleCredentials": role }).to_string())
        }
        _ => (403, "no".to_owned()),
    }
}
