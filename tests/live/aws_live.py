#!/usr/bin/env python3
"""Checks on a real AWS account what tests/moto assumes of Auto Scaling.

It makes one Auto Scaling group of four t3.nano in a sandbox account, tries each
assumption on it, prints a table, and removes what it made. docs/aws-live.md says
what it needs and costs. Nothing of safe-remove itself runs here.

Exit codes: 0 all hold; 1 at least one does not; 2 refused, nothing was made.
"""

import argparse
import json
import sys
import time
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

TAG = "safe-remove:live"
PREFIX = "safe-remove-live-"
COUNT = 4
# On-demand price of a t3.nano in us-east-1 in 2024; other regions up to twice it.
DOLLARS_AN_HOUR = 0.0052
IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
# What the causes of launches say that answer no termination (src/fleet/aws/activities.rs).
EXPLAINED = ("changing the desired capacity", "unhealthy instance needing to be replaced", "balanc")


class Refused(Exception):
    """Nothing was made."""


class Live:
    def __init__(self, options):
        self.options = options
        self.id = uuid.uuid4().hex[:8]
        self.name = PREFIX + self.id
        config = Config(retries={"mode": "standard", "max_attempts": 5})
        session = boto3.Session(region_name=options.region)

        def client(service):
            return session.client(service, endpoint_url=options.endpoint_url, config=config)

        self.asg, self.ec2, self.sts, self.ssm = map(client, ("autoscaling", "ec2", "sts", "ssm"))
        self.rows = []
        self.template = None

    # --- before anything is made --------------------------------------------------

    def check_account(self):
        caller = self.sts.get_caller_identity()
        if caller["Account"] != self.options.account:
            raise Refused(
                f"the credentials are of account {caller['Account']}, not {self.options.account}"
            )
        strangers = [
            group["AutoScalingGroupName"]
            for page in self.asg.get_paginator("describe_auto_scaling_groups").paginate()
            for group in page["AutoScalingGroups"]
            if not any(tag["Key"] == TAG for tag in group["Tags"])
        ]
        alive = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
        strangers += [
            instance["InstanceId"]
            for page in self.ec2.get_paginator("describe_instances").paginate(Filters=alive)
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
            if not any(tag["Key"] == TAG for tag in instance.get("Tags", []))
        ]
        if strangers:
            raise Refused(
                f"account {caller['Account']} has in {self.options.region} what this script did not "
                f"make: {', '.join(strangers[:5])}. It wants a sandbox: another region, or an empty account"
            )
        print(f"account {caller['Account']}, region {self.options.region}, as {caller['Arn']}")

    def ask(self):
        # Launches beside the four: one replacement, and what goes meanwhile. EC2 bills a minute at least.
        hours, most = 0.5, COUNT + 3
        print(
            f"It makes one group of {COUNT} {self.options.instance_type} (at most {most} at a time, for less "
            f"than {hours * 60:.0f} minutes: about {most * hours * DOLLARS_AN_HOUR:.2f} dollars, and a cent for "
            f"disks and addresses), all tagged {TAG}={self.id}, and removes them."
        )
        if self.options.yes:
            return
        if not sys.stdin.isatty():
            raise Refused("no terminal to ask on; --yes answers beforehand")
        if input("Type the account's number to go on: ").strip() != self.options.account:
            raise Refused("not confirmed")

    # --- the group ------------------------------------------------------------------

    def make(self):
        image = self.options.image or self.ssm.get_parameter(Name=IMAGE)["Parameter"]["Value"]
        tags = [{"Key": TAG, "Value": self.id}]
        made = self.ec2.create_launch_template(
            LaunchTemplateName=self.name,
            LaunchTemplateData={
                "ImageId": image,
                "InstanceType": self.options.instance_type,
                "TagSpecifications": [{"ResourceType": "instance", "Tags": tags}],
            },
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags}],
        )
        self.template = made["LaunchTemplate"]["LaunchTemplateId"]
        subnets = self.options.subnet or [
            subnet["SubnetId"]
            for subnet in self.ec2.describe_subnets(
                Filters=[{"Name": "default-for-az", "Values": ["true"]}]
            )["Subnets"]
        ]
        if len(subnets) < 2:
            raise Refused("two subnets in different zones are needed (--subnet, twice)")
        self.asg.create_auto_scaling_group(
            AutoScalingGroupName=self.name,
            LaunchTemplate={"LaunchTemplateId": self.template},
            MinSize=0,
            MaxSize=COUNT,
            DesiredCapacity=COUNT,
            VPCZoneIdentifier=",".join(sorted(subnets)[:2]),
            Tags=[{"Key": TAG, "Value": self.id, "PropagateAtLaunch": True}],
        )
        self.wait("in service", lambda: len(self.members("InService")) == COUNT)
        # Zones are left uneven on purpose; what evens them out would be taken for an answer.
        self.asg.suspend_processes(AutoScalingGroupName=self.name, ScalingProcesses=["AZRebalance"])

    def group(self):
        found = self.asg.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])
        return found["AutoScalingGroups"][0] if found["AutoScalingGroups"] else None

    def members(self, *states):
        instances = self.group()["Instances"]
        return sorted(i["InstanceId"] for i in instances if not states or i["LifecycleState"] in states)

    def desired(self):
        return self.group()["DesiredCapacity"]

    def activities(self):
        found = self.asg.describe_scaling_activities(AutoScalingGroupName=self.name, MaxRecords=100)
        return found["Activities"]

    def wait(self, what, true):
        began = time.time()
        while not true():
            if time.time() - began > self.options.patience:
                raise TimeoutError(f"not {what} within {self.options.patience:.0f} s")
            time.sleep(self.options.poll)

    def watch(self, true):
        """Whether it stays true for as long as an answer may take."""
        until = time.time() + self.options.watch
        while time.time() < until:
            if not true():
                return False
            time.sleep(self.options.poll)
        return true()

    # --- the table --------------------------------------------------------------------

    def row(self, assumption, how, answer, holds):
        self.rows.append({"assumption": assumption, "how": how, "answer": answer, "holds": holds})
        word = {True: "holds", False: "DOES NOT HOLD", None: "not told"}[holds]
        print(f"| {assumption} | {how} | {answer} | {word} |", flush=True)

    def refusal(self, call, **arguments):
        """The code and message with which AWS refuses the call; None if it does it."""
        try:
            call(AutoScalingGroupName=self.name, **arguments)
        except ClientError as error:
            return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
        return None

    def refuses(self, assumption, how, call, **arguments):
        told = self.refusal(call, **arguments)
        self.row(assumption, how, told or "done", told is not None)
        return told is not None

    def check(self):
        print("| assumption | how it was checked | what AWS answered | holds |\n| --- | --- | --- | --- |")
        first, second, third, _ = self.members("InService")
        self.standby(first, second)
        self.terminate_from_standby(first)
        self.way_back(second, third)
        self.floors(third)
        self.processes()
        self.control(third)

    def enter(self, *ids):
        self.asg.enter_standby(
            AutoScalingGroupName=self.name, InstanceIds=list(ids), ShouldDecrementDesiredCapacity=True
        )

    def standby(self, first, second):
        before = self.desired()
        self.enter(first, second)
        self.wait("in standby", lambda: set(self.members("Standby")) == {first, second})
        self.row(
            "a cordon lowers desired capacity once for each host",
            "EnterStandby of two with decrement",
            f"desired {before} -> {self.desired()}",
            self.desired() == before - 2,
        )
        self.refuses(
            "a repeated cordon is refused",
            "EnterStandby of one in Standby",
            self.asg.enter_standby,
            InstanceIds=[first],
            ShouldDecrementDesiredCapacity=True,
        )

    def terminate_from_standby(self, host):
        before, known = self.desired(), set(self.members())
        answer = self.asg.terminate_instance_in_auto_scaling_group(
            InstanceId=host, ShouldDecrementDesiredCapacity=False
        )
        began = answer["Activity"]["StartTime"]
        self.wait("gone", lambda: host not in self.members())

        def launches():
            return [
                activity
                for activity in self.activities()
                if activity["Description"].startswith("Launching")
                and activity["StartTime"] >= began
                and not any(words in activity["Cause"] for words in EXPLAINED)
            ]

        quiet = self.watch(lambda: not launches() and set(self.members()) <= known)
        found = launches()
        self.row(
            "terminating from Standby without decrement launches nothing",
            f"TerminateInstanceInAutoScalingGroup, then {self.options.watch:.0f} s of activities",
            found[0]["Cause"] if found else "no launch",
            quiet and not found,
        )
        self.row(
            "and leaves desired capacity and the others as they are",
            "DescribeAutoScalingGroups afterwards",
            f"desired {before} -> {self.desired()}, {len(known) - 1} others -> {len(self.members())}",
            self.desired() == before and set(self.members()) == known - {host},
        )
        told = [a for a in self.activities() if host in a["Description"] and a["Description"].startswith("Term")]
        self.row(
            "the activity names the host, and its cause a user's request",
            "DescribeScalingActivities",
            told[0]["Cause"] if told else "no such activity",
            bool(told) and "user request" in told[0]["Cause"],
        )
        # What was launched would be in the way of the lines behind.
        if found:
            extra = sorted(set(self.members()) - known)
            for new in extra:
                self.asg.terminate_instance_in_auto_scaling_group(
                    InstanceId=new, ShouldDecrementDesiredCapacity=False
                )
            self.wait("settled", lambda: not set(extra) & set(self.members()))

    def way_back(self, cordoned, serving):
        self.refuses(
            "one id that is not in Standby makes AWS refuse them all",
            "ExitStandby of one in Standby and one in service",
            self.asg.exit_standby,
            InstanceIds=[cordoned, serving],
        )
        self.asg.suspend_processes(AutoScalingGroupName=self.name, ScalingProcesses=["Launch"])
        self.refuses(
            "while Launch is suspended nothing comes back",
            "SuspendProcesses Launch, ExitStandby",
            self.asg.exit_standby,
            InstanceIds=[cordoned],
        )
        self.asg.resume_processes(AutoScalingGroupName=self.name, ScalingProcesses=["Launch"])
        if cordoned not in self.members("Standby"):
            self.wait("back", lambda: cordoned in self.members("InService"))
            self.enter(cordoned)
            self.wait("in standby", lambda: cordoned in self.members("Standby"))
        before = self.desired()
        self.asg.update_auto_scaling_group(AutoScalingGroupName=self.name, MaxSize=before)
        self.refuses(
            "without room below MaxSize nothing comes back",
            f"MaxSize {before}, ExitStandby",
            self.asg.exit_standby,
            InstanceIds=[cordoned],
        )
        self.asg.update_auto_scaling_group(AutoScalingGroupName=self.name, MaxSize=COUNT)
        self.asg.exit_standby(AutoScalingGroupName=self.name, InstanceIds=[cordoned])
        self.wait("in service", lambda: cordoned in self.members("InService"))
        self.row(
            "a restore raises desired capacity, and the same host serves again",
            "ExitStandby",
            f"desired {before} -> {self.desired()}",
            self.desired() == before + 1,
        )

    def floors(self, serving):
        self.asg.update_auto_scaling_group(AutoScalingGroupName=self.name, MinSize=self.desired())
        self.refuses(
            "no cordon goes below MinSize",
            f"MinSize {self.desired()}, EnterStandby with decrement",
            self.asg.enter_standby,
            InstanceIds=[serving],
            ShouldDecrementDesiredCapacity=True,
        )
        self.asg.update_auto_scaling_group(AutoScalingGroupName=self.name, MinSize=0)

    def processes(self):
        again = self.refusal(self.asg.suspend_processes, ScalingProcesses=["AZRebalance"])
        suspended = [process["ProcessName"] for process in self.group()["SuspendedProcesses"]]
        self.row(
            "suspending what is suspended succeeds, and is shown",
            "SuspendProcesses AZRebalance twice, DescribeAutoScalingGroups",
            again or ", ".join(suspended),
            again is None and "AZRebalance" in suspended,
        )
        told = self.refusal(self.asg.resume_processes, ScalingProcesses=["AddToLoadBalancer"])
        self.row(
            "resuming what runs succeeds and changes nothing",
            "ResumeProcesses AddToLoadBalancer",
            told or "done",
            told is None,
        )

    def control(self, host):
        """That this script would see a launch that answers a termination."""
        answer = self.asg.terminate_instance_in_auto_scaling_group(
            InstanceId=host, ShouldDecrementDesiredCapacity=False
        )
        began, found = answer["Activity"]["StartTime"], []

        def launched():
            found[:] = [
                activity["Cause"]
                for activity in self.activities()
                if activity["Description"].startswith("Launching") and activity["StartTime"] >= began
            ]
            return found

        try:
            self.wait("launched", launched)
        except TimeoutError:
            pass
        self.row(
            "a termination from service without decrement is answered by a launch, and its cause names no change",
            "TerminateInstanceInAutoScalingGroup of one in service",
            found[0] if found else "no launch",
            bool(found) and not any(words in found[0] for words in EXPLAINED),
        )

    # --- the end ------------------------------------------------------------------------

    def clean(self):
        """Removes what was made, whatever happened. What is left is named."""
        left = []
        try:
            if self.group():
                self.asg.delete_auto_scaling_group(AutoScalingGroupName=self.name, ForceDelete=True)
                self.wait("deleted", lambda: self.group() is None)
        except (ClientError, TimeoutError) as error:
            left.append(f"group {self.name} ({error})")
        try:
            if self.template:
                self.ec2.delete_launch_template(LaunchTemplateId=self.template)
        except ClientError as error:
            left.append(f"launch template {self.name} ({error})")
        mine = [
            {"Name": f"tag:{TAG}", "Values": [self.id]},
            {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
        ]
        for reservation in self.ec2.describe_instances(Filters=mine)["Reservations"]:
            for instance in reservation["Instances"]:
                try:
                    self.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
                except ClientError as error:
                    left.append(f"instance {instance['InstanceId']} ({error})")
        print("everything that was made is removed" if not left else f"LEFT OVER: {'; '.join(left)}")
        return not left


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--account", required=True, help="the sandbox account's number, which must be the caller's")
    parser.add_argument("--region", required=True)
    parser.add_argument("--endpoint-url", help="another server than AWS: the model of the tests")
    parser.add_argument("--instance-type", default="t3.nano")
    parser.add_argument("--image", help="default: Amazon Linux 2023, by its public parameter")
    parser.add_argument("--subnet", action="append", help="default: two of the default VPC")
    parser.add_argument("--watch", type=float, default=180, help="seconds in which an answer would come")
    parser.add_argument("--patience", type=float, default=600, help="seconds until a state must be reached")
    parser.add_argument("--poll", type=float, default=5, help="seconds between two looks")
    parser.add_argument("--json", help="a file for the table")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    live = Live(parser.parse_args())
    try:
        live.check_account()
        live.ask()
    except Refused as why:
        print(f"refused: {why}. Nothing was made", file=sys.stderr)
        return 2
    failed = None
    try:
        live.make()
        live.check()
    except (Exception, KeyboardInterrupt) as error:
        failed = error
    clean = live.clean()
    if live.options.json:
        with open(live.options.json, "w") as out:
            json.dump(live.rows, out, indent=1)
    if failed is not None:
        print(f"ended early: {type(failed).__name__}: {failed}", file=sys.stderr)
        return 1
    return 0 if clean and all(row["holds"] for row in live.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
