"""The kept extract of botocore's models is what they say, for what the sources call."""

import json
import unittest

import error_codes


class ErrorCodes(unittest.TestCase):
    def test_the_kept_extract_is_what_the_models_say_of_what_is_called(self):
        kept = json.loads((error_codes.HERE / "error_codes.json").read_text())
        renew = "renew it: python error_codes.py > error_codes.json"
        self.assertEqual(kept, error_codes.extract(), renew)

    def test_every_effect_is_among_the_operations(self):
        services = error_codes.extract().values()
        operations = {name for service in services for name in service}
        effects = "EnterStandby ExitStandby TerminateInstances DeregisterTargets"
        for effect in effects.split():
            self.assertIn(effect, operations)


if __name__ == "__main__":
    unittest.main()
