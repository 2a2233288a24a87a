"""What the tests set and read: settings, faults, the call log, the clock.

One `Lab` (`LAB`) for the whole process. Everything in it is read and written
under `LOCK`, the lock that also lets only one request at a time into moto:
stock moto is threaded and not atomic (two of fifty racing conditional writes
can win), which would make every test of a race worthless.

Nothing in this module knows moto.
"""

import heapq
import itertools
import threading
import time

LOCK = threading.RLock()

# Seconds unless the name says otherwise. Real AWS takes minutes for most of
# these; the tests want the states to be visible, not slow.
DEFAULTS = {
    # A removed instance stays listed as Terminating (EC2: shutting-down).
    "terminating_seconds": 0.3,
    # A launched or restored instance stays Pending before it is InService.
    "pending_seconds": 0.2,
    # A cordoned instance stays EnteringStandby before it is Standby.
    "entering_standby_seconds": 0.2,
    # Targets: draining lasts min(deregistration delay of the group, this).
    "draining_seconds": 1.0,
    "initial_seconds": 0.3,
    # The longest heartbeat timeout of a lifecycle hook; None: as the hook says
    # (AWS allows none below 30 s).
    "hook_seconds": None,
    # How long EC2 lists a terminated instance.
    "terminated_visible_seconds": 3600.0,
    # None: unhealthy members stay. A number: replaced after so many seconds.
    "replace_unhealthy_seconds": None,
    # Zone rebalancing, and how long a group is left uneven before it starts.
    "az_rebalance": True,
    "az_rebalance_seconds": 0.5,
    # {group name or "*": message}: launches of that group fail.
    "fail_launches": {},
    # No page of a list is longer, whatever was asked for; None: as asked.
    "max_page": None,
    # Target groups (by name) that no listener uses: their targets are `unused`.
    "unused_target_groups": [],
    # Describe* answers from a state so many seconds old ...
    "stale_seconds": 0.0,
    # ... for these actions only; empty: every Describe* but DynamoDB's.
    "stale_actions": [],
    # Access key -> account. Other keys: 123456789012.
    "accounts": {},
    # "service:Action", with "*" allowed as the action.
    "deny": [],
    # Access keys whose session is over; true: all.
    "expired_keys": [],
    # Added to the server's idea of now; None of the waits above is affected.
    "clock_shift_seconds": 0.0,
    # How far X-Amz-Date may be from the server's idea of now.
    "signature_window_seconds": 900.0,
}


class UnknownSetting(ValueError):
    """A setting that no test can mean: refused rather than ignored."""


class Lab:
    """Everything a test can set, and the events that are still to come."""

    def __init__(self):
        self._numbers = itertools.count(1)
        self.clear()

    def clear(self):
        """As after the start; moto itself is reset by the caller."""
        self.settings = {
            name: (value.copy() if isinstance(value, (dict, list)) else value)
            for name, value in DEFAULTS.items()
        }
        self.faults = []
        self.calls = []
        self.target_health = {}
        self._events = []
        self._event_time = None

    def __getattr__(self, name):
        # Settings read as attributes: LAB.pending_seconds.
        try:
            return self.__dict__["settings"][name]
        except KeyError:
            raise AttributeError(name) from None

    def set(self, changes):
        unknown = sorted(set(changes) - set(DEFAULTS))
        if unknown:
            raise UnknownSetting(f"no such setting: {', '.join(unknown)}")
        self.settings.update(changes)

    def number(self):
        """Ever-growing; orders groups, instances and activities for paging."""
        return next(self._numbers)

    # --- time ---------------------------------------------------------------

    def wall(self):
        """The server's idea of now, in seconds since 1970."""
        return time.time() + self.clock_shift_seconds

    def after(self, seconds, action):
        """Runs `action` at the first request that is `seconds` from now.

        Nothing happens between requests, so a transition can never race with
        one: it is either over before a request starts, or still to come. An
        event that is run late counts from when it was due.
        """
        now = time.monotonic() if self._event_time is None else self._event_time
        heapq.heappush(self._events, (now + seconds, self.number(), action))

    def run_events(self, until, ran=lambda due: None):
        """Runs the events that are due, in order; `ran` is told after each."""
        # An event may schedule another one for at once; the bound only guards
        # against one that does so forever.
        for _ in range(100_000):
            if not self._events or self._events[0][0] > until:
                return
            due, _, action = heapq.heappop(self._events)
            self._event_time = due
            try:
                action()
            finally:
                self._event_time = None
            ran(due)
        raise RuntimeError("events that never end")

    def run_due_events(self, ran):
        self.run_events(time.monotonic(), ran)

    def settle(self):
        """Runs every event to come, due or not, but those of next hour."""
        self.run_events(time.monotonic() + 600)

    # --- faults -------------------------------------------------------------

    def set_faults(self, faults):
        known = {
            "service", "action", "match", "times", "skip", "every", "delay",
            "when", "drop", "status", "code", "message", "repeat_token", "cut",
        }  # fmt: skip
        for fault in faults:
            unknown = sorted(set(fault) - known)
            if unknown:
                raise UnknownSetting(f"no such fault field: {', '.join(unknown)}")
        self.faults = [{"seen": 0, "fired": 0, **fault} for fault in faults]

    def fault_for(self, service, action, parameters):
        """The first fault that fires for this call; counts it."""
        for fault in self.faults:
            if fault.get("service", service) != service:
                continue
            if fault.get("action", action) != action:
                continue
            # `match`: a text that must occur in the parameters, for example
            # an instance id.
            if fault.get("match", "") not in repr(parameters):
                continue
            times = fault.get("times", 1)
            if times is not None and fault["fired"] >= times:
                continue
            fault["seen"] += 1
            past = fault["seen"] - fault.get("skip", 0)
            if past <= 0 or (past - 1) % fault.get("every", 1) != 0:
                continue
            fault["fired"] += 1
            return fault
        return None


LAB = Lab()
