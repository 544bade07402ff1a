"""Methods that follow the gradient: the gradient is all they ever ask of the objective.

Each method is a generator of iterates, written like its paper. It never stops by itself and
never changes the start point; the caller (usually `zglearn.run`) decides how long to go on:

    path = run(adam, f, x0, steps=100, lr=0.1)

Points `x` are arrays of shape (d,). `lr` is the learning rate. Conventions are PyTorch's, listed
in the package's docstring; where the paper differs, the method's docstring says so.

Methods with `shapes` look at x as the matrices W, of shape (m, n), that it is made of:
`shapes=model.shapes`, or {"W1": (64, 16), "b1": (16,)}, in the order in which they lie in x. A
vector counts as a matrix with one column.
"""

import itertools
import math

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


# --- after Adam: signs, and methods that know that a parameter is a matrix ---------------------

def sign_descent(f, x, *, lr=0.001):
    """Sign descent: every coordinate goes by lr. It is Adam without memory: both betas 0, no eps.

    The steepest descent if the length of a step is its largest coordinate (Bernstein et al. 2018).
    """
    while True:
        x = x - lr * np.sign(f.grad(x))
        yield x


def lion(f, x, *, lr=1e-4, beta1=0.9, beta2=0.99, weight_decay=0.0):
    """Lion (Chen et al. 2023): the sign of a momentum that gives the newest gradient more weight
    than the momentum that is kept. The decay is decoupled, as in AdamW."""
    m = np.zeros_like(x)
    while True:
        g = f.grad(x)
        u = np.sign(beta1 * m + (1 - beta1) * g)
        m = beta2 * m + (1 - beta2) * g
        x = x - lr * (u + weight_decay * x)
        yield x


def adafactor(f, x, *, shapes, lr=0.01, beta2_decay=-0.8, eps1=None, eps2=1e-3, d=1.0,
              weight_decay=0.0):
    """Adafactor (Shazeer and Stern 2018): of the running mean of G², only the means r of its rows
    and c of its columns. V = r c / mean(r) is the rank-one matrix nearest to it in KL divergence.

    As in PyTorch: the step is relative to the size of W, its root mean square is at most d, and
    eps1, if None, is the machine epsilon.
    """
    r, c = ([np.zeros_like(A) for A in side] for side in _sides(x, shapes))
    eps1, t = np.finfo(x.dtype).eps if eps1 is None else eps1, 0
    while True:
        g, x, t = f.grad(x), x.copy(), t + 1
        for (W, G), r_, c_ in zip(matrices(shapes, x, g), r, c, strict=True):
            alpha = max(eps2, rms(W)) * min(lr, t**-0.5)
            W *= 1 - lr * weight_decay
            r_ += t**beta2_decay * ((G * G).mean(axis=1, keepdims=True) - r_)
            c_ += t**beta2_decay * ((G * G).mean(axis=0, keepdims=True) - c_)
            V = r_ @ c_ / max(r_.mean(), eps1)
            U = G / np.sqrt(np.maximum(V, eps1 * eps1))
            W -= alpha / max(1.0, rms(U) / d) * U
        yield x


def shampoo(f, x, *, shapes, lr=0.01, eps=1e-12, refresh=1):
    """Shampoo (Gupta, Koren, Singer 2018, algorithm 1): Adagrad with a matrix on either side of G
    in place of a rate for each entry. The first step, without history, is lr U Vᵀ of G = U S Vᵀ.

    The roots are taken anew in the first step and in each step that `refresh` divides. If that is
    not every step, raise eps: a direction that is new since then has an eigenvalue of eps.
    """
    L, R = ([eps * np.eye(A.size, dtype=x.dtype) for A in side] for side in _sides(x, shapes))
    P, Q, t = L.copy(), R.copy(), 0
    while True:
        g, x, t = f.grad(x), x.copy(), t + 1
        for i, (W, G) in enumerate(matrices(shapes, x, g)):
            L[i] = L[i] + G @ G.T
            R[i] = R[i] + G.T @ G
            if t == 1 or t % refresh == 0:
                P[i], Q[i] = inverse_root(L[i], 4, eps), inverse_root(R[i], 4, eps)
            W -= lr * P[i] @ G @ Q[i]
        yield x


def soap(f, x, *, shapes, lr=3e-3, beta1=0.95, beta2=0.95, eps=1e-8, weight_decay=0.01,
         refresh=10):
    """SOAP (Vyas et al. 2024, algorithm 3): Adam in the eigenbasis of Shampoo's two matrices.

    Of the axes nothing is known at first, so the first step is Adam's (the authors' code takes
    none). Steps that `refresh` divides move the basis, by one round of the power method.
    """
    m, v, t = np.zeros_like(x), np.zeros_like(x), 0
    L, R = ([np.zeros((A.size, A.size), x.dtype) for A in side] for side in _sides(x, shapes))
    P, Q = ([np.eye(len(A), dtype=x.dtype) for A in side] for side in (L, R))
    while True:
        g, t = f.grad(x), t + 1
        x, m, v = x - lr * weight_decay * x, beta1 * m + (1 - beta1) * g, beta2 * v
        for i, (W, G, M, V) in enumerate(matrices(shapes, x, g, m, v)):
            V += (1 - beta2) * (P[i].T @ G @ Q[i]) ** 2
            N = P[i].T @ M @ Q[i] / (1 - beta1**t) / (np.sqrt(V / (1 - beta2**t)) + eps)
            W -= lr * P[i] @ N @ Q[i].T
            L[i] = beta2 * L[i] + (1 - beta2) * (G @ G.T)
            R[i] = beta2 * R[i] + (1 - beta2) * (G.T @ G)
            if t == 1 or t % refresh == 0:
                P[i], Q[i] = eigenbasis(L[i], P[i], t == 1), eigenbasis(R[i], Q[i], t == 1)
        yield x


def muon(f, x, *, shapes, lr=1e-3, beta=0.95, nesterov=True, rounds=5, weight_decay=0.1):
    """Muon (Jordan et al. 2024): momentum whose singular values are brought near to 1.

    Made for the hidden matrices of a network; its embeddings, head and vectors are better given to
    AdamW (`train` has `groups`). As in PyTorch, m is a running mean and the decay is decoupled.
    """
    m = np.zeros_like(x)
    while True:
        g = f.grad(x)
        m = beta * m + (1 - beta) * g
        u = beta * m + (1 - beta) * g if nesterov else m
        x = x - lr * weight_decay * x
        for W, U in matrices(shapes, x, u):
            W -= lr * math.sqrt(max(1, len(W) / W.shape[1])) * newton_schulz(U, rounds)
        yield x


# --- what they need of a matrix --------------------------------------------------------------

def matrices(shapes, *vectors):
    """The matrices that the vectors are made of, as views: of the first of each, of the second."""
    ends = list(itertools.accumulate(map(math.prod, shapes.values()), initial=0))
    if ends[-1] != vectors[0].size:
        raise ValueError(f"the shapes are those of {ends[-1]} parameters, but x has "
                         f"{vectors[0].size}: give shapes=model.shapes of the model it belongs to")
    for shape, (i, j) in zip(shapes.values(), itertools.pairwise(ends), strict=True):
        yield tuple(vector[i:j].reshape(shape[0], -1) for vector in vectors)


def _sides(x, shapes):
    """A column and a row of each matrix: as long as its two sides."""
    return [W[:, :1] for W, in matrices(shapes, x)], [W[:1] for W, in matrices(shapes, x)]


def rms(A) -> float:
    """The root mean square of the entries."""
    return float(np.linalg.norm(A)) / math.sqrt(A.size)


def polar_factor(G):
    """U Vᵀ of G = U S Vᵀ: the matrix with orthonormal rows or columns that is nearest to G."""
    U, _, Vt = np.linalg.svd(G, full_matrices=False)
    return U @ Vt


NEWTON_SCHULZ = 3.4445, -4.7750, 2.0315  # steep at 0, so that small singular values grow fast


def newton_schulz(G, rounds=5, coefficients=NEWTON_SCHULZ):
    """Nearly `polar_factor(G)`, by products of matrices alone (Jordan et al. 2024).

    A round takes each singular value s to a s + b s³ + c s⁵ and leaves the singular vectors alone.
    With Jordan's coefficients five rounds bring all that are not tiny to between 0.7 and 1.2;
    with (15/8, -5/4, 3/8) they tend to 1, more slowly (Björck and Bowie 1971).
    """
    a, b, c = coefficients
    X = G.T if len(G) > G.shape[1] else G
    X = X / max(np.linalg.norm(X), 1e-7)
    for _ in range(rounds):
        A = X @ X.T
        X = a * X + (b * A + c * A @ A) @ X
    return X.T if len(G) > G.shape[1] else X


def inverse_root(A, k, eps=0.0):
    """A^(-1/k) of a symmetric matrix without negative eigenvalues; those below eps count as eps."""
    s, Q = np.linalg.eigh(A)
    return (Q * np.maximum(s, eps) ** (-1 / k)) @ Q.T


def eigenbasis(A, Q, first=False):
    """The eigenvectors of a symmetric matrix, that of the largest eigenvalue first. If it is not
    the first time, one round of the power method makes Q a better guess at them."""
    return np.linalg.eigh(A)[1][:, ::-1] if first else np.linalg.qr(A @ Q)[0]
