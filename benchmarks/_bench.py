"""What the benchmarks share: contenders that take turns, and rows that say how it went.

A benchmark is a module with a function `measure()` that returns or yields rows. Times are CPU
seconds of this process, which runs on one thread; only ratios are meant to carry over to another
machine. Contenders take turns, so that a busy moment of the machine meets them all.
"""

import importlib
import math
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

ROUNDS = 9        # at least 7
SHORTEST = 0.03   # seconds that one measurement takes at least; short work is repeated
WORSE = 1.5       # times as steep as the work: more than the scatter of two medians


class Row(NamedTuple):
    """Ours against one peer. ``ratio`` is ours / peer, so that less is better, and must not exceed
    ``bar`` where there is one. Half of the rounds had ratios from ``low`` to ``high``."""

    name: str
    ours: float
    peer: float
    ratio: float
    bar: float | None = None
    low: float = math.nan
    high: float = math.nan


def installed(name):
    """The module of that name, or None; one thread where the module can be told so."""
    try:
        module = importlib.import_module(name)
    except ImportError:
        return None
    if name == "torch":
        module.set_num_threads(1)
    return module


def on_one_core() -> None:
    """Keep this process on one core, where the system can do that.

    JAX cannot be told to use one thread. Its others would cost it CPU seconds that save it none.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def jax_adam(jax, loss, p, lr):
    """Adam in JAX: its first state, and the step from (state, X, y) to the next, jitted."""
    @jax.jit
    def step(state, X, y):
        p, m, v, t = state
        g, t = jax.grad(loss)(p, X, y), t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        p = jax.tree.map(lambda p, m, v: p - lr * m / (1 - 0.9**t)
                         / (jax.numpy.sqrt(v / (1 - 0.999**t)) + 1e-8), p, m, v)
        return p, m, v, t

    zeros = jax.tree.map(jax.numpy.zeros_like, p)
    return (p, zeros, zeros, 0), step


def race(contenders, rounds=ROUNDS):
    """Seconds of each contender in each round: {name: [seconds, ...]}, nan if it is None."""
    calls = {name: _calls(work) for name, work in contenders.items() if work is not None}
    seconds = {name: [] for name in calls}
    for _ in range(rounds):
        for name, n in calls.items():
            seconds[name].append(_seconds(contenders[name], n) / n)
    return {name: seconds.get(name, [math.nan]) for name in contenders}


def rows(name, seconds, bars=None):
    """A row for each peer in what `race` returned; the first contender is ours."""
    ours, *peers = seconds
    for peer in peers:
        yield row(f"{name}, against {peer}", seconds[ours], seconds[peer], (bars or {}).get(peer))


def row(name, ours, peer, bar=None):
    """A row from the measurements of each round."""
    ratios = [a / b for a, b in zip(ours, peer, strict=False)]
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (math.nan,) * 3
    a, b = statistics.median(ours), statistics.median(peer)
    return Row(name, a, b, a / b, bar, low, high)


def _seconds(work, n):
    start = time.process_time()
    for _ in range(n):
        work()
    return time.process_time() - start


def _calls(work):
    work()  # the first call pays for what is made once
    return max(1, math.ceil(SHORTEST / max(_seconds(work, 1), 1e-7)))


# --- how the cost grows ----------------------------------------------------------------------

class Size(NamedTuple):
    """One line of a table: `make` and `make_peer` give what does the work `calls` times."""

    size: int
    work: float
    make: Callable
    make_peer: Callable
    calls: int = 1


def table(title, peer, sizes):
    print(f"\n{title:66} {'seconds':>9} {'times as':>9} {'times the':>9} {'peak':>8} {peer}")
    print(f"{'':66} {'':>9} {'long':>9} {'work':>9} {'MB':>8}", flush=True)
    before = None
    for size, work, make, make_peer, calls in sizes:
        seconds = race({"ours": make(), "peer": make_peer()}, rounds=7 if work < 1e10 else 3)
        took, theirs = (statistics.median(seconds[name]) / calls for name in ("ours", "peer"))
        longer, more = (took / before[0], work / before[1]) if before else (math.nan, math.nan)
        ratio = f"{took / theirs:5.2f}" if theirs == theirs else "not installed"
        note = "  WORSE than its order" if longer > WORSE * more else ""
        print(f"{size:66,} {took:9.2g} {longer:9.1f} {more:9.1f} {peak(make) / 1e6:8.2f} "
              f"{ratio}{note}", flush=True)
        before = took, work


def peak(make) -> int:
    """The most bytes that were allocated at once."""
    tracemalloc.start()
    make()()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most
