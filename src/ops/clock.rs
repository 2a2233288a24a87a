//! The machine's clock.

use std::time::Duration;

use async_trait::async_trait;

use crate::model::Time;
use crate::ports::Clock;

/// The machine's clock.
pub(crate) struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time::from_jiff(jiff::Timestamp::now())
    }

    async fn sleep_until(&self, until: Time) {
        /// A machine that was suspended, or whose clock was set, must not oversleep by more than this.
        const NAP: Duration = Duration::from_secs(1);
        // S7: where the clock is set back meanwhile, the sleep takes no longer than it would have.
        let begun = std::time::Instant::now();
        let whole = until.since(self.now()).saturating_add(Duration::from_millis(1));
        loop {
            let left = until.since(self.now()).min(whole.saturating_sub(begun.elapsed()));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(NAP)).await;
        }
    }
}
