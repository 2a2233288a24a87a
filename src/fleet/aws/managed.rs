//! Which instances something else launches again when they go. Main function: [`managed`]. Pure.
//!
//! Such a system has its own idea of how many instances there are. Whether it replaces one can often be told only by asking
//! that system, so all of them count; `managed = "allow"` in a policy says that its owner knows better.

use aws_sdk_ec2::types::{Instance, InstanceLifecycleType};

use super::tags::tag;

/// The tags that such systems put on their instances, with what they are.
const TAGS: [(&str, &str); 7] = [
    // EC2 User Guide, "Tag an EC2 Fleet": a fleet of type `maintain` replaces what is terminated.
    ("aws:ec2:fleet-id", "EC2 Fleet"),
    ("aws:ec2spot:fleet-request-id", "Spot Fleet"),
    // Karpenter, "NodePools": it launches what pending pods need.
    ("karpenter.sh/nodepool", "Karpenter's node pool"),
    ("karpenter.sh/provisioner-name", "Karpenter's provisioner"),
    ("karpenter.sh/nodeclaim", "Karpenter's node claim"),
    // Amazon EMR Management Guide, "Tag and categorize Amazon EMR cluster resources".
    ("aws:elasticmapreduce:job-flow-id", "EMR cluster"),
    ("aws:elasticmapreduce:instance-group-role", "EMR's instance group"),
];

/// What else manages the instance. A member of an Auto Scaling group is managed by its group, which may itself launch by a
/// fleet.
pub(super) fn managed(instance: &Instance, is_member: bool) -> Option<String> {
    if let Some(operator) = instance.operator().filter(|operator| operator.managed() == Some(true)) {
        return Some(format!("{} operates it", operator.principal().unwrap_or("an AWS service")));
    }
    if is_member {
        return None;
    }
    let by_tag = TAGS.iter().find_map(|(key, what)| Some(format!("{what} {} launched it", tag(instance, key)?)));
    // EC2 User Guide, "Spot Instance requests": a persistent request launches another when its instance is terminated.
    // The instance does not say of which kind its request is.
    let is_spot = instance.instance_lifecycle() == Some(&InstanceLifecycleType::Spot);
    let request = instance.spot_instance_request_id().filter(|_| is_spot);
    by_tag.or_else(|| request.map(|id| format!("Spot request {id} launched it, and does so again if it is persistent")))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{OperatorResponse, Tag};

    use super::*;

    fn tagged(key: &str) -> Instance {
        Instance::builder().instance_id("i-1").tags(Tag::builder().key(key).value("x-1").build()).build()
    }

    #[test]
    fn a_lone_instance_that_something_launches_again_is_managed_elsewhere() {
        for (key, what) in TAGS {
            assert_eq!(managed(&tagged(key), false), Some(format!("{what} x-1 launched it")));
            assert_eq!(managed(&tagged(key), true), None, "its group manages it: {key}");
        }
        assert_eq!(managed(&tagged("role"), false), None);
        let spot = Instance::builder().spot_instance_request_id("sir-1");
        assert_eq!(managed(&spot.clone().build(), false), None, "it says of no life cycle");
        let spot = spot.instance_lifecycle(InstanceLifecycleType::Spot).build();
        assert!(managed(&spot, false).is_some_and(|why| why.contains("sir-1")));
        assert_eq!(managed(&spot, true), None);
    }

    #[test]
    fn what_an_aws_service_operates_is_managed_in_a_group_too() {
        let operated = |managed| {
            let operator = OperatorResponse::builder().managed(managed).principal("eks.amazonaws.com").build();
            Instance::builder().instance_id("i-1").operator(operator).build()
        };
        assert_eq!(managed(&operated(true), true), Some("eks.amazonaws.com operates it".to_owned()));
        assert_eq!(managed(&operated(false), false), None);
    }
}
