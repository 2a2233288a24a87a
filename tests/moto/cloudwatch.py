"""CloudWatch as far as the probes ask it: alarms and metrics that a test sets.

It speaks rpc-v2-cbor, as the current SDKs do (Smithy, "Smithy RPC v2 CBOR protocol";
stock moto answers 404 to it). Requests are read, and answers written, by botocore's
model of the service: what does not fit a shape is refused, or a failed test.
"""

import time
from datetime import UTC, datetime

import botocore.parsers
import botocore.serialize
import botocore.session
from botocore.validate import ParamValidator

import groups
from lab import LAB

PATH = "/service/GraniteServiceVersion20100801/operation/"
MODEL = botocore.session.get_session().get_service_model("cloudwatch")
_PARSER = botocore.parsers.create_parser("smithy-rpc-v2-cbor")
_SERIALIZER = botocore.serialize.create_serializer(
    "smithy-rpc-v2-cbor", include_validation=False
)
HEADERS = [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")]

# API DescribeAlarms: MaxRecords is 50 where the caller sets none.
ALARMS_ON_A_PAGE = 50


class Invalid(Exception):
    """What AWS refuses; the message has the code first."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


def parameters(action, body):
    """The request by its shape; {} where there is none."""
    if action not in MODEL.operation_names or not body:
        return {}
    shape = MODEL.operation_model(action).input_shape
    read = {"body": body, "headers": {}, "status_code": 200}
    parsed = _PARSER.parse(read, shape)
    parsed.pop("ResponseMetadata", None)
    return parsed


def error(code, message):
    """(headers, body). `x-amzn-query-error`: the service was a query service."""
    body = _cbor({"__type": f"com.amazonaws.cloudwatch#{code}", "message": message})
    return [*HEADERS, ("x-amzn-query-error", f"{code};Sender")], body


def answer(call):
    """(headers, body) of a call that was let in."""
    operations = {"DescribeAlarms": describe_alarms, "GetMetricData": get_metric_data}
    if call.action not in operations:
        raise Invalid("UnknownOperationException", f"not modelled: {call.action}")
    operation = MODEL.operation_model(call.action)
    report = ParamValidator().validate(call.parameters, operation.input_shape)
    if report.has_errors():
        raise Invalid("InvalidParameterValue", report.generate_report())
    result = operations[call.action](call)
    report = ParamValidator().validate(result, operation.output_shape)
    assert not report.has_errors(), report.generate_report()
    return HEADERS, _cbor(result, operation.output_shape)


def _cbor(value, shape=None):
    out = bytearray()
    if shape is None:
        # A map of short texts.
        out.append(0xA0 + len(value))
        for text in (text for pair in value.items() for text in pair):
            encoded = text.encode()[:65535]
            out += bytes([0x79]) + len(encoded).to_bytes(2) + encoded
        return bytes(out)
    _SERIALIZER._serialize_data_item(out, value, shape)
    return bytes(out)


# --- alarms -------------------------------------------------------------------


def describe_alarms(call):
    """API DescribeAlarms. AlarmTypes: "If you omit this parameter, only metric alarms
    are returned, even if composite alarms exist". Names that do not exist are left
    out."""
    asked = call.parameters
    types = asked.get("AlarmTypes", ["MetricAlarm"])
    names = asked.get("AlarmNames")
    if "NextToken" in asked and not asked["NextToken"].isdigit():
        raise Invalid("InvalidNextToken", "the token is not one of this service")
    account = LAB.accounts.get(call.access_key, "123456789012")
    found = []
    for name, alarm in sorted(_in_force(LAB.alarms).items()):
        kind = "CompositeAlarm" if alarm.get("composite") else "MetricAlarm"
        if kind in types and (names is None or name in names):
            found.append((kind, _alarm(name, alarm, kind, call.region, account)))
    begin = int(asked.get("NextToken", 0))
    size = min(asked.get("MaxRecords", ALARMS_ON_A_PAGE), LAB.max_page or 100)
    page = found[begin : begin + size]
    result = {
        "MetricAlarms": [alarm for kind, alarm in page if kind == "MetricAlarm"],
        "CompositeAlarms": [alarm for kind, alarm in page if kind == "CompositeAlarm"],
    }
    if begin + size < len(found):
        result["NextToken"] = str(begin + size)
    return result


def _alarm(name, alarm, kind, region, account):
    state = alarm.get("state", "OK")
    shown = {
        "AlarmName": name,
        "AlarmArn": f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
        "StateValue": state,
        "StateReason": alarm.get("reason", f"the test says {state}"),
        "StateUpdatedTimestamp": datetime.fromtimestamp(LAB.wall(), UTC),
    }
    if kind == "MetricAlarm":
        shown |= {"Period": 60, "EvaluationPeriods": alarm.get("periods", 1)}
        if "evaluation_state" in alarm:
            shown["EvaluationState"] = alarm["evaluation_state"]
    return shown


def _in_force(settings):
    """Each with its fields `in_standby` over the others while a member is there."""
    standby = any(
        state.lifecycle_state == "Standby"
        for regions in groups.moto_groups.autoscaling_backends.values()
        for backend in regions.values()
        for group in backend.autoscaling_groups.values()
        for state in group.instance_states
    )
    return {
        name: {**fields, **(fields.get("in_standby", {}) if standby else {})}
        for name, fields in settings.items()
    }


# --- metrics ------------------------------------------------------------------


def get_metric_data(call):
    """API GetMetricData: StartTime is inclusive, EndTime exclusive; dimensions have to
    be all of the metric's; of a metric without data the answer is complete and empty.
    Messages of one result come with its StatusCode."""
    asked = call.parameters
    begin, end = asked["StartTime"].timestamp(), asked["EndTime"].timestamp()
    if begin >= end:
        text = "The parameter StartTime must be less than the parameter EndTime."
        raise Invalid("ValidationError", text)
    metrics = _in_force(LAB.metrics)
    page, more = int(asked.get("NextToken", 0)), False
    results = []
    for query in asked["MetricDataQueries"]:
        stat = query["MetricStat"]
        period = stat["Period"]
        if period not in (1, 5, 10, 20, 30) and (period < 60 or period % 60):
            text = "Period must be 1, 5, 10, 20, 30, or a multiple of 60"
            raise Invalid("ValidationError", text)
        metric = _metric_of(metrics, stat["Metric"])
        points = _points(metric, period, begin, end)
        if asked.get("ScanBy", "TimestampDescending") == "TimestampDescending":
            points.reverse()
        size = LAB.max_page or len(points) or 1
        shown = points[page * size : (page + 1) * size]
        is_last = (page + 1) * size >= len(points)
        more = more or not is_last
        status = metric.get("status", "Complete") if is_last else "PartialData"
        result = {
            "Id": query["Id"],
            "Label": stat["Metric"]["MetricName"],
            "Timestamps": [datetime.fromtimestamp(at, UTC) for at, _ in shown],
            "Values": [value for _, value in shown],
            "StatusCode": status,
        }
        if status in ("InternalError", "Forbidden"):
            result["Messages"] = [{"Code": status, "Value": "the test says so"}]
        results.append(result)
    answer = {"MetricDataResults": results, "Messages": []}
    if more:
        answer["NextToken"] = str(page + 1)
    return answer


def _metric_of(metrics, asked):
    wanted = {d["Name"]: d["Value"] for d in asked.get("Dimensions", [])}
    for name, metric in metrics.items():
        if name == f"{asked['Namespace']}/{asked['MetricName']}":
            if metric.get("dimensions", {}) == wanted:
                return metric
    return {}


def _points(metric, period, begin, end):
    """A point for each whole period in reach, as far as it has come by now."""
    if metric.get("value") is None:
        return []
    arrived = time.time() - metric.get("late_seconds", 0)
    first = int(-(-begin // period) * period)
    starts = range(first, int(end), period)
    return [(at, float(metric["value"])) for at in starts if at + period <= arrived]
