"""An AWS API server for the tests of safe-remove: moto 5.2.5, made stricter.

    python server.py --port 0 --until-stdin-closes

Prints `listening 127.0.0.1:PORT` when it is ready. README.md lists what is
modelled, from which source, and the /lab/ endpoints that drive it. This module
is the HTTP side: who may call, faults, the log, one request at a time.
"""

import argparse
import io
import json
import logging
import os
import socket
import sys
import threading
import time
import traceback
from datetime import UTC, datetime
from email.utils import formatdate
from fnmatch import fnmatchcase

from moto.moto_api._internal import mock_random
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

import fixture
import group_api
import group_lists
import group_settings
import groups
import machines
import targets
import view
import wire
from lab import DEFAULTS, LAB, LOCK, UnknownSetting

MOTO = DomainDispatcherApplication(create_backend_app)

# What an unlucky moto raises for input that AWS refuses with a 4xx.
CLIENT_MISTAKES = (
    KeyError,
    ValueError,
    IndexError,
    StopIteration,
    TypeError,
    AttributeError,
)


class Refused(Exception):
    """An answer that never reaches moto."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


# --- who may call -----------------------------------------------------------------


def check_caller(call):
    check_signature_age(call)
    check_session(call)
    check_permission(call)


def check_signature_age(call):
    """Source: "Common errors" in the API reference of every service:
    RequestExpired for a date stamp more than 15 minutes old "or ... in the
    future", 400. In practice EC2 answers that, and the others a signature error
    whose text names both times; some allow 5 minutes only, which
    `signature_window_seconds` sets. Codes per service [?].
    """
    try:
        signed = datetime.strptime(call.signed_at, "%Y%m%dT%H%M%SZ")
    except ValueError:
        return
    signed = signed.replace(tzinfo=UTC).timestamp()
    now, window = LAB.wall(), LAB.signature_window_seconds
    if abs(now - signed) <= window:
        return

    def stamp(seconds):
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")

    if signed < now:
        text = (
            f"Signature expired: {call.signed_at} is now earlier than "
            f"{stamp(now - window)} ({stamp(now)} - {window / 60:.0f} min.)"
        )
    else:
        text = (
            f"Signature not yet current: {call.signed_at} is still later than "
            f"{stamp(now + window)} ({stamp(now)} + {window / 60:.0f} min.)"
        )
    if call.service == "ec2":
        raise Refused(400, "RequestExpired", "Request has expired.")
    if call.service in wire.JSON_SERVICES:
        raise Refused(400, "InvalidSignatureException", text)
    raise Refused(403, "SignatureDoesNotMatch", text)


def check_session(call):
    """A session token that is over. Source: "Common errors" (ExpiredToken);
    EC2 error codes (RequestExpired); DynamoDB (ExpiredTokenException)."""
    if LAB.expired_keys is not True and call.access_key not in LAB.expired_keys:
        return
    text = "The security token included in the request is expired"
    if call.service == "ec2":
        raise Refused(400, "RequestExpired", "Request has expired.")
    if call.service in wire.JSON_SERVICES:
        raise Refused(400, "ExpiredTokenException", text)
    raise Refused(403, "ExpiredToken", text)


def check_permission(call):
    """Source: "Common errors" (AccessDenied), EC2 error codes
    (UnauthorizedOperation), DynamoDB (AccessDeniedException)."""
    name = f"{call.service}:{call.action}"
    if not any(fnmatchcase(name, pattern) for pattern in LAB.deny):
        return
    account = LAB.accounts.get(call.access_key, fixture.ACCOUNT)
    text = (
        f"User: arn:aws:iam::{account}:user/lab is not authorized to perform: {name} "
        f"because no identity-based policy allows the {name} action"
    )
    if call.service == "ec2":
        text = f"You are not authorized to perform this operation. {text}"
        raise Refused(403, "UnauthorizedOperation", text)
    if call.service in wire.JSON_SERVICES:
        raise Refused(400, "AccessDeniedException", text)
    raise Refused(403, "AccessDenied", text)


# --- one request ------------------------------------------------------------------


def tick():
    """What has happened since the last request."""
    LAB.run_due_events(view.remember)
    for backends in list(groups.moto_groups.autoscaling_backends.values()):
        for backend in list(backends.values()):
            for group in list(backend.autoscaling_groups.values()):
                groups.watch_balance(group)
    # With waits set to nothing, rebalancing may be due at once.
    LAB.run_due_events(view.remember)


def ask_moto(environ, body, call):
    """(status, headers, body) of moto's answer, under the lock."""
    answer = {}

    def start_response(status, headers, _exc_info=None):
        answer.update(status=int(status.split()[0]), headers=headers)
        return lambda _: None

    environ = {
        **environ,
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
    }
    account = LAB.accounts.get(call.access_key)
    if account:
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
    with LOCK:
        tick()
        past = view.past_for(call)
        present = view.take() if past else None
        try:
            if past:
                view.put(past)
            parts = MOTO(environ, start_response)
            try:
                out = b"".join(parts)
            finally:
                if hasattr(parts, "close"):
                    parts.close()
        except NotImplementedError as error:
            raise Refused(400, "InvalidAction", f"not in moto: {error}") from error
        except CLIENT_MISTAKES as error:
            # Stock moto: HTTP 500 with an HTML page, which an SDK retries.
            traceback.print_exc()
            text = f"moto failed: {type(error).__name__}: {error}"
            raise Refused(400, "ValidationError", text) from error
        finally:
            if present:
                view.put(present)
        if not call.is_read:
            tick()
            view.remember()
    return answer["status"], answer["headers"], out


def cut_off(environ):
    """Closes the connection without an answer."""
    connection = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError("dropped by a fault")


def serve(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))

    def reply(status, headers, out):
        dropped = ("content-length", "connection", "date")
        headers = [(k, str(v)) for k, v in headers if k.lower() not in dropped]
        headers.append(("Content-Length", str(len(out))))
        start_response(f"{status} {'OK' if status < 300 else 'Error'}", headers)
        return [out]

    if environ["PATH_INFO"].startswith("/lab/"):
        return reply(*lab_request(environ, body))
    call = wire.Call(environ, body)
    if not call.service:
        if environ["PATH_INFO"].startswith("/moto-api"):
            return reply(*ask_moto(environ, body, call))
        return reply(
            403, *wire.error("", "MissingAuthenticationToken", "unsigned request")
        )
    entry = {
        "service": call.service,
        "action": call.action,
        "parameters": call.parameters,
        "access_key": call.access_key,
        "time": time.time(),
        "status": None,
    }
    with LOCK:
        LAB.calls.append(entry)
        fault = LAB.fault_for(call.service, call.action, call.parameters) or {}
    try:
        with LOCK:
            check_caller(call)
        before = fault.get("when", "before") == "before"
        # Delays are waited outside the lock: one slow call holds up no other.
        if before:
            time.sleep(fault.get("delay", 0))
            fail(environ, fault)
        if fault.get("repeat_token"):
            body = wire.without_token(body)
        status, headers, out = ask_moto(environ, body, call)
        if not before:
            time.sleep(fault.get("delay", 0))
            fail(environ, fault)
        if fault.get("repeat_token") and status < 300:
            out = wire.with_endless_token(call, out)
        if "cut" in fault:
            out = out[: int(len(out) * fault["cut"])]
    except Refused as refused:
        status = refused.status
        headers, out = wire.error(call.service, refused.code, refused.message)
    entry["status"] = status
    return reply(status, headers, out)


def fail(environ, fault):
    if fault.get("drop"):
        cut_off(environ)
    if "code" in fault:
        raise Refused(
            fault.get("status", 400), fault["code"], fault.get("message", "injected")
        )


# --- the lab's own endpoints ----------------------------------------------------------


def lab_request(environ, body):
    """(status, headers, body)"""
    name = environ["PATH_INFO"].removeprefix("/lab/")
    handler = LAB_ENDPOINTS.get((environ["REQUEST_METHOD"], name))
    headers = [("Content-Type", "application/json")]
    if handler is None:
        return 404, headers, b'{"error": "no such endpoint"}'
    try:
        with LOCK:
            result = handler(json.loads(body or b"{}"), environ.get("QUERY_STRING", ""))
    except (UnknownSetting, ValueError, KeyError, TypeError) as error:
        if not isinstance(error, UnknownSetting):
            traceback.print_exc()
        text = f"{type(error).__name__}: {error}"
        return 400, headers, json.dumps({"error": text}).encode()
    return 200, headers, json.dumps(result).encode()


def lab_settings(changes, _query):
    LAB.set(changes)
    return LAB.settings


def lab_faults(faults, _query):
    LAB.set_faults(faults)
    return LAB.faults


def lab_calls(_nothing, query):
    if "full=1" in query:
        return LAB.calls
    return [[c["service"], c["action"], c["parameters"]] for c in LAB.calls]


def lab_clear_calls(_nothing, _query):
    LAB.calls.clear()
    return {}


def lab_target_health(changes, _query):
    for key, words in changes.items():
        if words is None:
            LAB.target_health.pop(key, None)
        else:
            LAB.target_health[key] = words
    view.remember()
    return LAB.target_health


def lab_instance(changes, _query):
    """Sets single fields of instances, by no rule of AWS."""
    for instance_id, fields in changes.items():
        instance, state = _find_instance(instance_id)
        for field, value in fields.items():
            if field in ("lifecycle_state", "health_status", "weighted_capacity"):
                setattr(state, field, value)
            elif field == "protected":
                state.protected_from_scale_in = value
            elif field == "disable_api_termination":
                instance.disable_api_termination = value
            elif field == "ec2_state":
                codes = {"pending": 0, "running": 16, "shutting-down": 32,
                         "terminated": 48, "stopping": 64, "stopped": 80}  # fmt: skip
                instance._state.name, instance._state.code = value, codes[value]
            elif field == "status":
                instance.lab_status = value
            elif field == "launch_time":
                instance.launch_time = datetime.fromisoformat(value)
            else:
                raise UnknownSetting(f"no such field: {field}")
    view.remember()
    return {}


def _find_instance(instance_id):
    for regions in fixture.ec2_backends.values():
        for backend in regions.values():
            instance = backend.get_instance_by_id(instance_id)
            if instance is None:
                continue
            group = getattr(instance, "autoscaling_group", None)
            members = group.instance_states if group else []
            return instance, next((s for s in members if s.instance is instance), None)
    raise UnknownSetting(f"no such instance: {instance_id}")


def lab_fixture(document, _query):
    answer = fixture.build(document)
    view.forget()
    return answer


def lab_reset(options, _query):
    moto_api_backend.reset()
    LAB.clear()
    # The same seed gives the same instance ids and addresses, in the same order.
    mock_random.seed(options.get("seed", 1))
    view.forget()
    return {}


def lab_settle(_nothing, _query):
    """Everything that is under way is over."""
    LAB.settle()
    view.forget()
    return {}


LAB_ENDPOINTS = {
    ("GET", "settings"): lambda _body, _query: LAB.settings,
    ("POST", "settings"): lab_settings,
    ("GET", "defaults"): lambda _body, _query: DEFAULTS,
    ("GET", "faults"): lambda _body, _query: LAB.faults,
    ("POST", "faults"): lab_faults,
    ("GET", "calls"): lab_calls,
    ("DELETE", "calls"): lab_clear_calls,
    ("POST", "target-health"): lab_target_health,
    ("POST", "instance"): lab_instance,
    ("POST", "fixture"): lab_fixture,
    ("POST", "settle"): lab_settle,
    ("POST", "reset"): lab_reset,
}


# --- the process ----------------------------------------------------------------


class Handler(MotoRequestHandler):
    def date_time_string(self, timestamp=None):
        """The Date header: the SDKs correct their clocks by it."""
        return formatdate(LAB.wall() if timestamp is None else timestamp, usegmt=True)


def end_with_stdin():
    """The parent holds the other end of stdin: when it is gone, by whatever
    death, so is the server."""
    while os.read(0, 4096):
        pass
    os._exit(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--until-stdin-closes", action="store_true")
    options = parser.parse_args()
    if options.until_stdin_closes:
        threading.Thread(target=end_with_stdin, daemon=True).start()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    for model in (group_api, group_lists, group_settings, machines, targets):
        model.install()
    # moto loads its catalogues when they are first needed: now, not in a test,
    # and not between the seed and the first id.
    fixture.build({"groups": [{"name": "warm-up", "count": 1}]})
    lab_reset({}, "")
    server = make_server(
        "127.0.0.1", options.port, serve, threaded=True, request_handler=Handler
    )
    server.daemon_threads = True
    print(f"listening 127.0.0.1:{server.port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
