//! Real programs and a real server, and what comes of every kind of answer.

use std::sync::Mutex;
use std::time::Instant;

use super::*;
use crate::model::{BatchNumber, HOOK_SCHEMA, HookCall, HookHost, HookKey, HookStage};

fn document() -> HookDocument {
    let host = HookHost {
        id: "index-0001".into(),
        zone: Some("a".into()),
        address: Some("10.0.0.1".to_owned()),
        group: Some("index".into()),
        tags: [("role".to_owned(), "index".to_owned())].into(),
    };
    HookDocument {
        schema: HOOK_SCHEMA,
        on: HookStage::Drain,
        before: None,
        fleet: "demo".into(),
        run: "r-1".into(),
        subsystem: "index".into(),
        batch: BatchNumber::new(1),
        hosts: vec![host],
        attempt: 1,
    }
}

fn recorded() -> RecordedHook {
    let hook = HookKey { subsystem: "index".into(), hook: "brokers".to_owned() };
    let hosts = ["index-0001".into()].into();
    let call = HookCall { hook, on: HookStage::Undrain, before: None, batch: BatchNumber::new(1), hosts, attempt: 1 };
    RecordedHook::undrain_without_ledger(call).expect("an undrain")
}

async fn of_script(script: &str, timeout: Duration) -> (HookAnswer, Vec<String>) {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    let spec = HookSpec { name: "brokers".to_owned(), on: HookStage::Drain, kind: HookKind::Exec { command }, timeout };
    let said = Arc::<Mutex<Vec<String>>>::default();
    let heard = Arc::clone(&said);
    let hear = move |line: &str| heard.lock().expect("no panic").push(line.to_owned());
    let answer = HookPrograms::new().call(recorded(), document(), &spec, Arc::new(hear)).await;
    let said = said.lock().expect("no panic").clone();
    (answer, said)
}

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_program_reads_the_document_and_its_lines_are_progress() {
    let script = "read -r line; echo \"$line\" >&2; echo 'two of three' >&2; echo '{\"answer\": \"allow\"}'";
    let (answer, said) = of_script(script, SOON).await;
    assert_eq!(answer, HookAnswer::Allow {});
    let [document, progress] = said.as_slice() else { panic!("{said:?}") };
    for part in [
        "\"schema\":\"safe-remove/hook/v1\"",
        "\"on\":\"drain\"",
        "\"batch\":1",
        "\"hosts\":[{\"id\":\"index-0001\",\"zone\":\"a\",\"address\":\"10.0.0.1\",\"group\":\"index\",\"tags\":{\"role\":\"index\"}}]",
        "\"attempt\":1",
    ] {
        assert!(document.contains(part), "{part}: {document}");
    }
    assert_eq!(progress, "two of three");
}

#[tokio::test]
async fn every_answer_is_read_and_its_reason_is_one_line() {
    for (text, expected) in [
        (r#"{"answer": "allow"}"#, HookAnswer::Allow {}),
        (r#"{"answer": "deny", "reason": "two\nreplicas"}"#, HookAnswer::Deny { reason: "two replicas".to_owned() }),
        (
            r#"{"answer": "wait", "seconds": 60, "reason": "moves shards"}"#,
            HookAnswer::Wait { seconds: 60, reason: "moves shards".to_owned() },
        ),
        (
            r#"{"answer": "only", "hosts": ["index-0001"]}"#,
            HookAnswer::Only { hosts: ["index-0001".into()].into(), reason: None },
        ),
    ] {
        let says = format!("printf '%s' '{text}'");
        assert_eq!(of_script(&format!("cat > /dev/null; {says}"), SOON).await.0, expected, "{text}");
        assert_eq!(of_script(&says, SOON).await.0, expected, "it need not read: {text}");
    }
}

#[tokio::test]
async fn s3_anything_else_is_no() {
    for (script, why) in [
        ("echo yes", "the answer is not one of a hook"),
        ("true", "the answer is not one of a hook"),
        (r#"echo '{"answer": "allow", "hosts": ["index-0001"]}'"#, "unknown field `hosts`"),
        (r#"echo '{"answer": "allow"}{"answer": "allow"}'"#, "trailing characters"),
        (r#"echo '{"answer": "maybe"}'"#, "unknown variant `maybe`"),
        (r#"echo '{"answer": "deny"}'"#, "missing field `reason`"),
        (r#"echo '{"answer": "wait", "seconds": -1, "reason": "x"}'"#, "the answer is not one of a hook"),
        (r#"echo '{"answer": "failed", "message": "x"}'"#, "for the journal"),
        (r#"echo '{"answer": "allow"}'; echo 'no quorum' >&2; exit 1"#, "exit status 1: no quorum"),
        ("kill -9 $$", "ended by signal 9"),
    ] {
        let (answer, _) = of_script(script, SOON).await;
        let HookAnswer::Failed { message } = &answer else { panic!("{script}: {answer:?}") };
        assert!(message.contains(why), "{script}: {message}");
    }
}

#[tokio::test]
async fn s3_one_that_hangs_is_no_and_is_ended_with_all_that_it_started() {
    let begun = Instant::now();
    let (answer, _) = of_script("sleep 60 & sleep 60", Duration::from_millis(300)).await;
    let HookAnswer::Failed { message } = answer else { panic!("{answer:?}") };
    assert!(message.contains("no answer within 300ms"), "{message}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}
