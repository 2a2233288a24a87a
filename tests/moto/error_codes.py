"""The error codes that botocore's service models mark for the operations that
`src/fleet/aws` calls.

`error_codes.json` beside this file keeps them, so that the unit test of
`src/fleet/aws/codes.rs` needs no Python.
To renew it, in the virtual environment: `python error_codes.py > error_codes.json`.
"""

import gzip
import json
import re
from pathlib import Path

import botocore
from botocore import xform_name

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parent.parent / "src" / "fleet" / "aws"
SERVICES = ("autoscaling", "ec2", "elbv2", "sts")


def model(service):
    """The newest model of a service, with its date."""
    data = Path(botocore.__file__).parent / "data" / service
    newest = max(data.glob("*/service-2.json.gz"))
    return newest.parent.name, json.loads(gzip.decompress(newest.read_bytes()))


def called():
    """The methods of the SDK's clients that the sources call, as botocore spells
    operations."""
    text = "".join(path.read_text() for path in sorted(SOURCES.glob("*.rs")))
    return set(re.findall(r"\.(\w+)\(\)", text))


def extract():
    """{service: {operation: {code: {status, sender}}}}; `sender`: the caller's fault,
    by AWS's word."""
    methods, found = called(), {}
    for service in SERVICES:
        _, described = model(service)
        for name, operation in sorted(described["operations"].items()):
            if xform_name(name) not in methods:
                continue
            codes = {}
            for error in operation.get("errors", []):
                marked = described["shapes"][error["shape"]].get("error", {})
                codes[marked.get("code", error["shape"])] = {
                    "status": marked.get("httpStatusCode", 400),
                    "sender": marked.get("senderFault", False),
                }
            found.setdefault(service, {})[name] = dict(sorted(codes.items()))
    return found


if __name__ == "__main__":
    print(json.dumps(extract(), indent=1))
