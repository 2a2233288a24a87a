"""Self-check: instance refreshes, scheduled actions, scaling policies are listed."""

from harness import LabTest


class OwnChanges(LabTest):
    def refreshes(self):
        found = self.asg.describe_instance_refreshes(AutoScalingGroupName="index")
        return [refresh["Status"] for refresh in found["InstanceRefreshes"]]

    def test_one_instance_refresh_at_a_time(self):
        self.one_group()
        name = {"AutoScalingGroupName": "index"}
        self.assertEqual(self.refreshes(), [])
        self.asg.start_instance_refresh(**name)
        self.refused(
            "InstanceRefreshInProgress", self.asg.start_instance_refresh, **name
        )
        self.assertEqual(self.refreshes(), ["InProgress"])
        self.asg.cancel_instance_refresh(**name)
        self.refused(
            "ActiveInstanceRefreshNotFound", self.asg.cancel_instance_refresh, **name
        )
        self.asg.start_instance_refresh(**name)
        self.assertEqual(self.refreshes(), ["InProgress", "Cancelled"])

    def test_scheduled_actions_and_policies_have_pages(self):
        self.one_group()
        self.set(max_page=1)
        for name in ("morning", "night"):
            self.asg.put_scheduled_update_group_action(
                AutoScalingGroupName="index",
                ScheduledActionName=name,
                Recurrence="0 9 * * MON-FRI",
                TimeZone="Europe/Paris",
                DesiredCapacity=3,
            )
            self.asg.put_scaling_policy(
                AutoScalingGroupName="index",
                PolicyName=name,
                PolicyType="TargetTrackingScaling",
                TargetTrackingConfiguration={"TargetValue": 50.0},
            )
        for call, key, names in (
            (
                self.asg.describe_scheduled_actions,
                "ScheduledUpdateGroupActions",
                "ScheduledActionName",
            ),
            (self.asg.describe_policies, "ScalingPolicies", "PolicyName"),
        ):
            first = call()
            second = call(NextToken=first["NextToken"])
            found = [item[names] for page in (first, second) for item in page[key]]
            self.assertEqual(found, ["morning", "night"])
            self.assertNotIn("NextToken", second)
