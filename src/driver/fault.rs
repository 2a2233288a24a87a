//! Fault points: where a test ends or stops this process, or takes its ledger away, to see what comes of it. Builds
//! without debug assertions, which is what operators run, have none.
//!
//! There is one before and one behind every append, every update of the record and every call, those of a takeover
//! included. They are counted from 0 in the order in which they are reached, and named: `before-` or `behind-`, and then
//! `append-` with the event (`append-bake-ended`; `append-read` is a `sampled` with no batch out), `change-` with the change
//! (`change-grant`), `send-` with the effect (`send-cordon`), or `fence` and `epoch` of a takeover. One more, `write-` with
//! append or change, lies between the read that a write was decided on and the write itself. `SAFE_REMOVE_FAULT` is a list
//! of these, with commas, each done once:
//!
//! | fault | what happens |
//! | --- | --- |
//! | `kill:17`, `kill:behind-send-cordon` | the process ends there as by `kill -9` |
//! | `stop:17`, `stop:before-change-grant` | it stops there until it gets a SIGCONT |
//! | `lose:change-grant` | the ledger takes this write, the process stops, and the reply is lost |
//! | `cut:behind-append-batch-cordoned` | from there on this process cannot reach the ledger |

use std::sync::Arc;

#[cfg(debug_assertions)]
pub(crate) use ordered::under_faults;
#[cfg(debug_assertions)]
pub(super) use ordered::{before, before_action, behind};

use crate::ports::Ledger;
use crate::run::Action;

/// The ledger, with the faults that are ordered for it: none.
#[cfg(not(debug_assertions))]
pub(crate) fn under_faults(ledger: Arc<dyn Ledger>) -> Arc<dyn Ledger> {
    ledger
}

#[cfg(not(debug_assertions))]
pub(super) const fn before(_: &str) {}

#[cfg(not(debug_assertions))]
pub(super) const fn before_action(_: &Action) {}

#[cfg(not(debug_assertions))]
pub(super) const fn behind() {}

#[cfg(debug_assertions)]
mod ordered {
    use std::collections::BTreeSet;
    use std::fmt::Debug;
    use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

    use async_trait::async_trait;
    use rustix::process::{Signal, getpid, kill_process};

    use super::{Action, Arc, Ledger};
    use crate::coordination::FleetRecord;
    use crate::model::{Nonce, RunId, Time};
    use crate::ports::{Lasting, LedgerError, Permission, Version, Written};
    use crate::run::{Event, JournalRecord};

    static FAULTS: LazyLock<Mutex<Faults>> = LazyLock::new(|| {
        let ordered = std::env::var("SAFE_REMOVE_FAULT").unwrap_or_default();
        let ordered = ordered.split(',').filter_map(|fault| fault.split_once(':'));
        Mutex::new(Faults {
            ordered: ordered.map(|(what, place)| (what.to_owned(), place.to_owned())).collect(),
            ..Faults::default()
        })
    });

    #[derive(Default)]
    struct Faults {
        /// What, and where. Each is done once.
        ordered: BTreeSet<(String, String)>,
        reached: u64,
        /// The step under way.
        step: String,
        is_cut: bool,
    }

    impl Faults {
        fn is_ordered(&mut self, what: &str, place: &str) -> bool {
            self.ordered.remove(&(what.to_owned(), place.to_owned()))
        }
    }

    fn faults() -> MutexGuard<'static, Faults> {
        FAULTS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A signal to this process is delivered before this returns; one that cannot be sent is a point that is not there.
    fn signal(signal: Signal) {
        let _ = kill_process(getpid(), signal);
    }

    /// A place is reached, which may have several names.
    fn reached(places: &[&str]) {
        let mut faults = faults();
        let mut is = |what: &str| places.iter().any(|place| faults.is_ordered(what, place));
        let (kill, stop, cut) = (is("kill"), is("stop"), is("cut"));
        faults.is_cut |= cut;
        drop(faults);
        if kill {
            signal(Signal::KILL);
        }
        if stop {
            signal(Signal::STOP);
        }
    }

    fn counted(place: &str) {
        let mut faults = faults();
        let number = faults.reached;
        faults.reached += 1;
        drop(faults);
        reached(&[place, &number.to_string()]);
    }

    /// The point before a step.
    pub(in super::super) fn before(step: &str) {
        step.clone_into(&mut faults().step);
        counted(&format!("before-{step}"));
    }

    /// The point behind the step that was begun last.
    pub(in super::super) fn behind() {
        let place = format!("behind-{}", faults().step);
        counted(&place);
    }

    /// The fault point before an action, if it has one.
    pub(in super::super) fn before_action(action: &Action) {
        if std::env::var_os("SAFE_REMOVE_FAULT").is_none() {
            return;
        }
        match action {
            // A round before the first batch or between two is another point than one with hosts out.
            Action::Record(record) if matches!(record.event, Event::Sampled { batch: None, .. }) => {
                before("append-read")
            }
            Action::Record(record) => before(&format!("append-{}", variant(&record.event))),
            Action::Update(update) => before(&format!("change-{}", variant(update))),
            Action::Send { call, .. } => before(&format!("send-{}", variant(&call.effect))),
            Action::Ask { call, .. } => before(&format!("ask-{}", call.on.name())),
            Action::Observe { .. } | Action::Sleep { .. } | Action::Finish(_) => {}
        }
    }

    /// `BakeEnded { .. }` is `bake-ended`.
    fn variant(value: &impl Debug) -> String {
        let mut name = String::new();
        for letter in format!("{value:?}").chars().take_while(char::is_ascii_alphanumeric) {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }

    /// The ledger, with the faults that are ordered for it.
    pub(crate) fn under_faults(ledger: Arc<dyn Ledger>) -> Arc<dyn Ledger> {
        if std::env::var_os("SAFE_REMOVE_FAULT").is_none() { ledger } else { Arc::new(Faulty(ledger)) }
    }

    struct Faulty(Arc<dyn Ledger>);

    impl Faulty {
        fn reachable(&self) -> Result<(), LedgerError> {
            if !faults().is_cut {
                return Ok(());
            }
            let (place, source) = ("of this fleet".to_owned(), "it is cut off, by order of a test".into());
            Err(LedgerError::Unreachable { place, tried: "opened", source })
        }

        fn writing(&self) -> Result<(), LedgerError> {
            self.reachable()?;
            let place = format!("write-{}", faults().step);
            reached(&[&place]);
            Ok(())
        }

        fn replied<T>(&self, answer: Result<Written<T>, LedgerError>) -> Result<Written<T>, LedgerError> {
            if !matches!(answer, Ok(Written::Acknowledged(_))) {
                return answer;
            }
            let step = faults().step.clone();
            if !faults().is_ordered("lose", &step) {
                return answer;
            }
            signal(Signal::STOP);
            let (place, source) = ("of this fleet".to_owned(), "its reply is lost, by order of a test".into());
            Err(LedgerError::InDoubt { place, source })
        }
    }

    #[async_trait]
    impl Ledger for Faulty {
        fn room(&self) -> Option<u64> {
            self.0.room()
        }

        async fn lasting(&self) -> Lasting {
            self.0.lasting().await
        }

        async fn try_permissions(&self) -> Result<Vec<Permission>, LedgerError> {
            self.0.try_permissions().await
        }

        async fn read(&self) -> Result<(Version, FleetRecord), LedgerError> {
            self.reachable()?;
            self.0.read().await
        }

        async fn stored(&self) -> Result<Option<String>, LedgerError> {
            self.reachable()?;
            self.0.stored().await
        }

        async fn compare_and_swap(
            &self,
            at: Version,
            record: &FleetRecord,
            nonce: &Nonce,
        ) -> Result<Written<Version>, LedgerError> {
            self.writing()?;
            self.replied(self.0.compare_and_swap(at, record, nonce).await)
        }

        async fn append(&self, record: &JournalRecord, nonce: &Nonce) -> Result<Written<()>, LedgerError> {
            self.writing()?;
            self.replied(self.0.append(record, nonce).await)
        }

        async fn prune(&self, record: &JournalRecord, nonce: &Nonce) -> Result<(), LedgerError> {
            self.writing()?;
            self.replied(self.0.prune(record, nonce).await.map(Written::Acknowledged)).map(|_| ())
        }

        async fn journal(&self, run: &RunId) -> Result<Vec<JournalRecord>, LedgerError> {
            self.reachable()?;
            self.0.journal(run).await
        }

        async fn runs(&self, since: Option<Time>) -> Result<Vec<RunId>, LedgerError> {
            self.reachable()?;
            self.0.runs(since).await
        }
    }
}
