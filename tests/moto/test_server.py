"""Self-check: the HTTP side, the lab endpoints, EC2 and DynamoDB."""

import email.utils
import json
import socket
import subprocess
import sys
import threading
import time
import unittest

import botocore.exceptions

from harness import OTHER_KEY, SERVER, LabTest, Server


class Process(unittest.TestCase):
    def test_ends_with_its_stdin(self):
        server = Server()
        self.assertEqual(server.close(), 0)

    def test_ends_when_its_parent_is_killed(self):
        # A parent that starts the server, reports its pid and hangs.
        code = (
            "import subprocess, sys, time\n"
            "command = [sys.executable, sys.argv[1], '--until-stdin-closes']\n"
            "pipe = subprocess.PIPE\n"
            "p = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)\n"
            "print(p.stdout.readline().strip(), flush=True)\n"
            "time.sleep(60)\n"
        )
        parent = subprocess.Popen(
            [sys.executable, "-c", code, str(SERVER)], stdout=subprocess.PIPE, text=True
        )
        address = parent.stdout.readline().split()[1]
        parent.kill()
        parent.wait()
        parent.stdout.close()
        host, port = address.split(":")
        for _ in range(50):
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                return
            time.sleep(0.1)
        self.fail("the server outlived its parent")


class Faults(LabTest):
    def faults(self, *faults):
        self.lab("POST", "faults", list(faults))

    def list(self):
        return self.asg.describe_auto_scaling_groups()

    def test_times_skip_every(self):
        self.faults(
            {"action": "DescribeAutoScalingGroups", "skip": 1, "every": 2, "times": 2,
             "code": "Throttling", "message": "Rate exceeded"}
        )  # fmt: skip
        seen = []
        for _ in range(7):
            try:
                self.list()
                seen.append("ok")
            except botocore.exceptions.ClientError as error:
                seen.append(error.response["Error"]["Code"])
        t = "Throttling"
        self.assertEqual(seen, ["ok", t, "ok", t, "ok", "ok", "ok"])

    def test_before_and_after(self):
        a, b, *_ = self.one_group()
        fault = {"action": "EnterStandby", "code": "InternalFailure", "status": 500}
        for when, desired in (("before", 6), ("after", 5)):
            self.faults({**fault, "when": when})
            with self.assertRaises(botocore.exceptions.ClientError):
                self.enter(a)
            self.assertEqual(self.group()["DesiredCapacity"], desired)

    def test_lost_reply(self):
        a, *_ = self.one_group()
        self.faults(
            {"action": "EnterStandby", "when": "after", "drop": True, "match": a}
        )
        with self.assertRaises(botocore.exceptions.HTTPClientError):
            self.enter(a)
        self.assertEqual(self.group()["DesiredCapacity"], 5)

    def test_a_delay_holds_up_nobody_else(self):
        self.faults({"action": "DescribeAutoScalingGroups", "delay": 2.0})
        start = time.monotonic()
        slow = threading.Thread(target=self.list)
        slow.start()
        for _ in range(1000):
            if self.lab("GET", "calls"):
                break
        self.ec2.describe_instances()
        self.assertTrue(slow.is_alive())
        slow.join()
        self.assertGreaterEqual(time.monotonic() - start, 2.0)

    def test_endless_pages(self):
        self.one_group()
        actions = (
            "DescribeAutoScalingGroups",
            "DescribeInstances",
            "DescribeTargetGroups",
        )
        self.faults(
            *[{"action": a, "repeat_token": True, "times": None} for a in actions]
        )
        token = None
        for _ in range(5):
            more = {"NextToken": token} if token else {}
            reply = self.asg.describe_auto_scaling_groups(**more)
            token = reply["NextToken"]
            self.assertEqual(len(reply["AutoScalingGroups"]), 1)
        self.assertTrue(self.ec2.describe_instances()["NextToken"])
        self.assertTrue(self.elb.describe_target_groups()["NextMarker"])

    def test_cut_reply(self):
        self.faults({"action": "DescribeAutoScalingGroups", "cut": 0.5})
        with self.assertRaises(botocore.parsers.ResponseParserError):
            self.list()

    def test_calls(self):
        a, *_ = self.one_group()
        self.terminate(a, False)
        self.assertEqual(
            self.lab("GET", "calls"),
            [
                [
                    "autoscaling",
                    "TerminateInstanceInAutoScalingGroup",
                    {"InstanceId": a, "ShouldDecrementDesiredCapacity": False},
                ]
            ],
        )
        self.ec2.terminate_instances(InstanceIds=[a])
        last = self.lab("GET", "calls?full=1")[-1]
        self.assertEqual(
            (last["parameters"], last["status"]), ({"InstanceIds": [a]}, 200)
        )
        self.lab("DELETE", "calls")
        self.assertEqual(self.lab("GET", "calls"), [])

    def test_what_no_test_can_mean_is_refused(self):
        for path, document in (
            ("settings", {"stale": 1}),
            ("faults", [{"act": "EnterStandby"}]),
            ("fixture", {"groups": [{"name": "x", "cuont": 3}]}),
        ):
            with self.assertRaises(Exception) as caught:
                self.lab("POST", path, document)
            self.assertEqual(caught.exception.code, 400)
            caught.exception.close()


class Callers(LabTest):
    def test_accounts(self):
        self.one_group()
        self.set(accounts={OTHER_KEY: "210987654321"})
        sts = self.server.client("sts", OTHER_KEY)
        self.assertEqual(sts.get_caller_identity()["Account"], "210987654321")
        other = self.server.client("autoscaling", OTHER_KEY)
        self.assertEqual(other.describe_auto_scaling_groups()["AutoScalingGroups"], [])

    def test_permissions(self):
        self.set(deny=["autoscaling:Describe*", "ec2:DescribeInstances", "dynamodb:*"])
        self.refused("AccessDenied", self.asg.describe_auto_scaling_groups)
        self.refused("UnauthorizedOperation", self.ec2.describe_instances)
        self.refused("AccessDeniedException", self.ddb.list_tables)
        self.elb.describe_target_groups()

    def test_only_what_is_allowed(self):
        self.set(allow=["elasticloadbalancing:Describe*"])
        self.refused("AccessDenied", self.asg.describe_auto_scaling_groups)
        self.elb.describe_target_groups()
        self.server.client("sts").get_caller_identity()

    def test_a_permission_is_asked_before_the_request_is_read(self):
        # What safe-remove's trials rest on (README.md: not measured on AWS).
        fleet = self.fleet(
            groups=[{"name": "index", "count": 3}], target_groups=[{"name": "tried"}]
        )
        nobody = "i-00000000000000000"
        target = fleet["target_groups"]["tried"]
        host = fleet["groups"]["index"]["instances"][0]["id"]
        tags = {"Resources": [host], "Tags": [{"Key": "a", "Value": ""}]}
        trials = [
            ("autoscaling:ExitStandby", "ValidationError", self.asg.exit_standby,
             {"AutoScalingGroupName": "index", "InstanceIds": [nobody]}),
            ("autoscaling:EnterStandby", "ValidationError", self.asg.enter_standby,
             {"AutoScalingGroupName": "index", "InstanceIds": [nobody],
              "ShouldDecrementDesiredCapacity": True}),
            ("elasticloadbalancing:RegisterTargets", "InvalidTarget",
             self.elb.register_targets,
             {"TargetGroupArn": target, "Targets": [{"Id": nobody}]}),
            ("ec2:CreateTags", "DryRunOperation", self.ec2.create_tags,
             {"DryRun": True, **tags}),
            ("ec2:DeleteTags", "DryRunOperation", self.ec2.delete_tags,
             {"DryRun": True, **tags}),
            ("ec2:TerminateInstances", "DryRunOperation",
             self.ec2.terminate_instances, {"DryRun": True, "InstanceIds": [host]}),
        ]  # fmt: skip
        for action, code, call, arguments in trials:
            self.refused(code, call, **arguments)
            self.set(deny=[action])
            denied = "UnauthorizedOperation" if action[:3] == "ec2" else "AccessDenied"
            self.refused(denied, call, **arguments)
            self.set(deny=[])

    def test_roles(self):
        role = "arn:aws:iam::123456789012:role/ops"
        sts = self.server.client("sts")
        for answer in (
            sts.assume_role(RoleArn=role, RoleSessionName="ops"),
            # It needs no key, and botocore does not sign it.
            sts.assume_role_with_web_identity(
                RoleArn=role, RoleSessionName="ops", WebIdentityToken="a.web.token"
            ),
        ):
            key = answer["Credentials"]["AccessKeyId"]
            who = self.server.client("sts", key=key).get_caller_identity()
            self.assertEqual(who["Account"], "123456789012")

    def test_expired_session(self):
        self.set(expired_keys=True)
        self.refused("ExpiredToken", self.asg.describe_auto_scaling_groups)
        self.refused("RequestExpired", self.ec2.describe_instances)
        self.refused("ExpiredTokenException", self.ddb.list_tables)

    def test_signature_age(self):
        for shift in (1000, -1000):
            self.set(clock_shift_seconds=shift)
            message = self.refused(
                "SignatureDoesNotMatch", self.asg.describe_auto_scaling_groups
            )
            self.assertIn("5 min.", message)
            self.refused("RequestExpired", self.ec2.describe_instances)
            self.refused("InvalidSignatureException", self.ddb.list_tables)
        self.set(clock_shift_seconds=800)
        self.refused("SignatureDoesNotMatch", self.asg.describe_auto_scaling_groups)
        self.refused("SignatureDoesNotMatch", self.elb.describe_target_groups)
        self.refused("InvalidSignatureException", self.ddb.list_tables)
        self.ec2.describe_instances()
        self.set(signature_window_seconds=900)
        reply = self.asg.describe_auto_scaling_groups()
        date = reply["ResponseMetadata"]["HTTPHeaders"]["date"]
        said = email.utils.parsedate_to_datetime(date).timestamp()
        self.assertAlmostEqual(said, time.time() + 800, delta=5)


class Pages(LabTest):
    def test_groups(self):
        self.fleet(groups=[{"name": f"g{n:03}", "count": 0} for n in range(7)])
        first = self.asg.describe_auto_scaling_groups(MaxRecords=3)
        last = first["AutoScalingGroups"][-1]["AutoScalingGroupName"]
        self.asg.delete_auto_scaling_group(AutoScalingGroupName=last)
        second = self.asg.describe_auto_scaling_groups(
            MaxRecords=3, NextToken=first["NextToken"]
        )
        names = [g["AutoScalingGroupName"] for g in second["AutoScalingGroups"]]
        self.assertEqual(names, ["g003", "g004", "g005"])
        self.refused(
            "ValidationError", self.asg.describe_auto_scaling_groups, MaxRecords=101
        )
        self.refused(
            "InvalidNextToken",
            self.asg.describe_auto_scaling_groups,
            NextToken="nonsense",
        )

    def test_members_tags_and_activities(self):
        ids = self.one_group(count=55, tags={"a": "1", "b": "2", "c": "3"})
        self.assertEqual(
            len(self.asg.describe_auto_scaling_instances()["AutoScalingInstances"]), 50
        )
        self.refused(
            "ValidationError",
            self.asg.describe_auto_scaling_instances,
            InstanceIds=ids[:51],
        )
        for operation, field, whole in (
            ("describe_auto_scaling_instances", "AutoScalingInstances", 55),
            ("describe_tags", "Tags", 3),
            ("describe_scaling_activities", "Activities", 55),
        ):
            pages = self.asg.get_paginator(operation).paginate(
                PaginationConfig={"PageSize": 2}
            )
            items = [repr(item) for page in pages for item in page[field]]
            self.assertEqual((len(items), len(set(items))), (whole, whole))

    def test_instances(self):
        self.one_group(count=12)
        first = self.ec2.describe_instances(MaxResults=5)
        count = sum(len(r["Instances"]) for r in first["Reservations"])
        self.assertEqual(count, 5)
        pages = self.ec2.get_paginator("describe_instances").paginate(
            PaginationConfig={"PageSize": 5}
        )
        ids = [
            i["InstanceId"]
            for p in pages
            for r in p["Reservations"]
            for i in r["Instances"]
        ]
        self.assertEqual(len(set(ids)), 12)
        for wrong in (4, 1001):
            self.refused(
                "InvalidParameterValue", self.ec2.describe_instances, MaxResults=wrong
            )
        self.refused(
            "InvalidParameterCombination",
            self.ec2.describe_instances, MaxResults=5, InstanceIds=ids[:1],
        )  # fmt: skip
        self.refused(
            "InvalidInstanceID.Malformed",
            self.ec2.describe_instances,
            InstanceIds=["i-x"],
        )
        self.refused(
            "InvalidInstanceID.NotFound",
            self.ec2.describe_instances, InstanceIds=["i-00000000000000000"],
        )  # fmt: skip

    def test_target_groups(self):
        self.fleet(target_groups=[{"name": f"t{n}"} for n in range(5)])
        pages = self.elb.get_paginator("describe_target_groups").paginate(
            PaginationConfig={"PageSize": 2}
        )
        sizes = [len(page["TargetGroups"]) for page in pages]
        self.assertEqual(sizes, [2, 2, 1])

    def test_status_filters(self):
        ids = self.one_group(count=7)
        self.lab("POST", "instance", {ids[0]: {"status": "impaired"}})
        by = [{"Name": "system-status.status", "Values": ["impaired"]}]
        found = self.ec2.describe_instance_status(Filters=by)["InstanceStatuses"]
        self.assertEqual([status["InstanceId"] for status in found], ids[:1])
        by[0]["Values"] = [str(n) for n in range(201)]
        for call in (self.ec2.describe_instance_status, self.ec2.describe_instances):
            self.refused("FilterLimitExceeded", call, Filters=by)
        many = [f"i-{n:017x}" for n in range(101)]
        self.refused(
            "InvalidParameterValue",
            self.ec2.describe_instance_status, InstanceIds=many,
        )  # fmt: skip

    def test_short_pages(self):
        self.one_group(count=12)
        self.set(max_page=2)
        pages = self.ec2.get_paginator("describe_instances").paginate()
        self.assertEqual(len(list(pages)), 6)


class Machines(LabTest):
    def test_terminate_several(self):
        names = self.fleet(
            instances=[
                {"name": "a", "count": 2, "zone": "us-east-1a"},
                {"name": "b", "count": 2, "zone": "us-east-1b"},
            ]
        )["names"]
        every = list(names.values())
        self.refused(
            "InvalidInstanceID.NotFound",
            self.ec2.terminate_instances, InstanceIds=[*every, "i-00000000000000000"],
        )  # fmt: skip
        self.assertEqual(self.running(), set(every))
        self.ec2.modify_instance_attribute(
            InstanceId=names["b-0001"], DisableApiTermination={"Value": True}
        )
        self.refused(
            "OperationNotPermitted", self.ec2.terminate_instances, InstanceIds=every
        )
        self.assertEqual(self.running(), {names["b-0001"], names["b-0002"]})
        self.ec2.terminate_instances(InstanceIds=[names["a-0001"]])  # once more
        self.pass_time()
        self.refused(
            "IncorrectInstanceState",
            self.ec2.start_instances,
            InstanceIds=[names["a-0001"]],
        )

    def test_impaired(self):
        a = self.fleet(instances=[{"name": "a"}])["names"]["a-0001"]
        self.lab("POST", "instance", {a: {"status": "impaired"}})
        status = self.ec2.describe_instance_status(InstanceIds=[a])["InstanceStatuses"][
            0
        ]
        self.assertEqual(status["InstanceStatus"]["Status"], "impaired")


class Fixture(LabTest):
    def test_two_hundred_hosts(self):
        answer = self.fleet(
            target_groups=[{"name": "web", "deregistration_delay": 30}],
            groups=[
                {"name": "index", "count": 90, "min": 45, "max": 100,
                 "target_groups": ["web"], "tags": {"subsystem:index": "true"},
                 "extra_tags": [{"first": 3, "tags": {"subsystem:api": "true"}}]},
                {"name": "api", "count": 60, "tags": {"subsystem:api": "true"}},
                {"name": "batch", "count": 50, "zones": ["us-east-1a", "us-east-1c"]},
            ],
            instances=[{"name": "lone", "target_groups": ["web"]}],
        )  # fmt: skip
        self.assertEqual(len(answer["names"]), 201)
        self.assertEqual(set(self.zones("index").values()), {30})
        self.assertEqual(self.zones("batch"), {"us-east-1a": 25, "us-east-1c": 25})
        self.assertEqual(self.group("index")["MinSize"], 45)
        web = answer["target_groups"]["web"]
        self.assertEqual(list(self.targets(web).values()), ["healthy"] * 91)
        pages = self.ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": "tag:subsystem:api", "Values": ["true"]}]
        )
        found = [i for p in pages for r in p["Reservations"] for i in r["Instances"]]
        self.assertEqual(len(found), 63)

    def test_same_ids_after_a_reset(self):
        document = {"groups": [{"name": "index", "count": 3}]}
        first = self.fleet(**document)
        self.lab("POST", "reset", {})
        self.assertEqual(
            self.fleet(**document)["groups"]["index"]["instances"],
            first["groups"]["index"]["instances"],
        )


class Staleness(LabTest):
    def test_describes_answer_from_the_past(self):
        a, *_ = self.one_group()
        self.set(stale_seconds=0.6)
        self.enter(a)
        self.assertEqual(self.states()[a], "InService")
        self.assertEqual(self.targets()[a], "healthy")
        # The effects see the present.
        self.refused("ValidationError", self.enter, a)
        self.pass_time(0.7)
        self.assertEqual(self.states()[a], "Standby")
        self.assertEqual(self.group()["DesiredCapacity"], 5)

    def test_some_describes_only(self):
        a, *_ = self.one_group()
        self.set(stale_seconds=60, stale_actions=["DescribeInstances"])
        self.terminate(a, True)
        self.assertEqual(self.states()[a], "Terminating")
        self.assertIn(a, self.running())
        self.set(stale_seconds=0)
        self.assertNotIn(a, self.running())


class Time(LabTest):
    def test_passes_by_itself_unless_stopped(self):
        a, *_ = self.one_group()
        self.enter(a)
        self.assertEqual(self.states()[a], "EnteringStandby")
        self.set(manual_time=False)
        for _ in range(100):
            if self.states()[a] == "Standby":
                return
            time.sleep(0.1)
        self.fail("time stands still")


class Ledger(LabTest):
    def test_one_of_many_racers_wins(self):
        self.ddb.create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )
        won = []

        def race(number):
            try:
                self.ddb.put_item(
                    TableName="ledger",
                    Item={"pk": {"S": "head"}, "by": {"N": str(number)}},
                    ConditionExpression="attribute_not_exists(pk)",
                )
                won.append(number)
            except self.ddb.exceptions.ConditionalCheckFailedException:
                pass

        racers = [threading.Thread(target=race, args=(n,)) for n in range(20)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        self.assertEqual(len(won), 1)
        put = [c for c in self.lab("GET", "calls") if c[1] == "PutItem"]
        self.assertEqual(len(put), 20)
        self.assertEqual(json.dumps(put[0][2]["TableName"]), '"ledger"')


if __name__ == "__main__":
    unittest.main()
