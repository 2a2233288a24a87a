//! A proxy on 127.0.0.1 that loses replies on demand: what was asked is done, and nobody hears of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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
                tokio::spawn(pass(client_reads, server_writes, None));
                tokio::spawn(pass(server_reads, client_writes, Some(Arc::clone(&shared))));
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

    /// Bytes of replies that were lost.
    pub(crate) fn lost(&self) -> usize {
        self.state.lost.load(Ordering::SeqCst)
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, replies: Option<Arc<State>>) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count) = from.read(&mut buffer).await {
        if count == 0 {
            return;
        }
        if let Some(state) = replies.as_ref().filter(|state| state.losing.load(Ordering::SeqCst)) {
            state.lost.fetch_add(count, Ordering::SeqCst);
        } else if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
