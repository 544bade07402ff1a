"""Training in place: the methods of `gradient_methods`, and MeZO, over one flat buffer.

    fit = train(model, "adam", (X, y), epochs=10, lr=0.003)
    fit.p, fit.train_losses, fit.forward_equivalents

The mathematics is that of the generators which the chapters show; `tests/test_training.py` holds
the two equal. What it buys: a step allocates no vector, so that Adam's is two to four times as
fast, and MeZO needs no vector but p. What it costs: p is overwritten, and the lines follow the
memory more than the paper.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import math
import warnings
import zlib
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ..gradient_methods import eigenbasis, inverse_root, matrices, newton_schulz, rms
from ..hyperparameters import check_names, check_value, check_values, is_number
from ..objective import FORWARD_COST, GRADIENT_COST, _answer
from ..progress_bar import progress_bar
from ..trajectory import interrupts
from .flat import FlatModel, is_count, minibatches

BLOCK = 1 << 17  # parameters updated at a time, so that what a step reads and writes stays in cache
NOISE_BLOCK = 1 << 14  # parameters for which MeZO holds its noise at a time

SCHEDULES = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1 - done,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
    "wsd": lambda done: min(1.0, (1 - done) / 0.2),  # after a warm-up: stable, then decay
}


@dataclass(frozen=True, repr=False, eq=False)
class Training:
    """What `train` returns. The arrays have one entry for each record that was made on the way.

    Attributes
    ----------
    p : array (size,)
        The parameters at the end or, with ``patience``, at the lowest validation loss.
    average : array (size,) or None
        The average of p, if one was asked for.
    train_losses : array (records,)
        The mean loss of the batches since the record before, as they were met in training.
    validation_losses, average_losses : arrays (records,)
        On the validation data, at p and at the average of p; nan where there is none.
    steps, examples, forward_equivalents : int arrays (records,)
        What the training had cost by then, together with the one that it went on from.
        Validation is not counted.
    stopped : str
        "steps", "patience", "diverged" (a loss was not finite) or "interrupted".
    log : SeedLog or None
        With "mezo": what is needed to take the same steps again.
    memory : dict
        What the methods remembered at the end; empty with ``patience``.
    """

    p: np.ndarray
    average: np.ndarray | None
    train_losses: np.ndarray
    validation_losses: np.ndarray
    average_losses: np.ndarray
    steps: np.ndarray
    examples: np.ndarray
    forward_equivalents: np.ndarray
    stopped: str
    log: SeedLog | None
    memory: dict

    def __repr__(self) -> str:
        held_out = self.validation_losses[-1]
        return (f"Training({self.steps[-1]} steps, loss {self.train_losses[-1]:.4g}, "
                + ("" if math.isnan(held_out) else f"validation {held_out:.4g}, ")
                + f"{self.forward_equivalents[-1]} forward-equivalents, stopped: {self.stopped})")


def train(model, method: str, data, *, lr: float, epochs: int | None = None,
          steps: int | None = None, batch_size: int = 32, validation=None, schedule="constant",
          warmup: int = 0, clip: float | None = None, average=None, patience: int | None = None,
          every: int | None = None, p=None, begin: Training | None = None, part: str | None = None,
          groups=(), loss=None, seed: int = 0, progress: bool = False, **hyper) -> Training:
    """Train a model on minibatches, with a ledger.

        plateau = train(model, "adamw", data, lr=0.003, warmup=100, steps=1000)
        branch = train(model, "adamw", data, lr=0.003, schedule="linear", steps=200, begin=plateau)
        fit = train(model, "muon", data, lr=0.02, steps=1000, groups=[
            dict(parts=("E", "pos", "U", "c"), method="adamw", lr=0.003, weight_decay=0.1)])

    Parameters
    ----------
    model : MLP, LanguageModel or Transformer
    method : str
        "gradient_descent", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw",
        "amsgrad", "sign_descent", "lion", "adafactor", "shampoo", "soap", "muon" or "mezo";
        ``hyper`` are the hyperparameters of the generator of that name, but for its shapes: they
        are the model's.
    data, validation : pairs (X, y)
    lr : float
    epochs, steps : int
        How long: one of the two. An epoch goes through all the data, in an order of its own.
    schedule : "constant", "linear", "cosine", "wsd" or a function
        What lr is multiplied by, given the share of the steps after the warm-up that is done (from
        0 to 1). "wsd" is constant, then linear to zero in the last fifth (Hu et al. 2024).
    warmup : int
        Steps at the start in which lr rises in equal parts, from lr / warmup to lr.
    clip : float, optional
        A gradient longer than this is shortened to it (Pascanu, Mikolov and Bengio 2013).
    average : "uniform" or a number in (0, 1), optional
        Keep an average of p as well: the mean over all steps of this training (Polyak and Juditsky
        1992), or the exponential one with this decay, which is the mean until 1 / (1 - decay)
        steps are done.
    patience : int, optional
        Stop when so many records in a row had no new lowest validation loss; return the best p.
    every : int, optional
        Steps from one record to the next: an epoch, or a twentieth of ``steps``, if not given.
    p : array (size,), optional
        Where to begin; copied. If not given, ``model.init``.
    begin : Training, optional
        A training to go on from: its p, its place in the batches if the seed is the same, and what
        its method remembered (with ``patience``, its p alone). Schedule, warm-up and average are
        those of the new steps. It is not changed, so that several branches can leave one plateau.
    part : str, optional
        Train this array of the model (a name in ``model.parts``) and leave the rest as it is.
    groups : sequence of dictionaries
        Arrays that are trained in another way: "parts", their names, and what differs from the
        call, among "method", "lr" and the hyperparameters of the method. Those of the call
        are kept in a group that names no other method.
    loss : function (p, X, y) -> float, optional
        What "mezo" minimises, if not the model's loss. It needs no gradient, and cannot write
        into p.
    seed : int
        For the start, the batches and MeZO's directions. The same seed gives the same p.
    progress : bool
        Show a bar. Bar or not, an interrupt (Ctrl-C, the notebook's stop button) ends a training
        that has lasted a second after the step at hand, and what was reached is returned.

    Raises
    ------
    ValueError, TypeError
        For data, a method, a hyperparameter or a length of training that cannot be used.

    Warns
    -----
    RuntimeWarning
        If no step changed p, or most of MeZO's were too small for the precision of p.
    """
    if not isinstance(model, FlatModel):
        raise TypeError(f"train needs an MLP or a LanguageModel, not {type(model).__name__}: for "
                        "other losses there is zglearn.run")
    X, y = model.check_data(*data)
    if validation is not None:
        validation = model.check_data(*validation)
    elif patience is not None:
        raise ValueError("patience watches the validation loss: give validation=(X, y) as well")
    if clip is not None:
        check_value("clip", clip, "(0, inf)")
    if patience is not None and not is_count(patience):
        raise ValueError(f"patience must be a whole number of at least 1, not {patience!r}")
    for_batches, for_noise = np.random.default_rng(seed).spawn(2)
    batches = minibatches(X, y, batch_size, for_batches)
    steps, every = _length(epochs, steps, every, math.ceil(len(y) / batch_size))
    schedule = scheduled(schedule, warmup, steps)
    done, p, memory = _beginning(begin, p)
    drawn = memory["start drawn"] = memory.get("start drawn", p is None)
    fresh = model.init(for_batches) if drawn else None  # the batches' order depends on it
    p = fresh if p is None else model.cast(p).copy()
    f = _Questions(model, p, part, clip, loss, begin)
    update = _start(method, f, for_noise, loss, lr, hyper, groups, memory)
    records, stopped = _Records(f, validation, patience, average), "steps"
    for _ in range(done):
        next(batches)
        if method == "mezo":
            for_noise.integers(2**63)
    start = zlib.crc32(f.p)  # to see whether p changes, without a second vector
    with interrupts() as asked, progress_bar(steps, progress) as bar:
        for step in range(1, steps + 1):
            f.factor, f.batch = schedule(step), next(batches)
            f.lr = lr * f.factor
            if not is_number(f.lr):
                raise ValueError(f"the schedule must return finite numbers: it made lr {f.lr!r}")
            next(update)
            records.average_in(step)
            bar.update()
            if f.lost:
                stopped = "diverged"
            elif asked:
                stopped = "interrupted"
            if step % every == 0 or step == steps or stopped != "steps":
                bar.set_postfix_str(records.add(done + step))
                if stopped == "steps" and records.patience_is_over:
                    stopped = "patience"
            if stopped != "steps":
                break
    if stopped != "diverged" and f.lr:
        _warn_of_standstill(method, f, start)
    return Training(records.p, records.average, *records.columns(), stopped, f.log,
                    {} if patience else memory)


# --- the methods, in place -------------------------------------------------------------------
#
# f.gradient() is a buffer that the method may overwrite; f.lr is the learning rate of this step;
# f.shapes are those of the arrays in p. What a method remembers lies in f.memory: it is there
# already where a training goes on.

def _gradient_descent(f, p):
    while True:
        g = f.gradient()
        g *= f.lr
        p -= g
        yield


def _momentum(f, p, *, beta=0.9, nesterov=False):
    v = _kept(f, "v", p)
    while True:
        for p_, g_, v_ in _blocks(p, f.gradient(), v):
            v_ *= beta
            v_ += g_
            step = g_ + beta * v_ if nesterov else v_
            p_ -= f.lr * step
        yield


def _adagrad(f, p, *, eps=1e-10):
    G = _kept(f, "G", p)
    while True:
        for p_, g_, G_ in _blocks(p, f.gradient(), G):
            G_ += g_ * g_
            p_ -= f.lr * g_ / (np.sqrt(G_) + eps)
        yield


def _rmsprop(f, p, *, rho=0.99, eps=1e-8, centered=False):
    S, m = _kept(f, "S", p), _kept(f, "m", p)
    while True:
        for p_, g_, S_, m_ in _blocks(p, f.gradient(), S, m):
            S_ *= rho
            S_ += (1 - rho) * g_ * g_
            if centered:
                m_ *= rho
                m_ += (1 - rho) * g_
            p_ -= f.lr * g_ / (np.sqrt(np.maximum(S_ - m_ * m_, 0) if centered else S_) + eps)
        yield


def _adam(f, p, *, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, decoupled=False,
          amsgrad=False):
    m, v = _kept(f, "m", p), _kept(f, "v", p)
    v_max = _kept(f, "v_max", p) if amsgrad else None
    for t in _counted(f):
        adam_step(p, f.gradient(), m, v, t, f.lr, beta1, beta2, eps, weight_decay, decoupled, v_max)
        yield


def adam_step(p, g, m, v, t, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0,
              decoupled=False, v_max=None):
    """Step t of Adam, counted from 1: changes p, m, v and v_max in place and overwrites g.

    m and v are kept without their factors (1 - beta): two passes over memory fewer. With
    a = (1 - beta1) / (1 - beta1^t) and b = √((1 - beta2) / (1 - beta2^t)), the step
    lr m̂ / (√v̂ + eps) is lr a m / (b √v + eps), and one division by b gathers the constants.
    """
    a = (1 - beta1) / (1 - beta1**t)
    b = math.sqrt((1 - beta2) / (1 - beta2**t))
    for p_, g_, m_, v_, v_max_ in _blocks(p, g, m, v, v if v_max is None else v_max):
        if weight_decay and decoupled:
            p_ *= 1 - lr * weight_decay
        elif weight_decay:
            g_ += weight_decay * p_
        m_ *= beta1
        m_ += g_
        v_ *= beta2
        g_ *= g_
        v_ += g_
        if v_max is not None:
            np.maximum(v_max_, v_, out=v_max_)
        root = np.sqrt(v_max_, out=g_)  # from here on, g is only a place to write to
        root += eps / b
        step = np.divide(m_, root, out=root)
        step *= lr * a / b
        p_ -= step


def _sign_descent(f, p):
    while True:
        for p_, g_ in _blocks(p, f.gradient()):
            p_ -= f.lr * np.sign(g_)  # a new array: onto itself, np.sign takes four times as long
        yield


def _lion(f, p, *, beta1=0.9, beta2=0.99, weight_decay=0.0):
    m = _kept(f, "m", p)
    while True:
        for p_, g_, m_ in _blocks(p, f.gradient(), m):
            u = np.sign(beta1 * m_ + (1 - beta1) * g_)
            m_ *= beta2
            m_ += (1 - beta2) * g_
            p_ *= 1 - f.lr * weight_decay
            u *= f.lr
            p_ -= u
        yield


def _adafactor(f, p, *, beta2_decay=-0.8, eps1=None, eps2=1e-3, d=1.0, weight_decay=0.0):
    views = list(matrices(f.shapes, p))
    r, c = (f.memory.setdefault(name, [np.zeros(W.shape[i], p.dtype) for W, in views])
            for i, name in enumerate("rc"))
    eps1 = float(np.finfo(p.dtype).eps) if eps1 is None else eps1
    for t in _counted(f):
        for (W, G), r_, c_ in zip(matrices(f.shapes, p, f.gradient()), r, c, strict=True):
            alpha = max(eps2, rms(W)) * min(f.lr, t**-0.5)
            if weight_decay:
                W *= 1 - f.lr * weight_decay
            (m, n), new = W.shape, t**beta2_decay
            for mean, squares in ((r_, np.einsum("ij,ij->i", G, G) / n),
                                  (c_, np.einsum("ij,ij->j", G, G) / m)):
                squares -= mean
                squares *= new
                mean += squares
            V = np.multiply.outer(r_ / max(float(r_.mean()), eps1), c_)
            np.sqrt(np.maximum(V, eps1 * eps1, out=V), out=V)
            G /= V
            G *= alpha / max(1.0, rms(G) / d)
            W -= G
        yield


def _shampoo(f, p, *, eps=1e-12, refresh=1):
    views = list(matrices(f.shapes, p))
    L, R = (f.memory.setdefault(name, [eps * np.eye(W.shape[i], dtype=p.dtype) for W, in views])
            for i, name in enumerate("LR"))
    P, Q = (f.memory.setdefault(name, [A.copy() for A in side])
            for name, side in (("P", L), ("Q", R)))
    for t in _counted(f):
        for i, (W, G) in enumerate(matrices(f.shapes, p, f.gradient())):
            L[i] += G @ G.T
            R[i] += G.T @ G
            if t == 1 or t % refresh == 0:
                P[i], Q[i] = inverse_root(L[i], 4, eps), inverse_root(R[i], 4, eps)
            step = P[i] @ G @ Q[i]
            step *= f.lr
            W -= step
        yield


def _soap(f, p, *, beta1=0.95, beta2=0.95, eps=1e-8, weight_decay=0.01, refresh=10):
    m, v, views = _kept(f, "m", p), _kept(f, "v", p), list(matrices(f.shapes, p))
    L, R = (f.memory.setdefault(name, [np.zeros((W.shape[i],) * 2, p.dtype) for W, in views])
            for i, name in enumerate("LR"))
    P, Q = (f.memory.setdefault(name, [np.eye(len(A), dtype=p.dtype) for A in side])
            for name, side in (("P", L), ("Q", R)))
    for t in _counted(f):
        g = f.gradient()
        p *= 1 - f.lr * weight_decay
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        for i, (W, G, M, V) in enumerate(matrices(f.shapes, p, g, m, v)):
            turned = P[i].T @ G @ Q[i]
            turned *= turned
            turned *= 1 - beta2
            V += turned
            root = np.sqrt(V / (1 - beta2**t), out=turned)
            root += eps
            step = P[i].T @ M @ Q[i]
            step *= f.lr / (1 - beta1**t)
            step /= root
            W -= P[i] @ step @ Q[i].T
            for A, square in ((L[i], G @ G.T), (R[i], G.T @ G)):
                A *= beta2
                square *= 1 - beta2
                A += square
            if t == 1 or t % refresh == 0:
                P[i], Q[i] = eigenbasis(L[i], P[i], t == 1), eigenbasis(R[i], Q[i], t == 1)
        yield


def _muon(f, p, *, beta=0.95, nesterov=True, rounds=5, weight_decay=0.1):
    m = _kept(f, "m", p)
    while True:
        g = f.gradient()
        g *= 1 - beta
        m *= beta
        m += g
        if nesterov:
            g += beta * m
        p *= 1 - f.lr * weight_decay
        for W, U in matrices(f.shapes, p, g if nesterov else m):
            step = newton_schulz(U, rounds)
            W -= f.lr * math.sqrt(max(1, len(W) / W.shape[1])) * step
        yield


def _mezo(f, p, rng, *, eps=1e-3, noise="gaussian"):
    """MeZO with no vector but p: z is drawn again from its seed, a block at a time.

    In floating point p + εz - 2εz + εz is not quite p. On a grid it is: p and every shift are
    multiples of one power of two, so coarse that their sums are exact, as long as no parameter
    grows to twice the size of the largest at the start. In float32 that is about a millionth of
    the largest, and smaller steps are lost. The last shift restores p and takes the step in one.
    """
    f.log = log = SeedLog(noise, copy.deepcopy(rng), f.part)
    grid = _to_grid(p)
    if eps < grid:
        raise ValueError(f"eps={eps} is lost where p is rounded: at its size, {p.dtype} tells only "
                         f"multiples of {grid:.2g} apart")
    while True:
        shift = _shifter(p, np.random.default_rng(rng.integers(2**63)), noise, grid)
        shift(eps)
        plus = f.loss()
        shift(-eps, -eps)
        minus = f.loss()
        step = f.lr * (plus - minus) / (2 * eps)
        if not math.isfinite(step):
            step = 0.0  # go back only: `train` sees that the loss is not finite
        shift(eps, -step)
        log.steps.append(step)
        f.small += 0 < abs(step) < grid / 2
        yield


METHODS = {
    "gradient_descent": _gradient_descent,
    "momentum": _momentum,
    "nesterov": partial(_momentum, nesterov=True),
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": partial(_adam, decoupled=True, weight_decay=0.01),
    "amsgrad": partial(_adam, amsgrad=True),
    "sign_descent": _sign_descent,
    "lion": _lion,
    "adafactor": _adafactor,
    "shampoo": _shampoo,
    "soap": _soap,
    "muon": _muon,
    "mezo": _mezo,
}
CHOSEN = {"momentum nesterov", "nesterov nesterov", "decoupled", "amsgrad"}  # by the method's name


def _kept(f, name, p):
    """A vector like p that the method remembers: zero at first."""
    return f.memory.setdefault(name, np.zeros_like(p))


def _counted(f):
    """The numbers of the steps, from 1 or from where the training goes on."""
    for t in itertools.count(f.memory.get("t", 0) + 1):
        f.memory["t"] = t
        yield t


def _blocks(*vectors):
    """The same places of every vector, a block at a time."""
    if len(vectors[0]) <= BLOCK:
        return (vectors,)
    return ([v[i:i + BLOCK] for v in vectors] for i in range(0, len(vectors[0]), BLOCK))


# --- MeZO's noise ----------------------------------------------------------------------------

@dataclass(frozen=True, repr=False, eq=False)
class SeedLog:
    """All that a training by MeZO did: the seed of its directions, and a number for each step.

    ``replay(model, p)`` takes the same steps from the same start and ends at the same p, to the
    last bit: a checkpoint of eight bytes a step, whatever the size of the model.
    """

    noise: str
    rng: np.random.Generator
    part: str | None
    steps: list[float] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"SeedLog({len(self.steps)} steps, {8 * len(self.steps)} bytes)"

    def replay(self, model, p) -> np.ndarray:
        """The parameters at the end of the training that began at p; p itself stays as it is."""
        p = model.cast_one(p).copy()
        view = p if self.part is None else p[model.parts[self.part]]
        grid, rng = _to_grid(view), copy.deepcopy(self.rng)
        for step in self.steps:
            _shifter(view, np.random.default_rng(rng.integers(2**63)), self.noise, grid)(-step)
        return p


# The signs that the bits of a byte stand for, the highest bit first: a 1 is +1, a 0 is -1.
SIGNS = 2 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32) - 1


def _shifter(p, rng, noise, grid):
    """A function that adds amount · z to p for each amount, rounded to the grid; z is rng's."""
    bits = rng.bit_generator
    state = bits.state

    def blocks():
        bits.state = state  # going back is quicker than to seed again
        for p_ in (p[i:i + NOISE_BLOCK] for i in range(0, len(p), NOISE_BLOCK)):
            yield p_, (rng.standard_normal(p_.size, dtype=p.dtype) if noise == "gaussian" else
                       bits.random_raw(-(-p_.size // 64)).view(np.uint8))

    kept = list(blocks()) if len(p) <= NOISE_BLOCK else None  # a block has to be held anyway

    def shift(*amounts):
        if noise == "gaussian":
            for p_, z in kept or blocks():
                for amount in amounts:
                    p_ += grid * np.rint(amount / grid * z)
        else:  # one random byte picks eight shifts from a table: a tenth of the Gaussian's time
            shifts = SIGNS * p.dtype.type(sum(grid * round(amount / grid) for amount in amounts))
            for p_, drawn in kept or blocks():
                p_ += shifts.take(drawn, axis=0).ravel()[:p_.size]

    return shift


def _to_grid(p) -> float:
    """Round p to multiples of a power of two, in place, and return that power."""
    largest = 2 * max(float(p.max()), float(-p.min()), 0.5)
    grid = 2.0 ** (math.ceil(math.log2(largest)) - np.finfo(p.dtype).nmant - 1)
    p /= grid
    np.rint(p, out=p)
    p *= grid
    return grid


# --- what `train` is made of -----------------------------------------------------------------

class _Questions:
    """What a method in place may ask about the batch at hand. Every question is counted."""

    def __init__(self, model, p, part, clip, loss, begin=None):
        if part is not None and part not in model.parts:
            raise ValueError(f"part is one of {', '.join(model.parts)}, not {part!r}")
        if p.shape != (model.size,) or not np.isfinite(p).all():
            raise ValueError(f"p must be {model.size} finite numbers for this model")
        self.model, self.whole, self.part = model, p, part
        self.p = p if part is None else p[model.parts[part]]
        self.clip, self.measure, self.seen = clip, model.loss_of_checked, p
        if loss is not None:  # it may look at p, but not write into it
            self.measure = lambda p, X, y: _answer(loss(p, X, y), "loss", float, ())
            self.seen = p.view()
            self.seen.flags.writeable = False
        self.layers, self.slopes = model.layers(p), None
        self.lr = self.factor = self.batch = self.log = None
        self.losses, self.lost = [], False
        self.small = 0  # steps of MeZO that were lost in rounding
        self.examples, self.forward_equivalents = (0, 0) if begin is None else (
            int(begin.examples[-1]), int(begin.forward_equivalents[-1]))

    def loss(self) -> float:
        value = float(self.measure(self.seen, *self.batch))
        self._count(value, FORWARD_COST)
        return value

    def gradient(self) -> np.ndarray:
        if self.slopes is None:  # not before: MeZO needs no room for a gradient
            self.whole_g = whole = np.empty_like(self.whole)
            self.g = whole if self.part is None else whole[self.model.parts[self.part]]
            self.slopes = self.model.layers(whole)
        self._count(self.model.backprop(self.layers, self.slopes, *self.batch), GRADIENT_COST)
        g = self.g
        if self.clip is not None and (length := _norm(g)) > self.clip:
            g *= self.clip / length
        return g

    def _count(self, loss, cost):
        self.losses.append(loss)
        self.lost = self.lost or not math.isfinite(loss)
        self.examples += len(self.batch[1])
        self.forward_equivalents += cost


class _Run:
    """Arrays that lie side by side in p and are trained by one method: what it may ask. The
    gradient is asked for, and shortened, once a step for all of them."""

    def __init__(self, f, names, lr, memory):
        parts = [f.model.parts[name] for name in names]
        self.f, self.rate, self.memory = f, lr, memory
        self.where = slice(parts[0].start, parts[-1].stop)
        self.shapes = {name: f.model.shapes[name] for name in names}
        self.p = f.whole[self.where]

    @property
    def lr(self) -> float:
        return self.rate * self.f.factor

    def gradient(self) -> np.ndarray:
        return self.f.whole_g[self.where]


def _norm(g) -> float:
    with np.errstate(over="ignore"):
        length = float(np.linalg.norm(g))
    if length == math.inf:  # the squares did not fit into its precision
        largest = float(np.abs(g).max())
        length = largest * float(np.linalg.norm(g / largest))
    return length


class _Records:
    """The history of a training and, if someone waits for a better one, its best parameters."""

    def __init__(self, f, validation, patience, average):
        self.f, self.validation, self.patience = f, validation, patience
        self.p, self.rows, self.best = f.whole, [], None
        self.decay, self.average = 1.0 if average == "uniform" else average, None
        if average not in (None, "uniform") and not (is_number(average) and 0 < average < 1):
            raise ValueError(f'average must be "uniform" or a number in (0, 1), not {average!r}')

    def average_in(self, step) -> None:
        if self.decay is None:
            return
        if self.average is None:
            self.average = self.f.whole.copy()
        else:
            self.average += max(1 / step, 1 - self.decay) * (self.f.whole - self.average)

    def add(self, step) -> str:
        f, held_out, averaged = self.f, math.nan, math.nan
        if self.validation is not None:
            held_out = f.model.loss_of_checked(f.whole, *self.validation)
            if self.average is not None:
                averaged = f.model.loss_of_checked(self.average, *self.validation)
        if self.patience is not None and (self.best is None or held_out < self.rows[self.best][1]):
            self.best, self.p = len(self.rows), f.whole.copy()
        trained = float(np.mean(f.losses))
        f.losses.clear()
        self.rows.append((trained, held_out, averaged, step, f.examples, f.forward_equivalents))
        return f"train {trained:.3f}, validation {held_out:.3f}"

    @property
    def patience_is_over(self) -> bool:
        return self.patience is not None and len(self.rows) - 1 - self.best >= self.patience

    def columns(self):
        return (np.array(column) for column in zip(*self.rows, strict=True))


def _start(method, f, rng, loss, lr, hyper, groups, memory):
    """The generator that takes the steps, with names and hyperparameters checked first."""
    if loss is not None and not callable(loss):
        raise TypeError(f"loss must be a function (p, X, y), not {type(loss).__name__}")
    _check(method, lr, hyper)
    if loss is not None and method != "mezo":
        raise ValueError(f'only "mezo" minimises a loss of your own: {method} needs the gradient, '
                         "which the model has for its own loss alone")
    if method == "mezo":
        if groups:
            raise ValueError('"mezo" trains all parameters in one way: leave groups out')
        return _mezo(f, f.p, rng, **hyper)
    return _in_groups(f, method, lr, hyper, groups, memory)


def _check(method, lr, hyper):
    if method not in METHODS:
        raise ValueError(f"method is one of {', '.join(METHODS)}, not {method!r}")
    parameters = inspect.signature(METHODS[method]).parameters
    known = [name for name, q in parameters.items() if q.kind is q.KEYWORD_ONLY
             and name not in CHOSEN and f"{method} {name}" not in CHOSEN]
    check_names(method, ["lr", *known], hyper)
    check_values(method, parameters, {"lr": lr} | hyper)


def _in_groups(f, method, lr, hyper, groups, memory):
    """Each group's method on its own arrays, a run of neighbours at a time."""
    ways = dict.fromkeys(f.model.parts if f.part is None else [f.part], (method, lr, hyper))
    for group, named in _grouped(groups, ways):
        of_its_own = group.get("method", method)
        options = ({} if of_its_own != method else hyper) | {
            name: value for name, value in group.items() if name not in ("parts", "method", "lr")}
        way = of_its_own, group.get("lr", lr), options
        if of_its_own == "mezo":
            raise ValueError('"mezo" trains all parameters in one way: it cannot be a group')
        _check(*way)
        ways |= dict.fromkeys(named, way)
    updates = []
    for _, names in itertools.groupby(ways, key=lambda name: id(ways[name])):
        names = list(names)
        name, rate, options = ways[names[0]]
        run = _Run(f, names, rate, memory.setdefault((name, *names), {}))
        updates.append(METHODS[name](run, run.p, **options))
    return _together(f, updates)


def _together(f, updates):
    while True:
        f.gradient()
        for update in updates:
            next(update)
        yield


def _grouped(groups, ways):
    """The groups and the names in them: every name one of the model's, and in one group alone."""
    taken = set()
    for group in groups:
        if not isinstance(group, dict) or not group.get("parts"):
            raise ValueError('a group is a dictionary with "parts", the names of its arrays, and '
                             f"what differs for them: not {group!r}")
        named = [group["parts"]] if isinstance(group["parts"], str) else list(group["parts"])
        for name in named:
            if name not in ways:
                raise ValueError(f"the parts of a group are among {', '.join(ways)}: {name!r} is "
                                 "none of them")
            if name in taken:
                raise ValueError(f"{name} is in two groups: leave it in one")
            taken.add(name)
        yield group, named


def scheduled(schedule, warmup, steps):
    """What `train` multiplies lr by, as a function of the step, counted from 1."""
    schedule = SCHEDULES.get(schedule, schedule)
    if not callable(schedule):
        raise ValueError(f"schedule is {', '.join(SCHEDULES)} or a function, not {schedule!r}")
    check_value("warmup", warmup, "whole [0, inf)")
    if warmup > steps:
        raise ValueError(f"a warm-up of {warmup} steps does not fit into {steps} steps")

    def factor(step):
        if step <= warmup:
            return step / warmup
        return schedule((step - 1 - warmup) / (steps - warmup))

    return factor


def _beginning(begin, p):
    """The steps that were done before, the start, and what the methods remember."""
    if begin is None:
        return 0, p, {}
    if not isinstance(begin, Training):
        raise TypeError("begin is a Training, which train returned, not "
                        f"{type(begin).__name__}: a start point is given as p")
    if p is not None:
        raise ValueError("give p or begin: a training that goes on begins at the p of the other")
    return int(begin.steps[-1]), begin.p, copy.deepcopy(begin.memory)


def _warn_of_standstill(method, f, start):
    """Say so if p did not change, or most steps of MeZO were lost in the rounding of p."""
    steps = len(f.log.steps) if f.log else 0
    if 2 * f.small > steps:
        warnings.warn(f"{f.small} of {steps} steps of mezo were lost: they are too small to change "
                      f"p in {f.p.dtype}. Raise lr, or use a model in float64", RuntimeWarning,
                      stacklevel=3)
    elif not f.log and zlib.crc32(f.p) == start and f.gradient().any():
        warnings.warn(f"{method} did not change p: its steps were zero, or too small to change it "
                      f"in {f.p.dtype}", RuntimeWarning, stacklevel=3)


def _length(epochs, steps, every, epoch) -> tuple[int, int]:
    """Steps in all, and from one record to the next."""
    for name, value in (("epochs", epochs), ("steps", steps), ("every", every)):
        if value is not None and not is_count(value):
            raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
    if (epochs is None) == (steps is None):
        raise ValueError("say how long to train: epochs=10, or steps=1000, one of the two")
    if epochs is not None:
        return epochs * epoch, every or epoch
    return steps, every or max(1, steps // 20)
