//! `target-group`: the share of a target group's registered targets that are healthy, 0 to 1.
//!
//! A target counts as the capacity of a host does (`fleet/aws/targets.rs`): only `healthy` is, and not where a zonal shift
//! keeps work from it. A target that drains is not registered any more, and one that no load balancer uses says nothing:
//! neither is counted, so that a batch that is cordoned changes nothing by itself. Nothing here knows the fleet.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    AdministrativeOverride, TargetAdministrativeOverrideStateEnum as Override, TargetHealth, TargetHealthDescription,
    TargetHealthReasonEnum, TargetHealthStateEnum as State,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
use tokio::sync::Mutex;

use super::text;
use crate::credentials;
use crate::model::{Reading, chain};
use crate::policy::{AssumedRole, region_of};

/// A client for each region, with the fleet's role.
#[derive(Debug, Default)]
pub(super) struct TargetGroups {
    role: Option<AssumedRole>,
    clients: Mutex<BTreeMap<String, Client>>,
}

impl TargetGroups {
    /// Target groups are read with this role.
    pub(super) fn with(role: Option<AssumedRole>) -> Self {
        Self { role, clients: Mutex::default() }
    }

    /// Asks for the health of all targets; `timeout` covers fetching credentials too.
    pub(super) async fn read(&self, arn: &str, timeout: Duration) -> Result<Reading, String> {
        let tried = format!("read the health of {}", text::cut(arn, 200));
        let asked = async {
            let client = self.client(region_of(arn).unwrap_or_default()).await;
            client.describe_target_health().target_group_arn(arn).send().await
        };
        match tokio::time::timeout(timeout, asked).await {
            Err(_) => Err(text::timed_out(&tried, timeout)),
            Ok(Err(error)) => Err(match (error.code(), error.message()) {
                (Some(code), message) => format!("{tried}: {code}: {}", message.unwrap_or("without a message")),
                (None, _) => format!("{tried}: {}", chain(&error)),
            }),
            Ok(Ok(answer)) => share(answer.target_health_descriptions()).map_err(|why| format!("{tried}: {why}")),
        }
    }

    async fn client(&self, region: &str) -> Client {
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(region) {
            return client.clone();
        }
        let client = Client::new(&credentials::sdk(Some(region), self.role.as_ref()).await);
        clients.insert(region.to_owned(), client.clone());
        client
    }
}

fn share(targets: &[TargetHealthDescription]) -> Result<Reading, String> {
    let counted: Vec<&TargetHealthDescription> = targets.iter().filter(|target| is_counted(target)).collect();
    if counted.is_empty() {
        return Err("it has no target that a load balancer uses".to_owned());
    }
    let healthy = counted.iter().filter(|target| is_healthy(target)).count();
    #[expect(clippy::cast_precision_loss, reason = "a target group has far fewer than 2^52 targets")]
    let share = healthy as f64 / counted.len() as f64;
    Ok(Reading::Number(share))
}

fn is_counted(target: &TargetHealthDescription) -> bool {
    let health = target.target_health();
    match health.and_then(TargetHealth::state) {
        Some(State::Draining) => false,
        // One that is stopped, or whose address cannot be used, is `unused` too, and is missed.
        Some(State::Unused) => !matches!(
            health.and_then(TargetHealth::reason),
            None | Some(TargetHealthReasonEnum::NotInUse | TargetHealthReasonEnum::NotRegistered)
        ),
        Some(_) | None => true,
    }
}

fn is_healthy(target: &TargetHealthDescription) -> bool {
    let shift = target.administrative_override().and_then(AdministrativeOverride::state);
    target.target_health().and_then(TargetHealth::state) == Some(&State::Healthy)
        && matches!(shift, None | Some(Override::NoOverride))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(states: &[&str]) -> Result<Reading, String> {
        let target = |state: &&str| {
            let health = TargetHealth::builder().state(State::from(*state)).build();
            TargetHealthDescription::builder().target_health(health).build()
        };
        share(&states.iter().map(target).collect::<Vec<_>>())
    }

    #[test]
    fn draining_and_unused_targets_do_not_count() {
        assert_eq!(of(&["healthy", "healthy", "unhealthy", "initial"]), Ok(Reading::Number(0.5)));
        assert_eq!(of(&["healthy", "draining", "draining", "unused"]), Ok(Reading::Number(1.0)));
        assert_eq!(of(&["unhealthy"]), Ok(Reading::Number(0.0)));
        assert_eq!(of(&["healthy", "unavailable", "of-next-year"]), Ok(Reading::Number(1.0 / 3.0)));
    }

    #[test]
    fn a_target_counts_as_the_capacity_of_a_host_does() {
        let healthy = || TargetHealth::builder().state(State::Healthy).build();
        let shifted = AdministrativeOverride::builder().state(Override::ZonalShiftActive).build();
        let stopped = TargetHealth::builder().state(State::Unused).reason(TargetHealthReasonEnum::InvalidState).build();
        let no_use = TargetHealth::builder().state(State::Unused).reason(TargetHealthReasonEnum::NotInUse).build();
        let target = |health| TargetHealthDescription::builder().target_health(health);
        let good = target(healthy()).build();
        for (other, expected) in [
            (target(healthy()).administrative_override(shifted).build(), 0.5),
            (target(stopped).build(), 0.5),
            (target(no_use).build(), 1.0),
        ] {
            assert_eq!(share(&[good.clone(), other]), Ok(Reading::Number(expected)));
        }
    }

    #[test]
    fn s3_a_target_group_without_targets_has_no_reading() {
        assert!(of(&[]).is_err());
        assert!(of(&["draining"]).is_err());
    }
}
