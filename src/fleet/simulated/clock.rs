//! [`FleetClock`]: the simulated fleet's time.
//!
//! A running clock is the machine's, shifted and sped up from an origin that all processes share.
//!
//! The virtual clock is one clock for all processes. It stands still while any of them is awake, and moves to the
//! earliest wake-up when all of them sleep. So a wait takes no real time, and no work takes virtual time. The clock is
//! in a small file of its own under the store's lock, because it moves far more often than the fleet changes. A process
//! that polls for its own wake-up moves it.
//!
//! - A process is *asleep* when one of its tasks waits in [`FleetClock::sleep_until`], none is in the middle of a call
//!   to the fleet, and none was woken just now ([`GRACE`]).
//! - A process holds an exclusive lock on a file of its own as long as it lives. A process whose file can be locked is
//!   dead, after `kill -9` too, and is removed from the list.
//! - A process that has been awake for [`WAKE_TIMEOUT`] of real time (stopped, waiting for a person, or for another
//!   process) no longer counts until it sleeps again. So no process holds up the others for ever.
//!
//! A wait for the outside (a socket, a child process) must measure its timeout in real time: a timeout on this clock
//! would be reached at once.

mod shared;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use shared::{Face, ProcessTurn, SharedClock};

use super::Inner;
use super::store::{Locked, Store, StoreError};
use crate::model::Time;

/// How long, in real time, an awake process holds up the virtual clock. Longer than the work between two sleeps takes
/// on a loaded machine, and short enough for a person who waits.
const WAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long, in real time, a woken task may take to sleep again while another task of its process sleeps, and how long
/// a due sleep may go without being polled.
const GRACE: Duration = Duration::from_millis(20);
/// The interval between two reads of the virtual clock, in real time.
const POLL: Duration = Duration::from_millis(1);
/// The longest sleep between two reads of a running clock: a stopped process must not oversleep by more than that.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// The machine's clock.
pub(super) fn machine_time() -> Time {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(0).plus(since_epoch)
}

/// The time of one fleet, as one process sees it.
#[derive(Debug)]
pub(super) enum FleetClock {
    Virtual(Box<VirtualClock>),
    Running { origin: Time, on_machine: Time, speed: f64 },
}

impl FleetClock {
    /// The time now. While the virtual clock cannot be read, real time passes.
    pub(super) fn now(&self, store: &Store) -> Time {
        match self {
            Self::Virtual(clock) => clock.now(store),
            Self::Running { origin, on_machine, speed } => {
                let now = machine_time();
                let scaled =
                    |d: Duration| Duration::try_from_secs_f64(d.as_secs_f64() * speed).unwrap_or(Duration::MAX);
                // Real time is passed on exactly.
                let scaled = |d: Duration| if *speed == 1.0 { d } else { scaled(d) };
                origin.plus(scaled(now.since(*on_machine))).minus(scaled(on_machine.since(now)))
            }
        }
    }

    /// Within a call: marks this process as awake and returns the time.
    pub(super) fn attend(&self, store: &Store, locked: &mut Locked<'_>) -> Result<Time, StoreError> {
        match self {
            Self::Virtual(clock) => clock.stay_awake(locked),
            Self::Running { .. } => Ok(self.now(store)),
        }
    }

    /// Keeps the clock from moving while a call of this process is under way.
    pub(super) fn work(&self) -> Option<Work<'_>> {
        match self {
            Self::Virtual(clock) => {
                clock.mine().working += 1;
                Some(Work(clock))
            }
            Self::Running { .. } => None,
        }
    }
}

/// A call in progress.
pub(super) struct Work<'a>(&'a VirtualClock);

impl Drop for Work<'_> {
    fn drop(&mut self) {
        let mut mine = self.0.mine();
        mine.working -= 1;
        mine.stirred = Some(Instant::now());
    }
}

/// Sleeps until the fleet's clock says `until`.
pub(super) async fn sleep_until(fleet: &Arc<Inner>, until: Time) {
    match &fleet.clock {
        FleetClock::Running { speed, .. } => {
            let real =
                |left: Duration| Duration::try_from_secs_f64(left.as_secs_f64() / speed).unwrap_or(Duration::MAX);
            // Where the machine's clock is set back meanwhile, the sleep takes no longer than it would have (S7).
            let begun = Instant::now();
            let whole = real(until.since(fleet.now())).saturating_add(POLL);
            loop {
                let left = until.since(fleet.now());
                let waited = begun.elapsed();
                if left.is_zero() || waited >= whole {
                    return;
                }
                tokio::time::sleep(real(left).min(whole.saturating_sub(waited)).clamp(POLL, LONGEST_NAP)).await;
            }
        }
        FleetClock::Virtual(clock) => {
            let sleeper = Sleeper { clock, store: &fleet.store, id: clock.lie_down(until) };
            loop {
                // Tasks of this process that can run do so before the clock moves.
                tokio::task::yield_now().await;
                let (inner, id) = (Arc::clone(fleet), sleeper.id);
                let polled = tokio::task::spawn_blocking(move || match &inner.clock {
                    FleetClock::Virtual(clock) => clock.poll(&mut inner.store.lock()?, id),
                    FleetClock::Running { .. } => Ok(true),
                });
                match polled.await {
                    Ok(Ok(true)) => return,
                    Ok(Ok(false)) => {}
                    // Nobody can move the clock; meanwhile `now` advances in real time.
                    Ok(Err(_)) | Err(_) if clock.now(&fleet.store) >= until => return,
                    Ok(Err(_)) | Err(_) => {}
                }
                tokio::time::sleep(POLL).await;
            }
        }
    }
}

/// A sleep in progress. It is dropped with the sleeping future, cancelled or not.
struct Sleeper<'a> {
    clock: &'a VirtualClock,
    store: &'a Store,
    id: u64,
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let cancelled = self.clock.mine().sleepers.remove(&self.id).is_some();
        if cancelled {
            self.clock.mine().stirred = Some(Instant::now());
            // A process that cancelled a sleep is awake. Where that cannot be written, others reach the cancelled
            // wake-up and wait for this process there.
            if let Ok(mut locked) = self.store.lock() {
                drop(self.clock.stay_awake(&mut locked));
            }
        }
    }
}

/// The virtual clock, as one process sees it.
#[derive(Debug)]
pub(super) struct VirtualClock {
    shared: SharedClock,
    /// This process's name in the shared clock.
    token: String,
    /// Locked for as long as this process lives.
    _alive: File,
    /// [`WAKE_TIMEOUT`]
    timeout: Duration,
    mine: Mutex<Mine>,
}

/// The state of this process, and what it has seen of others.
#[derive(Debug)]
struct Mine {
    next_id: u64,
    sleepers: BTreeMap<u64, Nap>,
    /// How many calls are in progress.
    working: usize,
    /// When a task last stopped sleeping or calling, if none has gone to sleep since.
    stirred: Option<Instant>,
    /// Other processes that are awake: their turn, and since when it was seen.
    seen: HashMap<String, (u64, Instant)>,
    /// `last`: the time that was last read. `lost`: since when the clock cannot be read.
    last: Time,
    lost: Option<Instant>,
}

#[derive(Debug)]
struct Nap {
    until: Time,
    due_since: Option<Instant>,
}

impl VirtualClock {
    /// Creates the clock of a new fleet.
    pub(super) fn create(locked: &Locked<'_>, fleet: &str, origin: Time) -> Result<(), StoreError> {
        SharedClock::create(locked.paths, fleet, origin)
    }

    /// Joins the processes that share the clock of that fleet.
    pub(super) fn join(locked: &mut Locked<'_>, fleet: &str) -> Result<Self, StoreError> {
        let shared = SharedClock::open(locked.paths, fleet)?;
        let token = uuid::Uuid::new_v4().simple().to_string();
        let alive = shared.announce(&token)?;
        let mut face = shared.read(locked)?;
        shared.sweep(&mut face)?;
        face.processes.insert(token.clone(), ProcessTurn::default());
        shared.write(locked, &face)?;
        let mine = Mine {
            next_id: 0,
            sleepers: BTreeMap::new(),
            working: 0,
            stirred: None,
            seen: HashMap::new(),
            last: face.now,
            lost: None,
        };
        Ok(Self { shared, token, _alive: alive, timeout: WAKE_TIMEOUT, mine: Mutex::new(mine) })
    }

    /// Leaves the other processes, at the end of this one.
    pub(super) fn leave(&self, locked: &mut Locked<'_>) {
        if let Ok(mut face) = self.shared.read(locked) {
            face.processes.remove(&self.token);
            // Where this cannot be written, the next process finds this one dead.
            drop(self.shared.write(locked, &face));
        }
        self.shared.bury(&self.token);
    }

    fn mine(&self) -> MutexGuard<'_, Mine> {
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self, store: &Store) -> Time {
        let read = store.lock().and_then(|mut locked| Ok(self.look(&mut locked)?.now));
        read.unwrap_or_else(|_| {
            let mut mine = self.mine();
            let lost = *mine.lost.get_or_insert_with(Instant::now);
            mine.last.plus(lost.elapsed())
        })
    }

    fn look(&self, locked: &mut Locked<'_>) -> Result<Face, StoreError> {
        let face = self.shared.read(locked)?;
        let mut mine = self.mine();
        (mine.last, mine.lost) = (face.now, None);
        Ok(face)
    }

    /// Reads the clock. This process then counts as awake, even if tasks of it sleep.
    fn stay_awake(&self, locked: &mut Locked<'_>) -> Result<Time, StoreError> {
        let mut face = self.look(locked)?;
        let process = face.processes.entry(self.token.clone()).or_default();
        if process.asleep_until.is_some() {
            *process = process.next(None);
            self.shared.write(locked, &face)?;
        }
        Ok(face.now)
    }

    fn lie_down(&self, until: Time) -> u64 {
        let mut mine = self.mine();
        let id = mine.next_id;
        mine.next_id += 1;
        mine.stirred = None;
        mine.sleepers.insert(id, Nap { until, due_since: None });
        id
    }

    /// Checks whether a sleep is over, and moves the clock if that falls to this process. True when the sleep is over.
    fn poll(&self, locked: &mut Locked<'_>, id: u64) -> Result<bool, StoreError> {
        let mut face = self.shared.read(locked)?;
        let before = face.clone();
        let mut mine = self.mine();
        // It was cancelled meanwhile: nobody waits for the result.
        let Some(until) = mine.sleepers.get(&id).map(|nap| nap.until) else { return Ok(true) };

        let asleep = if until <= face.now { None } else { mine.asleep_until(face.now) };
        let process = face.processes.entry(self.token.clone()).or_default();
        if process.asleep_until != asleep {
            *process = process.next(asleep);
        }
        if let Some(earliest) = asleep
            && let Some(others) = self.earliest_of_others(&mut face, &mut mine)
        {
            face.now = others.map_or(earliest, |other| other.min(earliest));
        }
        let over = until <= face.now;
        if over {
            mine.sleepers.remove(&id);
            mine.stirred = Some(Instant::now());
            let process = face.processes.entry(self.token.clone()).or_default();
            *process = process.next(None);
        }
        (mine.last, mine.lost) = (face.now, None);
        if face != before {
            self.shared.write(locked, &face)?;
        }
        Ok(over)
    }

    /// The earliest wake-up of the other processes (`Some(None)`: no other process sleeps); `None` while one is awake.
    fn earliest_of_others(&self, face: &mut Face, mine: &mut Mine) -> Option<Option<Time>> {
        let (mut earliest, mut awake) = (None::<Time>, false);
        let now = face.now;
        face.processes.retain(|token, _| *token == self.token || self.shared.is_alive(token));
        for (token, process) in face.processes.iter_mut().filter(|(token, _)| **token != self.token) {
            if let Some(until) = process.asleep_until.filter(|until| *until > now) {
                mine.seen.remove(token);
                earliest = Some(earliest.map_or(until, |e| e.min(until)));
            } else if !process.given_up {
                let seen = mine.seen.entry(token.clone()).or_insert_with(|| (process.turn, Instant::now()));
                if seen.0 != process.turn {
                    *seen = (process.turn, Instant::now());
                }
                process.given_up = seen.1.elapsed() > self.timeout;
                awake |= !process.given_up;
            }
        }
        (!awake).then_some(earliest)
    }
}

impl Mine {
    /// This process's earliest wake-up, if it is asleep.
    fn asleep_until(&mut self, now: Time) -> Option<Time> {
        if self.working > 0 || self.stirred.is_some_and(|at| at.elapsed() < GRACE) {
            return None;
        }
        let mut earliest = None::<Time>;
        for nap in self.sleepers.values_mut() {
            if nap.until > now {
                earliest = Some(earliest.map_or(nap.until, |e| e.min(nap.until)));
            } else if nap.due_since.get_or_insert_with(Instant::now).elapsed() < GRACE {
                // It is about to wake.
                return None;
            }
        }
        earliest
    }
}

#[cfg(test)]
mod tests;
