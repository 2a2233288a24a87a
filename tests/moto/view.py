"""The past states of the fleet, for eventual consistency.

A snapshot holds what the tool's describe calls show and what changes: sizes,
members and their states, instances, tags, targets. It is put in place for one
describe and taken away again, under the lock. DynamoDB is never stale: the
ledger reads consistently.
"""

import time
from collections import deque

from moto.autoscaling import autoscaling_backends
from moto.ec2 import ec2_backends
from moto.elbv2 import elbv2_backends

from lab import LAB

STALE_SERVICES = ("autoscaling", "ec2", "elasticloadbalancing")
# Older states are forgotten; the tests' settle times are seconds.
LONGEST_SECONDS = 120.0
MOST_STATES = 300

_history = deque(maxlen=MOST_STATES)

_GROUP_FIELDS = ("desired_capacity", "min_size", "max_size", "status", "_tags")
_GROUP_LISTS = ("_suspended_processes", "target_group_arns", "instance_states")
_STATE_FIELDS = ("lifecycle_state", "health_status", "protected_from_scale_in")
_TARGET_DICTS = ("targets", "lab_draining", "lab_initial")


def _backends(all_backends):
    return [b for regions in all_backends.values() for b in regions.values()]


def take():
    """[(object, {attribute: value})]: everything that `put` has to set."""
    held = []

    def hold(thing, **attributes):
        held.append((thing, attributes))

    for backend in _backends(autoscaling_backends):
        hold(backend, autoscaling_groups=dict(backend.autoscaling_groups))
        for group in backend.autoscaling_groups.values():
            hold(
                group,
                **{name: getattr(group, name, None) for name in _GROUP_FIELDS},
                **{name: list(getattr(group, name) or []) for name in _GROUP_LISTS},
            )
            for state in group.instance_states:
                hold(state, **{name: getattr(state, name) for name in _STATE_FIELDS})
    for backend in _backends(ec2_backends):
        hold(
            backend,
            reservations=dict(backend.reservations),
            tags=_copied_tags(backend.tags),
        )
        for reservation in backend.reservations.values():
            hold(reservation, instances=list(reservation.instances))
            for instance in reservation.instances:
                hold(instance._state, name=instance.state, code=instance.state_code)
    for backend in _backends(elbv2_backends):
        hold(backend, target_groups=dict(backend.target_groups))
        for group in backend.target_groups.values():
            hold(
                group,
                **{name: dict(getattr(group, name, {})) for name in _TARGET_DICTS},
            )
    return held


def _copied_tags(tags):
    copied = tags.copy()
    for resource_id, pairs in copied.items():
        copied[resource_id] = dict(pairs)
    return copied


def put(snapshot):
    for thing, attributes in snapshot:
        thing.__dict__.update(attributes)


def remember(when=None):
    """After every change; an event of the past is told `when` it was due."""
    now = time.monotonic()
    _history.append((now if when is None else when, take()))
    while len(_history) > 1 and _history[1][0] < now - LONGEST_SECONDS:
        _history.popleft()


def forget():
    """After a reset or a fixture: the world has always been as it is now."""
    _history.clear()
    _history.append((float("-inf"), take()))


def past_for(call):
    """The snapshot that answers the call, or None for the present."""
    if not LAB.stale_seconds or call.service not in STALE_SERVICES or not call.is_read:
        return None
    if LAB.stale_actions and call.action not in LAB.stale_actions:
        return None
    wanted = time.monotonic() - LAB.stale_seconds
    older = [snapshot for when, snapshot in _history if when <= wanted]
    if older:
        return older[-1]
    return _history[0][1] if _history else None
