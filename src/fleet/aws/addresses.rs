//! Which host has an address, in which VPC: a target group of type `ip` lists addresses. Main type: [`Addresses`]. Pure.
//!
//! A target group has a VPC, and other VPCs may use the same addresses. So an address alone names no host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use aws_sdk_ec2::types::Instance;
use aws_sdk_elasticloadbalancingv2::types::TargetDescription;

/// The zone of a target that gets work from all zones. An address outside the target group's VPC must name a zone (Elastic
/// Load Balancing API reference, `TargetDescription`).
const ALL_ZONES: &str = "all";

/// The hosts that a target may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named<'a> {
    /// This host, by its id or, if one is given, by this address of its.
    Host(&'a str, Option<IpAddr>),
    /// Perhaps one of these: the address is outside the target group's VPC, and these hosts of other VPCs have it.
    Perhaps(Vec<&'a str>),
    /// No host that is listed.
    Nobody,
}

/// The part of a network that is delegated to a host's network interface: `10.0.1.16/28`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    first: u128,
    length: u8,
    is_v6: bool,
}

impl Block {
    /// The block of this length that the address is in.
    fn around(address: IpAddr, length: u8) -> Option<Self> {
        let (bits, width, is_v6) = match address {
            IpAddr::V4(address) => (u128::from(u32::from(address)), 32_u32, false),
            IpAddr::V6(address) => (u128::from(address), 128, true),
        };
        let rest = width.checked_sub(u32::from(length))?;
        let first = bits.checked_shr(rest).unwrap_or(0).checked_shl(rest).unwrap_or(0);
        Some(Self { first, length, is_v6 })
    }

    fn read(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        Self::around(address.parse().ok()?, length.parse().ok()?)
    }
}

/// The addresses of hosts.
#[derive(Debug, Default)]
pub(super) struct Addresses<'a> {
    /// By block and VPC; an address is a block of one.
    blocks: BTreeMap<Block, BTreeMap<&'a str, &'a str>>,
    /// The lengths of all blocks.
    lengths: BTreeSet<u8>,
}

impl<'a> Addresses<'a> {
    /// All addresses by which the network knows these instances: those of every network interface, with the blocks
    /// delegated to it, from which containers get theirs (Amazon EC2 User Guide, "Prefix delegation for Amazon EC2 network
    /// interfaces"). Public addresses cannot be targets (Elastic Load Balancing, "Target groups": "you can't specify
    /// publicly routable IP addresses").
    pub(super) fn of(instances: impl IntoIterator<Item = &'a Instance>) -> Self {
        let mut all = Self::default();
        for instance in instances {
            let Some(id) = instance.instance_id() else { continue };
            if let Some(vpc) = instance.vpc_id() {
                all.add(vpc, id, [instance.private_ip_address(), instance.ipv6_address()].into_iter().flatten());
            }
            for interface in instance.network_interfaces() {
                let Some(vpc) = interface.vpc_id().or_else(|| instance.vpc_id()) else { continue };
                all.add(vpc, id, interface.private_ip_address());
                all.add(vpc, id, interface.private_ip_addresses().iter().filter_map(|of| of.private_ip_address()));
                all.add(vpc, id, interface.ipv6_addresses().iter().filter_map(|of| of.ipv6_address()));
                all.add(vpc, id, interface.ipv4_prefixes().iter().filter_map(|of| of.ipv4_prefix()));
                all.add(vpc, id, interface.ipv6_prefixes().iter().filter_map(|of| of.ipv6_prefix()));
            }
        }
        all
    }

    fn add<'t>(&mut self, vpc: &'a str, id: &'a str, texts: impl IntoIterator<Item = &'t str>) {
        for text in texts {
            let single = |address: IpAddr| Block::around(address, if address.is_ipv4() { 32 } else { 128 });
            let Some(block) = text.parse().ok().and_then(single).or_else(|| Block::read(text)) else { continue };
            self.lengths.insert(block.length);
            self.blocks.entry(block).or_default().insert(vpc, id);
        }
    }

    /// The host that a target of a target group in this VPC is.
    pub(super) fn named<'s>(&'s self, target: &'s TargetDescription, vpc: Option<&str>) -> Named<'s> {
        let Some(id) = target.id() else { return Named::Nobody };
        let Ok(address) = id.parse::<IpAddr>() else { return Named::Host(id, None) };
        let hosts = || {
            let blocks = self.lengths.iter().filter_map(|length| Block::around(address, *length));
            blocks.filter_map(|block| self.blocks.get(&block)).flatten()
        };
        if let Some((_, host)) = hosts().find(|(of, _)| Some(**of) == vpc) {
            return Named::Host(host, Some(address));
        }
        // S3: a peered VPC, or another network that has the same addresses.
        if target.availability_zone() == Some(ALL_ZONES) {
            let hosts: BTreeSet<&str> = hosts().map(|(_, host)| *host).collect();
            if !hosts.is_empty() {
                return Named::Perhaps(hosts.into_iter().collect());
            }
        }
        Named::Nobody
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        InstanceIpv4Prefix, InstanceIpv6Address, InstanceNetworkInterface, InstancePrivateIpAddress,
    };

    use super::*;

    fn instance(id: &str, vpc: &str, address: &str) -> Instance {
        Instance::builder().instance_id(id).vpc_id(vpc).private_ip_address(address).build()
    }

    fn target(id: &str) -> TargetDescription {
        TargetDescription::builder().id(id).port(80).build()
    }

    fn everywhere(id: &str) -> TargetDescription {
        TargetDescription::builder().id(id).port(80).availability_zone(ALL_ZONES).build()
    }

    #[test]
    fn an_address_names_a_host_only_in_its_own_vpc() {
        let fleet = [instance("i-1", "vpc-a", "10.0.0.5"), instance("i-2", "vpc-b", "10.0.0.5")];
        let all = Addresses::of(&fleet);
        let address = "10.0.0.5".parse().ok();
        assert_eq!(all.named(&target("10.0.0.5"), Some("vpc-a")), Named::Host("i-1", address));
        assert_eq!(all.named(&target("10.0.0.5"), Some("vpc-b")), Named::Host("i-2", address));
        assert_eq!(all.named(&everywhere("10.0.0.5"), Some("vpc-b")), Named::Host("i-2", address));
        assert_eq!(all.named(&target("10.0.0.5"), Some("vpc-c")), Named::Nobody);
        assert_eq!(all.named(&target("10.0.0.5"), None), Named::Nobody);
        assert_eq!(all.named(&target("10.0.0.6"), Some("vpc-a")), Named::Nobody);
        assert_eq!(all.named(&target("i-3"), Some("vpc-a")), Named::Host("i-3", None), "an id is what it is");
    }

    #[test]
    fn s3_an_address_outside_the_target_groups_vpc_is_perhaps_a_host() {
        let fleet = [instance("i-1", "vpc-a", "10.0.0.5"), instance("i-2", "vpc-b", "10.0.0.5")];
        let all = Addresses::of(&fleet);
        assert_eq!(all.named(&everywhere("10.0.0.5"), Some("vpc-c")), Named::Perhaps(vec!["i-1", "i-2"]));
        assert_eq!(all.named(&everywhere("10.0.0.6"), Some("vpc-c")), Named::Nobody);
    }

    #[test]
    fn every_address_of_every_interface_counts() {
        let first = InstanceNetworkInterface::builder()
            .vpc_id("vpc-a")
            .private_ip_addresses(InstancePrivateIpAddress::builder().private_ip_address("10.0.0.6").build())
            .ipv6_addresses(InstanceIpv6Address::builder().ipv6_address("2001:db8::5").build())
            .ipv4_prefixes(InstanceIpv4Prefix::builder().ipv4_prefix("10.0.1.16/28").build());
        let second = InstanceNetworkInterface::builder().vpc_id("vpc-b").private_ip_address("10.9.0.1");
        let fleet = [Instance::builder()
            .instance_id("i-1")
            .vpc_id("vpc-a")
            .network_interfaces(first.build())
            .network_interfaces(second.build())
            .build()];
        let all = Addresses::of(&fleet);
        for (id, vpc, is_it) in [
            ("10.0.0.6", "vpc-a", true),
            ("10.0.0.6", "vpc-b", false),
            ("10.9.0.1", "vpc-b", true),
            // The same address, written in full.
            ("2001:0db8:0000:0000:0000:0000:0000:0005", "vpc-a", true),
            ("2001:db8::6", "vpc-a", false),
            ("10.0.1.16", "vpc-a", true),
            ("10.0.1.31", "vpc-a", true),
            ("10.0.1.32", "vpc-a", false),
            ("10.0.1.15", "vpc-a", false),
        ] {
            let found = matches!(all.named(&target(id), Some(vpc)), Named::Host("i-1", Some(_)));
            assert_eq!(found, is_it, "{id} in {vpc}");
        }
    }

    #[test]
    fn a_block_of_any_length_is_read() {
        let around = |address: &str, length| Block::around(address.parse().expect("valid"), length).map(|b| b.first);
        assert_eq!(around("10.0.1.31", 28), around("10.0.1.16", 32));
        assert_eq!(around("10.0.1.31", 0), Some(0));
        assert_eq!(around("2001:db8::5", 0), Some(0));
        assert_eq!(around("10.0.1.31", 80), None, "no such length");
        assert_eq!(Block::read("10.0.1.16/x"), None);
        let (v4, v6) = (Block::read("0.0.0.5/32"), Block::read("::5/32"));
        assert!(v4.is_some() && v6.is_some() && v4 != v6);
    }
}
