//! The ledger in etcd: the conformance suite on a real cluster of three members, and what only a cluster can suffer.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use safe_remove::coordination::{FleetRecord, Halt};
use safe_remove::ledger::EtcdLedger;
use safe_remove::model::chain;
use safe_remove::policy::EtcdPlace;
use safe_remove::ports::{Ledger, LedgerError, Version, Written};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ledger::conformance::{Engine, at, event, nonce};
use crate::support::ATTEMPT;
use crate::support::etcd::{EtcdCluster, Tls, shared};
use crate::support::proxy::Proxy;

/// A prefix of its own in the cluster that all tests share.
struct Etcd(EtcdPlace);

impl Etcd {
    fn new() -> Self {
        Self(settings(&shared().endpoints))
    }

    fn key(&self, rest: &str) -> String {
        base64(&format!("{}/{rest}", self.0.prefix))
    }
}

impl Engine for Etcd {
    async fn open(&self, fleet: &str) -> Result<Arc<dyn Ledger>, LedgerError> {
        Ok(Arc::new(EtcdLedger::open(&self.0, &fleet.into(), at(0)).await?))
    }

    async fn replace_record(&self, fleet: &str, text: &str) {
        let body = json!({"key": self.key(&format!("{fleet}/record")), "value": base64(text)});
        shared().post("kv/put", &body);
    }
}

mod conforms {
    use super::Etcd;
    crate::ledger::conformance::conformance!(Etcd::new());
}

fn settings(endpoints: &[String]) -> EtcdPlace {
    let prefix = format!("/safe-remove-{}", uuid::Uuid::new_v4());
    EtcdPlace { endpoints: endpoints.to_vec(), prefix, ca: None, identity: None, attempt: ATTEMPT }
}

async fn open(settings: &EtcdPlace) -> Result<EtcdLedger, LedgerError> {
    EtcdLedger::open(settings, &"demo".into(), at(0)).await
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, place| (bits << 8) | chunk.get(place).copied().map_or(0, u32::from));
        for place in 0..4_usize {
            let letter = LETTERS[usize::try_from((bits >> (18 - 6 * place)) & 63).expect("six bits")];
            out.push(if place <= chunk.len() { letter.into() } else { '=' });
        }
    }
    out
}

#[tokio::test]
async fn a_reader_of_a_ledger_that_does_not_exist_writes_nothing() {
    let etcd = Etcd::new();
    let reader = EtcdLedger::open_read_only(&etcd.0, &"demo".into(), at(0)).await.expect("none yet");
    assert_eq!(reader.id(), None);
    let (version, record) = reader.read().await.expect("reads");
    assert_eq!((version, record.runs.len()), (Version(0), 0));
    let write = reader.compare_and_swap(version, &record, &nonce("n")).await;
    assert!(matches!(write, Err(LedgerError::Unreachable { tried: "written", .. })), "{write:?}");
    let append = reader.append(&event("r1", 0, at(0)), &nonce("n")).await;
    assert!(matches!(append, Err(LedgerError::Unreachable { tried: "written", .. })), "{append:?}");

    // Somebody makes it: the reader then shows that one.
    let writer = open(&etcd.0).await.expect("opens");
    assert_eq!(reader.read().await.expect("reads"), writer.read().await.expect("reads"));
}

#[tokio::test]
async fn s3_a_ledger_that_was_deleted_or_made_anew_under_a_process_is_not_written() {
    let etcd = Etcd::new();
    let ledger = open(&etcd.0).await.expect("opens");
    let (at0, record) = ledger.read().await.expect("reads");
    ledger.append(&event("r1", 0, at(0)), &nonce("j0")).await.expect("appends");
    let range = json!({"key": etcd.key("demo/"), "range_end": etcd.key("demo0")});

    shared().post("kv/deleterange", &range);
    for made_anew in [false, true] {
        if made_anew {
            open(&etcd.0).await.expect("makes another");
        }
        let read = ledger.read().await;
        assert!(matches!(read, Err(LedgerError::Corrupt { .. })), "made anew {made_anew}: {read:?}");
        let write = ledger.compare_and_swap(at0, &record, &nonce("n")).await;
        assert!(matches!(write, Err(LedgerError::Corrupt { .. })), "made anew {made_anew}: {write:?}");
        for seq in [0, 1] {
            let append = ledger.append(&event("r1", seq, at(1)), &nonce("j1")).await;
            assert!(matches!(append, Err(LedgerError::Corrupt { .. })), "made anew {made_anew}: {append:?}");
        }
    }
}

#[tokio::test]
async fn s3_a_ledger_of_which_a_part_is_missing_is_corrupt() {
    let etcd = Etcd::new();
    let ledger = open(&etcd.0).await.expect("opens");
    for seq in 0..3 {
        ledger.append(&event("r1", seq, at(0)), &nonce(format!("j{seq}"))).await.expect("appends");
    }
    shared().post("kv/deleterange", &json!({"key": etcd.key(&format!("demo/journal/r1/{:020}", 1))}));
    let journal = ledger.journal(&"r1".into()).await;
    assert!(matches!(&journal, Err(error @ LedgerError::Corrupt { .. }) if chain(error).contains("r1")), "{journal:?}");

    shared().post("kv/deleterange", &json!({"key": etcd.key("demo/ledger")}));
    let again = open(&etcd.0).await;
    assert!(matches!(&again, Err(error @ LedgerError::Corrupt { .. }) if chain(error).contains("demo/ledger")));
}

#[tokio::test]
async fn s3_a_record_that_etcd_does_not_take_says_what_to_raise() {
    let ledger = open(&Etcd::new().0).await.expect("opens");
    let (at0, mut record) = ledger.read().await.expect("reads");
    // Above the limit of a request, and above that of a message.
    for size in [1_600_000, 2_200_000] {
        let operator = "x".repeat(size).as_str().into();
        record.halts = vec![Halt { subsystem: None, operator, reason: Some("r".into()), at: at(0) }];
        let error = ledger.compare_and_swap(at0, &record, &nonce("n")).await.expect_err("too large");
        assert!(matches!(error, LedgerError::Unreachable { tried: "written", .. }), "nothing is in doubt: {error:?}");
        assert!(chain(&error).contains("--max-request-bytes"), "{}", chain(&error));
    }
    assert_eq!(ledger.read().await.expect("reads").0, at0);
}

#[tokio::test]
async fn s3_nobody_at_the_endpoint_is_unreachable_soon_and_nothing_is_in_doubt() {
    let closed = "http://127.0.0.1:1".to_owned();
    let begun = Instant::now();
    let error = open(&settings(std::slice::from_ref(&closed))).await.expect_err("nobody is there");
    assert!(matches!(error, LedgerError::Unreachable { tried: "read", .. }), "{error:?}");
    assert!(chain(&error).contains("look whether etcd runs there"), "{}", chain(&error));
    assert!(begun.elapsed() < Duration::from_secs(5));

    // With one that is there, the others do no harm.
    let mut endpoints = vec![closed];
    endpoints.extend(shared().endpoints.iter().cloned());
    open(&settings(&endpoints)).await.expect("the next endpoint answers");
}

/// Appends a record of run `r1` as a run does: the members may take longer to elect a leader than one call waits, and
/// then the same write is made again. It is known by its nonce if it was agreed on after all.
async fn appended(ledger: &EtcdLedger, seq: u64) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match ledger.append(&event("r1", seq, at(0)), &nonce(format!("j{seq}"))).await {
            Ok(written) => return assert_eq!(written, Written::Acknowledged(()), "record {seq}"),
            Err(LedgerError::InDoubt { .. } | LedgerError::Unreachable { .. }) if Instant::now() < end => {}
            Err(error) => panic!("two members are enough, record {seq}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn s6_one_member_killed_is_survived_two_are_unreachable_until_they_are_back() {
    let mut cluster = EtcdCluster::start(3);
    let ledger = open(&settings(&cluster.endpoints)).await.expect("opens");
    ledger.append(&event("r1", 0, at(0)), &nonce("j0")).await.expect("appends");

    // The member that the client is connected to, in the middle of writing.
    cluster.kill(0);
    for seq in 1..20 {
        appended(&ledger, seq).await;
    }
    let (version, record) = ledger.read().await.expect("reads");

    cluster.kill(1);
    let begun = Instant::now();
    let read = ledger.read().await.expect_err("one member decides nothing");
    assert!(matches!(read, LedgerError::Unreachable { tried: "read", .. }), "no stale read: {read:?}");
    let append = ledger.append(&event("r1", 20, at(0)), &nonce("j20")).await.expect_err("one member takes nothing");
    assert!(matches!(append, LedgerError::InDoubt { .. }), "it may yet be agreed on: {append:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());

    cluster.revive();
    appended(&ledger, 20).await;
    let journal = ledger.journal(&"r1".into()).await.expect("reads");
    assert!(journal.iter().map(|record| record.seq).eq(0..21), "nothing acknowledged is lost, nothing is twice");
    assert_eq!(ledger.read().await.expect("reads"), (version, record));
}

#[tokio::test]
async fn s9_a_write_whose_reply_is_lost_is_recognised_at_the_next_endpoint() {
    let proxy = Proxy::before(&shared().endpoints[0]).await;
    let endpoints = [proxy.url(), shared().endpoints[1].clone()];
    let ledger = open(&settings(&endpoints)).await.expect("opens");
    let (at0, record) = ledger.read().await.expect("reads");

    // It is done, and nobody hears of it.
    proxy.lose_replies();
    let changed = FleetRecord { written_at: at(1), ..record };
    let written = ledger.compare_and_swap(at0, &changed, &nonce("n")).await.expect("answers");
    assert_eq!(written, Written::Acknowledged(Version(at0.0 + 1)), "its own write is no conflict");
    assert!(proxy.lost() > 0, "the first endpoint did it");
    assert_eq!(ledger.read().await.expect("reads"), (Version(at0.0 + 1), changed), "and it was done once");
    let append = ledger.append(&event("r1", 0, at(0)), &nonce("j")).await;
    assert_eq!(append.expect("answers"), Written::Acknowledged(()));
}

/// An endpoint that says nothing is waited for as long as the place says.
#[tokio::test]
async fn a_call_is_given_the_time_that_its_place_says() {
    let proxy = Proxy::before(&shared().endpoints[0]).await;
    let short = EtcdPlace { attempt: Duration::from_millis(200), ..settings(&[proxy.url()]) };
    let ledger = open(&short).await.expect("opens");
    proxy.lose_replies();
    let begun = Instant::now();
    ledger.read().await.expect_err("nobody answers");
    assert!(begun.elapsed() < ATTEMPT, "{:?}", begun.elapsed());
}

/// A certificate authority and what it signed, as files.
struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the tests");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(dir.path().join("ca.pem"), certificate.pem()).expect("written");
        Self { dir, issuer: Issuer::new(params, key) }
    }

    fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A certificate for a name, and its key.
    fn sign(&self, name: &str, addresses: &[&str]) -> (PathBuf, PathBuf) {
        let addresses = addresses.iter().map(|&address| address.to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(addresses).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let file = |end: &str| self.dir.path().join(format!("{name}.{end}"));
        fs::write(file("pem"), certificate.pem()).expect("written");
        fs::write(file("key"), key.serialize_pem()).expect("written");
        (file("pem"), file("key"))
    }
}

#[tokio::test]
async fn s3_certificates_on_both_sides_and_a_user_for_each() {
    let (ours, other) = (Authority::new(), Authority::new());
    let tls = Tls { ca: ours.ca(), server: ours.sign("server", &["127.0.0.1"]) };
    let cluster = EtcdCluster::start_with_tls(&tls);
    let with = |ca: &Path, identity: Option<(PathBuf, PathBuf)>| EtcdPlace {
        endpoints: vec![cluster.endpoints[1].clone()],
        prefix: "/safe-remove".to_owned(),
        ca: Some(ca.to_owned()),
        identity,
        attempt: ATTEMPT,
    };
    let operator = ours.sign("operator", &[]);
    let good = with(&ours.ca(), Some(operator.clone()));
    open(&good).await.expect("opens");

    for (name, settings, advice) in [
        ("a server that another authority signed", with(&other.ca(), Some(operator.clone())), "`ca` must have signed"),
        ("no client certificate", with(&ours.ca(), None), "`cert` and `key` must be a client's"),
        ("a client that another authority signed", with(&ours.ca(), Some(other.sign("operator", &[]))), "`cert` and"),
        ("no such file", with(Path::new("/nowhere/ca.pem"), None), "`[ledger] ca` in fleet.toml"),
    ] {
        let error = open(&settings).await.expect_err(name);
        assert!(matches!(error, LedgerError::Unreachable { .. }), "{name}: {error:?}");
        assert!(chain(&error).contains(advice), "{name}: {}", chain(&error));
    }

    // With etcd's own users: by the common name of the certificate, and by nothing else.
    let post = |method: &str, body: Value| cluster.post(method, &body);
    post("auth/user/add", json!({"name": "root", "password": "p"}));
    post("auth/user/add", json!({"name": "operator", "password": "p"}));
    post("auth/role/add", json!({"name": "root"}));
    post("auth/role/add", json!({"name": "ledger"}));
    let all = json!({"permType": "READWRITE", "key": base64("/safe-remove/"), "range_end": base64("/safe-remove0")});
    post("auth/role/grant", json!({"name": "ledger", "perm": all}));
    post("auth/user/grant", json!({"user": "root", "role": "root"}));
    post("auth/user/grant", json!({"user": "operator", "role": "ledger"}));
    post("auth/enable", json!({}));

    let ledger = open(&good).await.expect("the operator's role allows it");
    ledger.append(&event("r1", 0, at(0)), &nonce("j0")).await.expect("appends");
    assert_eq!(ledger.journal(&"r1".into()).await.expect("reads").len(), 1);
    let elsewhere = EtcdPlace { prefix: "/elsewhere".to_owned(), ..good };
    let stranger = with(&ours.ca(), Some(ours.sign("stranger", &[])));
    let nobody = EtcdPlace { endpoints: vec![cluster.endpoints[0].clone()], identity: None, ..elsewhere.clone() };
    for (name, settings) in [("another prefix", elsewhere), ("a stranger", stranger), ("nobody", nobody)] {
        let error = open(&settings).await.expect_err(name);
        assert!(chain(&error).contains("etcdctl role grant-permission"), "{name}: {}", chain(&error));
    }
}
