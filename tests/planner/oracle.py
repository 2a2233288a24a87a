#!/usr/bin/env python3
"""The planner against HiGHS: fleets made here, rules written once more here, and a solver of another language.

    pip install highspy numpy
    cargo build --release --no-default-features
    tests/planner/oracle.py --fleets 1000 target/release/safe-remove

It makes fleets of several shapes, from seeds. Of each it asks HiGHS how many hosts can go, by the rules of contract
section 5 as they are written below, and then `safe-remove plan --count`, at the boundary. The certificate of every count
that is refused by the rules is checked (`certificate.py`), and its rows are compared with those below. It prints every
disagreement and ends with 1 if there is one; else a table: by shape, how many fleets, what is not proved, of how many of
these HiGHS found a choice of more hosts, what has no certificate, and how long `plan` took on one core. With `--keep FILE`,
the fleets and HiGHS's answers are written there, one a line: `cargo test` asks the planner about those that are kept in
`kept.jsonl`. With `--known FILE`, HiGHS is not asked again about the fleets of such a file. With `--file FILE`, the fleets
are those of such a file, and each has a line of its own.
"""

import argparse
import concurrent.futures
import functools
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import typing

import certificate

NAMED = "all"
ZONES = ["a", "b", "c"]


class Fleet:
    """Hosts as (zone, {subsystem: units}); by subsystem the minimum, the zone minimum or None, zone loss or not, and
    the most hosts of a run."""

    def __init__(self, shape, seed):
        self.shape, self.seed = shape, seed
        self.hosts, self.limits = [], {}

    def capacity(self, name, zone=None, outside=None):
        own = (h for h in self.hosts if zone in (None, h[0]) and outside != h[0])
        return sum(units.get(name, 0) for _, units in own)

    def rows(self):
        """What limits the choice: (bound, {host: units})."""
        for name, (minimum, zone_minimum, survives, most) in sorted(self.limits.items()):
            own = {i: units[name] for i, (_, units) in enumerate(self.hosts) if name in units}
            yield most, dict.fromkeys(own, 1)
            yield max(self.capacity(name) - minimum, 0), own
            for zone in sorted({self.hosts[i][0] for i in own}):
                here = {i: u for i, u in own.items() if self.hosts[i][0] == zone}
                there = {i: u for i, u in own.items() if self.hosts[i][0] != zone}
                if zone_minimum is not None:
                    yield max(self.capacity(name, zone=zone) - zone_minimum, 0), here
                if survives:
                    yield max(self.capacity(name, outside=zone) - minimum, 0), there

    def limit(self, name, share, zone_share=None, survives=False, most=100_000):
        """The minimums, as shares of the capacity."""
        zones = {zone for zone, units in self.hosts if name in units}
        least = min((self.capacity(name, zone=zone) for zone in zones), default=0)
        zone_minimum = None if zone_share is None else int(least * zone_share)
        self.limits[name] = (int(self.capacity(name) * share), zone_minimum, survives, most)


def pools(seed, hosts, subsystems, weights):
    """As fleets are: pools of hosts that share one to four subsystems, in zones; few weigh."""
    r, fleet = random.Random(f"pools {seed}"), Fleet("pools", seed)
    names = [f"s{n:02}" for n in range(subsystems)]
    kinds = [r.sample(names, r.randint(0, min(3, subsystems))) for _ in range(r.randint(3, 3 + subsystems))]
    weighed = {name: r.choice([[1], [1], [1, 2, 4], list(range(1, weights + 1))]) for name in names}
    for _ in range(hosts):
        units = {name: r.choice(weighed[name]) for name in r.choice(kinds)}
        fleet.hosts.append((r.choice(ZONES), {NAMED: 1, **units}))
    for name in [NAMED, *names]:
        share = r.uniform(0.5, 0.95)
        fleet.limit(name, share, r.choice([None, share * r.uniform(0.5, 1)]), share < 0.66 and r.random() < 0.3)
    return fleet


def scattered(seed, hosts, subsystems, weights):
    """Every host in one to four subsystems of its own choice, with weights."""
    r, fleet = random.Random(f"scattered {seed}"), Fleet("scattered", seed)
    names = [f"s{n:02}" for n in range(subsystems)]
    for _ in range(hosts):
        own = r.sample(names, r.randint(1, min(4, subsystems)))
        fleet.hosts.append((r.choice(ZONES), {NAMED: 1, **{name: r.randint(1, weights) for name in own}}))
    for name in names:
        fleet.limit(name, r.uniform(0.5, 0.9))
    fleet.limit(NAMED, 0)
    return fleet


def spares(seed, hosts, subsystems):
    """Many subsystems of few hosts, each of which can spare one or two."""
    r, fleet = random.Random(f"spares {seed}"), Fleet("spares", seed)
    names = [f"s{n:02}" for n in range(subsystems)]
    for _ in range(hosts):
        own = r.sample(names, r.randint(2, min(3, subsystems)))
        fleet.hosts.append((r.choice(ZONES), {NAMED: 1, **dict.fromkeys(own, 1)}))
    for name in names:
        fleet.limit(name, 0)
        spare = r.randint(1, 2)
        fleet.limits[name] = (max(fleet.capacity(name) - spare, 0), None, False, 100_000)
    fleet.limit(NAMED, 0)
    return fleet


def dense(seed, hosts, subsystems):
    """Every host in 6 to 10 subsystems, with weights of 10 to 99 in each."""
    r, fleet = random.Random(f"dense {seed}"), Fleet(f"dense {hosts}", seed)
    names = [f"s{n:02}" for n in range(subsystems)]
    for _ in range(hosts):
        own = r.sample(names, r.randint(min(6, subsystems), min(10, subsystems)))
        fleet.hosts.append((r.choice(ZONES), {NAMED: 1, **{name: r.randint(10, 99) for name in own}}))
    share = r.uniform(0.5, 0.7)
    for name in names:
        fleet.limit(name, share)
    fleet.limit(NAMED, 0)
    return fleet


def fleets(first, count, hard):
    """A mix of shapes and sizes, always the same for a seed. The hard ones are those that HiGHS does not finish."""
    for seed in range(first, first + count):
        r = random.Random(seed)
        kind = seed % 20
        if kind < 8:
            yield pools(seed, r.randint(10, 500), r.randint(2, 50), r.choice([4, 9]))
        elif kind < 13:
            yield scattered(seed, r.randint(10, r.choice([60, 120, 300])), r.randint(4, 50), r.choice([9, 99]))
        elif kind < 16:
            yield spares(seed, r.randint(10, 200), r.randint(5, 50))
        else:
            yield dense(seed, r.choice([20, 30, 40]), r.randint(8, 40))
    for seed in range(hard):
        yield dense(1_000_000 + seed, *[(60, 30), (60, 40), (120, 35), (300, 40)][seed % 4])


def solved(fleet, limit):
    """How many hosts can go, by HiGHS: what it found, and what it proved that no choice exceeds."""
    import highspy
    import numpy as np

    h = highspy.Highs()
    h.setOptionValue("output_flag", False)
    h.setOptionValue("threads", 1)
    h.setOptionValue("time_limit", float(limit))
    h.setOptionValue("mip_rel_gap", 0.0)
    for column in range(len(fleet.hosts)):
        h.addVar(0, 1)
        h.changeColCost(column, -1.0)
        h.changeColIntegrality(column, highspy.HighsVarType.kInteger)
    for bound, takes in fleet.rows():
        if sum(takes.values()) > bound:
            places, units = np.array(list(takes), dtype=np.int32), np.array(list(takes.values()), dtype=float)
            h.addRow(-highspy.kHighsInf, float(bound), len(takes), places, units)
    h.run()
    info = h.getInfo()
    found, bound = round(-info.objective_function_value), int(-info.mip_dual_bound + 1e-6)
    chosen = [i for i, x in enumerate(h.getSolution().col_value) if x > 0.5]
    # HiGHS works in floating point: its choice is checked here.
    assert len(chosen) == found and all(sum(t.get(i, 0) for i in chosen) <= b for b, t in fleet.rows()), fleet.seed
    return found, max(bound, found)


POLICY = """name = "{name}"
depends_on = []
[hosts]
tags = {{ "{name}" = ["*"] }}
[capacity]
baseline = {baseline}
minimum = {minimum}
{zones}units = {{ tag = "{name}" }}
[pace]
max_hosts_per_run = {most}
batch = 10
interval = "1m"
max_unserving = "100%"
budgets = [{{ hosts = 100000, per = "1h" }}]
[health]
bake = "1m"
every = "10s"
[[health.probe]]
name = "errors"
kind = "simulated"
metric = "error_rate"
max = 0.01
[confirm]
unattended_max = 100000
"""

FLEET = """name = "oracle"
[provider]
kind = "simulated"
scenario = "scenario.toml"
state = "../state/fleet.json"
[ledger]
kind = "sqlite"
path = "../state/ledger.db"
"""


def write(fleet, directory):
    """The fleet as policies and a scenario."""

    def file(name, text):
        with open(os.path.join(directory, "policies", name), "w", encoding="utf-8") as out:
            out.write(text)

    os.makedirs(os.path.join(directory, "policies"))
    file("fleet.toml", FLEET)
    scenario = ['clock = "virtual"\nstart = "2017-02-28T17:37:00Z"\nseed = 7\n']
    for number, (zone, units) in enumerate(fleet.hosts):
        tags = ", ".join(f'{name} = "{weight}"' for name, weight in units.items())
        scenario.append(f'[[hosts]]\npool = "h{number:04}"\ncount = 1\nzones = ["{zone}"]\ntags = {{ {tags} }}\n'
                        'instance_type = "m6i.large"\n')
    for name in fleet.limits:
        scenario.append(f'[[load]]\nsubsystem = "{name}"\ndemand = 1\nper_unit = 1\nlatency = 1\n')
    file("scenario.toml", "".join(scenario))
    for name, (minimum, zone_minimum, survives, most) in fleet.limits.items():
        zones = "" if zone_minimum is None else f"minimum_per_zone = {zone_minimum}\n"
        zones += "survive_zone_loss = true\n" if survives else ""
        baseline = max(fleet.capacity(name), minimum, 1)
        file(f"{name}.toml", POLICY.format(name=name, baseline=baseline, minimum=minimum, zones=zones, most=most))


def asked(program, directory, *arguments):
    command = [program, *arguments, "--policies", os.path.join(directory, "policies"), "--output", "json"]
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of the processor: whatever else runs beside it.
    took = ended.ru_utime - begun.ru_utime + ended.ru_stime - begun.ru_stime
    if done.returncode not in (0, 3) or not done.stdout:
        raise SystemExit(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout), took


def uncertified(fleet, plan):
    """What is wrong with the certificate of a plan that is refused by the rules."""
    made = plan["certificate"]
    try:
        certificate.check(made)
    except certificate.Wrong as wrong:
        yield f"certificate: {wrong}"
    # The scenario has one host a pool: h0007-0001.
    columns = [[int(host[1:5]) for host in hosts] for hosts in made["columns"]]
    if sorted(host for hosts in columns for host in hosts) != list(range(len(fleet.hosts))):
        yield "certificate: its columns are not the fleet"
    rows = [(bound, takes) for bound, takes in fleet.rows()]
    for row in made["rows"]:
        if (row["bound"], {host: units for column, units in row["takes"] for host in columns[column]}) not in rows:
            yield f"certificate: no rule says {row}"


class Judged(typing.NamedTuple):
    """The planner's answers about one fleet."""

    wrong: list  # what is wrong about them, a line each
    proved: bool  # the verdict about one host more, and the largest count
    certified: bool  # a refusal by the rules has a certificate
    missed: bool  # what is not proved is too small: HiGHS found a choice of more hosts
    took: float  # seconds of the processor, for the longer of the two plans
    found: int  # HiGHS's answer: so many can go,
    bound: int  # and no more than this
    highs: float  # seconds; 0 if it was known


def judge(fleet, answer, program, limit):
    """What there is to say about the planner's answers. HiGHS's may be known."""
    begun = time.process_time()
    found, bound = answer or solved(fleet, limit)
    highs = time.process_time() - begun
    wrong, missed, took = [], False, 0.0
    with tempfile.TemporaryDirectory() as directory:
        write(fleet, directory)
        proved = True  # "one more" is asked last: the verdict and the largest count
        for count in sorted({max(found, 1), found + 1}):
            plan, seconds = asked(program, directory, "plan", "--subsystem", NAMED, "--count", str(count))
            took = max(took, seconds)
            largest, exact = plan["largest_allowed_count"], plan["exact"]
            rules = sorted({violation["rule"] for violation in plan["violations"]})
            said = f"count {count}: {plan['verdict']} {rules} largest {largest} exact {exact}; HiGHS {found}..{bound}"
            if largest > bound or (exact and largest < found):
                wrong.append(f"{said}: not the largest")
            if plan["verdict"] == "allowed" and count > bound:
                wrong.append(f"{said}: allowed")
            if plan["verdict"] == "refused" and count <= found and rules != ["not-proved"]:
                wrong.append(f"{said}: refused wrongly")
            missed |= largest < found
            proved = exact and rules != ["not-proved"]
        certified = True
        if plan["verdict"] == "refused" and rules != ["not-proved"]:
            plan, _ = asked(program, directory, "plan", "--subsystem", NAMED, "--count", str(count), "--certificate")
            certified = "certificate" in plan
            wrong += uncertified(fleet, plan) if certified else []
    return Judged(wrong, proved, certified, missed, took, found, bound, highs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="safe-remove, built for release")
    parser.add_argument("--fleets", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the seed of the first fleet")
    parser.add_argument("--hard", type=int, default=0, help="dense fleets of 60 to 300 hosts besides")
    parser.add_argument("--limit", type=float, default=60, help="seconds that HiGHS has for each")
    parser.add_argument("--jobs", type=int, default=1, help="fleets that are asked about at once")
    parser.add_argument("--keep", help="a file for the fleets and the answers")
    parser.add_argument("--file", help="a file of fleets instead of fleets made here")
    parser.add_argument("--known", help="a file of fleets and answers, from --keep")
    arguments = parser.parse_args()
    kept = open(arguments.keep, "w", encoding="utf-8") if arguments.keep else None
    known = answers(arguments.known) if arguments.known else {}
    shapes, failures = {}, 0
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs) as pool:
        try:
            all_of = fleets(arguments.first, arguments.fleets, arguments.hard)
            all_of = read(arguments.file) if arguments.file else all_of
            all_of = ((fleet, known.get(identity(fleet.hosts, fleet.limits))) for fleet in all_of)
            one = functools.partial(asked_about, program=arguments.program, limit=arguments.limit)
            for fleet, of in pool.map(one, all_of, chunksize=8):
                for line in of.wrong:
                    failures += 1
                    print(f"{fleet.shape} {fleet.seed}: {line}", flush=True)
                for shape in (kind(fleet), "all"):
                    shapes.setdefault(shape, []).append(of)
                if arguments.file:
                    print(f"{fleet.shape}, {len(fleet.hosts)} hosts, {len(fleet.limits)} subsystems: "
                          f"HiGHS {of.found} to {of.bound}, {of.highs:.1f} s; "
                          f"the plan {'proved' if of.proved else 'not proved'}, {of.took:.2f} s", flush=True)
                if kept:
                    line = {"shape": fleet.shape, "seed": fleet.seed, "hosts": fleet.hosts, "limits": fleet.limits,
                            "found": of.found, "bound": of.bound, "proved": of.proved, "seconds": round(of.took, 3)}
                    kept.write(json.dumps(line, separators=(",", ":")) + "\n")
                    kept.flush()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            print("interrupted: the table is of those that were asked about")
    table(shapes)
    sys.exit(1 if failures else 0)


def asked_about(fleet_and_answer, program, limit):
    fleet, answer = fleet_and_answer
    return fleet, judge(fleet, answer, program, limit)


def kind(fleet):
    """A line of the table."""
    return f"{fleet.shape}, large" if fleet.shape == "scattered" and len(fleet.hosts) > 120 else fleet.shape


def read(path):
    """The fleets of a file."""
    with open(path, encoding="utf-8") as lines:
        for of in map(json.loads, lines):
            fleet = Fleet(of["shape"], of["seed"])
            fleet.hosts, fleet.limits = of["hosts"], of["limits"]
            yield fleet


def identity(hosts, limits):
    return hashlib.sha256(json.dumps([hosts, limits]).encode()).digest()


def answers(path):
    """What HiGHS said about the fleets of a file."""
    with open(path, encoding="utf-8") as lines:
        every = map(json.loads, lines)
        return {identity(of["hosts"], of["limits"]): (of["found"], of["bound"]) for of in every}


def table(shapes):
    heads = ["shape", "fleets", "HiGHS did not finish", "not proved", "more can go", "no certificate"]
    heads += ["median", "p99", "slowest"]
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for shape, all_of in sorted(shapes.items(), key=lambda line: (line[0] == "all", line[0])):
        times = sorted(of.took for of in all_of)
        at = lambda share: times[min(int(share * len(times)), len(times) - 1)]
        unfinished, unproved = sum(of.found < of.bound for of in all_of), sum(not of.proved for of in all_of)
        missed, bare = sum(of.missed for of in all_of), sum(not of.certified for of in all_of)
        print(f"| {shape} | {len(times)} | {unfinished} | {unproved} | {missed} | {bare} | {at(0.5) * 1e3:.0f} ms "
              f"| {at(0.99) * 1e3:.0f} ms | {times[-1]:.2f} s |")


if __name__ == "__main__":
    main()
