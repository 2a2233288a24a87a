//! Retries of writes to the ledger: their number, the pauses in between, the timeout for an answer. Every retry keeps
//! its nonce.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use crate::model::{Nonce, chain};
use crate::ports::LedgerError;

/// Repeats of a write that got no answer, at most. Each waits for the engine's own time-outs besides.
pub(super) const WRITE_TRIES: u32 = 3;

/// Between two tries of a write that failed often: an engine in trouble is not helped by more.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// The retry limit of one write, and the ledger's last answer.
#[derive(Debug)]
pub(super) struct Tries {
    /// Until whoever waits for it gives it up.
    without_end: bool,
    heard: Mutex<Option<String>>,
}

impl Tries {
    /// [`WRITE_TRIES`] repeats.
    pub(super) fn few() -> Self {
        Self { without_end: false, heard: Mutex::default() }
    }

    /// Until whoever waits for the write gives it up.
    pub(super) fn without_end() -> Self {
        Self { without_end: true, ..Self::few() }
    }

    /// After that many failures: pauses and says yes, or says no.
    pub(super) async fn again(&self, failures: u32, error: &LedgerError) -> bool {
        let why = chain(error);
        tracing::debug!(failures, error = %why, "a write to the ledger failed");
        *self.heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(why);
        if failures <= WRITE_TRIES {
            pause(failures).await;
        } else if self.without_end {
            tokio::time::sleep(PAUSE).await;
        } else {
            return false;
        }
        true
    }

    /// The ledger's last answer, or that there is none.
    pub(super) fn said(&self) -> String {
        let heard = self.heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        heard.unwrap_or_else(|| "it does not answer".to_owned())
    }
}

/// A pause of real time with jitter, growing to about 200 ms.
pub(super) async fn pause(tries: u32) {
    let most = 5_u64 << tries.min(5);
    let jitter = u64::from(uuid::Uuid::new_v4().as_bytes()[0]) * most / 255;
    tokio::time::sleep(Duration::from_millis(most / 4 + jitter)).await;
}

/// A mark for one write.
pub(super) fn nonce() -> Nonce {
    Nonce::new(uuid::Uuid::new_v4().simple().to_string())
}

/// Awaits an answer for so long. A process that was stopped wakes up with its time over, and with an answer that only has
/// to be taken: it gets a quarter more before it says that there is none.
pub(super) async fn answered<T>(within: Duration, answer: impl Future<Output = T> + Unpin) -> Option<T> {
    let mut answer = answer;
    match tokio::time::timeout(within, &mut answer).await {
        Ok(answer) => Some(answer),
        Err(_) => tokio::time::timeout(within / 4, answer).await.ok(),
    }
}

/// Repeats a write under its nonce, as often as `tries` allows.
pub(super) async fn with_retries<T, W: Future<Output = Result<T, LedgerError>>>(
    tries: &Tries,
    write: impl Fn() -> W,
) -> Result<T, LedgerError> {
    let mut failures = 0;
    loop {
        match write().await {
            Ok(written) => return Ok(written),
            Err(error) => {
                failures += 1;
                if !tries.again(failures, &error).await {
                    return Err(error);
                }
            }
        }
    }
}
