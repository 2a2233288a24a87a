"""AWS's own examples as answers on the wire: what the API references show, in the
copy that botocore ships (examples-1.json of each service, made from AWS's service
models). A source of answers that is not this model.
"""

import xml.etree.ElementTree as ET

import botocore.session

from wire import BOTOCORE_NAMES

_SESSION = botocore.session.get_session()


def answer(service, action):
    """(headers, body) of the first example of the operation."""
    name = BOTOCORE_NAMES.get(service, service)
    loader = _SESSION.get_component("data_loader")
    examples = loader.load_service_model(name, "examples-1")["examples"]
    model = _SESSION.get_service_model(name)
    shape = model.operation_model(action).output_shape
    is_ec2 = model.protocol == "ec2"
    root = ET.Element(f"{action}Response")
    wrapper = shape.serialization.get("resultWrapper")
    top = ET.SubElement(root, wrapper) if wrapper else root
    _members(top, shape, examples[action][0]["output"], is_ec2)
    return [("Content-Type", "text/xml")], ET.tostring(root, encoding="utf-8")


def _members(element, shape, value, is_ec2):
    for key, given in value.items():
        # A member that the model lacks is an error of this file, not to be left out.
        member = shape.members[key]
        _write(element, member.serialization.get("name", key), member, given, is_ec2)


def _write(parent, name, shape, value, is_ec2):
    element = ET.SubElement(parent, name)
    if shape.type_name == "structure":
        _members(element, shape, value, is_ec2)
    elif shape.type_name == "list":
        item = shape.member.serialization.get("name", "item" if is_ec2 else "member")
        for given in value:
            _write(element, item, shape.member, given, is_ec2)
    elif shape.type_name == "boolean":
        element.text = str(value).lower()
    else:
        element.text = str(value)
