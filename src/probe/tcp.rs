//! `tcp`: whether a connection can be made, and how fast. The reading is milliseconds, name resolution included.
//!
//! Sends nothing, and closes the connection at once.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::{millis, text};
use crate::model::{Reading, chain};

/// Connects to `host:port` and tries each address of the name; `timeout` covers all of them.
pub(super) async fn read(address: &str, timeout: Duration) -> Result<Reading, String> {
    let tried = format!("connect to {}", text::cut(address, 200));
    let begun = Instant::now();
    match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
        Err(_) => Err(text::timed_out(&tried, timeout)),
        Ok(Err(error)) => Err(format!("{tried}: {}", chain(&error))),
        Ok(Ok(stream)) => {
            let elapsed = begun.elapsed();
            // A client that gets the very port it connects to is connected to itself, although nobody listens there.
            match (stream.local_addr(), stream.peer_addr()) {
                (Ok(local), Ok(peer)) if local == peer => Err(format!("{tried}: nobody listens")),
                (Ok(_), Ok(_)) => Ok(millis(elapsed)),
                (Err(error), _) | (_, Err(error)) => Err(format!("{tried}: {}", chain(&error))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_open_port_reads_milliseconds() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let Ok(Reading::Number(ms)) = read(&address, Duration::from_secs(5)).await else { panic!("no number") };
        assert!((0.0..5_000.0).contains(&ms), "{ms}");
    }

    #[tokio::test]
    async fn s3_a_closed_port_and_a_bad_address_say_what_was_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        drop(listener);
        let why = read(&address, Duration::from_secs(5)).await.expect_err("closed");
        assert!(why.starts_with(&format!("connect to {address}: ")) && why.contains("refused"), "{why}");
        for address in ["", "nonsense", "127.0.0.1", "127.0.0.1:99999"] {
            let why = read(address, Duration::from_secs(5)).await.expect_err("no address");
            assert!(why.starts_with("connect to "), "{why}");
        }
    }

    #[tokio::test]
    async fn s3_a_connect_that_hangs_ends_with_the_time_limit() {
        // A listener that accepts nothing: once its queue is full, the kernel drops further attempts.
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let listener = socket.listen(1).expect("listening");
        let address = listener.local_addr().expect("bound");
        let mut queue = Vec::new();
        let mut hung = None;
        for _ in 0..64 {
            match tokio::time::timeout(Duration::from_millis(50), TcpStream::connect(address)).await {
                Ok(stream) => queue.push(stream),
                Err(_) => {
                    hung = Some(read(&address.to_string(), Duration::from_millis(100)).await);
                    break;
                }
            }
        }
        let why = hung.expect("a queue that fills up").expect_err("hangs");
        assert_eq!(why, format!("connect to {address}: no answer within 100ms"));
    }
}
