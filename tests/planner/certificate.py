#!/usr/bin/env python3
"""Checks certificates of safe-remove: why a count of hosts cannot go.

    safe-remove plan --subsystem index --count 12 --certificate -o json | tests/planner/certificate.py

It prints what is wrong and ends with 1, or prints what was shown. It shares nothing with the program that makes them:
whole numbers only, no solver. docs/planner.md says what each step means.
"""

import json
import sys


class Wrong(Exception):
    """The certificate does not show what it says."""


def tightened(part, rows, count):
    """The part without what single rows exclude; None if nothing is left."""
    low, high = (list(ends) for ends in part)
    changed = True
    while changed:
        changed = False
        for takes, bound in rows:
            spare = bound - sum(u * (low[c] if u > 0 else high[c]) for c, u in takes)
            if spare < 0:
                return None
            for c, u in takes:
                if u > 0 and high[c] > low[c] + spare // u:
                    high[c], changed = low[c] + spare // u, True
                if u < 0 and low[c] < high[c] - spare // -u:
                    low[c], changed = high[c] - spare // -u, True
    return None if sum(high) < count or any(map(lambda l, h: l > h, low, high)) else (low, high)


def excluded(part, prices, rows, unit, wanted):
    """The part without what prices of rows exclude: nobody is worth more than what the rows have at these prices, and what
    each host is worth beyond the price of what it takes. With a unit of 0, what no choice keeps."""
    low, high = (list(ends) for ends in part)
    gains, spare = [unit] * len(low), -wanted * unit
    for row, price in prices:
        if price < 0:
            raise Wrong("a negative price")
        takes, bound = rows[row]
        spare += price * bound
        for c, u in takes:
            gains[c] -= price * u
    spare += sum(g * (high[c] if g > 0 else low[c]) for c, g in enumerate(gains))
    if spare < 0:
        return None
    for c, g in enumerate(gains):
        if unit and g > 0:
            low[c] = max(low[c], high[c] - spare // g)
        elif unit and g < 0:
            high[c] = min(high[c], low[c] + spare // -g)
    return low, high


def cover(step, rows, part):
    """A row that follows from one other: the least weight at which it is broken is more than there is."""
    (low, high), (takes, bound) = part, rows[step["of"]]
    lifts, missing = dict(map(tuple, step["takes"])), step["bound"] + 1
    if not lifts.keys() <= {c for c, _ in takes}:
        raise Wrong("a cover of a column that its row does not have")
    items = []
    for c, u in takes:
        start, gain = (low[c], lifts.get(c, 0)) if u > 0 else (high[c], -lifts.get(c, 0))
        bound, missing = bound - u * start, missing - lifts.get(c, 0) * start
        items += [(abs(u), gain)] * (high[c] - low[c])
    if missing < 0 or any(gain < 0 for _, gain in items):
        raise Wrong("a cover that does not follow")
    least = {0: 0}
    for weight, gain in items:
        for reached, before in list(least.items()):
            now = min(reached + gain, missing)
            least[now] = min(least.get(now, before + weight), before + weight)
    if missing in least and least[missing] <= bound:
        raise Wrong("a cover that does not follow")
    return list(map(tuple, step["takes"])), step["bound"]


def rounded(step, rows, part):
    """A sum of multiples of rows by mixed-integer rounding: columns count from an end, and slacks are whole numbers."""
    low, high = part
    divisor, shrink = step["divisor"], step["shrink"]
    ends = {c: (start, -1 if down else 1) for c, start, down in step["ends"]}
    if divisor < 1 or shrink < 1 or any(a < high[c] if s < 0 else a > low[c] for c, (a, s) in ends.items()):
        raise Wrong("an end within the range, or a divisor below 1")
    total, bound, slacks = dict.fromkeys(ends, 0), 0, []
    for row, times in step["rows"]:
        takes, spare = rows[row]
        spare -= sum(u * ends[c][0] for c, u in takes)
        bound += times * spare
        slacks.append((times, spare, takes))
        for c, u in takes:
            total[c] += times * u * ends[c][1]
    left = bound % divisor
    turned = lambda a: (divisor - left) * (a // divisor) + max(a % divisor - left, 0)
    cut, least = {c: turned(a) for c, a in total.items()}, (divisor - left) * (bound // divisor)
    for times, spare, takes in slacks:
        least -= turned(times) * spare
        for c, u in takes:
            cut[c] -= turned(times) * u * ends[c][1]
    takes = [(c, a // shrink * ends[c][1]) for c, a in cut.items() if a // shrink]
    return takes, least // shrink + sum(u * ends[c][0] for c, u in takes)


def check(certificate):
    """Raises Wrong unless the certificate shows that no choice of its count keeps its rows."""
    count, unit = certificate["count"], certificate["unit"]
    rows = [(list(map(tuple, row["takes"])), row["bound"]) for row in certificate["rows"]]
    given, high = list(rows), list(map(len, certificate["columns"]))
    open_parts = [([0] * len(high), high)]
    for place, part in enumerate(certificate["parts"]):
        if not open_parts:
            raise Wrong("more parts than halves")
        left = open_parts.pop()
        left = left and tightened(left, given, count)
        for step in part["steps"] if left else []:
            (kind, how), = step.items()
            if kind in ("cover", "rounded"):
                if place:
                    raise Wrong("a cut within a part")
                rows.append((cover if kind == "cover" else rounded)(how, rows, left))
                continue
            scale = {"priced": (unit, count), "broken": (0, 0)}[kind]
            left = excluded(left, how, rows, *scale)
            left = left and tightened(left, given, count)
            if not left:
                break
        if part["split"] is None and left:
            raise Wrong(f"part {place} is not excluded")
        if part["split"] is not None:
            column, most = part["split"]
            fewer, more = left and (list(left[0]), list(left[1])), left and (list(left[0]), list(left[1]))
            if left:
                fewer[1][column], more[0][column] = min(most, left[1][column]), max(most + 1, left[0][column])
            open_parts += [more, fewer]
    if open_parts:
        raise Wrong("fewer parts than halves")


def main():
    plan = json.load(sys.stdin)
    certificate = plan.get("certificate", plan if "parts" in plan else None)
    if certificate is None:
        sys.exit("no certificate: the plan is allowed, is refused because of something else, or nothing was proved")
    try:
        check(certificate)
    except Wrong as wrong:
        sys.exit(f"not shown: {wrong}")
    print(f"shown: no {certificate['count']} hosts can go within these {len(certificate['rows'])} rows")


if __name__ == "__main__":
    main()
