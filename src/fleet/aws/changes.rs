//! What changes a group's size by itself: scheduled actions, scaling policies, an instance refresh. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_autoscaling::types::{
    InstanceRefresh, InstanceRefreshStatus, PredictiveScalingMode, ScalingPolicy, ScheduledUpdateGroupAction,
};
use cronexpr::{Crontab, MakeTimestamp};

use crate::model::{OwnChanges, ScheduledChange, Time};

/// What the group will do by itself, as far as it is known at `now`.
pub(super) fn own_changes(
    actions: &[ScheduledUpdateGroupAction],
    policies: &[ScalingPolicy],
    suspended: &BTreeSet<&str>,
    now: Time,
) -> OwnChanges {
    let scheduled = if suspended.contains("ScheduledActions") { &[] } else { actions };
    OwnChanges {
        scheduled: scheduled.iter().filter_map(|action| due(action, now)).collect(),
        scales_out: active(policies, suspended).filter(|policy| may_raise(policy)).map(name).next(),
    }
}

/// When the action is due next. A first time that is over is not due again without a recurrence.
///
/// Sources: API reference, `ScheduledUpdateGroupActionRequest` ("If you specify Recurrence and StartTime, Amazon EC2 Auto
/// Scaling performs the action at this time, and then performs the action based on the specified recurrence"; UTC by
/// default), `DescribeScheduledActions`.
fn due(action: &ScheduledUpdateGroupAction, now: Time) -> Option<ScheduledChange> {
    let text = |at: Time, more: &str| {
        let name = action.scheduled_action_name().unwrap_or("without a name");
        Some(ScheduledChange { at, what: format!("scheduled action {name}{more}") })
    };
    let time = |at: Option<&aws_smithy_types::DateTime>| at.and_then(|at| at.to_millis().ok()).map(Time::from_millis);
    let (start, end) = (time(action.start_time()), time(action.end_time()));
    if let Some(start) = start.filter(|start| *start >= now) {
        return text(start, "");
    }
    let recurrence = action.recurrence().filter(|recurrence| !recurrence.is_empty())?;
    let Ok(recurrence) = Recurrence::read(recurrence, action.time_zone()) else {
        // S3: it may be due at any time.
        return text(now, &format!(" (its recurrence {recurrence:?} is not understood)"));
    };
    let at = recurrence.next(now)?;
    if end.is_some_and(|end| at > end) { None } else { text(at, "") }
}

/// When a recurring action is due. The form is Unix cron's: minute, hour, day of the month, month, day of the week (API
/// reference, `PutScheduledUpdateGroupAction`).
struct Recurrence(Crontab);

impl Recurrence {
    fn read(text: &str, zone: Option<&str>) -> Result<Self, cronexpr::Error> {
        let zone = zone.filter(|zone| !zone.is_empty()).unwrap_or("UTC");
        cronexpr::parse_crontab(&format!("{text} {zone}")).map(Self)
    }

    /// The first time at or after `from`; `None` if there is none within years. A time that the clocks skip does not come.
    fn next(&self, from: Time) -> Option<Time> {
        let before = MakeTimestamp(from.minus(Duration::from_millis(1)).to_jiff());
        self.0.find_next(before).ok().map(|next| Time::from_jiff(next.timestamp()))
    }
}

/// The policies that act now. AlarmNotification carries the alarms of all of them but predictive scaling (Amazon EC2 Auto
/// Scaling User Guide, "Suspend and resume processes").
fn active<'a>(policies: &'a [ScalingPolicy], suspended: &BTreeSet<&str>) -> impl Iterator<Item = &'a ScalingPolicy> {
    let hears_alarms = !suspended.contains("AlarmNotification");
    policies.iter().filter(move |policy| {
        let is_predictive = policy.policy_type() == Some("PredictiveScaling");
        let only_forecasts = policy
            .predictive_scaling_configuration()
            .is_some_and(|configuration| configuration.mode() != Some(&PredictiveScalingMode::ForecastAndScale));
        policy.enabled() != Some(false) && if is_predictive { !only_forecasts } else { hears_alarms }
    })
}

/// Whether the policy may raise desired capacity. A kind that is not known may.
fn may_raise(policy: &ScalingPolicy) -> bool {
    let adjusts = |by: Option<i32>| by.is_none_or(|by| by > 0);
    let is_exact = policy.adjustment_type() == Some("ExactCapacity");
    match policy.policy_type() {
        Some("SimpleScaling") => is_exact || adjusts(policy.scaling_adjustment()),
        Some("StepScaling") => {
            is_exact || policy.step_adjustments().iter().any(|step| adjusts(step.scaling_adjustment()))
        }
        _ => true,
    }
}

fn name(policy: &ScalingPolicy) -> String {
    format!("scaling policy {}", policy.policy_name().unwrap_or("without a name"))
}

/// The names of the policies that act now.
pub(super) fn names(policies: &[ScalingPolicy], suspended: &BTreeSet<&str>) -> Vec<String> {
    active(policies, suspended).map(|policy| policy.policy_name().unwrap_or("without a name").to_owned()).collect()
}

/// The instance refresh that is under way, if there is one. A status that is not known is one under way.
/// Source: API reference, `InstanceRefresh`.
pub(super) fn refreshing(refreshes: &[InstanceRefresh]) -> Option<String> {
    use InstanceRefreshStatus::{Cancelled, Failed, RollbackFailed, RollbackSuccessful, Successful};
    let is_over = |status: &InstanceRefreshStatus| {
        matches!(status, Cancelled | Failed | RollbackFailed | RollbackSuccessful | Successful)
    };
    let running = refreshes.iter().find(|refresh| !refresh.status().is_some_and(is_over))?;
    let status = running.status().map_or("in no known status", InstanceRefreshStatus::as_str);
    Some(format!("{} ({status})", running.instance_refresh_id().unwrap_or("without an id")))
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::types::{PredictiveScalingConfiguration, StepAdjustment};
    use aws_smithy_types::DateTime;

    use super::*;

    fn now() -> Time {
        "2026-11-29T12:30:00.000Z".parse().expect("valid")
    }

    fn action() -> aws_sdk_autoscaling::types::builders::ScheduledUpdateGroupActionBuilder {
        ScheduledUpdateGroupAction::builder().scheduled_action_name("night")
    }

    fn at(minutes: i64) -> DateTime {
        DateTime::from_millis(now().as_millis() + minutes * 60_000)
    }

    fn dues(action: aws_sdk_autoscaling::types::builders::ScheduledUpdateGroupActionBuilder) -> Vec<i64> {
        let changes = own_changes(&[action.build()], &[], &BTreeSet::new(), now());
        changes.scheduled.iter().map(|change| (change.at.as_millis() - now().as_millis()) / 60_000).collect()
    }

    #[test]
    fn a_scheduled_action_is_due_at_its_start_and_then_by_its_recurrence() {
        assert_eq!(dues(action().start_time(at(5))), [5]);
        assert_eq!(dues(action().start_time(at(-5))), [] as [i64; 0]);
        assert_eq!(dues(action().recurrence("0 22 * * *")), [570]);
        assert_eq!(dues(action().recurrence("0 22 * * *").time_zone("Europe/Paris")), [510]);
        assert_eq!(dues(action().start_time(at(5)).recurrence("0 22 * * *")), [5]);
        assert_eq!(dues(action().start_time(at(-5)).recurrence("0 22 * * *")), [570]);
        assert_eq!(dues(action().recurrence("0 22 * * *").end_time(at(60))), [] as [i64; 0]);
        // S3: due at any time.
        assert_eq!(dues(action().recurrence("0 22 X * *")), [0]);
        assert_eq!(dues(action().recurrence("0 22 * * *").time_zone("Mars/Olympus")), [0]);
        let suspended = BTreeSet::from(["ScheduledActions"]);
        assert_eq!(own_changes(&[action().start_time(at(5)).build()], &[], &suspended, now()).scheduled, []);
    }

    #[test]
    fn what_may_raise_desired_capacity_is_known() {
        let policy = |kind: &str| ScalingPolicy::builder().policy_name("p").policy_type(kind);
        let step = |by: i32| StepAdjustment::builder().scaling_adjustment(by).build();
        let mode = |mode| PredictiveScalingConfiguration::builder().mode(mode).build();
        let forecasts =
            policy("PredictiveScaling").predictive_scaling_configuration(mode(PredictiveScalingMode::ForecastOnly));
        let predicts =
            policy("PredictiveScaling").predictive_scaling_configuration(mode(PredictiveScalingMode::ForecastAndScale));
        let raises = |policy: &ScalingPolicy, suspended: &[&str]| {
            let suspended = suspended.iter().copied().collect();
            own_changes(&[], std::slice::from_ref(policy), &suspended, now()).scales_out.is_some()
        };
        for (policy, expected) in [
            (policy("TargetTrackingScaling"), true),
            (policy("TargetTrackingScaling").enabled(false), false),
            (policy("SimpleScaling").scaling_adjustment(1), true),
            (policy("SimpleScaling").scaling_adjustment(-1), false),
            (policy("SimpleScaling").scaling_adjustment(0).adjustment_type("ExactCapacity"), true),
            (policy("StepScaling").step_adjustments(step(-1)), false),
            (policy("StepScaling").step_adjustments(step(-1)).step_adjustments(step(2)), true),
            (forecasts, false),
            (predicts.clone(), true),
            (policy("Invented"), true),
        ] {
            let policy = policy.build();
            assert_eq!(raises(&policy, &[]), expected, "{policy:?}");
        }
        assert!(!raises(&policy("TargetTrackingScaling").build(), &["AlarmNotification"]));
        assert!(raises(&predicts.build(), &["AlarmNotification"]));
    }

    #[test]
    fn a_refresh_is_under_way_until_it_is_said_to_be_over() {
        let of = |status: &str| {
            let refresh = InstanceRefresh::builder().instance_refresh_id("r").status(status.into()).build();
            refreshing(&[refresh]).is_some()
        };
        for status in ["Pending", "InProgress", "Cancelling", "RollbackInProgress", "Baking", "Invented"] {
            assert!(of(status), "{status}");
        }
        for status in ["Successful", "Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful"] {
            assert!(!of(status), "{status}");
        }
        assert!(refreshing(&[]).is_none());
    }

    fn next(text: &str, zone: &str, from: &str) -> String {
        let from = from.parse().expect("a time");
        let next = Recurrence::read(text, Some(zone)).expect("valid").next(from);
        next.map_or_else(|| "never".to_owned(), |at| at.to_string())
    }

    #[test]
    fn the_next_time_is_found() {
        // 2026-11-29 is a Sunday.
        for (text, expected) in [
            ("0 22 * * *", "2026-11-29 22:00:00 UTC"),
            ("0 9 * * *", "2026-11-30 09:00:00 UTC"),
            ("30 12 * * *", "2026-11-29 12:30:00 UTC"),
            ("0 9 * * MON-FRI", "2026-11-30 09:00:00 UTC"),
            ("0 9 * * 7", "2026-12-06 09:00:00 UTC"),
            ("0 13 * * 0", "2026-11-29 13:00:00 UTC"),
            ("15-55/20 12 * * *", "2026-11-29 12:35:00 UTC"),
            ("0 0 1 * *", "2026-12-01 00:00:00 UTC"),
            ("0 0 1,15 dec Fri", "2026-12-01 00:00:00 UTC"),
            ("0 0 30 2 *", "never"),
        ] {
            assert_eq!(next(text, "UTC", "2026-11-29T12:30:00.000Z").as_str(), expected, "{text}");
        }
    }

    #[test]
    fn the_zone_of_the_action_counts() {
        let next = next("0 9 * * *", "America/New_York", "2026-11-29T12:30:00.000Z");
        assert_eq!(next, "2026-11-29 14:00:00 UTC");
    }

    #[test]
    fn s3_what_is_not_understood_is_not_read() {
        for text in ["", "0 9 * *", "0 9 * * * 2026", "60 9 * * *", "0 9 * * FOO", "5-1 9 * * *", "*/0 * * * *"] {
            assert!(Recurrence::read(text, None).is_err(), "{text:?}");
        }
        assert!(Recurrence::read("0 9 * * *", Some("Mars/Phobos")).is_err());
    }
}
