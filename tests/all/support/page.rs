//! A page on 127.0.0.1 that a test writes anew for every request.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The answer to one request.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Besides the length.
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Answer {
    /// A page of JSON.
    pub(crate) fn json(body: impl Into<String>) -> Option<Self> {
        Some(Self { status: 200, headers: "Content-Type: application/json\r\n".to_owned(), body: body.into() })
    }

    /// The same with another header.
    pub(crate) fn and(answer: Option<Self>, header: &str) -> Option<Self> {
        answer.map(|answer| Self { headers: format!("{}{header}\r\n", answer.headers), ..answer })
    }
}

/// A server that ends with its test.
pub(crate) struct Page {
    pub(crate) address: String,
    is_over: Arc<AtomicBool>,
}

impl Page {
    /// It calls `answer` with the head of each request; `None` closes the connection without a word.
    pub(crate) fn new(answer: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, answer) = (Arc::clone(&is_over), Arc::new(answer));
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || serve(&stream, answer.as_ref()));
            }
        });
        Self { address, is_over }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(&self.address);
    }
}

fn serve(stream: &TcpStream, answer: &dyn Fn(&str) -> Option<Answer>) {
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|count| count > 0) {}
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    let _ = reader.read_exact(&mut body);
    let Some(Answer { status, headers, body }) = answer(&head) else { return };
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let mut writer = stream;
    let _ = writer.write_all(answer.as_bytes());
}
