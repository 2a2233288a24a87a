"""Self-check: botocore's own parser reads from the wire what AWS's examples say."""

import re
import unittest

import botocore.parsers

import examples
from examples import _SESSION, answer

READ = {
    "autoscaling": [
        "DescribeAutoScalingGroups",
        "DescribeAutoScalingInstances",
        "DescribeInstanceRefreshes",
        "DescribeLifecycleHooks",
        "DescribePolicies",
        "DescribeScalingActivities",
        "DescribeScheduledActions",
    ],
    "ec2": ["DescribeInstanceStatus"],
    "elasticloadbalancing": [
        "DescribeTags",
        "DescribeTargetGroups",
        "DescribeTargetHealth",
    ],
}


TIME = re.compile(r"\d{4}-\d\d-\d\dT")


def texts(value):
    """Every text and number of a document. Times come back as times, and are left out
    on both sides."""
    if isinstance(value, dict):
        return [t for key in sorted(value) for t in texts(value[key])]
    if isinstance(value, list):
        return [t for item in value for t in texts(item)]
    if isinstance(value, (str, int)) and not TIME.match(str(value)):
        return [str(value).lower()]
    return []


class Examples(unittest.TestCase):
    def test_nothing_is_lost_on_the_wire(self):
        loader = _SESSION.get_component("data_loader")
        for service, actions in READ.items():
            name = examples.BOTOCORE_NAMES.get(service, service)
            model = _SESSION.get_service_model(name)
            parser = botocore.parsers.create_parser(model.metadata["protocol"])
            for action in actions:
                shown = loader.load_service_model(name, "examples-1")["examples"]
                _, body = answer(service, action)
                shape = model.operation_model(action).output_shape
                read = parser.parse(
                    {"status_code": 200, "headers": {}, "body": body}, shape
                )
                read.pop("ResponseMetadata", None)
                known = texts(shown[action][0]["output"])
                self.assertTrue(known, f"{service}:{action}")
                self.assertEqual(
                    sorted(texts(read)), sorted(known), f"{service}:{action}"
                )


if __name__ == "__main__":
    unittest.main()
