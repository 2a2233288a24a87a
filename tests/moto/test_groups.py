"""Self-check: Auto Scaling groups and their target groups as AWS has them."""

import unittest

from harness import LabTest


class Standby(LabTest):
    def test_enters_with_desired_lowered_and_target_drained(self):
        a, *_ = self.one_group()
        self.enter(a)
        self.assertEqual(self.group()["DesiredCapacity"], 5)
        self.assertEqual(self.states()[a], "EnteringStandby")
        self.assertEqual(self.targets()[a], "draining")
        self.pass_time()
        self.assertEqual(self.states()[a], "Standby")
        self.assertNotIn(a, self.targets())
        self.assertEqual(len(self.running()), 6)

    def test_without_decrement_launches_a_replacement(self):
        a, *_ = self.one_group()
        self.enter(a, decrement=False)
        self.assertEqual(len(self.states()), 7)

    def test_floor_holds_for_the_whole_call(self):
        ids = self.one_group(count=6, low=3)
        message = self.refused("ValidationError", self.enter, *ids[:4])
        self.assertIn("min-size=3", message)
        self.assertEqual(set(self.states().values()), {"InService"})
        self.enter(*ids[:3])

    def test_repeat_never_lowers_desired_twice(self):
        a, *_ = self.one_group()
        self.enter(a)
        self.assertIn(
            "is not in InService", self.refused("ValidationError", self.enter, a)
        )
        self.pass_time()
        self.refused("ValidationError", self.enter, a)
        self.assertEqual(self.group()["DesiredCapacity"], 5)

    def test_foreign_unknown_and_too_many_ids(self):
        a, b, *_ = self.one_group()
        lone = self.fleet(instances=[{"name": "lone"}])["names"]["lone-0001"]
        for stranger in (lone, "i-00000000000000000"):
            message = self.refused("ValidationError", self.enter, a, stranger)
            self.assertIn("is not part of Auto Scaling group index", message)
        self.refused("ValidationError", self.enter, *[f"i-{n:017x}" for n in range(21)])
        self.assertEqual(self.group()["DesiredCapacity"], 6)

    def test_exit_restores_and_is_bounded_by_the_maximum(self):
        a, b, *_ = self.one_group(max=6)
        self.enter(a, b)
        self.refused("ValidationError", self.exit, a)  # not Standby yet
        self.pass_time()
        self.exit(a)
        self.assertEqual(self.states()[a], "Pending")
        self.pass_time(0.1)
        self.assertEqual(self.targets()[a], "initial")
        self.pass_time()
        self.assertEqual(
            (self.states()[a], self.targets()[a]), ("InService", "healthy")
        )
        self.assertIn(
            "is not in Standby", self.refused("ValidationError", self.exit, a)
        )
        self.asg.set_desired_capacity(AutoScalingGroupName="index", DesiredCapacity=6)
        self.assertIn("max-size=6", self.refused("ValidationError", self.exit, b))

    def test_exit_of_a_dead_host_is_replaced(self):
        a, *_ = self.one_group()
        self.enter(a)
        self.pass_time()
        self.ec2.terminate_instances(InstanceIds=[a])
        self.pass_time()
        self.assertEqual(self.states()[a], "Standby")  # nobody looks
        self.exit(a)
        self.pass_time(0.6)
        self.assertNotIn(a, self.states())
        self.assertEqual(len(self.states()), 6)

    def test_no_way_back_while_launch_is_suspended(self):
        a, *_ = self.one_group()
        self.enter(a)
        self.pass_time()
        name = {"AutoScalingGroupName": "index", "ScalingProcesses": ["Launch"]}
        self.asg.suspend_processes(**name)
        self.assertIn("Launch", self.refused("ValidationError", self.exit, a))
        self.assertEqual(self.states()[a], "Standby")
        self.asg.resume_processes(**name)
        self.exit(a)
        self.pass_time()
        self.assertEqual(self.states()[a], "InService")

    def test_a_launch_hook_ends_what_comes_back_and_nobody_answers_for(self):
        a, *_ = self.one_group()
        self.asg.put_lifecycle_hook(
            AutoScalingGroupName="index",
            LifecycleHookName="hello",
            LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
            DefaultResult="ABANDON",
            HeartbeatTimeout=30,
        )
        self.enter(a)
        self.pass_time()
        self.exit(a)
        self.assertEqual(self.states()[a], "Pending:Wait")
        self.asg.complete_lifecycle_action(
            AutoScalingGroupName="index",
            LifecycleHookName="hello",
            LifecycleActionResult="ABANDON",
            InstanceId=a,
        )
        self.pass_time(0.6)
        self.assertNotIn(a, self.states())


class Removal(LabTest):
    def test_from_standby_without_decrement_takes_nobody_else(self):
        a, *rest = self.one_group(suspended=["AZRebalance"])
        self.enter(a)
        self.pass_time()
        self.terminate(a, decrement=False)
        self.assertEqual(self.states()[a], "Terminating")
        self.pass_time()
        self.assertEqual(set(self.states()), set(rest))
        self.assertEqual(self.group()["DesiredCapacity"], 5)
        self.assertEqual(self.running(), set(rest))

    def test_from_standby_with_decrement_takes_an_innocent_host(self):
        a, *rest = self.one_group(suspended=["AZRebalance"])
        self.enter(a)
        self.pass_time()
        self.terminate(a, decrement=True)
        self.pass_time()
        self.assertEqual(self.group()["DesiredCapacity"], 4)
        self.assertEqual(len(self.running()), 4)

    def test_in_service_without_decrement_launches_a_replacement(self):
        a, *_ = self.one_group()
        self.terminate(a, decrement=False)
        self.pass_time()
        self.assertEqual(len(self.states()), 6)
        self.assertNotIn(a, self.states())

    def test_floor(self):
        a, *_ = self.one_group(count=3, low=3)
        message = self.refused("ValidationError", self.terminate, a, True)
        self.assertIn("Currently, desiredSize equals minSize (3).", message)

    def test_twice_is_never_two(self):
        a, *_ = self.one_group()
        self.terminate(a, True)
        self.refused("ScalingActivityInProgress", self.terminate, a, True)
        self.pass_time()
        message = self.refused("ValidationError", self.terminate, a, True)
        self.assertIn("No managed instance found", message)
        self.assertEqual(self.group()["DesiredCapacity"], 5)

    def test_while_entering_standby(self):
        a, *_ = self.one_group()
        self.enter(a)
        self.refused("ScalingActivityInProgress", self.terminate, a, False)

    def test_states_on_the_way(self):
        a, *_ = self.one_group()
        self.terminate(a, True)
        status = self.ec2.describe_instances(InstanceIds=[a])
        state = status["Reservations"][0]["Instances"][0]["State"]["Name"]
        self.assertEqual((state, self.targets()[a]), ("shutting-down", "draining"))
        self.pass_time()
        status = self.ec2.describe_instances(InstanceIds=[a])
        state = status["Reservations"][0]["Instances"][0]["State"]["Name"]
        self.assertEqual(state, "terminated")
        self.assertNotIn(a, self.targets())

    def test_protections(self):
        a, b, *_ = self.one_group(count=3, low=0, protected=True)
        self.asg.set_desired_capacity(AutoScalingGroupName="index", DesiredCapacity=0)
        self.assertEqual(set(self.states().values()), {"InService"})
        self.lab("POST", "instance", {a: {"disable_api_termination": True}})
        self.refused(
            "OperationNotPermitted", self.ec2.terminate_instances, InstanceIds=[a]
        )
        # Neither holds back the call that names the instance.
        self.terminate(a, decrement=False)
        self.pass_time()
        self.assertNotIn(a, self.states())

    def test_lifecycle_hook(self):
        a, b, *_ = self.one_group(hooks=[{"name": "goodbye"}])
        self.terminate(a, True)
        self.pass_time()
        self.assertEqual(self.states()[a], "Terminating:Wait")
        self.assertIn(a, self.running())
        self.asg.complete_lifecycle_action(
            AutoScalingGroupName="index",
            LifecycleHookName="goodbye",
            InstanceId=a,
            LifecycleActionResult="CONTINUE",
        )
        self.assertEqual(self.states()[a], "Terminating:Proceed")
        self.pass_time()
        self.assertNotIn(a, self.states())
        message = self.refused(
            "ValidationError",
            self.asg.complete_lifecycle_action,
            AutoScalingGroupName="index",
            LifecycleHookName="goodbye",
            InstanceId=b,
            LifecycleActionResult="CONTINUE",
        )
        self.assertIn("No active Lifecycle Action found", message)

    def test_lifecycle_hook_times_out(self):
        a, *_ = self.one_group(hooks=[{"name": "goodbye"}])
        self.set(hook_seconds=0.1)
        self.terminate(a, True)
        self.pass_time()
        self.assertNotIn(a, self.states())

    def test_detach(self):
        a, b, *_ = self.one_group(count=4, low=3)
        detach = dict(AutoScalingGroupName="index", ShouldDecrementDesiredCapacity=True)
        self.refused(
            "ValidationError", self.asg.detach_instances, InstanceIds=[a, b], **detach
        )
        self.asg.detach_instances(InstanceIds=[a], **detach)
        self.assertEqual(self.targets()[a], "draining")
        self.assertIn(a, self.running())
        self.assertEqual(len(self.states()), 3)

    def test_ec2_terminate_of_a_member_is_replaced(self):
        a, *_ = self.one_group()
        self.ec2.terminate_instances(InstanceIds=[a])
        self.pass_time()
        self.assertNotIn(a, self.states())
        self.assertEqual(len(self.states()), 6)


class Sizes(LabTest):
    def test_desired_is_bounded(self):
        self.one_group(count=6, low=3, max=8)
        for desired in (2, 9):
            self.refused(
                "ValidationError",
                self.asg.set_desired_capacity,
                AutoScalingGroupName="index",
                DesiredCapacity=desired,
            )
        self.refused(
            "ValidationError",
            self.asg.update_auto_scaling_group,
            AutoScalingGroupName="index",
            MinSize=9,
        )

    def test_scale_in_spares_standby_and_takes_the_crowded_zone(self):
        a, *_ = self.one_group(
            zones={"us-east-1a": 4, "us-east-1b": 2, "us-east-1c": 2}
        )
        self.enter(a)
        self.pass_time()
        self.asg.set_desired_capacity(AutoScalingGroupName="index", DesiredCapacity=6)
        self.pass_time()
        self.assertEqual(self.states()[a], "Standby")
        self.assertEqual(
            self.zones(), {"us-east-1a": 3, "us-east-1b": 2, "us-east-1c": 2}
        )

    def test_launches_fill_the_emptiest_zone(self):
        self.one_group(count=5)
        self.asg.set_desired_capacity(AutoScalingGroupName="index", DesiredCapacity=9)
        self.assertEqual(set(self.zones().values()), {3})
        self.assertIn("Pending", self.states().values())
        self.pass_time()
        self.assertEqual(set(self.states().values()), {"InService"})
        self.assertEqual(set(self.targets().values()), {"healthy"})

    def test_create_twice(self):
        self.one_group()
        self.refused(
            "AlreadyExists",
            self.asg.create_auto_scaling_group,
            AutoScalingGroupName="index",
            MinSize=0,
            MaxSize=1,
            AvailabilityZones=["us-east-1a"],
            LaunchTemplate={"LaunchTemplateName": "lab-m5.large"},
        )

    def test_delete(self):
        self.one_group()
        delete = self.asg.delete_auto_scaling_group
        self.refused("ResourceInUse", delete, AutoScalingGroupName="index")
        delete(AutoScalingGroupName="index", ForceDelete=True)
        self.assertEqual(self.group()["Status"], "Delete in progress")
        self.pass_time()
        self.assertEqual(
            self.asg.describe_auto_scaling_groups()["AutoScalingGroups"], []
        )

    def test_failed_launches(self):
        a, *_ = self.one_group()
        self.set(fail_launches={"index": "You have requested more vCPU capacity ..."})
        self.terminate(a, decrement=False)
        self.pass_time()
        self.assertEqual(len(self.states()), 5)
        found = self.asg.describe_scaling_activities(AutoScalingGroupName="index")
        failed = [x for x in found["Activities"] if x["StatusCode"] == "Failed"]
        self.assertIn("vCPU", failed[0]["StatusMessage"])

    def test_suspended_processes(self):
        a, b, *_ = self.one_group()
        suspend, resume = self.asg.suspend_processes, self.asg.resume_processes
        suspend(AutoScalingGroupName="index", ScalingProcesses=["Launch", "Terminate"])
        self.terminate(a, decrement=False)
        self.pass_time()
        self.assertEqual(len(self.states()), 5)
        self.asg.set_desired_capacity(AutoScalingGroupName="index", DesiredCapacity=4)
        self.assertEqual(len(self.states()), 5)
        resume(AutoScalingGroupName="index", ScalingProcesses=["Launch", "Terminate"])
        self.pass_time()
        self.assertEqual(len(self.states()), 4)
        suspend(AutoScalingGroupName="index", ScalingProcesses=["AddToLoadBalancer"])
        self.asg.set_desired_capacity(AutoScalingGroupName="index", DesiredCapacity=5)
        self.pass_time()
        self.assertEqual(len(self.targets()), 4)
        self.refused(
            "ValidationError",
            suspend,
            AutoScalingGroupName="index",
            ScalingProcesses=["Nonsense"],
        )

    def test_unhealthy_is_replaced_where_asked_for(self):
        a, b, *_ = self.one_group()
        self.asg.set_instance_health(InstanceId=a, HealthStatus="Unhealthy")
        self.set(replace_unhealthy_seconds=0.05)
        self.asg.set_instance_health(InstanceId=b, HealthStatus="Unhealthy")
        self.pass_time()
        self.assertIn(a, self.states())
        self.assertNotIn(b, self.states())


class Rebalance(LabTest):
    def cordon_a_zone(self):
        """Two of the three hosts of one zone: 1, 3 and 3 are left."""
        ids = self.one_group(count=9)
        zones = {
            i["InstanceId"]: i["AvailabilityZone"] for i in self.group()["Instances"]
        }
        mine = [i for i in ids if zones[i] == zones[ids[0]]]
        self.rest = set(ids) - set(mine[:2])
        return mine[:2]

    def watch(self):
        for _ in range(12):
            self.states()
            self.pass_time(0.1)

    def test_takes_a_host_that_nobody_named(self):
        self.enter(*self.cordon_a_zone())
        self.watch()
        self.assertEqual(len(self.rest - self.running()), 1)
        counts = [s for s in self.states().values() if s == "InService"]
        self.assertEqual((len(counts), self.group()["DesiredCapacity"]), (7, 7))

    def test_not_while_suspended_but_when_resumed(self):
        pair = self.cordon_a_zone()
        process = {"AutoScalingGroupName": "index", "ScalingProcesses": ["AZRebalance"]}
        self.asg.suspend_processes(**process)
        self.enter(*pair)
        self.watch()
        self.assertEqual(self.rest - self.running(), set())
        self.asg.resume_processes(**process)
        self.watch()
        self.assertEqual(len(self.rest - self.running()), 1)

    def test_not_when_restored_before_resuming(self):
        pair = self.cordon_a_zone()
        process = {"AutoScalingGroupName": "index", "ScalingProcesses": ["AZRebalance"]}
        self.asg.suspend_processes(**process)
        self.enter(*pair)
        self.pass_time()
        self.exit(*pair)
        self.asg.resume_processes(**process)
        self.watch()
        self.assertEqual(self.rest - self.running(), set())

    def test_can_be_switched_off(self):
        self.set(az_rebalance=False)
        self.enter(*self.cordon_a_zone())
        self.watch()
        self.assertEqual(self.rest - self.running(), set())


class Targets(LabTest):
    def test_deregister_and_register(self):
        answer = self.fleet(
            instances=[{"name": "lone", "count": 2, "target_groups": ["web"]}]
        )
        self.web = answer["target_groups"]["web"]
        a = answer["names"]["lone-0001"]
        target = {"TargetGroupArn": self.web, "Targets": [{"Id": a}]}
        self.elb.deregister_targets(**target)
        self.assertEqual(self.targets()[a], "draining")
        self.pass_time()
        self.assertNotIn(a, self.targets())
        self.elb.deregister_targets(**target)  # as if it had been there
        self.elb.register_targets(**target)
        self.assertEqual(self.targets()[a], "initial")
        self.pass_time()
        self.assertEqual(self.targets()[a], "healthy")
        self.ec2.stop_instances(InstanceIds=[a])
        self.assertEqual(self.targets()[a], "unused")
        self.elb.deregister_targets(**target)
        self.refused("InvalidTarget", self.elb.register_targets, **target)

    def test_deregistration_delay_of_the_group(self):
        a, *_ = self.one_group()
        self.set(draining_seconds=30)
        self.elb.modify_target_group_attributes(
            TargetGroupArn=self.web,
            Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "0"}],
        )
        self.elb.deregister_targets(TargetGroupArn=self.web, Targets=[{"Id": a}])
        self.assertNotIn(a, self.targets())

    def test_health_set_by_the_test(self):
        a, b, *_ = self.one_group()
        words = ["unhealthy", "Target.FailedHealthChecks"]
        self.lab("POST", "target-health", {a: words, f"web/{b}": words})
        self.assertEqual(
            (self.targets()[a], self.targets()[b]), ("unhealthy", "unhealthy")
        )
        self.lab("POST", "target-health", {a: None})
        self.assertEqual(self.targets()[a], "healthy")
        self.set(unused_target_groups=["web"])
        self.assertEqual(set(self.targets().values()), {"unused"})


if __name__ == "__main__":
    unittest.main()
