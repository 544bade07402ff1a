"""Methods that follow the gradient: the gradient is all they ever ask of the objective.

Each method is a generator of iterates, written like its paper. It never stops by itself and
never changes the start point; the caller (usually `zglearn.run`) decides how long to go on:

    path = run(adam, f, x0, steps=100, lr=0.1)

Points `x` are arrays of shape (d,). `lr` is the learning rate. Conventions are PyTorch's, listed
in the package's docstring; where the paper differs, the method's docstring says so.
"""

import numpy as np


def gradient_descent(f, x, *, lr=0.01):
    """Steepest descent with a fixed step (Cauchy 1847)."""
    while True:
        x = x - lr * f.grad(x)
        yield x


def momentum(f, x, *, lr=0.01, beta=0.9):
    """Heavy-ball momentum (Polyak 1964), undamped: a steady gradient g ends in v = g / (1 - beta).

    Polyak's own form puts the learning rate inside v; the paths agree while lr is constant.
    """
    v = np.zeros_like(x)
    while True:
        v = beta * v + f.grad(x)
        x = x - lr * v
        yield x


def nesterov(f, x, *, lr=0.01, beta=0.9):
    """Nesterov's accelerated gradient (1983), in the form of Sutskever et al. (2013).

    As in PyTorch, x is the look-ahead point, so that the gradient is asked at the iterate.
    """
    v = np.zeros_like(x)
    while True:
        g = f.grad(x)
        v = beta * v + g
        x = x - lr * (g + beta * v)
        yield x


def adagrad(f, x, *, lr=0.01, eps=1e-10):
    """Adagrad, diagonal form (Duchi, Hazan, Singer 2011): divide by the root of the sum of g²."""
    G = np.zeros_like(x)
    while True:
        g = f.grad(x)
        G = G + g * g
        x = x - lr * g / (np.sqrt(G) + eps)
        yield x


def rmsprop(f, x, *, lr=0.01, rho=0.99, eps=1e-8, centered=False):
    """RMSprop (Tieleman and Hinton 2012, lecture 6.5): divide by the root of a running mean of g².

    Hinton used rho = 0.9; `centered` subtracts the squared running mean of g (Graves 2013).
    """
    S, m = np.zeros_like(x), np.zeros_like(x)
    while True:
        g = f.grad(x)
        S = rho * S + (1 - rho) * g * g
        m = rho * m + (1 - rho) * g
        x = x - lr * g / (np.sqrt(np.maximum(S - m * m, 0) if centered else S) + eps)
        yield x


def adam(f, x, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    """Adam (Kingma and Ba 2015, algorithm 1). `weight_decay` is L2: it is added to the gradient."""
    m, v, t = np.zeros_like(x), np.zeros_like(x), 0
    while True:
        g, t = f.grad(x) + weight_decay * x, t + 1
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        x = x - lr * m_hat / (np.sqrt(v_hat) + eps)
        yield x


def adamw(f, x, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    """AdamW (Loshchilov and Hutter 2019): Adam with the weights shrunk apart from the gradient.

    As in PyTorch, the decay is multiplied by lr and comes before the step.
    """
    m, v, t = np.zeros_like(x), np.zeros_like(x), 0
    while True:
        g, t = f.grad(x), t + 1
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        x = x - lr * weight_decay * x
        x = x - lr * m_hat / (np.sqrt(v_hat) + eps)
        yield x


def amsgrad(f, x, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    """AMSGrad (Reddi, Kale, Kumar 2018): Adam that never forgets its largest v.

    As in PyTorch, the maximum is taken before bias correction, and m and v are corrected; the
    paper corrects neither.
    """
    m, v, v_max, t = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x), 0
    while True:
        g, t = f.grad(x) + weight_decay * x, t + 1
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        v_max = np.maximum(v_max, v)
        m_hat = m / (1 - beta1**t)
        v_hat = v_max / (1 - beta2**t)
        x = x - lr * m_hat / (np.sqrt(v_hat) + eps)
        yield x
