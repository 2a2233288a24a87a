"""The operations of Auto Scaling that the tool calls, with AWS's refusals.

Stock moto enforces no bound of a group, answers an unknown id with HTML 500 or
with a change nobody asked for, and takes Standby instances for spare ones.

Every message in double quotes below was seen in a public issue, named beside
it; "[?]" marks wording that is not confirmed. The *behaviour* is the API
reference's page of the operation, if nothing else is named.
"""

import moto.autoscaling.models as moto_groups
from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow

import groups
import machines
import paging
from lab import LAB

PROCESSES = (
    "Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance",
    "HealthCheck", "InstanceRefresh", "ReplaceUnhealthy", "ScheduledActions",
)  # fmt: skip

Group = moto_groups.FakeAutoScalingGroup
Backend = moto_groups.AutoScalingBackend

_create = Backend.create_auto_scaling_group
_update = Backend.update_auto_scaling_group


# --- finding things, and refusing -----------------------------------------------


def find_group(backend, name):
    group = backend.autoscaling_groups.get(name)
    if group is None:
        raise ValidationError(
            f"AutoScalingGroup name not found - AutoScalingGroup {name} not found"
        )
    return group


def find_owner(backend, instance_id):
    for group in backend.autoscaling_groups.values():
        for state in group.instance_states:
            if state.instance.id == instance_id:
                return group, state
    # Message: yaybu/touchdown#51.
    raise ValidationError(
        f"Instance Id not found - No managed instance found for instance ID: {instance_id}"
    )


def find_members(group, instance_ids, allowed, most=20):
    if not instance_ids:
        raise ValidationError("At least one instance id must be specified")  # [?]
    if len(instance_ids) > most:
        # "You can specify up to 20 instances" (API reference); wording [?].
        raise ValidationError(
            f"The number of instance ids that may be passed in is limited to {most}"
        )
    members = {state.instance.id: state for state in group.instance_states}
    for instance_id in instance_ids:
        if instance_id not in members:
            # An id of another group is as foreign as one that never was. [?]
            raise ValidationError(
                f"The instance {instance_id} is not part of Auto Scaling group {group.name}."
            )
        if allowed and members[instance_id].lifecycle_state not in allowed:
            # Messages: aws-samples/aws-codedeploy-samples#50 ("is not in
            # InService."), keikoproj/upgrade-manager#324 (for a Standby one),
            # reproio/ecs_deploy#47 ("is not in InService or Standby.").
            raise ValidationError(
                f"The instance {instance_id} is not in {' or '.join(allowed)}."
            )
    return [members[instance_id] for instance_id in dict.fromkeys(instance_ids)]


def check_floor(group, count, verb):
    """Source: API_EnterStandby: "... as long as the desired capacity [after]
    is equal to or greater than the minimum capacity of the group". Message:
    hashicorp/nomad-autoscaler#1290, hortonworks/cloudbreak#1537 (for detach)."""
    if group.desired_capacity - count < group.min_size:
        raise ValidationError(
            f"AutoScalingGroup {group.name} has min-size={group.min_size}, "
            f"max-size={group.max_size}, and desired-size={group.desired_capacity}. "
            f"To {verb} {count} instance{'s' if count > 1 else ''}, please update "
            "the AutoScalingGroup sizes appropriately."
        )


def check_not_deleting(group, what):
    # Message: cloud-custodian/cloud-custodian#497 (for SuspendProcesses).
    if groups.is_deleting(group):
        raise ValidationError(
            f"{what} while the AutoScaling group is pending delete"
        )


def shrinking(before, after):
    if after < before:
        return f", shrinking the capacity from {before} to {after}."
    return "."


# --- standby ----------------------------------------------------------------------


def enter_standby(backend, name, instance_ids, decrement):
    """All or none. An instance that is not InService is refused, so a repeat
    never lowers the desired capacity twice."""
    group = find_group(backend, name)
    check_not_deleting(group, "Instances may not enter standby")
    states = find_members(group, instance_ids, ("InService",))
    if decrement:
        check_floor(group, len(states), "place into standby")
    done = []
    for state in states:
        before = group.desired_capacity
        group.desired_capacity -= bool(decrement)
        # A lifecycle state of its own: API_Instance, LifecycleState.
        state.lifecycle_state = "EnteringStandby"
        why = (
            f"instance {state.instance.id} was moved to standby in response to a "
            f"user request{shrinking(before, group.desired_capacity)}"
        )
        description = f"Moving EC2 instance to Standby: {state.instance.id}"
        activity = groups.record(group, description, why, state)
        done.append(activity)

        def arrived(state=state, activity=activity):
            if state.lifecycle_state == "EnteringStandby":
                state.lifecycle_state = "Standby"
            groups.finish(activity)

        LAB.after(LAB.entering_standby_seconds, arrived)
    groups.leave_target_groups(group, [state.instance.id for state in states])
    group.lab_disturbed = True
    groups.reconcile(group)
    return done


def exit_standby(backend, name, instance_ids):
    group = find_group(backend, name)
    check_not_deleting(group, "Instances may not exit standby")
    states = find_members(group, instance_ids, ("Standby",))
    # Source: user guide, "Temporarily remove instances": exiting increments the
    # desired capacity, which cannot exceed the maximum. Wording [?].
    if group.desired_capacity + len(states) > group.max_size:
        raise ValidationError(
            f"AutoScalingGroup {group.name} has min-size={group.min_size}, "
            f"max-size={group.max_size}, and desired-size={group.desired_capacity}. "
            f"To move {len(states)} instance out of Standby, please update the "
            "AutoScalingGroup sizes appropriately."
        )
    done = []
    for state in states:
        before = group.desired_capacity
        group.desired_capacity += 1
        state.lifecycle_state = "Pending"
        why = (
            f"instance {state.instance.id} was moved out of standby in response to "
            f"a user request, increasing the capacity from {before} to "
            f"{group.desired_capacity}."
        )
        description = f"Moving EC2 instance out of Standby: {state.instance.id}"
        activity = groups.record(group, description, why, state)
        done.append(activity)
        groups.become_in_service(group, state, activity, hooks=False)
    groups.reconcile(group)
    return done


# --- removal ------------------------------------------------------------------------


def terminate_one(backend, instance_id, decrement, only_in=None):
    """TerminateInstanceInAutoScalingGroup for one instance. The activity.

    From Standby the instance does not count in the desired capacity any more:
    - without the decrement it goes, desired stays, nothing is launched;
    - WITH the decrement desired is lowered a second time, and the group then
      takes an innocent InService host to get down to it (or refuses, where
      desired equals the minimum already). This is the trap that a careless tool
      falls into. Known: API_EnterStandby has lowered desired, and the parameter
      is "Indicates whether terminating the instance also decrements the size of
      the Auto Scaling group", with no exception for Standby. Not known: a
      measurement on real AWS; tools that terminate from Standby do it after an
      EnterStandby that did not decrement (keikoproj/upgrade-manager#45).
    """
    group, state = find_owner(backend, instance_id)
    if only_in is not None and group.name != only_in:
        raise ValidationError(
            f"The instance {instance_id} is not part of Auto Scaling group {only_in}."
        )
    if state.lifecycle_state in (*groups.LEAVING, "EnteringStandby"):
        # Seen for EnteringStandby: keikoproj/upgrade-manager#77. For an instance
        # that is terminating already [?]; in any case never a second decrement.
        raise AutoscalingClientError(
            "ScalingActivityInProgress",
            f"Activity is in progress for instance {instance_id}.",
        )
    before = group.desired_capacity
    if decrement:
        # Message: aws/aws-cli#47, buildkite/buildkite-agent-scaler#350.
        if before - 1 < group.min_size:
            raise ValidationError(
                f"Currently, desiredSize equals minSize ({group.min_size}). "
                "Terminating instance without replacement will violate group's min "
                "size constraint. Either set shouldDecrementDesiredCapacity flag to "
                "false or lower group's min size."
            )
        group.desired_capacity -= 1
    # Scale-in protection does not stop it. Source: user guide, "Use instance
    # scale-in protection": it does not protect from "Manual termination through
    # the terminate-instance-in-auto-scaling-group command".
    why = (
        f"instance {instance_id} was taken out of service in response to a user "
        f"request{shrinking(before, group.desired_capacity)}"
    )
    activity = groups.begin_termination(group, state, why)
    groups.reconcile(group)
    return activity


def detach_instances(backend, name, instance_ids, decrement):
    group = find_group(backend, name)
    states = find_members(group, instance_ids, ("InService", "Standby"))
    if decrement:
        check_floor(group, len(states), "detach")
    done = []
    for state in states:
        before = group.desired_capacity
        group.desired_capacity -= bool(decrement)
        why = (
            f"instance {state.instance.id} was detached in response to a user "
            f"request{shrinking(before, group.desired_capacity)}"
        )
        description = f"Detaching EC2 instance: {state.instance.id}"
        done.append(groups.record(group, description, why, state))
        groups.finish(done[-1])
        backend.ec2_backend.delete_tags(
            [state.instance.id], {moto_groups.ASG_NAME_TAG: group.name}
        )
    groups.leave_target_groups(group, [state.instance.id for state in states])
    group.instance_states = [s for s in group.instance_states if s not in states]
    group.lab_disturbed = True
    groups.reconcile(group)
    return done


def notify_terminate_instances(backend, instance_ids):
    """EC2 TerminateInstances of members: somebody else's hand.

    InService: the group notices (a health check in real AWS) and replaces it.
    Standby: the group performs no health checks there (user guide, "Health
    status of an instance in a standby state"), so the dead instance stays
    listed as Standby (seen: keikoproj/upgrade-manager#150).
    """
    for group in list(backend.autoscaling_groups.values()):
        blind = groups.is_suspended(group, "HealthCheck") or groups.is_suspended(
            group, "ReplaceUnhealthy"
        )
        for state in list(group.instance_states):
            if state.instance.id not in instance_ids:
                continue
            groups.leave_target_groups(group, [state.instance.id])
            if state.lifecycle_state in groups.COUNTED:
                state.health_status = "Unhealthy"
                if not blind:
                    why = "an instance was taken out of service in response to an EC2 health check."
                    groups.begin_termination(group, state, why)
        groups.reconcile(group)


# --- sizes --------------------------------------------------------------------------


def check_sizes(low, high, desired):
    # Messages: buildkite/terraform-buildkite-elastic-ci-stack-for-aws#146,
    # convox/praxis#258, hashicorp/terraform-provider-aws#26230 [min > max: ?].
    if low > high:
        raise ValidationError("Max bound, {0}, must be greater than or equal to min bound, {1}".format(high, low))
    if desired is not None and not low <= desired <= high:
        raise ValidationError(
            f"Desired capacity:{desired} must be between the specified min size:{low} "
            f"and max size:{high}"
        )


def create_group(backend, name, *args, **kwargs):
    # Source: API_CreateAutoScalingGroup, AlreadyExists. moto replaces the group
    # and orphans its instances.
    if name in backend.autoscaling_groups:
        raise AutoscalingClientError(
            "AlreadyExists",
            "AutoScalingGroup by this name already exists - A group with the name "
            f"{name} already exists",
        )
    low, high = int(kwargs.get("min_size") or 0), int(kwargs.get("max_size") or 0)
    desired = kwargs.get("desired_capacity")
    check_sizes(low, high, None if desired is None else int(desired))
    return _create(backend, name, *args, **kwargs)


def update_group(backend, name, **kwargs):
    """Source: API_UpdateAutoScalingGroup: a new MinSize above the current size
    raises desired, a new MaxSize below it lowers desired; MixedInstancesPolicy
    stays when it is not mentioned (moto clears it)."""
    group = find_group(backend, name)
    low = group.min_size if kwargs.get("min_size") is None else int(kwargs["min_size"])
    high = group.max_size if kwargs.get("max_size") is None else int(kwargs["max_size"])
    desired = kwargs.get("desired_capacity")
    check_sizes(low, high, desired)
    if desired is None:
        desired = min(max(group.desired_capacity, low), high)
    if not kwargs.get("launch_template") and not kwargs.get("launch_config_name"):
        if not kwargs.get("mixed_instances_policy"):
            kwargs["mixed_instances_policy"] = group.mixed_instances_policy
    return _update(backend, name, **{**kwargs, "desired_capacity": desired})


def group_set_desired(group, new):
    group.desired_capacity = group.min_size if new is None else new
    groups.reconcile(group)


def set_desired_capacity(backend, name, desired):
    # Source: API_SetDesiredCapacity. Wording [?].
    group = find_group(backend, name)
    for bound, side in ((group.min_size, "below min"), (group.max_size, "above max")):
        if (desired < bound) if "min" in side else (desired > bound):
            raise ValidationError(
                f"New SetDesiredCapacity value {desired} is {side} value {bound} for "
                "the AutoScalingGroup."
            )
    group.set_desired_capacity(desired)


def delete_group(self):
    """Source: API_DeleteAutoScalingGroup: with instances it needs ForceDelete;
    then the group is listed with Status "Delete in progress" until they are
    gone (API_AutoScalingGroup, Status)."""
    group = find_group(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
    if group.instance_states and not self._get_bool_param("ForceDelete", False):
        raise AutoscalingClientError(
            "ResourceInUse",
            "You cannot delete an AutoScalingGroup while there are instances or "
            "pending Spot instance request(s) still in the group.",
        )
    group.status = groups.DELETING
    group.min_size = group.max_size = group.desired_capacity = 0
    for state in list(group.instance_states):
        if state.lifecycle_state not in groups.LEAVING:
            groups.begin_termination(group, state, "the group is being deleted.")
    groups._finish_deletion(group)
    return EmptyResult()


# --- settings of instances and groups -------------------------------------------------


def suspend_processes(backend, name, processes):
    group = find_group(backend, name)
    # Message: cloud-custodian/cloud-custodian#497.
    check_not_deleting(group, "Processes may not be suspended")
    check_processes(processes)
    suspended = list(group._suspended_processes)
    suspended += [p for p in processes or PROCESSES if p not in suspended]
    group._suspended_processes = suspended


def resume_processes(backend, name, processes):
    group = find_group(backend, name)
    check_processes(processes)
    gone = processes or PROCESSES
    group._suspended_processes = [p for p in group._suspended_processes if p not in gone]
    groups.reconcile(group)


def check_processes(processes):
    for process in processes or ():
        if process not in PROCESSES:
            raise ValidationError(f"Invalid process type: {process}")  # [?]


def suspended_processes(group):
    reason = f"User suspended at {utcnow().strftime('%Y-%m-%dT%H:%M:%SZ')}"
    return [
        {"ProcessName": process, "SuspensionReason": reason}
        for process in group._suspended_processes
    ]


def set_instance_protection(backend, name, instance_ids, protected):
    group = find_group(backend, name)
    for state in find_members(group, instance_ids, None, most=50):
        state.protected_from_scale_in = protected


def set_instance_health(self):
    # Source: API_SetInstanceHealth; user guide, "ReplaceUnhealthy".
    backend = self.autoscaling_backend
    group, state = find_owner(backend, self._get_param("InstanceId"))
    status = self._get_param("HealthStatus")
    if status not in ("Healthy", "Unhealthy"):
        raise ValidationError("Valid instance health states are: [Healthy, Unhealthy]")
    state.health_status = status
    if status == "Unhealthy" and LAB.replace_unhealthy_seconds is not None:

        def replace():
            if state.health_status == "Healthy" or state.lifecycle_state != "InService":
                return
            if not groups.is_suspended(group, "ReplaceUnhealthy"):
                why = "an instance was taken out of service in response to a user health-check."
                groups.begin_termination(group, state, why)
                groups.reconcile(group)

        LAB.after(LAB.replace_unhealthy_seconds, replace)
    return EmptyResult()


def _active_hook(self):
    backend = self.autoscaling_backend
    group = find_group(backend, self._get_param("AutoScalingGroupName"))
    name, instance_id = self._get_param("LifecycleHookName"), self._get_param("InstanceId")
    hook = backend.lifecycle_hooks.get(f"{group.name}_{name}")
    for state in group.instance_states:
        if state.instance.id == instance_id and name in getattr(state, "lab_hooks", {}):
            return state, hook
    # Message: convox/rack#2432.
    raise ValidationError(
        f"No active Lifecycle Action found with instance ID {instance_id}"
    )


def complete_lifecycle_action(self):
    state, hook = _active_hook(self)
    result = self._get_param("LifecycleActionResult")
    groups.complete_hook(state, hook.name, result)
    return EmptyResult()


def record_lifecycle_action_heartbeat(self):
    state, hook = _active_hook(self)
    groups.beat_hook(state, hook)
    return EmptyResult()


def terminate_in_group(self):
    """Source: API_TerminateInstanceInAutoScalingGroup: one InstanceId, or up to
    100 InstanceIds with AutoScalingGroupName (`Activities` in the answer)."""
    backend = self.autoscaling_backend
    decrement = self._get_bool_param("ShouldDecrementDesiredCapacity", False)
    one, many = self._get_param("InstanceId"), self._get_param("InstanceIds", [])
    if one:
        return ActionResult({"Activity": terminate_one(backend, one, decrement)})
    group = find_group(backend, self._get_param("AutoScalingGroupName"))
    find_members(group, many, None, most=100)
    done = [terminate_one(backend, i, decrement, group.name) for i in dict.fromkeys(many)]
    return ActionResult({"Activities": done})


# --- lists --------------------------------------------------------------------------


def _page(self, items, name, default, maximum, newest_first=False):
    """Source: the API reference of every list call of Auto Scaling: MaxRecords
    with its default and maximum, NextToken, the error InvalidNextToken."""
    asked = self._get_int_param("MaxRecords")
    if asked is not None and not 1 <= asked <= maximum:
        raise ValidationError(
            f"1 validation error detected: Value '{asked}' at 'maxRecords' failed to "
            f"satisfy constraint: Member must have value less than or equal to {maximum}"
        )
    try:
        here, following = paging.page(
            items, self._get_param("NextToken"), paging.limit(asked, default), newest_first
        )
    except paging.BadToken:
        raise AutoscalingClientError(
            "InvalidNextToken", "The NextToken value is not valid."
        ) from None
    return ActionResult({name: here, "NextToken": following})


def describe_auto_scaling_groups(self):
    found = self.autoscaling_backend.describe_auto_scaling_groups(
        self._get_param("AutoScalingGroupNames", []),
        filters=self._get_param("Filters", []),
    )
    return _page(self, found, "AutoScalingGroups", 50, 100)


def describe_auto_scaling_instances(self):
    ids = self._get_param("InstanceIds", [])
    if len(ids) > 50:
        raise ValidationError(
            "The number of instance ids that may be passed in is limited to 50"
        )
    found = self.autoscaling_backend.describe_auto_scaling_instances(instance_ids=ids)
    return _page(self, found, "AutoScalingInstances", 50, 50)


def describe_scaling_activities(self):
    backend = self.autoscaling_backend
    name, ids = self._get_param("AutoScalingGroupName"), self._get_param("ActivityIds", [])
    if name is not None:
        find_group(backend, name)
    found = [
        activity
        for activity in groups.activities(backend)
        if (name is None or activity.auto_scaling_group.name == name)
        and (not ids or activity.activity_id in ids)
    ]
    return _page(self, found, "Activities", 100, 100, newest_first=True)


class _Tag:
    """A tag of a group as an item that a page can number."""

    def __init__(self, tag):
        self.key, self.value = tag["Key"], tag["Value"]
        self.resource_id = tag["ResourceId"]
        self.resource_type = tag["ResourceType"]
        self.propagate_at_launch = tag.get("PropagateAtLaunch", False)


def describe_tags(self):
    backend = self.autoscaling_backend
    seen = backend.__dict__.setdefault("lab_tags", {})
    tags = []
    for raw in backend.describe_tags(filters=self._get_param("Filters", [])):
        tag = seen.setdefault((raw["ResourceId"], raw["Key"]), _Tag(raw))
        tag.__init__(raw)
        tags.append(tag)
    return _page(self, tags, "Tags", 50, 100)


def tags_of_known_groups(operation):
    def checked(backend, tags):
        for tag in tags:
            find_group(backend, tag["ResourceId"])
        return operation(backend, tags)

    return checked


def install():
    machines.install()
    Group.set_desired_capacity = group_set_desired
    Group.suspended_processes = property(
        suspended_processes, Group.suspended_processes.fset
    )
    Backend.create_auto_scaling_group = create_group
    Backend.update_auto_scaling_group = update_group
    Backend.set_desired_capacity = set_desired_capacity
    Backend.enter_standby_instances = enter_standby
    Backend.exit_standby_instances = exit_standby
    Backend.detach_instances = detach_instances
    Backend.terminate_instance = terminate_one
    Backend.notify_terminate_instances = notify_terminate_instances
    Backend.suspend_processes = suspend_processes
    Backend.resume_processes = resume_processes
    Backend.set_instance_protection = set_instance_protection
    Backend.create_or_update_tags = tags_of_known_groups(Backend.create_or_update_tags)
    Backend.delete_tags = tags_of_known_groups(Backend.delete_tags)
    responses = {
        "delete_auto_scaling_group": delete_group,
        "set_instance_health": set_instance_health,
        "complete_lifecycle_action": complete_lifecycle_action,
        "record_lifecycle_action_heartbeat": record_lifecycle_action_heartbeat,
        "terminate_instance_in_auto_scaling_group": terminate_in_group,
        "describe_auto_scaling_groups": describe_auto_scaling_groups,
        "describe_auto_scaling_instances": describe_auto_scaling_instances,
        "describe_scaling_activities": describe_scaling_activities,
        "describe_tags": describe_tags,
    }
    for name, operation in responses.items():
        setattr(AutoScalingResponse, name, operation)
