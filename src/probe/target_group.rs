//! `target-group`: the share of a target group's registered targets that are healthy, 0 to 1.
//!
//! A target that drains is not registered any more, and one that no load balancer uses says nothing: neither counts, so
//! that a batch that is cordoned changes nothing by itself. Nothing here knows the fleet.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{TargetHealthDescription, TargetHealthStateEnum as State};
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
    let state = |target: &TargetHealthDescription| target.target_health().and_then(|health| health.state().cloned());
    let counts = |state: &Option<State>| !matches!(state, Some(State::Draining | State::Unused));
    let states: Vec<Option<State>> = targets.iter().map(state).filter(counts).collect();
    if states.is_empty() {
        return Err("it has no target that a load balancer uses".to_owned());
    }
    let healthy = states.iter().filter(|state| **state == Some(State::Healthy)).count();
    #[expect(clippy::cast_precision_loss, reason = "a target group has far fewer than 2^52 targets")]
    let share = healthy as f64 / states.len() as f64;
    Ok(Reading::Number(share))
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::TargetHealth;

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
    fn s3_a_target_group_without_targets_has_no_reading() {
        assert!(of(&[]).is_err());
        assert!(of(&["draining"]).is_err());
    }
}
