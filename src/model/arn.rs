//! [`Arn`]: an Amazon Resource Name, in its parts.

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`. Source: AWS General Reference, "Amazon Resource Names".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arn<'a> {
    pub(crate) service: &'a str,
    /// Empty for what is in no region, such as a role.
    pub(crate) region: &'a str,
    /// Twelve digits.
    pub(crate) account: &'a str,
    /// `role/NAME`, `table/NAME`
    pub(crate) resource: &'a str,
}

impl<'a> Arn<'a> {
    /// The name's parts. `None` if it is no ARN of an account.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let (arn, partition) = (parts.next()?, parts.next()?);
        let (service, region, account, resource) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_partition = partition == "aws" || partition.starts_with("aws-");
        // Alarms alone have names with spaces.
        let is_spaced = text.contains(char::is_whitespace) && service != "cloudwatch";
        let is_arn = arn == "arn" && is_partition && is_account(account) && !is_spaced;
        is_arn.then_some(Self { service, region, account, resource })
    }
}

/// Whether this is an account's number: twelve digits.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_has_six_parts_and_an_account() {
        let role = Arn::parse("arn:aws:iam::123456789012:role/ops/removes").expect("a role");
        let expected = Arn { service: "iam", region: "", account: "123456789012", resource: "role/ops/removes" };
        assert_eq!(role, expected);
        let table = Arn::parse("arn:aws-cn:dynamodb:cn-north-1:123456789012:table/t").expect("a table");
        assert_eq!((table.region, table.resource), ("cn-north-1", "table/t"));
        for bad in [
            "",
            "removes",
            "arn:aws:iam::12345678901:role/x",
            "arn:aws:iam::123456789012",
            "arn:other:iam::123456789012:role/x",
            "arn:aws:iam::123456789012:role/x y",
        ] {
            assert_eq!(Arn::parse(bad), None, "{bad}");
        }
    }
}
