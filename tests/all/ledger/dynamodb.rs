//! The ledger in DynamoDB: the conformance suite on two servers, and what only a table can suffer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoveryStatus,
    ScalarAttributeType,
};
use safe_remove::coordination::{FleetRecord, Halt};
use safe_remove::ledger::DynamodbLedger;
use safe_remove::ledger::dynamodb::init_with;
use safe_remove::model::{LedgerId, chain};
use safe_remove::policy::DynamodbPlace;
use safe_remove::ports::{Ledger, LedgerError, Version, Written};
use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;
use crate::ledger::conformance::{Engine, at, event, nonce, pruned};
use crate::removal::capacity;
use crate::support::ATTEMPT;
use crate::support::dynamo::{REGION, Server, dynalite, ministack, refusing, sdk};
use crate::support::proxy::Proxy;

/// A table of its own.
struct Dynamo {
    sdk: SdkConfig,
    place: DynamodbPlace,
}

impl Dynamo {
    async fn new(server: &Server) -> Self {
        let dynamo = Self::without_table(&server.url).await;
        dynamo.make(("pk", KeyType::Hash), Some(("sk", KeyType::Range))).await;
        dynamo
    }

    async fn without_table(url: &str) -> Self {
        let table = format!("safe-remove-{}", uuid::Uuid::new_v4());
        Self {
            sdk: sdk(url).await,
            place: DynamodbPlace { table, region: Some(REGION.to_owned()), role: None, attempt: ATTEMPT },
        }
    }

    fn client(&self) -> Client {
        Client::new(&self.sdk)
    }

    /// A table by other hands than `ledger init`'s.
    async fn make(&self, hash: (&str, KeyType), range: Option<(&str, KeyType)>) {
        let mut create = self.client().create_table().table_name(&self.place.table);
        for (name, of) in std::iter::once(hash).chain(range) {
            let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
            let key = KeySchemaElement::builder().attribute_name(name).key_type(of);
            create = create
                .attribute_definitions(attribute.build().expect("an attribute"))
                .key_schema(key.build().expect("a key"));
        }
        create.billing_mode(BillingMode::PayPerRequest).send().await.expect("a table");
        for _ in 0..200 {
            let described = self.client().describe_table().table_name(&self.place.table).send().await;
            if described
                .is_ok_and(|it| it.table.is_some_and(|t| t.table_status.is_some_and(|s| s.as_str() == "ACTIVE")))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the table is not ready");
    }

    async fn ledger(&self) -> Result<DynamodbLedger, LedgerError> {
        DynamodbLedger::connect(&self.sdk, &self.place, &"demo".into(), at(0)).await
    }

    /// The same ledger, behind a proxy.
    async fn through(&self, proxy: &Proxy) -> DynamodbLedger {
        let sdk = crate::support::dynamo::sdk(&proxy.url()).await;
        DynamodbLedger::connect(&sdk, &self.place, &"demo".into(), at(0)).await.expect("opens")
    }

    /// Puts a journal's item there that a process which was killed did not come to delete.
    async fn leave(&self, pk: &str, sk: &str, ledger: &LedgerId) {
        let put = self.client().put_item().table_name(&self.place.table);
        let items = [("pk", pk), ("sk", sk), ("ledger", ledger.as_str()), ("nonce", "j"), ("record", "{}")];
        let put = items.iter().fold(put, |put, (name, text)| put.item(*name, AttributeValue::S((*text).to_owned())));
        put.send().await.expect("put");
    }

    async fn delete(&self, pk: &str, sk: &str) {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let delete = self.client().delete_item().table_name(&self.place.table).key("pk", text(pk)).key("sk", text(sk));
        delete.send().await.expect("deleted");
    }
}

impl Engine for Dynamo {
    async fn open(&self, fleet: &str) -> Result<Arc<dyn Ledger>, LedgerError> {
        Ok(Arc::new(DynamodbLedger::connect(&self.sdk, &self.place, &fleet.into(), at(0)).await?))
    }

    async fn replace_record(&self, fleet: &str, text: &str) {
        let value = |text: &str| AttributeValue::S(text.to_owned());
        let update = self.client().update_item().table_name(&self.place.table);
        let update = update.key("pk", value(fleet)).key("sk", value("record")).update_expression("SET #record = :text");
        let update = update.expression_attribute_names("#record", "record");
        update.expression_attribute_values(":text", value(text)).send().await.expect("replaced");
    }
}

mod conforms_on_ministack {
    use super::{Dynamo, ministack};
    crate::ledger::conformance::conformance!(Dynamo::new(ministack()).await);
}

mod conforms_on_dynalite {
    use super::{Dynamo, dynalite};
    crate::ledger::conformance::conformance!(Dynamo::new(dynalite()).await);
}

#[tokio::test]
async fn a_reader_of_a_ledger_that_does_not_exist_writes_nothing() {
    let dynamo = Dynamo::new(dynalite()).await;
    let reader = DynamodbLedger::connect_read_only(&dynamo.sdk, &dynamo.place, &"demo".into(), at(0)).await;
    let reader = reader.expect("none yet");
    assert_eq!(reader.id(), None);
    let (version, record) = reader.read().await.expect("reads");
    assert_eq!((version, record.runs.len()), (Version(0), 0));
    let write = reader.compare_and_swap(version, &record, &nonce("n")).await;
    assert!(matches!(write, Err(LedgerError::Unreachable { tried: "written", .. })), "{write:?}");
    let append = reader.append(&event("r1", 0, at(0)), &nonce("n")).await;
    assert!(matches!(append, Err(LedgerError::Unreachable { tried: "written", .. })), "{append:?}");
    let writer = dynamo.ledger().await.expect("opens");
    assert_eq!(reader.read().await.expect("reads"), writer.read().await.expect("reads"));
}

#[tokio::test]
async fn s3_a_table_that_is_missing_or_not_a_ledgers_says_what_to_do() {
    for server in [ministack(), dynalite()] {
        let missing = Dynamo::without_table(&server.url).await.ledger().await.expect_err("there is none");
        assert!(matches!(missing, LedgerError::Unreachable { .. }), "{missing:?}");
        assert!(chain(&missing).contains("safe-remove ledger init"), "{}", chain(&missing));

        for (hash, range) in [("pk", None), ("id", Some("sk"))] {
            let dynamo = Dynamo::without_table(&server.url).await;
            dynamo.make((hash, KeyType::Hash), range.map(|range| (range, KeyType::Range))).await;
            let wrong = dynamo.ledger().await.expect_err("another program's table");
            assert!(matches!(wrong, LedgerError::Corrupt { .. }), "{}: {wrong:?}", server.url);
            assert!(chain(&wrong).contains("`pk` (partition) and `sk` (sort)"), "{}", chain(&wrong));
        }
    }
}

#[tokio::test]
async fn s3_a_refusal_is_told_by_its_remedy_and_throttling_ends_soon() {
    let closed = "http://127.0.0.1:1".to_owned();
    for (url, advice) in [
        (refusing(400, "AccessDeniedException").await, "safe-remove iam-policy --ledger"),
        (refusing(400, "UnrecognizedClientException").await, "renew them"),
        (refusing(400, "ProvisionedThroughputExceededException").await, "DynamoDB throttles"),
        (refusing(500, "InternalServerError").await, "AWS's health page"),
        (closed, "cannot be reached"),
    ] {
        let begun = Instant::now();
        let error = Dynamo::without_table(&url).await.ledger().await.expect_err(advice);
        assert!(matches!(error, LedgerError::Unreachable { tried: "read", .. }), "{error:?}");
        assert!(chain(&error).contains(advice), "{advice}: {}", chain(&error));
        assert!(begun.elapsed() < Duration::from_secs(5), "{advice}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn s3_a_ledger_that_was_deleted_or_made_anew_under_a_process_is_not_written() {
    let dynamo = Dynamo::new(dynalite()).await;
    let ledger = dynamo.ledger().await.expect("opens");
    let (at0, record) = ledger.read().await.expect("reads");
    ledger.append(&event("r1", 0, at(0)), &nonce("j0")).await.expect("appends");

    for (pk, sk) in [("demo", "record"), ("demo", "run#r1")] {
        dynamo.delete(pk, sk).await;
    }
    for made_anew in [false, true] {
        if made_anew {
            dynamo.ledger().await.expect("makes another");
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
async fn s3_a_journal_with_a_hole_is_corrupt() {
    let dynamo = Dynamo::new(ministack()).await;
    let ledger = dynamo.ledger().await.expect("opens");
    for seq in 0..3 {
        ledger.append(&event("r1", seq, at(0)), &nonce(format!("j{seq}"))).await.expect("appends");
    }
    dynamo.delete("demo#r1", &format!("{:020}", 1)).await;
    let journal = ledger.journal(&"r1".into()).await;
    assert!(matches!(&journal, Err(error @ LedgerError::Corrupt { .. }) if chain(error).contains("r1")), "{journal:?}");
    dynamo.delete("demo", "run#r1").await;
    let journal = ledger.journal(&"r1".into()).await;
    assert!(matches!(&journal, Err(LedgerError::Corrupt { .. })), "its beginning is missing: {journal:?}");
}

/// Killed between the record that takes the journal's place and the last of its items.
#[tokio::test]
async fn s9_a_journal_of_which_a_part_was_pruned_is_pruned_and_the_rest_goes_next_time() {
    let dynamo = Dynamo::new(ministack()).await;
    let ledger = dynamo.ledger().await.expect("opens");
    for seq in 0..4 {
        ledger.append(&event("r1", seq, at(0)), &nonce(format!("j{seq}"))).await.expect("appends");
    }
    let stub = pruned("r1", 4);
    ledger.prune(&stub, &nonce("p")).await.expect("pruned");
    let last = format!("{:020}", 3);
    dynamo.leave("demo#r1", &last, &ledger.read().await.expect("reads").1.ledger).await;
    assert_eq!(ledger.journal(&"r1".into()).await.expect("reads"), std::slice::from_ref(&stub));
    for seq in 0..4 {
        let late = ledger.append(&event("r1", seq, at(9)), &nonce("x")).await;
        assert_eq!(late.expect("answers"), Written::Conflict, "seq {seq}");
    }
    ledger.prune(&stub, &nonce("q")).await.expect("pruned");
    let key = |text: &str| AttributeValue::S(text.to_owned());
    let left =
        dynamo.client().get_item().table_name(&dynamo.place.table).key("pk", key("demo#r1")).key("sk", key(&last));
    assert_eq!(left.send().await.expect("looks").item, None);
}

/// A journal of four records, for one who prunes it, and for one whose calls a proxy can hold up.
async fn beside_a_slow_one() -> (DynamodbLedger, DynamodbLedger, Proxy) {
    let dynamo = Dynamo::new(ministack()).await;
    let ledger = dynamo.ledger().await.expect("opens");
    for seq in 0..4 {
        ledger.append(&event("r1", seq, at(0)), &nonce(format!("j{seq}"))).await.expect("appends");
    }
    let proxy = Proxy::before(&ministack().url).await;
    let slow = dynamo.through(&proxy).await;
    (ledger, slow, proxy)
}

/// Whichever of its two reads is late, a journal is whole or pruned, and never a part that would pass for one.
#[tokio::test]
async fn s9_a_journal_that_is_pruned_while_it_is_read_is_no_part_of_itself() {
    for held in ["DynamoDB_20120810.Query", "DynamoDB_20120810.GetItem"] {
        let (ledger, slow, proxy) = beside_a_slow_one().await;
        proxy.hold(held);
        let reads = tokio::spawn(async move { slow.journal(&"r1".into()).await });
        proxy.has_held(1).await;
        ledger.prune(&pruned("r1", 4), &nonce("p")).await.expect("pruned");
        proxy.let_go();
        assert_eq!(reads.await.expect("ends").expect("reads"), [pruned("r1", 4)], "{held}");
    }
}

/// Its write arrives when the journal is pruned, and what it would have met is gone.
#[tokio::test]
async fn s9_a_write_that_arrives_behind_a_pruned_journal_is_not_acknowledged() {
    let (ledger, slow, proxy) = beside_a_slow_one().await;
    proxy.hold("DynamoDB_20120810.PutItem");
    let writes = tokio::spawn(async move { slow.append(&event("r1", 2, at(9)), &nonce("late")).await });
    proxy.has_held(1).await;
    ledger.prune(&pruned("r1", 4), &nonce("p")).await.expect("pruned");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    proxy.let_go();
    assert_eq!(writes.await.expect("ends").expect("answers"), Written::Conflict);
    assert_eq!(ledger.journal(&"r1".into()).await.expect("reads"), [pruned("r1", 4)]);
}

/// Its write met another's, which is gone when it looks whose that was: a conflict, and no corrupt ledger.
#[tokio::test]
async fn s9_a_record_that_was_taken_and_is_pruned_meanwhile_is_a_conflict() {
    let (ledger, slow, proxy) = beside_a_slow_one().await;
    proxy.hold("DynamoDB_20120810.PutItem");
    let writes = tokio::spawn(async move { slow.append(&event("r1", 2, at(9)), &nonce("late")).await });
    proxy.has_held(1).await;
    // From here on its next look is held, and its write goes on.
    proxy.hold("DynamoDB_20120810.GetItem");
    proxy.has_held(2).await;
    ledger.prune(&pruned("r1", 4), &nonce("p")).await.expect("pruned");
    proxy.let_go();
    assert_eq!(writes.await.expect("ends").expect("answers"), Written::Conflict);
}

/// A ledger that is slow, as the policy allows it to be, is asked once, and no second attempt adds to its load.
#[tokio::test]
async fn a_call_is_given_the_time_that_its_place_says() {
    let mut dynamo = Dynamo::new(ministack()).await;
    dynamo.ledger().await.expect("opens");
    dynamo.place.attempt = Duration::from_secs(20);
    let proxy = Proxy::before(&ministack().url).await;
    let slow = dynamo.through(&proxy).await;
    proxy.hold("DynamoDB_20120810.GetItem");
    let reads = tokio::spawn(async move { slow.read().await });
    proxy.has_held(1).await;
    // Longer than an attempt of a ledger of which nothing is said.
    tokio::time::sleep(ATTEMPT * 2).await;
    assert_eq!(proxy.held(), 1);
    proxy.let_go();
    reads.await.expect("ends").expect("reads");
}

#[tokio::test]
async fn s3_a_record_above_the_limit_of_an_item_is_not_written_and_says_so() {
    let ledger = Dynamo::new(dynalite()).await.ledger().await.expect("opens");
    let (at0, mut record) = ledger.read().await.expect("reads");
    let with = |record: &mut FleetRecord, size: usize| {
        let operator = "x".repeat(size).as_str().into();
        record.halts = vec![Halt { subsystem: None, operator, reason: Some("r".into()), at: at(0) }];
    };
    with(&mut record, 400 << 10);
    let error = ledger.compare_and_swap(at0, &record, &nonce("n")).await.expect_err("too large");
    assert!(matches!(error, LedgerError::Unreachable { tried: "written", .. }), "nothing is in doubt: {error:?}");
    assert!(chain(&error).contains("an item of DynamoDB holds 400"), "{}", chain(&error));
    // What fits by this count fits by DynamoDB's, however many marks there are.
    with(&mut record, 393 << 10);
    let mut version = at0;
    for write in 0..260 {
        if write == 3 {
            record.halts.clear();
        }
        if write == 259 {
            with(&mut record, 393 << 10);
        }
        match ledger.compare_and_swap(version, &record, &nonce(format!("n{write}"))).await.expect("fits") {
            Written::Acknowledged(next) => version = next,
            Written::Conflict => panic!("nobody else writes"),
        }
    }
}

#[tokio::test]
async fn s9_a_write_whose_reply_is_lost_is_recognised_when_it_is_tried_again() {
    let dynamo = Dynamo::new(ministack()).await;
    let proxy = Arc::new(Proxy::before(&ministack().url).await);
    let before = sdk(&proxy.url()).await;
    let ledger = DynamodbLedger::connect(&before, &dynamo.place, &"demo".into(), at(0)).await.expect("opens");
    let (at0, record) = ledger.read().await.expect("reads");
    let changed = FleetRecord { written_at: at(1), ..record };

    // It is done, and nobody hears of it; the tries after it do hear.
    proxy.lose_replies();
    let healer = Arc::clone(&proxy);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        healer.heal();
    });
    let written = ledger.compare_and_swap(at0, &changed, &nonce("n")).await.expect("answers");
    assert_eq!(written, Written::Acknowledged(Version(at0.0 + 1)), "its own write is no conflict");
    assert!(proxy.lost() > 0, "the first try was done");
    assert_eq!(ledger.read().await.expect("reads"), (Version(at0.0 + 1), changed), "and it was done once");

    // Nobody hears anything any more: it may have been done, and a repeat by the same nonce tells.
    ledger.append(&event("r1", 0, at(0)), &nonce("j0")).await.expect("appends");
    let other = dynamo.ledger().await.expect("opens");
    let conflict = other.append(&event("r1", 0, at(5)), &nonce("other")).await.expect("answers");
    assert_eq!(conflict, Written::Conflict);
    proxy.lose_replies();
    let (at1, record) = other.read().await.expect("reads");
    let again = FleetRecord { written_at: at(2), ..record };
    let lost = ledger.compare_and_swap(at1, &again, &nonce("m")).await;
    assert!(matches!(lost, Err(LedgerError::InDoubt { .. })), "{lost:?}");
    let known = other.compare_and_swap(at1, &again, &nonce("m")).await.expect("answers");
    assert_eq!(known, Written::Acknowledged(Version(at1.0 + 1)), "from another process too");
}

#[tokio::test]
async fn ledger_init_makes_a_protected_table_and_mends_one_that_is_not() {
    let made = Dynamo::without_table(&ministack().url).await;
    let first = init_with(&made.sdk, &made.place).await.expect("makes it");
    assert!(first.created && first.changed.is_empty(), "{first:?}");
    made.ledger().await.expect("opens");
    let again = init_with(&made.sdk, &made.place).await.expect("is safe to repeat");
    assert!(!again.created && again.changed.is_empty(), "{again:?}");

    let bare = Dynamo::new(ministack()).await;
    let mended = init_with(&bare.sdk, &bare.place).await.expect("mends it");
    assert!(!mended.created && mended.changed.len() == 2, "{mended:?}");
    for dynamo in [&made, &bare] {
        let client = dynamo.client();
        let table = client.describe_table().table_name(&dynamo.place.table).send().await.expect("described");
        let table = table.table.expect("a table");
        assert_eq!(table.deletion_protection_enabled, Some(true));
        assert_eq!(table.billing_mode_summary().and_then(|m| m.billing_mode()), Some(&BillingMode::PayPerRequest));
        let backups = client.describe_continuous_backups().table_name(&dynamo.place.table).send().await;
        let backups = backups.expect("described").continuous_backups_description.expect("backups");
        let recovery = backups.point_in_time_recovery_description.expect("recovery");
        assert_eq!(recovery.point_in_time_recovery_status, Some(PointInTimeRecoveryStatus::Enabled));
    }

    let foreign = Dynamo::without_table(&ministack().url).await;
    foreign.make(("id", KeyType::Hash), None).await;
    let error = init_with(&foreign.sdk, &foreign.place).await.expect_err("another program's");
    assert!(matches!(error, LedgerError::Corrupt { .. }), "{error:?}");
}

#[test]
fn a_fleet_goes_by_a_table_from_its_making_to_its_history() {
    let mut environment = TestEnvironment::new();
    for (name, value) in crate::support::dynamo::environment() {
        environment.set(name, &value);
    }
    Fleet { index_minimum: 6, ..Fleet::default() }.write(&environment);
    let fleet = std::fs::read_to_string(environment.path().join("policies/fleet.toml")).expect("a policy");
    let start = fleet.find("[ledger]").expect("a ledger");
    let table = format!("safe-remove-{}", uuid::Uuid::new_v4());
    let ledger = format!("[ledger]\nkind = \"dynamodb\"\ntable = \"{table}\"\n");
    environment.write("policies/fleet.toml", &format!("{}{ledger}", &fleet[..start]));

    let remove = ["--subsystem", "index", "--count", "2", "--yes", "--output=json"];
    let early = environment.run(&remove).exits(10);
    assert!(early.stderr.contains("safe-remove ledger init"), "{}", early.stderr);
    assert!(!early.stderr.contains("ServiceError"), "words, and not the SDK's own state: {}", early.stderr);
    let policy: Value =
        serde_json::from_str(&environment.run(&["iam-policy", "--ledger"]).exits(0).stdout).expect("JSON");
    assert_eq!(policy["Statement"][0]["Resource"], format!("arn:aws:dynamodb:*:*:table/{table}"));

    let made = environment.run(&["ledger", "init", "--output=json"]).exits(0).json();
    assert_eq!(made["result"]["done"].as_array().map(Vec::len), Some(2), "{made:#}");
    let again = environment.run(&["ledger", "init", "--output=json"]).exits(0).json();
    assert_eq!(again["result"]["done"].as_array().map(Vec::len), Some(0), "{again:#}");
    assert_eq!(again["result"]["ledger"], made["result"]["ledger"]);

    environment.run(&remove).exits(0);
    assert_eq!(capacity(&environment, "index"), 16);
    let history = environment.run(&["history", "--output=json"]).exits(0).json();
    assert_eq!(history["runs"].as_array().map(Vec::len), Some(1), "{history:#}");
    let status = environment.run(&["status", "--output=json"]).exits(0).json();
    assert_eq!(status["ledger_place"], format!("DynamoDB table {table}"), "{status:#}");
}
