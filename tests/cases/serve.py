"""The API server of tests/moto, with what the cases need besides:

* `POST /lab/exec {"py": "..."}` runs Python inside the server, for states that no call can make:
  `asg`, `ec2`, `elb` are moto's back ends, `groups` and `LAB` the server's own modules.
* A listing call that moto does not have is answered with nothing in it, instead of InvalidAction.
"""

import json
import pathlib
import sys
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "moto"))

import groups
import server
import view
import wire
from lab import LAB

ACCOUNT, REGION = "123456789012", "us-east-1"


def lab_exec(body, _query):
    from moto.autoscaling import autoscaling_backends
    from moto.ec2 import ec2_backends
    from moto.elbv2 import elbv2_backends

    names = {
        "asg": autoscaling_backends[ACCOUNT][REGION],
        "ec2": ec2_backends[ACCOUNT][REGION],
        "elb": elbv2_backends[ACCOUNT][REGION],
        "groups": groups,
        "LAB": LAB,
        "out": {},
    }
    try:
        exec(body["py"], names)
    except Exception:
        names["out"]["error"] = traceback.format_exc()
    view.remember()
    return json.loads(json.dumps(names["out"], default=str))


_ask_moto = server.ask_moto


def ask_moto(environ, body, call):
    try:
        return _ask_moto(environ, body, call)
    except server.Refused as refused:
        if refused.code != "InvalidAction" or not call.is_read:
            raise
        if call.service in wire.JSON_SERVICES:
            return 200, [("Content-Type", "application/x-amz-json-1.0")], b"{}"
        name, inner = call.action, ""
        if call.service != "ec2":
            inner = f"<{name}Result></{name}Result>"
        reply = f'<?xml version="1.0"?>\n<{name}Response>{inner}</{name}Response>'
        return 200, [("Content-Type", "text/xml")], reply.encode()


server.ask_moto = ask_moto
server.LAB_ENDPOINTS[("POST", "exec")] = lab_exec

if __name__ == "__main__":
    sys.exit(server.main())
