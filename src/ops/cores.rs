//! [`OnAllCores`]: answers independent questions of the planner on several threads.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::plan::Spread;

/// Uses as many threads as the machine has cores. The answers do not depend on that number. A thread that cannot be
/// started is done without.
#[derive(Clone, Copy, Debug)]
pub struct OnAllCores;

impl Spread for OnAllCores {
    fn map<T: Sync, U: Send>(&self, items: &[T], each: impl Fn(&T) -> U + Sync) -> Vec<U> {
        let next = AtomicUsize::new(0);
        let work = || {
            let ports = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
            let ports = ports.map_while(|place| Some((place, items.get(place)?)));
            ports.map(|(place, item)| (place, each(item))).collect::<Vec<_>>()
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut done = std::thread::scope(|scope| {
            let others = 1..cores.min(items.len());
            let others: Vec<_> =
                others.filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, work).ok()).collect();
            let mut done = work();
            for other in others {
                done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            done
        });
        done.sort_unstable_by_key(|(place, _)| *place);
        done.into_iter().map(|(_, value)| value).collect()
    }
}
