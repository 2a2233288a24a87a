"""Runs cases of this directory: run.py NAME...|all, with SAFE_REMOVE_BIN set.

README.md says what a case is. It needs the Python environment of tests/moto
(requirements.txt there). Options: --list, -v (what the command printed), -q
(failures only), -j N (so many at once, default 4). Exit 0 only if every case holds.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import shutil
import sys
import time
import traceback

from case import Case
from cloud import Cloud

HERE = pathlib.Path(__file__).resolve().parent

CLOUD = None


def started():
    global CLOUD
    CLOUD = Cloud()


def one(path):
    case = None
    try:
        case = Case(pathlib.Path(path), CLOUD)
        bad, how = case.run()
        said = (case.dir / "err").read_text(errors="replace") + (case.dir / "out").read_text(errors="replace")
    except Exception:
        bad, how, said = (
            ["the case itself broke: " + traceback.format_exc().strip().splitlines()[-1]],
            "",
            traceback.format_exc(),
        )
    if case and case.process and case.process.poll() is None:
        case.process.kill()
    if case:
        shutil.rmtree(case.dir, ignore_errors=True)
    return bad, how, said


def main():
    p = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        usage="run.py [-v] [-q] [-j N] [--list] NAME...|all",
    )
    p.add_argument("names", nargs="*")
    p.add_argument("-v", action="store_true", help="show what the command printed")
    p.add_argument("-j", type=int, default=4, help="so many at once")
    p.add_argument("-q", action="store_true", help="failures only")
    p.add_argument("--list", action="store_true")
    o = p.parse_args()
    known = sorted(d.parent.name for d in HERE.glob("*/expected"))
    if o.list:
        print("\n".join(known))
        return 0
    names = known if o.names == ["all"] else o.names
    unknown = [n for n in names if n not in known]
    if unknown or not names:
        p.error(
            f"no such case: {', '.join(unknown)}; --list shows them"
            if unknown
            else "which cases? NAME... or all; --list shows them"
        )
    if not os.path.isfile(os.environ.get("SAFE_REMOVE_BIN", "")):
        p.error("SAFE_REMOVE_BIN must name the binary to test: a full build, with AWS")
    os.environ["SAFE_REMOVE_BIN"] = os.path.abspath(os.environ["SAFE_REMOVE_BIN"])
    failed, began = [], time.time()
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(
        max(1, min(o.j, len(names))), mp_context=context, initializer=started
    ) as pool:
        # Those that can last longest first, so that they do not end up last and alone.
        def slow(n):
            looks = (HERE / n / "cmd").read_text().startswith(("plan", "doctor"))
            return looks, -json.loads((HERE / n / "expected").read_text()).get("ends_within", 60)

        running = {pool.submit(one, str(HERE / n)): n for n in sorted(names, key=slow)}
        for done in concurrent.futures.as_completed(running):
            name, (bad, how, said) = running[done], done.result()
            if bad:
                failed.append(name)
                print(
                    f"  FAILED {name}: {'; '.join(bad)}  [{how}]",
                    file=sys.stderr,
                    flush=True,
                )
            elif not o.q:
                print(f"  holds  {name}  [{how}]", file=sys.stderr, flush=True)
            if o.v:
                print(said, file=sys.stderr, flush=True)
    failed.sort()
    if not o.q:
        print(f"{time.time() - began:.0f} s", file=sys.stderr)
    print(f"{len(names) - len(failed)} of {len(names)} held" + (": not " + "; ".join(failed) if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
