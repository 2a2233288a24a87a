"""Self-check: target groups of addresses, and those that a group does not know."""

from harness import LabTest


class Strays(LabTest):
    def target_group(self, name, kind):
        vpc = self.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        made = self.elb.create_target_group(
            Name=name, Protocol="HTTP", Port=80, VpcId=vpc, TargetType=kind
        )
        return made["TargetGroups"][0]["TargetGroupArn"]

    def register(self, arn, target, **more):
        return self.elb.register_targets(
            TargetGroupArn=arn, Targets=[{"Id": target, **more}]
        )

    def address(self, instance_id):
        found = self.ec2.describe_instances(InstanceIds=[instance_id])
        instance = found["Reservations"][0]["Instances"][0]
        self.assertTrue(instance["VpcId"])
        return instance["PrivateIpAddress"]

    def test_standby_leaves_a_member_in_target_groups_that_its_group_does_not_know(
        self,
    ):
        a, *_ = self.one_group()
        ids, addresses = (
            self.target_group("ids", "instance"),
            self.target_group("ips", "ip"),
        )
        self.register(ids, a)
        self.register(addresses, self.address(a))
        self.pass_time()
        self.enter(a)
        self.pass_time()
        self.assertNotIn(a, self.targets())
        self.assertEqual(self.targets(ids), {a: "healthy"})
        self.assertEqual(self.targets(addresses), {self.address(a): "healthy"})

    def test_tags_of_a_target_group_that_is_gone(self):
        kept, gone = self.target_group("a", "instance"), self.target_group("b", "ip")
        self.elb.add_tags(
            ResourceArns=[kept], Tags=[{"Key": "elbv2.k8s.aws/cluster", "Value": "x"}]
        )
        found = self.elb.describe_tags(ResourceArns=[kept, gone])["TagDescriptions"]
        self.assertEqual([len(of["Tags"]) for of in found], [1, 0])
        self.elb.delete_target_group(TargetGroupArn=gone)
        describe = self.elb.describe_tags
        self.refused("TargetGroupNotFound", describe, ResourceArns=[kept, gone])
        self.refused("ValidationError", describe, ResourceArns=[kept] * 21)

    def test_a_target_group_lists_ids_or_addresses(self):
        a, *_ = self.one_group()
        ids, addresses = (
            self.target_group("ids", "instance"),
            self.target_group("ips", "ip"),
        )
        self.refused("ValidationError", self.register, addresses, a)
        self.refused("ValidationError", self.register, ids, self.address(a))
        self.refused("ValidationError", self.register, addresses, "10.200.0.1")
        self.register(addresses, "10.200.0.1", AvailabilityZone="all")
        self.register(addresses, self.address(a))
        found = self.elb.describe_target_health(TargetGroupArn=addresses)
        targets = [t["Target"] for t in found["TargetHealthDescriptions"]]
        self.assertEqual(
            targets,
            [
                {"Id": "10.200.0.1", "Port": 80, "AvailabilityZone": "all"},
                {"Id": self.address(a), "Port": 80},
            ],
        )
