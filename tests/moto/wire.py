"""AWS requests read, AWS errors written, in the three protocols the tool speaks.

EC2, Auto Scaling, Elastic Load Balancing and STS: form in, XML out.
DynamoDB: JSON. Which service a request is for stands in its signature's scope.
"""

import json
import re
import uuid
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.utils import get_service_model
from werkzeug.datastructures import MultiDict

# The scope of a signature -> the name botocore has for the service.
BOTOCORE_NAMES = {"elasticloadbalancing": "elbv2"}
JSON_SERVICES = {"dynamodb"}

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/")


class Call:
    """One request: who asks which service for what."""

    def __init__(self, environ, body):
        found = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        self.access_key = found.group(1) if found else ""
        self.region = found.group(3) if found else ""
        self.service = found.group(4) if found else ""
        self.signed_at = environ.get("HTTP_X_AMZ_DATE", "")
        self.action = environ.get("HTTP_X_AMZ_TARGET", "").split(".")[-1]
        self.parameters = {}
        if self.service in JSON_SERVICES:
            try:
                self.parameters = json.loads(body or b"{}")
            except ValueError:
                pass
        elif self.service:
            form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
            form = {key: values[0] for key, values in form.items()}
            self.action = self.action or form.get("Action", "")
            self.parameters = self._parsed(form)

    def _parsed(self, form):
        """The form as the API reference names it: {"InstanceIds": [...]}."""
        try:
            name = BOTOCORE_NAMES.get(self.service, self.service)
            operation = get_service_model(name).operation_model(self.action)
            protocol = "ec2" if self.service == "ec2" else "query"
            parser = PROTOCOL_PARSERS[protocol](operation)
            parsed = parser.parse(
                {
                    "method": "POST",
                    "values": MultiDict(form),
                    "headers": {},
                    "body": b"",
                    "url_path": "/",
                    "url_params": {},
                }
            )
            return json.loads(json.dumps(parsed, default=str))
        except Exception:  # an action that this botocore does not know
            return {k: v for k, v in form.items() if k not in ("Action", "Version")}

    @property
    def is_read(self):
        return self.action.startswith(("Describe", "Get", "List"))


def error(service, code, message):
    """(headers, body) of an error, as the service would put it."""
    request_id = str(uuid.uuid4())
    if service in JSON_SERVICES:
        body = json.dumps({"__type": f"com.amazonaws.{service}#{code}", "message": message})
        return [
            ("Content-Type", "application/x-amz-json-1.0"),
            ("x-amzn-errortype", code),
            ("x-amzn-RequestId", request_id),
        ], body.encode()
    if service == "ec2":
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
            f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
            f"</Error></Errors><RequestID>{request_id}</RequestID></Response>"
        )
    else:
        body = (
            "<ErrorResponse><Error><Type>Sender</Type>"
            f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
            f"</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return [("Content-Type", "text/xml"), ("x-amzn-RequestId", request_id)], body.encode()


def without_token(body):
    """The form body without its paging token: always asks for the first page."""
    parts = body.split(b"&")
    return b"&".join(p for p in parts if p.split(b"=")[0] not in (b"NextToken", b"Marker"))


def with_endless_token(call, reply):
    """The reply with a token that leads to the same page again."""
    text = reply.decode("utf-8")
    if call.service == "ec2":
        text = re.sub(r"<nextToken\s*/>|<nextToken>.*?</nextToken>", "", text)
        token, end = "<nextToken>bGFiLWZvcmV2ZXI</nextToken>", f"</{call.action}Response>"
    else:
        name = "NextMarker" if call.service == "elasticloadbalancing" else "NextToken"
        text = re.sub(rf"<{name}\s*/>|<{name}>.*?</{name}>", "", text)
        token, end = f"<{name}>bGFiLWZvcmV2ZXI</{name}>", f"</{call.action}Result>"
    return text.replace(end, token + end, 1).encode()
