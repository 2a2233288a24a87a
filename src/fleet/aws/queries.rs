//! How the members of groups are asked for: in questions that have about one page of an answer each, so that pages are
//! read beside each other. Main function: [`queries`]. Pure.

use std::collections::BTreeSet;

use aws_sdk_autoscaling::types::AutoScalingGroup;
use aws_sdk_ec2::types::Filter;

use super::tags::GROUP_TAG;

/// The most values of one filter (Amazon EC2 User Guide, "Find your Amazon EC2 resources": "up to 200 values per
/// filter").
pub(super) const VALUES: usize = 200;

/// One question: the instances that are tagged with these groups, in one zone or in all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    groups: Vec<String>,
    zone: Option<String>,
}

impl Query {
    pub(super) fn filters(&self) -> Vec<Filter> {
        let by_group = filter(&format!("tag:{GROUP_TAG}"), self.groups.iter().map(String::as_str));
        let by_zone = self.zone.as_deref().map(|zone| filter("availability-zone", [zone]));
        std::iter::once(by_group).chain(by_zone).collect()
    }
}

/// A filter that takes the values as they are: `*`, `?` and `\` would mean something else (the guide's "Wildcards").
pub(super) fn filter<'v>(name: &str, values: impl IntoIterator<Item = &'v str>) -> Filter {
    let literal = |value: &str| {
        let is_special = |c: char| matches!(c, '*' | '?' | '\\');
        value.chars().flat_map(|c| is_special(c).then_some('\\').into_iter().chain([c])).collect::<String>()
    };
    Filter::builder().name(name).set_values(Some(values.into_iter().map(literal).collect())).build()
}

/// Deals the groups over questions. A group with more members than fit on a page is asked for zone by zone.
pub(super) fn queries(groups: &[AutoScalingGroup], page: usize) -> Vec<Query> {
    let mut all = Vec::new();
    let (mut together, mut members) = (Vec::new(), 0);
    for group in groups {
        let Some(name) = group.auto_scaling_group_name() else { continue };
        let size = group.instances().len();
        if size > page {
            let of_members = group.instances().iter().filter_map(|member| member.availability_zone());
            let zones: BTreeSet<&str> =
                group.availability_zones().iter().map(String::as_str).chain(of_members).collect();
            let query = |zone: &str| Query { groups: vec![name.to_owned()], zone: Some(zone.to_owned()) };
            all.extend(zones.into_iter().map(query));
            continue;
        }
        if !together.is_empty() && (members + size > page || together.len() == VALUES) {
            all.push(Query { groups: std::mem::take(&mut together), zone: None });
            members = 0;
        }
        together.push(name.to_owned());
        members += size;
    }
    if !together.is_empty() {
        all.push(Query { groups: together, zone: None });
    }
    all
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::types::Instance;

    use super::*;

    fn group(name: &str, size: usize) -> AutoScalingGroup {
        let member = |n: usize| {
            let zone = ["us-east-1a", "us-east-1b", "us-east-1c"][n % 3];
            Instance::builder().instance_id(format!("i-{name}-{n}")).availability_zone(zone).build()
        };
        AutoScalingGroup::builder()
            .auto_scaling_group_name(name)
            .availability_zones("us-east-1d")
            .set_instances(Some((0..size).map(member).collect()))
            .build()
    }

    fn shown(queries: &[Query]) -> Vec<String> {
        let show = |query: &Query| format!("{}@{}", query.groups.join("+"), query.zone.as_deref().unwrap_or("*"));
        queries.iter().map(show).collect()
    }

    #[test]
    fn small_groups_share_a_question_and_a_large_one_has_one_a_zone() {
        let groups = [group("a", 400), group("b", 600), group("c", 1), group("empty", 0), group("large", 1001)];
        let all =
            ["a+b@*", "large@us-east-1a", "large@us-east-1b", "large@us-east-1c", "large@us-east-1d", "c+empty@*"];
        let mut found = shown(&queries(&groups, 1000));
        found.sort_by_key(|text| all.iter().position(|of| of == text));
        assert_eq!(found, all);
        assert_eq!(queries(&[], 1000), []);
    }

    #[test]
    fn a_filter_has_no_more_values_than_ec2_takes() {
        let groups: Vec<AutoScalingGroup> = (0..401).map(|n| group(&n.to_string(), 0)).collect();
        let sizes: Vec<usize> = queries(&groups, 1000).iter().map(|query| query.groups.len()).collect();
        assert_eq!(sizes, [200, 200, 1]);
    }

    #[test]
    fn a_name_is_no_pattern() {
        assert_eq!(filter("x", ["a*b?c\\d"]).values(), ["a\\*b\\?c\\\\d"]);
    }
}
