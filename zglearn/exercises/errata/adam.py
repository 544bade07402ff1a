"""Cards about Adam: its formula, its state, and what it is made of."""

import inspect

import numpy as np

from zglearn.exercises.cards import card, failure, said, steps_of
from zglearn.gradient_methods import adagrad, adam, adamw, amsgrad, gradient_descent, rmsprop
from zglearn.landscapes import ravine
from zglearn.objective import Objective
from zglearn.trajectory import run


def inside(method, gradients, **hyper):
    """The method's own variables after it has been told these gradients, shape (n, d)."""
    told = iter(gradients)
    f = Objective(lambda x: 0.0, lambda x: next(told))
    iterates = method(f, np.zeros(gradients.shape[1]), **hyper)
    for _ in gradients:
        next(iterates)
    return inspect.getgeneratorlocals(iterates)


# --- the formula ------------------------------------------------------------------------------


def adam_step(x, g, m, v, t, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    x = x - lr / np.sqrt(1 - beta2**t) * m / (1 - beta1**t)
    return x, m, v


def adam_step_by_root_v(x, g, m, v, t, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    x = x - lr / (np.sqrt(v / (1 - beta2**t)) + eps) * m / (1 - beta1**t)
    return x, m, v


@card("adaptive", "false", chapter="07", rows=["E43"],
      broken=adam_step, repaired=adam_step_by_root_v,
      right="`v` is computed and never used. Divided by its root, the step is about one learning "
            "rate long whatever the scale of the loss. That is what makes it Adam.")
def adam_in_three_lines(broken, repaired):
    """This function takes step t = 1, 2, … of Adam."""
    gradients = np.random.default_rng(0).normal(size=(20, 3))
    x = m = v = np.zeros(3)
    for t, g in enumerate(gradients, start=1):
        x, m, v = repaired(x, g, m, v, t)
    assert np.allclose(x, steps_of(adam, gradients, lr=0.01).sum(axis=0))
    firsts = [[-step(0.0, g, 0.0, 0.0, 1)[0] for g in (1e-3, 1.0, 1e3)]
              for step in (broken, repaired)]
    assert np.allclose(np.divide(firsts[0], firsts[0][1]), [1e-3, 1, 1e3])
    assert np.allclose(firsts[1], 0.01, rtol=1e-3)
    return ("With lr = 0.01 and a gradient of 0.001, 1 or 1000, its first step is {:.0e}, {:.2f} "
            "or {:.0f} long. Repaired, it is 0.01 each time, and the path is that of the package's "
            "Adam.".format(*firsts[0]))


def without_root(f, x, *, lr, beta1=0.9, beta2=0.999):
    m, t = np.zeros_like(x), 0
    while True:
        g, t = f.grad(x), t + 1
        m = beta1 * m + (1 - beta1) * g
        x = x - lr / np.sqrt(1 - beta2**t) * m / (1 - beta1**t)
        yield x


@card("adaptive", "it depends", chapter="07", rows=["E43"],
      holds="with a learning rate of 1 in a valley with curvatures of up to 100",
      fails="with 0.003 there",
      right="What is left is momentum with a learning rate that starts 32 times too long and then "
            "falls. It is sound while lr times the curvature is small. A bug can hide for long.")
def adam_without_its_root():
    """Leave out Adam's division by √v, and it runs off to infinity."""
    high, low = (run(without_root, ravine(100).objective(), [1.0, 1.0], steps=1000, lr=lr)
                 for lr in (1.0, 0.003))
    assert high.stopped == "diverged" and low.losses[-1] < 1e-3 * low.losses[0]
    return (f"In a valley with curvatures 1 and 100 and lr = 1, the loss passes 1e12 at step "
            f"{np.flatnonzero(high.losses > 1e12)[0]}. With lr = 0.003 it falls from "
            f"{low.losses[0]:.0f} to {low.losses[-1]:.0e} in 1,000 steps.")


# --- programs and interfaces ------------------------------------------------------------------


def adam_update(x, g, m, v, t, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    x = x - lr * m_hat / (np.sqrt(v_hat) + eps)
    t += 1
    return x, m, v, t


def adam_update_that_counts_first(x, g, m, v, t, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8):
    t += 1
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    x = x - lr * m_hat / (np.sqrt(v_hat) + eps)
    return x, m, v, t


@card("adaptive", "true", chapter="07", rows=["E44"],
      broken=adam_update, repaired=adam_update_that_counts_first,
      right="`1 - beta**0` is 0, and 0/0 is nan, which NumPy lets pass with a warning. The first "
            "step is number 1: count, then correct.")
def first_step_is_number_zero(broken, repaired):
    """Begun with arrays of zeros for m and v and with t = 0, this function gives no error and no
    usable step."""
    zero, g = np.zeros(3), np.array([0.1, 0.2, 0.3])
    with np.errstate(all="ignore"):
        lost, *_ = broken(np.ones(3), g, zero, zero, 0)
        x, _, _, t = repaired(np.ones(3), g, zero, zero, 0)
    assert np.isnan(lost).all() and np.allclose(x, 0.99) and t == 1
    return (f"Three weights of 1 become {', '.join(str(w) for w in lost)}. Repaired, they become "
            f"{', '.join(f'{w:.2f}' for w in x)}.")


def adam_path(gradients, x, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = np.zeros_like(x), np.zeros_like(x)

    def step(x, g, t):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        return x - lr * m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps)

    for t, g in enumerate(gradients, start=1):
        x = step(x, g, t)
    return x


def adam_path_with_shared_state(gradients, x, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = np.zeros_like(x), np.zeros_like(x)

    def step(x, g, t):
        nonlocal m, v
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        return x - lr * m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps)

    for t, g in enumerate(gradients, start=1):
        x = step(x, g, t)
    return x


@card("adaptive", "false", chapter="07", rows=["E45"],
      broken=adam_path, repaired=adam_path_with_shared_state,
      right="An assignment makes a name local to the whole function, so the `m` on the right is "
            "not the one set up outside. Say `nonlocal`, or hand the state in and out.")
def state_outside_the_function(broken, repaired):
    """`m` and `v` are set to zero before `step` is first called, so `step` finds them."""
    gradients = np.random.default_rng(0).normal(size=(20, 3))
    error = failure(broken, gradients, np.zeros(3))
    assert isinstance(error, UnboundLocalError)
    assert np.allclose(repaired(gradients, np.zeros(3)),
                       steps_of(adam, gradients, lr=0.01).sum(axis=0))
    return (f"It stops at the first step: {said(error)}. Repaired, it ends after 20 gradients "
            "where the package's Adam does.")


@card("adaptive", "false", chapter="07", rows=["E48"],
      right="The number of the step is missing: the correction divides by `1 - beta**t`. "
            "What needs no storing is the previous gradient, which m already holds.")
def signature_without_the_step():
    """From the gradient, m and v, all of them known exactly, Adam's next step follows."""
    fresh = steps_of(adam, np.array([1.0]), lr=1.0)
    late = steps_of(adam, np.array([0.0] * 1000 + [1.0]), lr=1.0)
    assert np.isclose(-fresh[-1, 0], 1) and 2.4 < -late[-1, 0] < 2.6
    return (f"Twice m = v = 0 and a gradient of 1. If it is the very first gradient, the step is "
            f"{-fresh[-1, 0]:.1f} learning rates. If a thousand zeros came before, as for a rare "
            f"word, it is {-late[-1, 0]:.1f}.")


# --- what m and v are -------------------------------------------------------------------------


@card("adaptive", "true", chapter="07", rows=["E46"],
      right="The correction makes the weights of the running mean add up to 1, and a weighted mean "
            "has the right expectation whatever is averaged. No Gaussian is assumed anywhere.")
def hats_without_a_bell_curve():
    """However oddly gradients are distributed, m̂ and v̂ are right on average from step 1 on, if
    only the distribution stays as it is."""
    rng = np.random.default_rng(0)
    rare = 10.0 * (rng.random(size=(3, 50_000)) < 0.1)  # 10 one time in ten, else 0
    state = inside(adam, rare)
    m, m_hat, v_hat = (state[name].mean() for name in ("m", "m_hat", "v_hat"))
    assert abs(m_hat - 1) < 0.05 and abs(v_hat - 10) < 0.5 and m < 0.3
    return (f"50,000 streams of gradients that are 10 one time in ten and else 0, so E[g] = 1 and "
            f"E[g²] = 10. After three steps m̂ is {m_hat:.1f} and v̂ {v_hat:.0f} on average; m "
            f"itself is {m:.2f}.")


@card("adaptive", "false", chapter="07", rows=["E47"],
      right="v is a mean square, the variance plus the squared mean; nobody subtracts the mean. "
            "Were it the variance, a steady gradient would be divided by zero.")
def v_as_a_variance():
    """Adam divides by the standard deviation of the gradient, estimated as it goes."""
    rng = np.random.default_rng(0)
    gradients = 3 + 0.1 * rng.normal(size=(200, 1000))
    v_hat = inside(adam, gradients)["v_hat"].mean()
    assert abs(v_hat - 9) < 0.1 and gradients.var() < 0.02
    return (f"Gradients with mean 3 and standard deviation {gradients.std():.1f}: Adam divides by "
            f"√v̂ = {np.sqrt(v_hat):.1f}.")


# --- what Adam is made of ---------------------------------------------------------------------


@card("adaptive", "true", chapter="07", rows=["E49"],
      right="It is how Adam's own paper introduces it: Adagrad's gift for sparse gradients, "
            "RMSprop's for gradients that change. Both are in it as limits of β₁ and β₂.")
def adam_from_adagrad_and_rmsprop():
    """Adam combines AdaGrad and RMSProp."""
    gradients = np.random.default_rng(0).normal(size=(50, 4))
    t = np.arange(1, 51)[:, None]
    endless = steps_of(adam, gradients, lr=1.0, beta1=0.0, beta2=1 - 1e-7, eps=0.0)
    assert np.allclose(endless / np.sqrt(t), steps_of(adagrad, gradients, lr=1.0), rtol=1e-4)
    fading = steps_of(adam, gradients, lr=1.0, beta1=0.0, beta2=0.9, eps=0.0)
    ratio = fading / steps_of(rmsprop, gradients, lr=1.0, rho=0.9, eps=0.0)
    assert np.allclose(ratio, np.sqrt(1 - 0.9**t))
    return ("50 random gradients, β₁ = 0. With β₂ next to 1 and a learning rate falling as 1/√t, "
            "Adam's steps are Adagrad's; with β₂ = 0.9 they are RMSprop's, but for the correction "
            f"of the start, a factor of {ratio[0, 0]:.2f} at step 1 and {ratio[-1, 0]:.2f} at 50.")


@card("adaptive", "false", chapter="11", rows=["E76"],
      right="Adam is momentum and RMSprop in one. A second running mean on top makes it slower to "
            "turn. One chooses one rule; a schedule, clipping or weight decay goes with any.")
def momentum_on_top_of_adam():
    """Adam adapts its steps but has no momentum; combine the two as the task needs it."""
    turn = np.repeat([1.0, -1.0], 100)  # the slope changes its sign after step 100

    def late(steps):
        """How many steps still go the old way after the turn."""
        return int(np.flatnonzero(steps[100:, 0] > 0)[0])

    alone = steps_of(adam, turn, lr=0.01)
    topped, velocity = np.zeros_like(alone), 0.0
    for t, step in enumerate(alone):
        topped[t] = velocity = 0.9 * velocity + 0.1 * step
    counts = [late(steps_of(rmsprop, turn, lr=0.01)), late(alone), late(topped)]
    assert counts[0] == 0 < counts[1] < counts[2] / 2
    return ("A slope of 1 becomes −1. RMSprop turns at once, Adam goes on the old way for "
            "{1} steps, Adam with momentum on top for {2}.".format(*counts))


@card("adaptive", "false", chapter="07", rows=["E50"],
      right="Adam forgets large gradients. The one step in the right direction is then divided by "
            "its own size, the many in the wrong one by theirs. AMSGrad never lets v shrink; a "
            "memory `1 / (1 - beta2)` that outlasts the news helps as well.")
def downhill_in_the_long_run():
    """If losses are convex and the learning rate is small, Adam goes downhill in the long run."""
    slopes = np.tile([58.0] + [-1.0] * 29, 50)
    to_the_right = [steps_of(method, slopes, lr=0.01, beta1=0.0, beta2=0.9).sum()
                    for method in (adam, amsgrad)]
    assert slopes.mean() > 0.9 and to_the_right[0] > 0.1 and to_the_right[1] < -0.1
    return (f"Straight lines: every 30th has slope 58, the others −1. The mean slope is "
            f"{slopes.mean():.1f}, so down is left. In 1,500 steps with β₁ = 0 and β₂ = 0.9, Adam "
            f"goes {to_the_right[0]:.1f} to the right, AMSGrad {-to_the_right[1]:.1f} to the left.")


@card("adaptive", "it depends", chapter="07", rows=["E50"],
      holds="for gradient descent", fails="for Adam",
      right="Adam divides what is in its gradient by √v, "
            "so noisy weights decay less; AdamW shrinks the weights apart from the gradient.")
def decay_in_the_gradient():
    """Adding λx to the gradient is the same as shrinking the weights by a factor at each step."""
    lr, decay, steps = 0.001, 0.1, 500
    noise = np.repeat([0.1, 10.0], 500) * np.random.default_rng(0).normal(size=(steps, 1000))

    def fed(pull=0.0):
        told = iter(noise)
        return Objective(lambda x: 0.0, lambda x: next(told) + pull * x)

    def end(method, f, **hyper):
        return run(method, f, np.ones(1000), steps=steps, lr=lr, **hyper).points[-1]

    shrunk = np.ones(1000)
    for g in noise:
        shrunk = (1 - lr * decay) * shrunk - lr * g
    assert np.allclose(end(gradient_descent, fed(decay)), shrunk)
    in_gradient, apart = (end(method, fed(), weight_decay=decay) for method in (adam, adamw))
    gap = abs(in_gradient[:500].mean() - in_gradient[500:].mean())
    assert gap > 0.05 and abs(apart[:500].mean() - apart[500:].mean()) < 0.02
    return ("Weights of 1 under pure noise for 500 steps. Gradient descent takes the same path "
            f"either way. Adam with λx in the gradient ends at {in_gradient[:500].mean():.1f} "
            f"where the noise is small and at {in_gradient[500:].mean():.1f} where it is large; "
            f"shrunk apart, at {apart[:500].mean():.2f} and {apart[500:].mean():.2f}.")
