//! The same story on each engine that a ledger can be in, told by processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use safe_remove::ledger::SqliteLedger;
use safe_remove::model::{Nonce, Time};
use safe_remove::ports::{Ledger, Written};

use crate::environment::TestEnvironment;

/// An engine, served on this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Engine {
    File,
    #[cfg(feature = "etcd")]
    Etcd,
    #[cfg(feature = "dynamodb")]
    DynamoDb,
}

/// Makes one test of each engine of a story `fn(Engine)`.
macro_rules! on_each_engine {
    ($($story:ident),+ $(,)?) => {$(
        mod $story {
            use crate::support::engines::Engine;

            #[test]
            fn on_a_file() {
                super::$story(Engine::File);
            }

            #[cfg(feature = "etcd")]
            #[test]
            fn on_etcd() {
                super::$story(Engine::Etcd);
            }

            #[cfg(feature = "dynamodb")]
            #[test]
            fn on_dynamodb() {
                super::$story(Engine::DynamoDb);
            }
        }
    )+};
}
pub(crate) use on_each_engine;

/// A ledger that was made for one test.
pub(crate) enum Place {
    File(std::path::PathBuf),
    #[cfg(feature = "etcd")]
    Etcd(safe_remove::policy::EtcdPlace),
    #[cfg(feature = "dynamodb")]
    DynamoDb(safe_remove::policy::DynamodbPlace),
}

impl Engine {
    /// Moves the ledger of the policies into a new one of this engine.
    pub(crate) fn keeps_the_ledger_of(self, environment: &mut TestEnvironment) -> Place {
        let (text, place) = match self {
            Self::File => {
                let text = "kind = \"sqlite\"\npath = \"../state/ledger.db\"".to_owned();
                (text, Place::File(environment.path().join("state/ledger.db")))
            }
            #[cfg(feature = "etcd")]
            Self::Etcd => {
                let endpoints = super::etcd::shared().endpoints.clone();
                let prefix = format!("/safe-remove-{}", uuid::Uuid::new_v4());
                let text = format!("kind = \"etcd\"\nendpoints = {endpoints:?}\nprefix = \"{prefix}\"");
                (
                    text,
                    Place::Etcd(safe_remove::policy::EtcdPlace {
                        endpoints,
                        prefix,
                        ca: None,
                        identity: None,
                        attempt: super::ATTEMPT,
                    }),
                )
            }
            #[cfg(feature = "dynamodb")]
            Self::DynamoDb => {
                for (name, value) in super::dynamo::environment() {
                    environment.set(name, &value);
                }
                let table = format!("safe-remove-{}", uuid::Uuid::new_v4());
                let text = format!("kind = \"dynamodb\"\ntable = \"{table}\"");
                let region = Some(super::dynamo::REGION.to_owned());
                let place = safe_remove::policy::DynamodbPlace { table, region, role: None, attempt: super::ATTEMPT };
                (text, Place::DynamoDb(place))
            }
        };
        let fleet = std::fs::read_to_string(environment.path().join("policies/fleet.toml")).expect("a policy");
        let start = fleet.find("[ledger]").expect("a ledger");
        environment.write("policies/fleet.toml", &format!("{}[ledger]\n{text}\n", &fleet[..start]));
        environment.run(&["ledger", "init"]).exits(0);
        place
    }
}

impl Place {
    /// Its record and its engine, for a test that writes the record itself.
    pub(crate) async fn open(&self) -> Arc<dyn Ledger> {
        let (fleet, never) = ("demo".into(), Time::from_millis(0));
        match self {
            Self::File(path) => Arc::new(SqliteLedger::open(path, &fleet, never).expect("opens")),
            #[cfg(feature = "etcd")]
            Self::Etcd(place) => {
                Arc::new(safe_remove::ledger::EtcdLedger::open(place, &fleet, never).await.expect("opens"))
            }
            #[cfg(feature = "dynamodb")]
            Self::DynamoDb(place) => {
                let sdk = super::dynamo::sdk(&super::dynamo::ministack().url).await;
                Arc::new(safe_remove::ledger::DynamodbLedger::connect(&sdk, place, &fleet, never).await.expect("opens"))
            }
        }
    }

    /// Writes the record as it is, a hundred times a second, for as long as `story` takes, which is told how many of
    /// these writes went through so far. Returns how many it were, and what the story returned.
    pub(crate) fn in_a_storm<T>(&self, story: impl FnOnce(&AtomicU64) -> T) -> (u64, T) {
        let (over, written) = (AtomicBool::new(false), AtomicU64::new(0));
        let told = std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    let ledger = self.open().await;
                    let mut ticks = tokio::time::interval(Duration::from_millis(10));
                    // What a slow machine missed is not made up for: a ledger that never rests is another story.
                    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                    while !over.load(Ordering::Relaxed) {
                        ticks.tick().await;
                        let (version, record) = ledger.read().await.expect("reads");
                        let nonce = Nonce::new(uuid::Uuid::new_v4().to_string());
                        if let Ok(Written::Acknowledged(_)) = ledger.compare_and_swap(version, &record, &nonce).await {
                            written.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            });
            let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| story(&written)));
            over.store(true, Ordering::Relaxed);
            told
        });
        (written.into_inner(), told.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}
