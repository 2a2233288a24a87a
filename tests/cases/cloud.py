"""One API server for the cases, and clients of it."""

import json
import os
import pathlib
import subprocess
import sys
import urllib.request

import boto3
from botocore.config import Config

HERE = pathlib.Path(__file__).resolve().parent

KEYS = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "y",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
FAST = {
    "entering_standby_seconds": 0.2,
    "pending_seconds": 0.2,
    "terminating_seconds": 0.3,
    "initial_seconds": 0.3,
    "draining_seconds": 0.5,
}


class Cloud:
    """One API server, and clients of it."""

    def __init__(self):
        os.environ.update(KEYS)
        self.process = subprocess.Popen(
            [sys.executable, HERE / "serve.py", "--port", "0", "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.url = "http://" + self.process.stdout.readline().split()[1]
        self.clients = {}

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        return json.loads(
            urllib.request.urlopen(urllib.request.Request(f"{self.url}/lab/{path}", data=data), timeout=120).read()
        )

    def client(self, service):
        if service not in self.clients:
            self.clients[service] = boto3.client(
                service,
                endpoint_url=self.url,
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self.clients[service]

    def group(self, name):
        found = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])[
            "AutoScalingGroups"
        ]
        return found[0] if found else {"Instances": []}

    def standby(self, name):
        return [i["InstanceId"] for i in self.group(name)["Instances"] if i["LifecycleState"] == "Standby"]

    def running(self):
        filters = [
            {
                "Name": "instance-state-name",
                "Values": ["running", "stopped", "stopping"],
            }
        ]
        pages = self.client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
        return {i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]}

    def registered(self, target_group):
        elb = self.client("elbv2")
        arn = elb.describe_target_groups(Names=[target_group])["TargetGroups"][0]["TargetGroupArn"]
        return {
            t["Target"]["Id"]
            for t in elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
            if t["TargetHealth"]["State"] != "draining"
        }
