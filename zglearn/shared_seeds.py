"""An evolution strategy on several processes that tell each other nothing but losses.

Every process can draw the same noise from the same seed. So whoever knows the losses of a
generation can take its step alone: neither parameters, nor noise, nor gradients have to travel
(Salimans et al. 2017, algorithm 2).

    with parallel_config(backend="loky", n_jobs=2):
        x, traffic = train(problem, generations=100, workers=2, seed=0)

The processes are joblib's: those of this machine or of a Dask cluster, of one thread each and
with this package installed.
"""

import os
import pickle
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .gradient_free_methods import _centred_ranks
from .hyperparameters import check_value, check_values

_replicas: dict = {}  # in each process that works: the replica of the newest run, by its name


class Replica:
    """One copy of the strategy. Copies that were told the same losses are at the same point.

    It is `evolution_strategy` with ranks and without momentum; parameters as there. `problem()`
    returns a loss that takes a population, and the start point.
    """

    def __init__(self, problem: Callable, *, seed: int, population=50, sigma=0.1, lr=0.01):
        if population < 2 or population % 2:
            raise ValueError(f"population must be even, for pairs, not {population}")
        self.f, self.x = problem()
        self.seed, self.population, self.sigma, self.lr = seed, population, sigma, lr
        self.generation = 0

    def noise(self) -> np.ndarray:
        """This generation's directions (population, d): the same in every process."""
        rng = np.random.default_rng([self.seed, self.generation])
        eps = rng.standard_normal((self.population // 2, self.x.size), dtype=self.x.dtype)
        return np.vstack([eps, -eps])

    def ask(self, share: slice) -> np.ndarray:
        """The losses of a share of the population, in single precision: that is what travels."""
        return np.asarray(self.f(self.x + self.sigma * self.noise()[share]), dtype=np.float32)

    def tell(self, F) -> None:
        """Take the step to which the losses F of the whole population lead."""
        g = _centred_ranks(F).astype(self.x.dtype) @ self.noise() / (self.population * self.sigma)
        self.x, self.generation = self.x - self.lr * g, self.generation + 1


@dataclass
class Traffic:
    """What travelled in a run, in bytes, both ways and for all workers together.

    Attributes
    ----------
    losses : int
        The scalars alone: what the method needs.
    messages : int
        All messages of the run as they are pickled, scalars and envelopes.
    catching_up : int
        The messages to workers that are new, or had missed a generation: problem, settings and
        all losses so far.
    pids : set
        The processes that worked.
    """

    losses: int = 0
    messages: int = 0
    catching_up: int = 0
    pids: set = field(default_factory=set)


def train(problem: Callable, *, generations: int, workers: int, seed: int, **hyper):
    """Run the strategy in joblib's processes, each of which asks a share of the losses.

    Parameters
    ----------
    problem : callable
        ``problem()`` returns the loss and the start point (d,). It runs once in each process.
    generations, workers, seed : int
        Into how many shares a generation is divided changes nothing in the result.
    **hyper : population, sigma, lr

    Returns
    -------
    x : array (d,)
        The point that all of them have reached.
    traffic : Traffic
    """
    from joblib import Parallel, wrap_non_picklable_objects

    check_value("generations", generations, "whole [1, inf)")
    check_value("workers", workers, "whole [1, inf)")
    check_values("evolution_strategy", {}, hyper)
    replica, log, traffic = Replica(problem, seed=seed, **hyper), [], Traffic()
    begin = wrap_non_picklable_objects(problem), seed, hyper  # a notebook's functions travel whole
    shares = [slice(k, None, workers) for k in range(workers)]
    run = uuid.uuid4().hex
    with Parallel() as pool:
        for generation in range(generations):
            answers, size = _send(pool, [(run, generation, s, log[-1:]) for s in shares])
            traffic.messages += size
            late = [k for k, (part, _) in enumerate(answers) if part is None]
            again, size = _send(pool, [(run, generation, shares[k], log, begin) for k in late])
            traffic.catching_up += size
            for k, answer in zip(late, again, strict=True):
                answers[k] = answer

            F = np.empty(replica.population, dtype=np.float32)
            for share, (part, pid) in zip(shares, answers, strict=True):
                F[share] = part
                traffic.pids.add(pid)
            if np.isnan(F).any():
                raise ValueError("the loss is nan: look for 0/0, log of a negative number or "
                                 "inf - inf in it")
            traffic.losses += F.nbytes * (1 + workers)  # each sends its share and is told all
            replica.tell(F)
            log.append(F)
    return replica.x, traffic


def _send(pool, messages):
    """The workers' answers, and the bytes of messages and answers."""
    from joblib import delayed

    answers = pool(delayed(_work)(*m) for m in messages)
    return answers, sum(len(pickle.dumps(m)) for m in [*messages, *answers])


def _work(run, generation, share, news, begin=None):
    """In a worker: catch up with the news, then ask. None for losses: "I missed something"."""
    if begin is not None:
        problem, seed, hyper = begin
        _replicas.clear()
        _replicas[run] = Replica(problem, seed=seed, **hyper)
    replica = _replicas.get(run)
    if replica is None or replica.generation < generation - len(news):
        return None, os.getpid()
    for F in news[len(news) - (generation - replica.generation):]:
        replica.tell(F)
    return replica.ask(share), os.getpid()
