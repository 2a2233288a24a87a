//! A real server on the loopback interface for one request, for the tests of this module.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

/// A server for one request: passes the request to the test, its body too, then `answer` writes the response.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) asked: mpsc::Receiver<String>,
}

impl Server {
    /// It writes its answer itself.
    pub(super) fn new(answer: impl FnOnce(&mut TcpStream) + Send + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("a free port"), answer)
    }

    /// The same at this address.
    pub(super) fn on(listener: TcpListener, answer: impl FnOnce(&mut TcpStream) + Send + 'static) -> Self {
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let (sender, asked) = mpsc::channel();
        std::thread::spawn(move || {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut text = String::new();
            let mut reader = BufReader::new(&stream);
            while !text.ends_with("\r\n\r\n") && reader.read_line(&mut text).is_ok_and(|count| count > 0) {}
            let length =
                text.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            let _ = reader.read_exact(&mut body);
            text.push_str(&String::from_utf8_lossy(&body));
            drop(reader);
            let _ = sender.send(text);
            answer(&mut stream);
        });
        Self { url, asked }
    }

    /// Answers with this status line and body.
    pub(super) fn saying(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self::with(status, "Content-Type: application/json", body)
    }

    /// The same with this header.
    pub(super) fn with(status: &'static str, header: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        let (header, body) = (header.into(), body.into());
        Self::new(move |stream| {
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status}\r\n{header}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        })
    }
}
