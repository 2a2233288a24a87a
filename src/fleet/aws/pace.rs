//! How fast this process asks AWS. Main types: [`Bucket`], and [`Pace`] with one for each of AWS's.
//!
//! AWS gives an account tokens, and every call of anybody in it takes one: of other tools too, and in Auto Scaling of
//! the calls that change groups. So half of what AWS publishes is left to others. A call that finds no token waits for
//! one, before the time of the call begins. Effects never wait: there are few of them, and what is out must come back.
//!
//! This is thirty lines instead of a crate because waiting must be in order (a page that comes last must not wait for
//! ever), and tests of it must need no real seconds. The SDK has a limiter of its own (`adaptive` retries, which the
//! clients use), but it limits only after a call was throttled.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A token bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    size: f64,
    per_second: f64,
    /// How many tokens there were, and when. Fewer than none: so many are promised.
    state: Mutex<(f64, Option<Instant>)>,
}

impl Bucket {
    const fn new(size: f64, per_second: f64) -> Self {
        Self { size, per_second, state: Mutex::new((size, None)) }
    }

    /// Takes a token, and waits for it where there is none. Whoever asks first is served first.
    pub(super) async fn take(&self) {
        let wait = self.reserve(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// How long the next token is away. It is the caller's, who may give up the wait but not the token.
    fn reserve(&self, now: Instant) -> Duration {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, at) = *state;
        let passed = at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let left = (before + passed.as_secs_f64() * self.per_second).min(self.size) - 1.0;
        *state = (left, Some(now));
        Duration::from_secs_f64((-left / self.per_second).max(0.0))
    }
}

/// The buckets of one account and region, as far as this process takes of them.
#[derive(Debug)]
pub(super) struct Pace {
    /// "The token bucket size for non-mutating API actions is 40 tokens", refilled with 10 a second (Elastic Load
    /// Balancing User Guide, "Request throttling for the Elastic Load Balancing API").
    pub(super) target_groups: Bucket,
    /// One bucket for all actions, those that change groups too (Amazon EC2 Auto Scaling API Reference, "API request
    /// rate"). Its size is not published: this takes no more than of the load balancers'.
    pub(super) groups: Bucket,
    /// Each action that changes nothing has a bucket of 100, refilled with 20 a second (Amazon EC2 Developer Guide,
    /// "Request throttling for the Amazon EC2 API", where requests have a filter or pages). Here all of them share half of one.
    pub(super) hosts: Bucket,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self { target_groups: Bucket::new(20.0, 5.0), groups: Bucket::new(20.0, 5.0), hosts: Bucket::new(50.0, 10.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(bucket: &Bucket, at: Instant, count: usize) -> Vec<f64> {
        (0..count).map(|_| bucket.reserve(at).as_secs_f64()).collect()
    }

    #[test]
    fn a_full_bucket_is_there_at_once_and_the_rest_comes_in_order_at_its_rate() {
        let (bucket, begun) = (Bucket::new(20.0, 5.0), Instant::now());
        assert_eq!(waits(&bucket, begun, 20), [0.0; 20]);
        for (n, wait) in waits(&bucket, begun, 50).into_iter().enumerate() {
            assert!((wait - (n + 1) as f64 / 5.0).abs() < 1e-6, "call {n} waits {wait} s");
        }
        // 50 are promised; after twelve seconds 60 have come, and 10 are there.
        let later = waits(&bucket, begun + Duration::from_secs(12), 11);
        assert!(later[..10].iter().all(|wait| *wait == 0.0) && later[10] > 0.19, "{later:?}");
    }

    #[test]
    fn an_hour_fills_it_to_its_size_and_no_further() {
        let (bucket, begun) = (Bucket::new(20.0, 5.0), Instant::now());
        waits(&bucket, begun, 1);
        let later = waits(&bucket, begun + Duration::from_secs(3_600), 21);
        assert!(later[..20].iter().all(|wait| *wait == 0.0) && later[20] > 0.19, "{later:?}");
    }

    /// Whatever is asked for and whenever, no window gives more than a full bucket and its rate.
    #[test]
    fn no_window_gives_more_than_the_bucket() {
        let (bucket, begun) = (Bucket::new(20.0, 5.0), Instant::now());
        let mut served: Vec<f64> = Vec::new();
        for burst in 0..40_u64 {
            let at = Duration::from_millis(burst * burst * 37 % 20_000 + burst * 900);
            let at_seconds = at.as_secs_f64();
            served.extend(waits(&bucket, begun + at, (burst % 9) as usize).iter().map(|wait| at_seconds + wait));
        }
        served.sort_by(f64::total_cmp);
        for (first, from) in served.iter().enumerate() {
            for (last, to) in served.iter().enumerate().skip(first) {
                let most = 20.0 + 5.0 * (to - from) + 1.0;
                assert!((last - first) as f64 <= most, "{} calls within {} s", last - first + 1, to - from);
            }
        }
    }
}
