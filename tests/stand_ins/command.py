#!/usr/bin/env python3
"""Stands in for the commands that docs/recipes call, under whose names it is linked. It answers as they do.

What the system looks like is in the JSON file that STAND_IN names; each command changes it as the real one would.
"""

import json
import os
import sys

STATE = os.environ["STAND_IN"]


def fail(text, status=1):
    print(text, file=sys.stderr)
    sys.exit(status)


def kubectl(state, arguments):
    nodes, verb = state["nodes"], arguments[0]
    if arguments[:2] == ["get", "nodes"]:
        item = lambda name, node: {  # noqa: E731
            "metadata": {"name": name},
            "spec": {"providerID": f"aws:///us-east-1a/{node['instance']}", "unschedulable": node["cordoned"]},
            "status": {"addresses": [{"type": "InternalIP", "address": node["address"]}]},
        }
        print(json.dumps({"items": [item(*node) for node in nodes.items()]}))
        return
    node = nodes.get(arguments[1]) or fail(f'Error from server (NotFound): nodes "{arguments[1]}" not found')
    if verb == "cordon":
        node["cordoned"] = True
    elif verb == "uncordon":
        node["cordoned"] = False
    elif verb == "drain":
        if "--ignore-daemonsets" not in arguments or not node["cordoned"]:
            fail("error: cannot delete DaemonSet-managed Pods")
        if node["budgets"] > 0:
            node["budgets"] -= 1
            fail("error when evicting pods: Cannot evict pod as it would violate the pod's disruption budget.")
        node["pods"] = 0
    print(f"node/{arguments[1]} {verb}ed")


def aws(state, arguments):
    action = arguments[1]
    if arguments[0] != "ecs" or arguments[2:4] != ["--cluster", state["cluster"]]:
        fail("An error occurred (ClusterNotFoundException) when calling the operation: Cluster not found.", 254)
    instances = state["instances"]
    chosen = arguments[arguments.index("--container-instances") + 1 :] if "--container-instances" in arguments else []
    if action == "list-container-instances":
        asked = arguments[arguments.index("--filter") + 1]
        found = [arn for arn, one in instances.items() if one["ec2InstanceId"] in asked]
        print(json.dumps({"containerInstanceArns": found}))
    elif action == "update-container-instances-state":
        status = arguments[arguments.index("--status") + 1]
        for arn in chosen:
            instances[arn]["status"] = status
        print(json.dumps({"containerInstances": [instances[arn] for arn in chosen], "failures": []}))
    elif action == "describe-container-instances":
        print(json.dumps({"containerInstances": [instances[arn] for arn in chosen], "failures": []}))
        for arn in chosen:
            draining = instances[arn]["status"] == "DRAINING" and instances[arn]["runningTasksCount"] > 0
            instances[arn]["runningTasksCount"] -= 1 if draining else 0


def kafka_topics(state, arguments):
    kind = "at-min" if "--at-min-isr-partitions" in arguments else "under-replicated"
    for partition in state[kind]:
        print(f"\tTopic: {partition}\tPartition: 0\tLeader: 1\tReplicas: 1,2,3\tIsr: 1,2")


def kafka_log_dirs(state, arguments):
    brokers = arguments[arguments.index("--broker-list") + 1].split(",")
    directory = lambda broker: {  # noqa: E731
        "logDir": "/var/lib/kafka",
        "error": None,
        "partitions": [{"partition": f"orders-{n}", "size": 1} for n in range(state["partitions"].get(broker, 0))],
    }
    described = {"version": 1, "brokers": [{"broker": int(b), "logDirs": [directory(b)]} for b in brokers]}
    print("Querying brokers for log directories information")
    print(f"Received log directory information from brokers {','.join(brokers)}")
    print(json.dumps(described))


def cockroach(state, arguments):
    action, nodes = arguments[1], state["nodes"]
    ids = [argument for argument in arguments[2:] if argument.isdigit()]
    if action == "status":
        print(json.dumps([{"id": name, **node} for name, node in nodes.items()]))
    elif action == "decommission":
        for name in ids:
            nodes[name]["membership"] = "decommissioning"
            nodes[name]["replicas"] = str(max(0, int(nodes[name]["replicas"]) - 10))
        print(json.dumps([{"id": name, "replicas": nodes[name]["replicas"]} for name in ids]))
        print("No more data reported on target nodes.")
    elif action == "recommission":
        for name in ids:
            nodes[name]["membership"] = "active"
        print(json.dumps([{"id": name, "membership": "active"} for name in ids]))


def ceph(state, arguments):
    verb, ids = arguments[1], arguments[2:]
    if verb == "ls-tree":
        if ids[0] not in state["hosts"]:
            fail(f"Error ENOENT: \"{ids[0]}\" does not exist", 2)
        print("\n".join(state["hosts"][ids[0]]))
    elif verb == "ok-to-stop" and state["degraded"]:
        fail("Error EBUSY: unsafe to stop osd(s) at this time (3 PGs are or would become offline)", 16)
    elif verb == "safe-to-destroy" and any(osd not in state["empty"] for osd in ids):
        state["empty"] += ids
        fail(f"Error EBUSY: OSD(s) {','.join(ids)} have 12 pgs currently mapped to them.", 16)
    elif verb in ("in", "out"):
        state["out"] = sorted(set(state["out"]) | set(ids) if verb == "out" else set(state["out"]) - set(ids))


def psql(state, arguments):
    host, question = arguments[arguments.index("-h") + 1], arguments[-1]
    if "pg_is_in_recovery" in question:
        print("f" if host == state["primary"] else "t")
    else:
        print("\n".join(state["streaming"]))


COMMANDS = {
    "kubectl": kubectl,
    "aws": aws,
    "kafka-topics.sh": kafka_topics,
    "kafka-log-dirs.sh": kafka_log_dirs,
    "cockroach": cockroach,
    "ceph": ceph,
    "psql": psql,
}


def main():
    with open(STATE) as file:
        state = json.load(file)
    try:
        COMMANDS[os.path.basename(sys.argv[0])](state, sys.argv[1:])
    finally:
        with open(STATE, "w") as file:
            json.dump(state, file)


main()
