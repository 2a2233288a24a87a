"""EC2 as AWS has it, where moto differs.

Sources: the EC2 API reference (API_TerminateInstances, API_DescribeInstances,
"Error codes for the Amazon EC2 API") and the EC2 user guide.
"""

import copy
import re
from types import SimpleNamespace

from moto.core.responses import ActionResult
from moto.ec2.exceptions import (
    EC2ClientError,
    InvalidInstanceIdError,
    InvalidParameterCombination,
    OperationNotPermitted4,
)
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.ec2.responses.instances import InstanceResponse

import paging
from lab import LAB

GOING = ("shutting-down", "terminated")

_get_tags = TaggedEC2Resource.get_tags
_start_instances = InstanceBackend.start_instances
_status = {
    name: getattr(Instance, name).fget for name in ("instance_status", "system_status")
}


def shut_down(instance, then=None):
    """running -> shutting-down -> terminated -> no longer listed; `then` runs
    when it is terminated. Asking twice changes nothing.

    Source: EC2 user guide, "Amazon EC2 instance state changes": terminated
    instances "remain visible on the console for a short while".
    """
    if instance.state in GOING:
        if then:
            LAB.after(LAB.terminating_seconds, then)
        return
    instance._state.name, instance._state.code = "shutting-down", 32

    def over():
        instance.terminate()
        LAB.after(LAB.terminated_visible_seconds, lambda: _forget(instance))
        if then:
            then()

    LAB.after(LAB.terminating_seconds, over)


def _forget(instance):
    reservations = instance.ec2_backend.reservations
    for reservation_id, reservation in list(reservations.items()):
        reservation.instances = [i for i in reservation.instances if i is not instance]
        if not reservation.instances:
            del reservations[reservation_id]


def get_tags(self):
    # Speed only: stock moto scans the tags of every resource for each
    # instance, which makes a list of N instances cost N * N.
    if not str(self.id).startswith("i-"):
        return _get_tags(self)
    tags = self.ec2_backend.tags.get(self.id, {})
    return [
        {"resource_id": self.id, "key": k, "value": v, "resource_type": "instance"}
        for k, v in tags.items()
    ]


def check_ids(ids):
    # Source: EC2 error codes, InvalidInstanceID.Malformed: "The specified
    # instance ID is malformed."
    for instance_id in ids:
        if not re.fullmatch(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})", instance_id):
            raise EC2ClientError(
                "InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"'
            )


def terminate_instances(self, instance_ids):
    """Source: API_TerminateInstances. "This operation is idempotent"; with an
    id that is unknown "none of the instances are terminated"; with termination
    protection the instances in the zone of a protected one stay, the others go,
    and the request fails.
    """
    if not instance_ids:
        raise InvalidParameterCombination("No instances specified")
    check_ids(instance_ids)
    instances = self.get_multi_instances_by_id(list(dict.fromkeys(instance_ids)))
    guarded = [i for i in instances if i.disable_api_termination and i.state not in GOING]
    zones = {instance.availability_zone for instance in guarded}
    terminated = []
    for instance in instances:
        if instance.availability_zone in zones:
            continue
        terminated.append((instance, copy.copy(instance._state)))
        shut_down(instance)
    if guarded:
        self.lab_notify_terminated([i.id for i, _ in terminated])
        raise OperationNotPermitted4(guarded[0].id)
    return terminated


def notify_terminated(self, instance_ids):
    # moto tells the other services only when the whole call succeeded.
    from moto.autoscaling import autoscaling_backends
    from moto.elbv2 import elbv2_backends

    for backends in (autoscaling_backends, elbv2_backends):
        backends[self.account_id][self.region_name].notify_terminate_instances(
            instance_ids
        )


def start_instances(self, instance_ids):
    # Source: API_TerminateInstances: "you can no longer connect to it, and it
    # can't be recovered". moto revives it.
    for instance in self.get_multi_instances_by_id(instance_ids):
        if instance.state in GOING:
            raise EC2ClientError(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in a state from which it can be started.",
            )
    return _start_instances(self, instance_ids)


def describe_instances(self):
    """Source: API_DescribeInstances. MaxResults counts instances, "between 5
    and 1000", and "cannot be specified with instance IDs". moto counts
    reservations.
    """
    self.error_on_dryrun()
    filters = self._filters_from_querystring()
    ids = list(dict.fromkeys(self._get_param("InstanceIds", [])))
    asked = self._get_int_param("MaxResults")
    if ids and asked is not None:
        raise InvalidParameterCombination(
            "The parameter instancesSet cannot be used with the parameter maxResults"
        )
    if asked is not None and not 5 <= asked <= 1000:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ( {asked} ) for parameter maxResults is invalid. "
            "Expecting a value between 5 and 1000.",
        )
    if ids:
        check_ids(ids)
        missing = [i for i in ids if self.ec2_backend.get_instance_by_id(i) is None]
        if missing:
            raise InvalidInstanceIdError(missing)
        reservations = self.ec2_backend.get_reservations_by_instance_ids(
            ids, filters=filters
        )
    else:
        reservations = self.ec2_backend.describe_instances(filters=filters)
    home = {i.id: r for r in reservations for i in r.instances}
    instances = [instance for r in reservations for instance in r.instances]
    try:
        here, following = paging.page(
            instances,
            self._get_param("NextToken"),
            len(instances) if ids else paging.limit(asked, 1000),
        )
    except paging.BadToken:
        raise EC2ClientError(
            "InvalidPaginationToken", "The specified pagination token is not valid."
        ) from None
    shown = {}
    for instance in here:
        reservation = home[instance.id]
        part = shown.setdefault(reservation.id, copy.copy(reservation))
        if not hasattr(part, "lab_part"):
            part.lab_part, part.instances = True, []
        part.instances.append(instance)
    return ActionResult({"Reservations": list(shown.values()), "NextToken": following})


def describe_instance_status(self):
    """Source: API_DescribeInstanceStatus: MaxResults 5 to 1000, not with
    instance IDs; running instances only unless IncludeAllInstances."""
    self.error_on_dryrun()
    ids = list(dict.fromkeys(self._get_param("InstanceIds", [])))
    check_ids(ids)
    filters = [
        {"name": k, "values": v} for k, v in self._filters_from_querystring().items()
    ]
    instances = self.ec2_backend.describe_instance_status(
        ids, self._get_bool_param("IncludeAllInstances", False), filters
    )
    size = len(instances) if ids else paging.limit(self._get_int_param("MaxResults"), 1000)
    try:
        here, following = paging.page(instances, self._get_param("NextToken"), size)
    except paging.BadToken:
        raise EC2ClientError(
            "InvalidPaginationToken", "The specified pagination token is not valid."
        ) from None
    return ActionResult({"InstanceStatuses": here, "NextToken": following})


def _checked(name):
    """Instance and system status checks, "impaired" where a test says so."""

    def status(self):
        override = getattr(self, "lab_status", None)
        if override is None or self.state_code != 16:
            return _status[name](self)
        detail = SimpleNamespace(name="reachability", status="failed")
        return {"Details": [vars(detail)], "Status": override}

    return property(status)


def install():
    TaggedEC2Resource.get_tags = get_tags
    InstanceBackend.terminate_instances = terminate_instances
    InstanceBackend.lab_notify_terminated = notify_terminated
    InstanceBackend.start_instances = start_instances
    InstanceResponse.describe_instances = describe_instances
    InstanceResponse.describe_instance_status = describe_instance_status
    for name in _status:
        setattr(Instance, name, _checked(name))
