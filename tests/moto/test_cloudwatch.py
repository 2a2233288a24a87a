"""Self-check: alarms and metrics, asked by botocore's own client."""

import time
from datetime import UTC, datetime
from unittest import mock

from harness import LabTest

# botocore prefers JSON where a service speaks both; the tool's SDK does not.
CBOR_FIRST = mock.patch(
    "botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", ("smithy-rpc-v2-cbor",)
)


def at(seconds):
    return datetime.fromtimestamp(seconds, UTC)


class CloudWatch(LabTest):
    def setUp(self):
        super().setUp()
        with CBOR_FIRST:
            self.cw = self.server.client("cloudwatch")
        self.assertEqual(
            self.cw.meta.service_model.resolved_protocol, "smithy-rpc-v2-cbor"
        )

    def alarms(self, *names, types=("MetricAlarm", "CompositeAlarm"), **more):
        return self.cw.describe_alarms(
            AlarmNames=list(names), AlarmTypes=list(types), **more
        )

    def test_an_alarm_is_as_the_test_says_and_one_that_is_not_there_is_left_out(self):
        self.set(alarms={"errors": {}, "all": {"composite": True, "state": "ALARM"}})
        found = self.alarms("errors", "all", "none")
        [metric], [composite] = found["MetricAlarms"], found["CompositeAlarms"]
        self.assertEqual((metric["AlarmName"], metric["StateValue"]), ("errors", "OK"))
        arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:errors"
        self.assertEqual(metric["AlarmArn"], arn)
        self.assertEqual(composite["StateValue"], "ALARM")
        # Composite ones come only where they are asked for.
        self.assertEqual(self.alarms("all", types=["MetricAlarm"])["MetricAlarms"], [])

    def test_a_page_has_fifty_alarms_unless_more_are_asked_for(self):
        names = [f"a{number:02}" for number in range(60)]
        self.set(alarms={name: {} for name in names})
        first = self.alarms(*names)
        self.assertEqual(len(first["MetricAlarms"]), 50)
        rest = self.alarms(*names, NextToken=first["NextToken"])
        self.assertEqual(len(rest["MetricAlarms"]), 10)
        self.assertNotIn("NextToken", rest)
        self.refused("InvalidNextToken", self.alarms, *names, NextToken="x")

    def test_an_alarm_may_change_while_a_member_is_in_standby(self):
        a, *_ = self.one_group()
        self.set(alarms={"errors": {"in_standby": {"state": "ALARM"}}})
        self.assertEqual(self.alarms("errors")["MetricAlarms"][0]["StateValue"], "OK")
        self.enter(a)
        self.pass_time()
        found = self.alarms("errors")["MetricAlarms"][0]
        self.assertEqual(found["StateValue"], "ALARM")

    def data(self, begin, end, period=60, dimensions=(), **more):
        metric = {
            "Namespace": "AWS/ApplicationELB",
            "MetricName": "RequestCount",
            "Dimensions": [{"Name": name, "Value": of} for name, of in dimensions],
        }
        stat = {"Metric": metric, "Period": period, "Stat": "Sum"}
        return self.cw.get_metric_data(
            MetricDataQueries=[{"Id": "m0", "MetricStat": stat}],
            StartTime=at(begin),
            EndTime=at(end),
            **more,
        )

    def test_a_metric_has_a_point_for_each_period_that_has_come(self):
        now = time.time() // 60 * 60
        self.set(metrics={"AWS/ApplicationELB/RequestCount": {"value": 4}})
        [found] = self.data(now - 180, now)["MetricDataResults"]
        begins = [stamp.timestamp() for stamp in found["Timestamps"]]
        self.assertEqual(begins, [now - 60, now - 120, now - 180])
        self.assertEqual(found["Values"], [4.0] * 3)
        self.assertEqual(found["StatusCode"], "Complete")
        late = {"value": 4, "late_seconds": 90}
        self.set(metrics={"AWS/ApplicationELB/RequestCount": late})
        [found] = self.data(now - 180, now)["MetricDataResults"]
        self.assertLess(len(found["Values"]), 3)

    def test_all_dimensions_are_the_metrics_name(self):
        now = time.time() // 60 * 60
        named = {"value": 4, "dimensions": {"LoadBalancer": "app/index/1"}}
        self.set(metrics={"AWS/ApplicationELB/RequestCount": named})
        [found] = self.data(now - 60, now)["MetricDataResults"]
        self.assertEqual((found["Values"], found["StatusCode"]), ([], "Complete"))
        by_name = [("LoadBalancer", "app/index/1")]
        found = self.data(now - 60, now, dimensions=by_name)["MetricDataResults"]
        self.assertEqual(found[0]["Values"], [4.0])

    def test_a_page_that_is_not_the_last_is_partial(self):
        now = time.time() // 60 * 60
        self.set(metrics={"AWS/ApplicationELB/RequestCount": {"value": 4}}, max_page=2)
        first = self.data(now - 180, now)
        self.assertEqual(first["MetricDataResults"][0]["StatusCode"], "PartialData")
        rest = self.data(now - 180, now, NextToken=first["NextToken"])
        self.assertEqual(rest["MetricDataResults"][0]["StatusCode"], "Complete")

    def test_what_fits_no_shape_or_period_is_refused(self):
        now = time.time() // 60 * 60
        self.refused("ValidationError", self.data, now, now)
        self.refused("ValidationError", self.data, now - 60, now, period=45)

    def test_who_may_not_is_refused(self):
        self.set(deny=["cloudwatch:DescribeAlarms"])
        self.refused("AccessDenied", self.alarms, "errors")
