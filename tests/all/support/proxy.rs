//! A proxy on 127.0.0.1 that loses replies on demand (what was asked is done, and nobody hears of it), or holds requests up.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// It ends with the runtime of its test.
pub(crate) struct Proxy {
    url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    losing: AtomicBool,
    lost: AtomicUsize,
    /// Requests with these words are held up.
    held: Mutex<Option<&'static str>>,
    /// How many are.
    waiting: AtomicUsize,
}

impl State {
    async fn pass(&self, request: &[u8]) {
        let is_held = || {
            let held = self.held.lock().expect("no panics");
            held.is_some_and(|words| {
                request.windows(words.len()).any(|part| part.eq_ignore_ascii_case(words.as_bytes()))
            })
        };
        if is_held() {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            while is_held() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

impl Proxy {
    /// Before a server in plain text: `http://127.0.0.1:2379`.
    pub(crate) async fn before(server: &str) -> Self {
        let server = server.strip_prefix("http://").expect("plain text").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&server).await else { return };
                let (client_reads, client_writes) = client.into_split();
                let (server_reads, server_writes) = server.into_split();
                tokio::spawn(pass(client_reads, server_writes, Way::There(Arc::clone(&shared))));
                tokio::spawn(pass(server_reads, client_writes, Way::Back(Arc::clone(&shared))));
            }
        });
        Self { url, state }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// From now on, on connections that are open too.
    pub(crate) fn lose_replies(&self) {
        self.state.losing.store(true, Ordering::SeqCst);
    }

    /// Replies come through again.
    #[cfg(feature = "dynamodb")]
    pub(crate) fn heal(&self) {
        self.state.losing.store(false, Ordering::SeqCst);
    }

    /// From now on requests with these words are held up, until [`Self::let_go`].
    #[cfg(feature = "dynamodb")]
    pub(crate) fn hold(&self, words: &'static str) {
        *self.state.held.lock().expect("no panics") = Some(words);
    }

    /// Until so many were, by whichever words.
    #[cfg(feature = "dynamodb")]
    pub(crate) async fn has_held(&self, count: usize) {
        while self.held() < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How many were held up so far.
    #[cfg(feature = "dynamodb")]
    pub(crate) fn held(&self) -> usize {
        self.state.waiting.load(Ordering::SeqCst)
    }

    #[cfg(feature = "dynamodb")]
    pub(crate) fn let_go(&self) {
        *self.state.held.lock().expect("no panics") = None;
    }

    /// Bytes of replies that were lost.
    pub(crate) fn lost(&self) -> usize {
        self.state.lost.load(Ordering::SeqCst)
    }
}

/// Which way something goes.
enum Way {
    There(Arc<State>),
    Back(Arc<State>),
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Way) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count) = from.read(&mut buffer).await {
        if count == 0 {
            return;
        }
        match &way {
            Way::Back(state) if state.losing.load(Ordering::SeqCst) => {
                state.lost.fetch_add(count, Ordering::SeqCst);
                continue;
            }
            Way::Back(_) => {}
            Way::There(state) => state.pass(&buffer[..count]).await,
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
