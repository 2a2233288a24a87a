//! Every kind of probe, through the port.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::model::Time;
use crate::policy::{Headers, HttpProbe, Limits, Masked, NumberForm, ProbeRole};

/// Each reading of this clock is a second later.
struct Ticking(AtomicI64);

#[async_trait]
impl Clock for Ticking {
    fn now(&self) -> Time {
        Time::from_millis(self.0.fetch_add(1_000, Ordering::SeqCst))
    }

    async fn sleep_until(&self, _until: Time) {}
}

struct Fixed(Result<f64, String>);

#[async_trait]
impl SimulatedMetrics for Fixed {
    async fn metric(&self, subsystem: &SubsystemName, metric: SimulatedMetric) -> Result<f64, String> {
        assert_eq!((subsystem.as_str(), metric), ("index", SimulatedMetric::ErrorRate));
        self.0.clone()
    }
}

/// A fleet whose state another process has locked.
struct Locked;

#[async_trait]
impl SimulatedMetrics for Locked {
    async fn metric(&self, _: &SubsystemName, _: SimulatedMetric) -> Result<f64, String> {
        std::future::pending().await
    }
}

async fn sample(kind: ProbeKind, simulated: Option<Arc<dyn SimulatedMetrics>>) -> Sample {
    let spec = ProbeSpec {
        name: "errors".to_owned(),
        kind,
        timeout: Duration::from_millis(500),
        max_age: None,
        limits: Limits::default(),
        failures: None,
        role: ProbeRole::Watch,
        unit: None,
    };
    let key = ProbeKey { subsystem: "index".into(), probe: "errors".to_owned() };
    let probes = Probes::new(Arc::new(Ticking(AtomicI64::new(0))), simulated);
    let mut round = probes.round(&BTreeMap::from([(key, spec)]), &BTreeSet::new(), None).await;
    round.pop().expect("a sample of each probe")
}

const ERRORS: ProbeKind = ProbeKind::Simulated { metric: SimulatedMetric::ErrorRate };

#[tokio::test]
async fn a_sample_is_dated_by_the_fleet_s_clock() {
    let sample = sample(ERRORS, Some(Arc::new(Fixed(Ok(0.25))))).await;
    assert_eq!(sample.key.to_string(), "index/errors");
    assert_eq!((sample.begun_at, sample.ended_at), (Time::from_millis(0), Time::from_millis(1_000)));
    assert_eq!(sample.reading, Ok(Reading::Number(0.25)));
}

#[tokio::test]
async fn s3_a_simulated_probe_that_cannot_be_read_is_bad() {
    assert!(sample(ERRORS, None).await.reading.is_err());
    assert!(sample(ERRORS, Some(Arc::new(Fixed(Ok(f64::NAN))))).await.reading.is_err());
    assert_eq!(
        sample(ERRORS, Some(Arc::new(Fixed(Err("no\nstate".to_owned()))))).await.reading,
        Err("no state".into())
    );
    let why = sample(ERRORS, Some(Arc::new(Locked))).await.reading.expect_err("locked");
    assert_eq!(why, "the simulated fleet: no answer within 500ms");
}

#[tokio::test]
async fn every_kind_is_read() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let tcp = sample(ProbeKind::Tcp { address: address.clone() }, None).await;
    assert!(matches!(tcp.reading, Ok(Reading::Number(_))), "{tcp:?}");
    let exec = sample(ProbeKind::Exec { command: vec!["true".to_owned()] }, None).await;
    assert_eq!(exec.reading, Ok(Reading::Good));
    // No server answers there.
    let http = ProbeKind::Http(HttpProbe {
        url: Masked::url(&format!("http://{address}/")),
        method: "GET".to_owned(),
        expect_status: [200].into(),
        pointer: None,
        of: None,
        parse: NumberForm::Number,
        redirects: 0,
        headers: Headers::new(),
    });
    let http = sample(http, None).await;
    assert_eq!(http.reading, Err(format!("GET http://{address}/: no answer within 500ms")));
}

#[tokio::test]
async fn s3_messages_of_programs_drive_no_terminal() {
    let script = "printf 'a\\033[2Jb\\n' >&2; exit 1".to_owned();
    let exec = ProbeKind::Exec { command: vec!["sh".to_owned(), "-c".to_owned(), script] };
    let why = sample(exec, None).await.reading.expect_err("exit 1");
    assert!(why.ends_with("exit status 1: a [2Jb") && !why.chars().any(char::is_control), "{why:?}");
}

/// While hosts are put back nothing waits longer for a probe than that, whatever its own timeout, and each by itself.
#[tokio::test]
async fn s7_a_probe_that_takes_longer_than_the_patience_is_bad_and_the_others_are_not() {
    let probes = Probes::new(Arc::new(Ticking(AtomicI64::new(0))), None);
    let spec = |script: &str| ProbeSpec {
        name: "any".to_owned(),
        kind: ProbeKind::Exec { command: ["sh", "-c", script].map(str::to_owned).to_vec() },
        timeout: Duration::from_secs(60),
        max_age: None,
        limits: Limits::default(),
        failures: None,
        role: ProbeRole::Watch,
        unit: None,
    };
    let key = |name: &str| ProbeKey { subsystem: "index".into(), probe: name.to_owned() };
    let specs = BTreeMap::from([(key("quick"), spec("exit 0")), (key("slow"), spec("sleep 30"))]);
    let begun = std::time::Instant::now();
    let round = probes.round(&specs, &BTreeSet::new(), Some(Duration::from_secs(2))).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let of = |name: &str| round.iter().find(|sample| sample.key == key(name)).expect("a sample").reading.clone();
    assert_eq!(of("quick"), Ok(Reading::Good));
    assert_eq!(of("slow"), Err("no answer within 2s: hosts are put back meanwhile".to_owned()));
}
