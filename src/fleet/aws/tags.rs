//! The tags of an instance.

use aws_sdk_ec2::types::Instance;

/// The tag that EC2 Auto Scaling puts on every instance of a group; nobody else can write it.
pub(super) const GROUP_TAG: &str = "aws:autoscaling:groupName";

/// The value of a tag, if the instance has it.
pub(super) fn tag<'a>(instance: &'a Instance, key: &str) -> Option<&'a str> {
    instance.tags().iter().find(|tag| tag.key() == Some(key)).and_then(|tag| tag.value())
}
