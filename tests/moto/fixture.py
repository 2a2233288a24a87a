"""A whole fleet from one JSON document: `POST /lab/fixture`.

It is built through moto's models, not over HTTP, and starts settled: every
instance InService, every target healthy. README.md has the document's fields.
"""

from datetime import timedelta

from moto.autoscaling import autoscaling_backends
from moto.core.utils import utcnow
from moto.ec2 import ec2_backends
from moto.elbv2 import elbv2_backends

import groups
from lab import LAB, UnknownSetting

ACCOUNT = "123456789012"
# An image that moto's catalogue has.
IMAGE = "ami-12c6146b"
ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]
KNOWN = {
    "document": {"account", "region", "target_groups", "groups", "instances"},
    "target_groups": {"name", "port", "deregistration_delay"},
    "groups": {
        "name", "count", "min", "max", "zones", "tags", "target_groups",
        "instance_type", "subnets", "extra_tags", "suspended", "protected",
        "launched_seconds_ago", "weight", "hooks",
    },
    "instances": {
        "name", "count", "zone", "tags", "target_groups", "instance_type",
        "protected", "launched_seconds_ago",
    },
}  # fmt: skip


def build(document):
    """Creates what the document says, beside what exists. The ids."""
    _check("document", document)
    fleet = _Fleet(document)
    for spec in document.get("target_groups", []):
        _check("target_groups", spec)
        fleet.target_group(spec["name"], **{k: v for k, v in spec.items() if k != "name"})
    for spec in document.get("groups", []):
        _check("groups", spec)
        fleet.group(spec)
    for spec in document.get("instances", []):
        _check("instances", spec)
        fleet.standalone(spec)
    LAB.settle()
    return fleet.answer


def _check(what, spec):
    unknown = sorted(set(spec) - KNOWN[what])
    if unknown:
        raise UnknownSetting(f"no such field of {what}: {', '.join(unknown)}")


class _Fleet:
    def __init__(self, document):
        account = document.get("account", ACCOUNT)
        region = document.get("region", "us-east-1")
        self.ec2 = ec2_backends[account][region]
        self.autoscaling = autoscaling_backends[account][region]
        self.elbv2 = elbv2_backends[account][region]
        self.region = region
        self.zones = [region + zone[-1] for zone in ZONES]
        self.vpc = self.ec2.get_default_vpc().id
        self.started = utcnow()
        self.answer = {
            "account": account,
            "region": region,
            "vpc": self.vpc,
            "target_groups": {},
            "groups": {},
            "instances": {},
            "names": {},
        }

    def target_group(self, name, port=80, deregistration_delay=None):
        """The target group of that name, made when it is first mentioned."""
        for known in self.elbv2.target_groups.values():
            if known.name == name:
                break
        else:
            known = self.elbv2.create_target_group(
                name, protocol="HTTP", port=str(port), vpc_id=self.vpc, target_type="instance"
            )
        if deregistration_delay is not None:
            known.attributes["deregistration_delay.timeout_seconds"] = deregistration_delay
        self.answer["target_groups"][name] = known.arn
        return known

    def launch_template(self, instance_type):
        name = f"lab-{instance_type}"
        for template in self.ec2.launch_templates.values():
            if template.name == name:
                return name
        self.ec2.create_launch_template(
            name, "", {"ImageId": IMAGE, "InstanceType": instance_type}, {}
        )
        return name

    def group(self, spec):
        name, count = spec["name"], spec.get("count", 0)
        zones = spec.get("zones", self.zones)
        tags = [
            {"Key": key, "Value": value, "PropagateAtLaunch": True}
            for key, value in spec.get("tags", {}).items()
        ]
        subnets = spec.get("subnets")
        group = self.autoscaling.create_auto_scaling_group(
            name=name,
            availability_zones=[] if subnets else list(zones),
            desired_capacity=0,
            max_size=0,
            min_size=0,
            launch_config_name="",
            launch_template={
                "LaunchTemplateName": self.launch_template(
                    spec.get("instance_type", "m5.large")
                ),
                "Version": "$Latest",
            },
            vpc_zone_identifier=",".join(subnets) if subnets else None,
            default_cooldown=None,
            health_check_period=None,
            health_check_type=None,
            load_balancers=[],
            target_group_arns=[
                self.target_group(target_group).arn
                for target_group in spec.get("target_groups", [])
            ],
            placement_group=None,
            termination_policies=[],
            tags=tags,
        )
        if isinstance(zones, dict):
            # {"us-east-1a": 5, "us-east-1b": 1}: uneven on purpose.
            for zone, number in zones.items():
                groups.launch(group, number, "a fixture was built.", zone=zone)
            count = sum(zones.values())
        else:
            groups.launch(group, count, "a fixture was built.")
        group.desired_capacity = count
        group.min_size = spec.get("min", 0)
        group.max_size = spec.get("max", 2 * count)
        group._suspended_processes = list(spec.get("suspended", []))
        for hook in spec.get("hooks", []):
            self.autoscaling.create_lifecycle_hook(
                hook["name"],
                name,
                f"autoscaling:EC2_INSTANCE_{hook.get('transition', 'TERMINATING')}",
                hook.get("timeout", 3600),
                hook.get("result", "ABANDON"),
            )
        states = group.instance_states
        for state in states:
            state.protected_from_scale_in = spec.get("protected", False)
            if "weight" in spec:
                state.weighted_capacity = str(spec["weight"])
        instances = [state.instance for state in states]
        self.finish(name, instances, spec)
        # {"first": 3, "tags": {...}}: further tags on the first three hosts.
        for extra in spec.get("extra_tags", []):
            for instance in instances[: extra["first"]]:
                self.ec2.create_tags([instance.id], extra["tags"])
        self.answer["groups"][name] = {
            "arn": group.arn,
            "instances": self.answer["instances"].pop(name),
        }

    def standalone(self, spec):
        name = spec.get("name", f"standalone-{len(self.answer['instances']) + 1}")
        reservation = self.ec2.run_instances(
            IMAGE,
            spec.get("count", 1),
            None,
            [],
            instance_type=spec.get("instance_type", "m5.large"),
            is_instance_type_default=False,
            placement=spec.get("zone", self.zones[0]),
            region_name=self.region,
            tags={"instance": dict(spec.get("tags", {}))},
            disable_api_termination=spec.get("protected", False),
        )
        self.finish(name, reservation.instances, spec)
        for target_group in spec.get("target_groups", []):
            known = self.target_group(target_group)
            known.register([{"Id": i.id, "Port": known.port} for i in reservation.instances])

    def finish(self, name, instances, spec):
        """Names (`index-0001`), launch times a second apart, the answer."""
        age = spec.get("launched_seconds_ago", 3600)
        listed = []
        for number, instance in enumerate(instances, start=1):
            called = f"{name}-{number:04}"
            if "Name" not in spec.get("tags", {}):
                self.ec2.create_tags([instance.id], {"Name": called})
            instance.launch_time = self.started - timedelta(seconds=age - number)
            self.answer["names"][called] = instance.id
            listed.append(
                {
                    "id": instance.id,
                    "name": called,
                    "zone": instance.availability_zone,
                    "private_ip": instance.private_ip_address,
                }
            )
        self.answer["instances"][name] = listed
