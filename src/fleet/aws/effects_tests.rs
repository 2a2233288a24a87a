//! Tests against a server of canned answers: what is sent, how often, and how it is signed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

use super::super::{AwsFleet, AwsSettings, Timeouts, now};
use super::*;
use crate::ports::{Fleet, RecordedCall};

/// A request: its action, whole body, and signing time.
#[derive(Clone, Debug)]
struct Asked {
    action: String,
    body: String,
    signed_at: String,
}

/// How a request ends.
#[derive(Clone, Debug)]
enum Answer {
    Http(u16, String),
    Lost,
    Never,
}

/// Answers by action, from a table. Every other action is answered as by a service that knows one host, which runs and is in Standby.
#[derive(Clone, Debug, Default)]
struct Canned {
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
}

impl Canned {
    fn answer(&self, action: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(action.to_owned(), answer);
    }

    fn sent(&self, action: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.action == action).cloned().collect()
    }

    async fn fleet(&self) -> AwsFleet {
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("k", "s", None, None, "test")))
            .http_client(self.clone())
            .sleep_impl(TokioSleep::new())
            .build();
        let timeouts = Timeouts { effect: Duration::from_millis(200), ..Timeouts::default() };
        let settings = AwsSettings {
            region: "us-east-1".into(),
            account: "123456789012".into(),
            role: None,
            settle: None,
            timeouts,
        };
        AwsFleet::connect(&sdk, settings).await.expect("opened")
    }
}

fn wrapped(action: &str, inner: &str) -> String {
    format!("<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>")
}

fn default_answer(action: &str) -> String {
    match action {
        "GetCallerIdentity" => {
            wrapped(action, "<Account>123456789012</Account><Arn>arn:aws:iam::123456789012:user/ops</Arn>")
        }
        "DescribeInstanceAttribute" => "<DescribeInstanceAttributeResponse><disableApiTermination><value>false</value></disableApiTermination></DescribeInstanceAttributeResponse>".to_owned(),
        "DescribeAutoScalingInstances" => wrapped(
            action,
            "<AutoScalingInstances><member><InstanceId>i-1</InstanceId><AutoScalingGroupName>web</AutoScalingGroupName><LifecycleState>Standby</LifecycleState><ProtectedFromScaleIn>false</ProtectedFromScaleIn></member></AutoScalingInstances>",
        ),
        "DescribeInstances" => "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><instanceState><code>16</code><name>running</name></instanceState></item></instancesSet></item></reservationSet></DescribeInstancesResponse>".to_owned(),
        _ => wrapped(action, ""),
    }
}

fn refusal(code: &str) -> String {
    format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>")
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        let action = body.split('&').find_map(|p| p.strip_prefix("Action=")).unwrap_or_default().to_owned();
        let signed_at = request.headers().get("x-amz-date").unwrap_or_default().to_owned();
        self.asked.lock().unwrap().push(Asked { action: action.clone(), body, signed_at });
        let answer = self.answers.lock().unwrap().get(&action).cloned();
        HttpConnectorFuture::new(async move {
            let (status, body) = match answer.unwrap_or_else(|| Answer::Http(200, default_answer(&action))) {
                Answer::Http(status, body) => (status, body),
                Answer::Lost => {
                    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
                    return Err(ConnectorError::io(broken.into()));
                }
                Answer::Never => std::future::pending().await,
            };
            let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
            let date = now().to_jiff().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            response.headers_mut().insert("date", date);
            Ok(response)
        })
    }
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn call(effect: Effect, age: Duration) -> RecordedCall {
    let intent_at = now().minus(age);
    RecordedCall::of_a_test(Call { effect, intent_at, not_after: intent_at.plus(Duration::from_secs(900)) })
}

fn cordon() -> Effect {
    Effect::Cordon { group: Some("web".into()), hosts: BTreeMap::from([("i-1".into(), BTreeSet::new())]) }
}

fn terminate() -> Effect {
    Effect::Terminate { group: Some("web".into()), host: "i-1".into() }
}

#[tokio::test]
async fn s9_every_call_is_signed_with_its_own_intent_however_late_it_is_sent() {
    let server = Canned::default();
    let fleet = server.fleet().await;
    // The SDK would learn a clock difference from the first answer, and sign the second call as if it were younger.
    for age in [600, 300, 0] {
        let call = call(cordon(), Duration::from_secs(age));
        let intent_at = call.call().intent_at;
        assert_eq!(fleet.perform(call).await, CallOutcome::Done);
        let signed_at = server.sent("EnterStandby").last().unwrap().signed_at.clone();
        assert_eq!(signed_at, intent_at.to_jiff().strftime("%Y%m%dT%H%M%SZ").to_string(), "{age} s late");
    }
}

/// A restore without the ledger has less time than a signature: a takeover of the run does not wait longer than that.
#[tokio::test]
async fn s2_aws_refuses_a_restore_behind_its_own_deadline() {
    let server = Canned::default();
    let fleet = server.fleet().await;
    let (hosts, intent_at) = (BTreeMap::from([("i-1".into(), BTreeSet::new())]), now());
    let effect = Effect::Restore { group: Some("web".into()), hosts };
    let not_after = intent_at.plus(Duration::from_secs(30));
    assert_eq!(fleet.perform(RecordedCall::of_a_test(Call { effect, intent_at, not_after })).await, CallOutcome::Done);
    let signed_at = server.sent("ExitStandby").last().unwrap().signed_at.clone();
    let expires = not_after.minus(Duration::from_secs(900));
    assert_eq!(signed_at, expires.to_jiff().strftime("%Y%m%dT%H%M%SZ").to_string());
}

/// Auto Scaling takes a signature for 5 minutes, so it refuses the first restore. The second one arrives, and is out of
/// reach at the deadline too. A refusal without the time changes nothing: were it wrong, a call could land too late (S2).
#[tokio::test]
async fn s7_a_restore_with_little_time_is_signed_by_what_its_refusal_says() {
    let words = "Signature expired: 20140423T223837Z is now earlier than 20140423T224401Z (20140423T224901Z - 5 min.)";
    for (status, code, words, then) in [
        (403, "SignatureDoesNotMatch", words, 300),
        (400, "InvalidSignatureException", words, 300),
        (400, "RequestExpired", "Request has expired.", 900),
        (401, "AuthFailure", "AWS was not able to validate the provided access credentials", 900),
    ] {
        let server = Canned::default();
        let fleet = server.fleet().await;
        let not_after = now().plus(Duration::from_secs(30));
        let restore = || {
            let hosts = BTreeMap::from([("i-1".into(), BTreeSet::new())]);
            let effect = Effect::Restore { group: Some("web".into()), hosts };
            RecordedCall::of_a_test(Call { effect, intent_at: now(), not_after })
        };
        server.answer("ExitStandby", Answer::Http(status, refusal(code).replace(">no<", &format!(">{words}<"))));
        let refused = fleet.perform(restore()).await;
        assert!(matches!(refused, CallOutcome::Refused { retryable: true, .. }), "{code}: {refused:?}");
        server.answer("ExitStandby", Answer::Http(200, wrapped("ExitStandby", "")));
        assert_eq!(fleet.perform(restore()).await, CallOutcome::Done);
        let signed: Vec<String> = server.sent("ExitStandby").into_iter().map(|sent| sent.signed_at).collect();
        let expected = [900, then]
            .map(|life| not_after.minus(Duration::from_secs(life)).to_jiff().strftime("%Y%m%dT%H%M%SZ").to_string());
        assert_eq!(signed, expected, "{code}");
    }
}

#[tokio::test]
async fn a_call_past_its_time_is_not_even_sent() {
    let server = Canned::default();
    let fleet = server.fleet().await;
    let outcome = fleet.perform(call(cordon(), Duration::from_secs(901))).await;
    // S7: a restore that was held up so long is sent anew.
    assert!(matches!(outcome, CallOutcome::Refused { retryable: true, .. }), "{outcome:?}");
    assert!(server.sent("EnterStandby").is_empty());
}

#[tokio::test]
async fn s9_an_effect_is_sent_once_whatever_the_answer() {
    for (answer, certain) in [
        (Answer::Http(400, refusal("Throttling")), true),
        (Answer::Http(400, refusal("ScalingActivityInProgress")), true),
        (Answer::Http(403, refusal("AccessDenied")), true),
        (Answer::Http(403, refusal("SignatureDoesNotMatch")), true),
        (Answer::Http(500, refusal("InternalFailure")), false),
        (Answer::Http(503, "<html>no</html>".to_owned()), false),
        (Answer::Http(400, "<html>no</html>".to_owned()), false),
        (Answer::Http(200, "<EnterStandby".to_owned()), false),
        (Answer::Http(200, "<EnterStandbyResponse><EnterStandbyResult>".to_owned()), false),
        (Answer::Lost, false),
        (Answer::Never, false),
    ] {
        let server = Canned::default();
        let fleet = server.fleet().await;
        server.answer("EnterStandby", answer.clone());
        let outcome = fleet.perform(call(cordon(), Duration::ZERO)).await;
        assert_eq!(matches!(outcome, CallOutcome::Refused { .. }), certain, "{answer:?}: {outcome:?}");
        assert_eq!(matches!(outcome, CallOutcome::Unknown { .. }), !certain, "{answer:?}: {outcome:?}");
        assert_eq!(server.sent("EnterStandby").len(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn standby_lowers_desired_capacity_and_termination_from_it_does_not() {
    let server = Canned::default();
    let fleet = server.fleet().await;
    assert_eq!(fleet.perform(call(cordon(), Duration::ZERO)).await, CallOutcome::Done);
    assert_eq!(fleet.perform(call(terminate(), Duration::ZERO)).await, CallOutcome::Done);
    assert!(server.sent("EnterStandby")[0].body.contains("ShouldDecrementDesiredCapacity=true"));
    let sent = server.sent("TerminateInstanceInAutoScalingGroup");
    assert!(sent[0].body.contains("ShouldDecrementDesiredCapacity=false") && sent[0].body.contains("InstanceId=i-1"));
}

#[tokio::test]
async fn s1_a_member_that_is_back_in_service_is_not_terminated() {
    let server = Canned::default();
    let fleet = server.fleet().await;
    let described = default_answer("DescribeAutoScalingInstances");
    for other in [
        described.replace("Standby", "InService"),
        described.replace(">web<", ">api<"),
        described.replace(">false<", ">true<"),
        wrapped("DescribeAutoScalingInstances", ""),
    ] {
        server.answer("DescribeAutoScalingInstances", Answer::Http(200, other.clone()));
        let outcome = fleet.perform(call(terminate(), Duration::ZERO)).await;
        assert!(matches!(outcome, CallOutcome::Refused { .. }), "{other}: {outcome:?}");
    }
    assert!(server.sent("TerminateInstanceInAutoScalingGroup").is_empty());
}

#[tokio::test]
async fn termination_protection_is_honoured_where_the_group_would_not() {
    let server = Canned::default();
    let fleet = server.fleet().await;
    for answer in
        [default_answer("DescribeInstanceAttribute").replace("false", "true"), wrapped("DescribeInstanceAttribute", "")]
    {
        server.answer("DescribeInstanceAttribute", Answer::Http(200, answer));
        for effect in [cordon(), terminate()] {
            let outcome = fleet.perform(call(effect, Duration::ZERO)).await;
            assert!(matches!(outcome, CallOutcome::Refused { retryable: false, .. }), "{outcome:?}");
        }
    }
    assert!(server.sent("EnterStandby").is_empty() && server.sent("TerminateInstanceInAutoScalingGroup").is_empty());
}

#[tokio::test]
async fn no_call_is_sent_for_no_host_or_for_too_many() {
    let server = Canned::default();
    let fleet = server.fleet().await;
    let many = (0..21).map(|n| (HostId::new(format!("i-{n}")), BTreeSet::new())).collect();
    for hosts in [BTreeMap::new(), many] {
        for group in [Some("web".into()), None] {
            let outcome = fleet.perform(call(Effect::Cordon { group, hosts: hosts.clone() }, Duration::ZERO)).await;
            assert!(matches!(outcome, CallOutcome::Refused { .. }), "{outcome:?}");
        }
    }
    assert_eq!(server.asked.lock().unwrap().len(), 1, "only who the caller is");
}

#[tokio::test]
async fn suspending_always_names_the_process() {
    let server = Canned::default();
    let fleet = server.fleet().await;
    let effect = Effect::Suspend { group: "web".into(), process: Process::AzRebalance };
    assert_eq!(fleet.perform(call(effect, Duration::ZERO)).await, CallOutcome::Done);
    assert!(server.sent("SuspendProcesses")[0].body.contains("ScalingProcesses.member.1=AZRebalance"));
}

#[test]
fn a_refusal_after_a_step_was_done_leaves_the_whole_in_doubt() {
    let refused = || CallOutcome::Refused { message: "no".to_owned(), retryable: true };
    assert_eq!(Steps::default().take("one".to_owned(), refused()), Err(refused()));
    let mut steps = Steps::default();
    assert_eq!(steps.take("one".to_owned(), CallOutcome::Done), Ok(()));
    assert_eq!(
        steps.take("two".to_owned(), refused()),
        Err(CallOutcome::Unknown { message: "no; done before: one".to_owned() })
    );
}
