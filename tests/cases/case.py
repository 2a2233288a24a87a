"""One case: its world, what is done to it, the command, and what it must have done."""

import datetime
import json
import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

from cloud import FAST, KEYS


class Case:
    def __init__(self, directory, cloud):
        self.source, self.cloud = directory, cloud
        self.expected = json.loads(self.read("expected"))
        self.steps = json.loads(self.read("steps.json") or "{}")
        self.world = json.loads(self.read("world.json") or "null")
        self.names, self.addresses, self.before, self.vpc = {}, {}, set(), None
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="case-"))
        self.process, self.said_at_signal = None, None
        shutil.copytree(directory / "policies", self.dir / "policies", copy_function=shutil.copyfile)
        (self.dir / "policies").chmod(0o755)
        for policy in (self.dir / "policies").iterdir():
            policy.write_text(policy.read_text().replace("{dir}", str(self.dir)))
        (self.dir / ".safe-remove").mkdir()

    def read(self, name):
        path = self.source / name
        return path.read_text() if path.exists() else None

    # --- before, during ---------------------------------------------------------------

    def prepare(self):
        if self.world is None:
            return
        world = dict(self.world)
        self.cloud.ask("reset", {"seed": 3})
        self.cloud.ask("settings", {**FAST, **world.pop("settings", {})})
        built = self.cloud.ask("fixture", world)
        self.names, self.vpc = built["names"], built["vpc"]
        for hosts in [g["instances"] for g in built["groups"].values()] + list(built["instances"].values()):
            self.addresses.update({h["name"]: h["private_ip"] for h in hosts})
        for step in self.steps.get("before", []):
            self.step(step)
        if self.read("exec.py"):
            self.inside(self.read("exec.py"))
        self.adopt()
        for step in self.steps.get("adopted", []):
            self.step(step)
        self.before = self.cloud.running()

    def inside(self, text):
        answer = self.cloud.ask("exec", {"py": text})
        if "error" in answer:
            raise RuntimeError(answer["error"])

    def env(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        env.update(
            KEYS,
            NO_COLOR="1",
            AWS_ENDPOINT_URL=self.cloud.url,
            AWS_CONFIG_FILE=str(self.dir / "none"),
            AWS_SHARED_CREDENTIALS_FILE=str(self.dir / "none"),
        )
        for key, value in json.loads(self.read("env.json") or "{}").items():
            later = re.fullmatch(r"\{now\+(\d+)m\}", value)
            if later:
                at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=int(later[1]))
                value = at.strftime("%Y-%m-%dT%H:%M:%SZ")
            env[key] = value
        return env

    def argv(self, *words):
        return [
            os.environ["SAFE_REMOVE_BIN"],
            *words,
            "--policies",
            str(self.dir / "policies"),
        ]

    def adopt(self):
        """`ledger adopt` on a pseudo-terminal. A failure shows in the case's own command."""
        argv, env = (
            self.argv("ledger", "adopt", "--reason", "case"),
            {**self.env(), "TERM": "xterm", "COLUMNS": "200"},
        )
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(self.dir)
            os.execve(argv[0], argv, env)
        seen, answered, began, last = b"", False, time.time(), time.time()
        while time.time() - began < 60:
            if select.select([fd], [], [], 0.2)[0]:
                try:
                    more = os.read(fd, 65536)
                except OSError:
                    break
                if not more:
                    break
                seen, last = seen + more, time.time()
            elif not answered and time.time() - last > 0.3:
                asked = re.findall(r"[Tt]ype (.+?) to ", seen.decode("utf8", "replace"))
                if asked:
                    os.write(fd, asked[-1].encode() + b"\r")
                    answered = True
        else:
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)

    def filled(self, value):
        """{name} stands for that host's id."""
        if isinstance(value, dict):
            return {k: self.filled(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.filled(v) for v in value]
        if isinstance(value, str) and value.startswith("{") and value[1:-1] in self.names:
            return self.names[value[1:-1]]
        return value

    def step(self, step):
        what, v = next(iter(step.items()))
        if what == "sleep":
            time.sleep(v)
        elif what == "signal":
            self.said_at_signal = (self.dir / "err").stat().st_size
            self.process.send_signal(getattr(signal, v))
        elif what == "touch":
            (self.dir / v).write_text("x")
        elif what == "wait_standby":
            self.until(lambda: len(self.cloud.standby(v["group"])) >= v["n"])
        elif what == "wait_state":
            self.until(
                lambda: (
                    sum(i["LifecycleState"] == v["state"] for i in self.cloud.group(v["group"])["Instances"]) >= v["n"]
                )
            )
        elif what == "until_call":
            self.until(lambda: any(call[1] == v for call in self.cloud.ask("calls")), 0.02)
        elif what == "lab":
            for path, body in v.items():
                self.cloud.ask(path, body)
        elif what == "unhealthy":
            group = f"{v['target_group']}/" if "target_group" in v else ""
            self.cloud.ask(
                "target-health",
                {
                    group + self.names[n]: ["unhealthy", "Target.FailedHealthChecks"]
                    for n in v.get("names") or self.names
                },
            )
        elif what == "forget":
            ids = [self.names[name] for name in v]
            forget = f"r.instances = [i for i in r.instances if i.id not in {ids!r}]"
            self.inside(f"for r in ec2.reservations.values():\n    {forget}\n")
        elif what == "target_group":
            elb, by_ip = self.cloud.client("elbv2"), v.get("type") == "ip"
            arn = elb.create_target_group(
                Name=v["name"],
                Protocol="HTTP",
                Port=81,
                VpcId=self.vpc,
                TargetType=v.get("type", "instance"),
            )["TargetGroups"][0]["TargetGroupArn"]
            elb.register_targets(
                TargetGroupArn=arn,
                Targets=[{"Id": (self.addresses if by_ip else self.names)[n], "Port": 81} for n in v["names"]],
            )
            self.cloud.ask("settle", {})
        elif what == "standby_ids":
            service = v.get("service", "autoscaling")
            args = {"AutoScalingGroupName": v["group"]} if service == "autoscaling" else {}
            ids = sorted(self.cloud.standby(v["group"]))[: v["n"]]
            getattr(self.cloud.client(service), v["call"])(**args, InstanceIds=ids, **v.get("args", {}))
        else:
            getattr(self.cloud.client(what), v["call"])(**self.filled(v["args"]))

    def until(self, true, pause=0.1):
        began = time.time()
        while time.time() - began < 60 and not true() and self.process.poll() is None:
            time.sleep(pause)

    # --- the command, and what it must have done ----------------------------------------

    def run(self):
        """(what did not hold, a line on how it went)"""
        self.prepare()
        words = [
            re.sub(r"\{([\w.-]+)\}", lambda m: self.names.get(m[1], m[0]), word)
            for word in shlex.split(self.read("cmd"))
        ]
        began, limit = time.time(), self.expected.get("ends_within", 60)
        with open(self.dir / "out", "w") as out, open(self.dir / "err", "w") as err:
            self.process = subprocess.Popen(
                self.argv(*words, "--output", "json"),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=self.env(),
                cwd=self.dir,
            )
        try:
            for step in self.steps.get("during", []):
                self.step(step)
            try:
                self.process.wait(limit)
            except subprocess.TimeoutExpired:
                pass
            self.ended = self.process.poll() is not None
            bad = self.judge(self.expected, limit)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        how = f"exit {self.process.returncode}" if self.ended else f"still running {limit:.0f} s after the last step"
        return bad, f"{how}, {time.time() - began:.0f} s"

    def judge(self, e, limit):
        out, err = ((self.dir / n).read_text(errors="replace") for n in ("out", "err"))
        try:
            doc = json.loads(out)
        except ValueError:
            doc = {}
        text, bad = (out + err).lower(), []
        warned = " ".join(doc.get("warnings") or []).lower()
        rules = {v.get("rule") for v in doc.get("violations") or []}
        code = self.process.poll()
        gone = self.before - self.cloud.running() if self.world else set()

        def ids(hosts):
            return {self.names[name] for name in hosts}

        def listed(key):
            return json.dumps(doc.get(key) or [])

        def wrong(key, ok, what):
            if key in e and not ok():
                bad.append(what())

        if "any" not in e or "exit" in e or "ends_within" in e:
            if not self.ended and not e.get("may_still_run"):
                says = e.get("or_says", [])
                late = err[self.said_at_signal or 0 :].lower()
                if not any(w.lower() in late for w in says):
                    bad.append("still running" + (", and says nothing of " + "/".join(says) if says else ""))
        wrong(
            "exit",
            lambda: not self.ended or code in e["exit"],
            lambda: f"exit {code}, not {e['exit']}",
        )
        wrong(
            "rules",
            lambda: set(e["rules"]) <= rules,
            lambda: f"violations {sorted(r or '' for r in rules)}, not {e['rules']}",
        )
        wrong(
            "warning_any",
            lambda: any(w.lower() in warned for w in e["warning_any"]),
            lambda: f"no warning with any of {e['warning_any']}",
        )
        wrong(
            "text_any",
            lambda: any(w.lower() in text for w in self.filled(e["text_any"])),
            lambda: f"no text with any of {e['text_any']}",
        )
        wrong(
            "text_all",
            lambda: all(w.lower() in text for w in self.filled(e["text_all"])),
            lambda: f"no text with all of {e['text_all']}",
        )
        for name, capacity in e.get("capacity", {}).items():
            got = {s.get("name"): s.get("capacity") for s in doc.get("subsystems") or []}.get(name)
            if got != capacity:
                bad.append(f"capacity of {name}: {got}, not {capacity}")
        if "not_chosen" in e:
            chosen = {h["id"] if isinstance(h, dict) else h for b in doc.get("batches") or [] for h in b["hosts"]}
            if not chosen or chosen & ids(e["not_chosen"]):
                bad.append("chose " + (", ".join(n for n in e["not_chosen"] if self.names[n] in chosen) or "nobody"))
        wrong(
            "gone",
            lambda: len(gone) == e["gone"],
            lambda: f"{len(gone)} hosts gone, not {e['gone']}",
        )
        wrong(
            "gone_only",
            lambda: gone <= ids(e["gone_only"]),
            lambda: f"{len(gone - ids(e['gone_only']))} hosts gone that nobody named",
        )
        if "standby_at_most" in e:
            left = sum(len(self.cloud.standby(g["name"])) for g in self.world.get("groups", []))
            if left > e["standby_at_most"]:
                bad.append(f"{left} hosts left in Standby, at most {e['standby_at_most']}")
        for name in e.get("not_suspended", []):
            left = [p["ProcessName"] for p in self.cloud.group(name).get("SuspendedProcesses", [])]
            if left:
                bad.append(f"{name} left with {left} suspended")
        wrong(
            "not_terminated",
            lambda: not any(i in listed("terminated") for i in ids(e["not_terminated"])),
            lambda: "in `terminated`: hosts that left by themselves",
        )
        if "one_dropped" in e:
            pool = ids(e["one_dropped"]) & gone
            if len(pool) != 1 or not all(i in listed("dropped") and i not in listed("terminated") for i in pool):
                bad.append("the host that left by itself is not in `dropped`, or is in `terminated`")
        wrong(
            "dropped",
            lambda: all(i in listed("dropped") for i in ids(e["dropped"])),
            lambda: "not in `dropped`: hosts that left by themselves",
        )
        for group, hosts in e.get("registered", {}).items():
            if not ids(hosts) <= self.cloud.registered(group):
                left = len(ids(hosts) - self.cloud.registered(group))
                bad.append(f"not registered in {group} any more: {left} of {len(hosts)}")
        for group in e.get("gone_from", []):
            there = self.cloud.registered(group)
            left = [n for n, i in self.names.items() if i in gone and (i in there or self.addresses[n] in there)]
            if left:
                bad.append(f"{group} still lists {', '.join(left)}")
        if "any" in e:
            ways = [self.judge(way, limit) for way in e["any"]]
            if all(ways):
                bad.append("none of: " + " | ".join("; ".join(way) for way in ways))
        return bad
