"""Run the benchmarks and write one table.

    python -m benchmarks                    all of them, in half an hour at most
    python -m benchmarks adam_step cma_es   some of them

Each runs in a process of its own, one after the other, on one core. The table gives what ours
takes as a ratio to what a peer takes: below 1, ours is ahead. Scripts that measure something else
than ratios print their own report below the table. Nothing else should run on the machine.

The peers come with `pip install -e .[bench]`; nbgrader and otter need an environment of their own,
see grading.py.
"""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
PEERS = ["numpy", "scipy", "scikit-learn", "torch", "jax", "cma", "cmaes", "ipympl"]
# zglearn comes first: it asks for one BLAS thread before numpy is loaded
WORKER = "import zglearn, json; from benchmarks._bench import on_one_core; on_one_core()\n" \
         "from benchmarks.{0} import measure\n" \
         "for row in measure(): print('ROW', json.dumps(row._asdict()), flush=True)"


def main(chosen):
    unknown = set(chosen) - set(NAMES)
    if unknown:
        sys.exit(f"no benchmark is called {', '.join(unknown)}: there are {', '.join(NAMES)}")
    print_machine()
    reports = []
    print(f"\n{'':66} {'ours':>9} {'peer':>9} {'ratio':>6}  {'half between':13} bar")
    for name in chosen or NAMES:
        if "def measure(" in (FOLDER / f"{name}.py").read_text():
            run_rows(name)
        else:
            reports.append(name)
    for name in reports:
        print(f"\n== {name}\n", flush=True)
        subprocess.run([sys.executable, FOLDER / f"{name}.py"], cwd=FOLDER.parent)


def print_machine():
    """What the figures depend on."""
    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
          f"{platform.system()}, Python {platform.python_version()}")
    found, missing = [], []
    for peer in PEERS:
        try:
            found.append(f"{peer} {importlib.metadata.version(peer)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(peer)
    print(", ".join(found))
    print(f"not installed, so their rows are empty: {', '.join(missing) or 'none'}")


def processor() -> str:
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text()
        return re.search(r"model name\s*: (.*)", cpuinfo)[1]
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


def run_rows(name):
    """The rows of one benchmark, printed as they come."""
    print(f"-- {name}", flush=True)
    with tempfile.TemporaryFile("w+") as errors:
        worker = subprocess.Popen([sys.executable, "-c", WORKER.format(name)], cwd=FOLDER.parent,
                                  stdout=subprocess.PIPE, stderr=errors, text=True)
        for line in worker.stdout:
            if line.startswith("ROW "):
                print(table_line(**json.loads(line[4:])), flush=True)
        if worker.wait():
            errors.seek(0)
            print(f"   stopped: {errors.read().strip().splitlines()[-1]}")


def table_line(name, ours, peer, ratio, bar, low=float("nan"), high=float("nan")):
    if peer != peer:
        return f"{name:66} {ours:9.4g} {'not installed':>30}"
    spread = f"{low:.2f} to {high:.2f}" if low == low else ""
    verdict = "" if bar is None else f"{bar:.2f} {'reached' if ratio <= bar else 'MISSED'}"
    return f"{name:66} {ours:9.3g} {peer:9.3g} {ratio:6.2f}  {spread:13} {verdict}"


if __name__ == "__main__":
    main(sys.argv[1:])
