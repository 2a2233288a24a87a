"""What the self-checks share: one server, clients, time that can be stopped."""

import atexit
import functools
import json
import pathlib
import subprocess
import sys
import unittest
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

KEY = "AKIALABLABLABLABLAB1"
OTHER_KEY = "AKIALABLABLABLABLAB2"
SERVER = pathlib.Path(__file__).with_name("server.py")
WAITS = {
    # Time stands still but for LabTest.pass_time: no test depends on how busy
    # the machine is.
    "manual_time": True,
    "terminating_seconds": 0.1,
    "pending_seconds": 0.05,
    "entering_standby_seconds": 0.05,
    "draining_seconds": 0.2,
    "initial_seconds": 0.1,
    "az_rebalance_seconds": 0.1,
}


class Server:
    """The process, and its /lab/ endpoints."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER), "--port", "0", "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = self.process.stdout.readline().split()[1]
        self.url = f"http://{self.address}"

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(timeout=10)

    def lab(self, method, path, document=None):
        request = urllib.request.Request(
            f"{self.url}/lab/{path}",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def client(self, service, key=KEY, read_timeout=30):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key="secret",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=read_timeout),
        )


@functools.cache
def shared_server():
    """One server for all tests; each of them resets it."""
    server = Server()
    atexit.register(server.close)
    return server


@functools.cache
def shared_clients():
    services = ("autoscaling", "ec2", "elbv2", "dynamodb")
    return [shared_server().client(service) for service in services]


class LabTest(unittest.TestCase):
    """Every test starts with an empty cloud, and time stands still."""

    @classmethod
    def setUpClass(cls):
        cls.server = shared_server()
        cls.asg, cls.ec2, cls.elb, cls.ddb = shared_clients()

    def setUp(self):
        self.lab("POST", "reset", {})
        self.set(**WAITS)

    def lab(self, *args):
        return self.server.lab(*args)

    def set(self, **settings):
        self.lab("POST", "settings", settings)

    def fleet(self, **document):
        answer = self.lab("POST", "fixture", document)
        self.names = answer["names"]
        return answer

    def one_group(self, count=6, low=3, **more):
        """A group `index` with a target group `web`; the ids of its hosts."""
        spec = {"name": "index", "count": count, "min": low, "target_groups": ["web"]}
        answer = self.fleet(groups=[{**spec, **more}])
        self.web = answer["target_groups"]["web"]
        return [host["id"] for host in answer["groups"]["index"]["instances"]]

    def group(self, name="index"):
        found = self.asg.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        return found["AutoScalingGroups"][0]

    def states(self, name="index"):
        return {
            i["InstanceId"]: i["LifecycleState"] for i in self.group(name)["Instances"]
        }

    def zones(self, name="index"):
        counts = {}
        for instance in self.group(name)["Instances"]:
            zone = instance["AvailabilityZone"]
            counts[zone] = counts.get(zone, 0) + 1
        return counts

    def targets(self, arn=None):
        found = self.elb.describe_target_health(TargetGroupArn=arn or self.web)
        return {
            t["Target"]["Id"]: t["TargetHealth"]["State"]
            for t in found["TargetHealthDescriptions"]
        }

    def running(self):
        reservations = self.ec2.describe_instances(
            Filters=[{"Name": "instance-state-name", "Values": ["running"]}]
        )["Reservations"]
        return {i["InstanceId"] for r in reservations for i in r["Instances"]}

    def enter(self, *ids, decrement=True):
        return self.asg.enter_standby(
            AutoScalingGroupName="index",
            InstanceIds=list(ids),
            ShouldDecrementDesiredCapacity=decrement,
        )

    def exit(self, *ids):
        return self.asg.exit_standby(
            AutoScalingGroupName="index", InstanceIds=list(ids)
        )

    def terminate(self, instance_id, decrement):
        return self.asg.terminate_instance_in_auto_scaling_group(
            InstanceId=instance_id, ShouldDecrementDesiredCapacity=decrement
        )

    def pass_time(self, seconds=0.4):
        """0.4: long enough for whatever is under way with WAITS."""
        self.lab("POST", "advance", {"seconds": seconds})

    def refused(self, code, action, *args, **kwargs):
        """The message of the refusal."""
        with self.assertRaises(ClientError) as caught:
            action(*args, **kwargs)
        error = caught.exception.response["Error"]
        self.assertEqual(error["Code"], code, error["Message"])
        status = caught.exception.response["ResponseMetadata"]["HTTPStatusCode"]
        self.assertLess(status, 500)
        return error["Message"]
