"""Methods that never see a gradient: all they ever ask of the objective is losses.

Each method is a generator of iterates, written like its paper. It asks `f(x)` about one point, or
`f(X)` about a whole population of shape (population, d) in one call; it draws from `rng` alone,
never stops by itself and never changes the start point:

    path = run(cma_es, f, x0, budget=5000, seed=0, sigma=0.5)

Points `x` are arrays of shape (d,), and what is yielded has their precision. `sigma` is a length
in the units of x: the standard deviation of the steps tried. A method that remembers the loss of
an earlier point (all but `evolution_strategy`, `cma_es`, `sep_cma_es`, `spsa` and `mezo`) trusts
it: on a noisy objective, such as one with minibatches, a point that was lucky once stays.
"""

import numpy as np


def random_search(f, x, rng, *, radius=1.0, population=10):
    """Pure random search (Brooks 1958): uniform samples from the cube x ± radius; no memory.

    Yields the best point so far. `population` points are asked in each step.
    """
    _check_population(population, at_least=1)
    centre, best = x, f(x)
    while True:
        X = centre + radius * (2 * rng.random((population, x.size), dtype=x.dtype) - 1)
        F = f(X)
        if F.min() < best:
            x, best = X[F.argmin()], F.min()
        yield x


def hill_climbing(f, x, rng, *, sigma=0.1, neighbour=None):
    """Stochastic hill climbing: try a random neighbour, move there if it is no worse.

    Yields the point that it stands on, the best so far. `neighbour(x, rng)` returns a new point;
    without it, the neighbour is Gaussian with standard deviation `sigma`.
    """
    neighbour = neighbour or _gaussian_neighbour(sigma)
    f_x = f(x)
    while True:
        y = neighbour(x, rng)
        f_y = f(y)
        if f_y <= f_x:
            x, f_x = y, f_y
        yield x


def simulated_annealing(f, x, rng, *, temperature=1.0, cooling=0.99, sigma=0.1, neighbour=None):
    """Simulated annealing (Kirkpatrick, Gelatt, Vecchi 1983): sometimes accept a worse neighbour.

    A neighbour worse by Δ is accepted with probability exp(-Δ / T) (Metropolis et al. 1953). T
    starts at `temperature`, in units of the loss, and is multiplied by `cooling` in each step.
    Yields the point that it stands on, which need not be the best so far. `neighbour` and
    `sigma` as in `hill_climbing`, which is the case T = 0.
    """
    neighbour = neighbour or _gaussian_neighbour(sigma)
    T, f_x = temperature, f(x)
    while True:
        y = neighbour(x, rng)
        f_y = f(y)
        if f_y <= f_x or f_y - f_x < T * rng.exponential():  # happens with probability exp(-Δ / T)
            x, f_x = y, f_y
        T = cooling * T
        yield x


def nelder_mead(f, x, rng, *, size=0.5, adaptive=False):
    """The downhill simplex (Nelder and Mead 1965), with the rules of Lagarias et al. (1998).

    The first simplex has the corners x and x + size e_i. Yields the best corner: first that of
    the first simplex (d + 1 evaluations), then one a step (1, 2 or, after a shrink, d + 2
    evaluations). `adaptive` takes the coefficients of Gao and Han (2012), meant for many
    dimensions; for d = 2 they are the usual ones. No draw is made from `rng`.
    """
    chi, gamma, sigma = _simplex_coefficients(x.size, adaptive)
    X = np.vstack([x, x + size * np.eye(x.size, dtype=x.dtype)])
    F = f(X)
    while True:
        order = F.argsort(kind="stable")
        X, F = X[order], F[order]
        yield X[0]
        c = X[:-1].mean(axis=0)
        f_r, x_r = _ask(f, c + (c - X[-1]))  # reflect
        if f_r < F[0]:
            f_e, x_e = _ask(f, c + chi * (c - X[-1]))  # expand
            F[-1], X[-1] = (f_e, x_e) if f_e < f_r else (f_r, x_r)
        elif f_r < F[-2]:
            F[-1], X[-1] = f_r, x_r
        else:
            f_c, x_c = _ask(f, c + gamma * ((x_r if f_r < F[-1] else X[-1]) - c))  # contract
            if f_c < F[-1] and f_c <= f_r:
                F[-1], X[-1] = f_c, x_c
            else:
                X[1:] = X[0] + sigma * (X[1:] - X[0])  # shrink
                F[1:] = f(X[1:])


def genetic_algorithm(f, x, rng, *, population=40, spread=1.0, sigma=0.1, tournament=3, elite=1):
    """A real-coded genetic algorithm (after Holland 1975): select, cross, mutate.

    The first generation is x and Gaussian points around it, `spread` wide. Each parent is the best
    of `tournament` random members; a child takes every coordinate from either parent and is
    mutated by Gaussian noise `sigma`; the `elite` best survive and are not asked again.
    Yields the best member: with an elite, the best point so far.
    """
    _check_population(population, at_least=elite + 1)
    X = np.vstack([x, x + spread * _normal(rng, x, population - 1)])
    F = f(X)
    while True:
        order = F.argsort(kind="stable")
        X, F = X[order], F[order]
        yield X[0]
        rivals = rng.integers(population, size=(2, population - elite, tournament))
        mother, father = X[rivals.min(axis=2)]  # members are sorted: the smallest index wins
        children = np.where(rng.random(mother.shape) < 0.5, mother, father)
        children += sigma * _normal(rng, x, population - elite)
        X, F = np.vstack([X[:elite], children]), np.append(F[:elite], f(children))


def one_plus_one_es(f, x, rng, *, sigma=1.0, a=1.5):
    """The (1+1) evolution strategy with the 1/5 success rule (Rechenberg 1973).

    One child a step, kept if it is no worse. A success multiplies sigma by a, a failure by
    a^(-1/4), so that sigma stands still when one try in five succeeds. Yields the best so far.
    """
    f_x = f(x)
    while True:
        y = x + sigma * _normal(rng, x)
        f_y = f(y)
        success = f_y <= f_x
        if success:
            x, f_x = y, f_y
        sigma = sigma * (a if success else a**-0.25)
        yield x


def evolution_strategy(f, x, rng, *, lr=0.01, sigma=0.1, population=50, beta=0.0, ranks=True,
                       noise=None):
    """The evolution strategy of Salimans et al. (2017): a gradient from antithetic samples.

    g estimates the gradient of the loss averaged over N(x, sigma^2 I). With `ranks`, losses are
    replaced by their ranks, scaled to [-1/2, 1/2]: then g does not depend on the loss's scale,
    and an outlier, infinity included, is just the last rank. `beta` is momentum, as in
    `gradient_methods` (the paper used Adam). `noise(rng, x, count)` draws other directions
    (count, d), of mean 0 and unit covariance. Yields the mean x, whose own loss is never asked.
    """
    _check_population(population, at_least=2, even=True)
    draw, v = noise or _normal, np.zeros_like(x)
    while True:
        eps = draw(rng, x, population // 2)
        eps = np.vstack([eps, -eps])
        F = f(x + sigma * eps)
        F = _centred_ranks(F) if ranks else F
        g = F.astype(x.dtype) @ eps / (population * sigma)
        v = beta * v + g
        x = x - lr * v
        yield x


def cma_es(f, x, rng, *, sigma=0.5, population=None):
    """CMA-ES with active covariance update (Hansen, The CMA Evolution Strategy: A Tutorial, 2016).

    `population` is the tutorial's lambda, 4 + floor(3 ln n) by default; raise it for many local
    minima. Start with `sigma` about a third of the distance to where the minimum may be.
    Yields the mean m, whose own loss is never asked. Computes in float64, O(n^3) now and then.
    """
    n, lam = x.size, 4 + int(3 * np.log(x.size)) if population is None else population
    _check_population(lam, at_least=2)
    w, w_plus, mu_eff, c_c, c_s, c_1, c_mu, d_s, chi_n, lazy = _cma_constants(n, lam)
    m, C, B, D, p_c, p_s, g = x.astype(float), np.eye(n), np.eye(n), np.ones(n), 0, 0, 0
    while True:
        Z = rng.standard_normal((lam, n))
        Y = (Z * D) @ B.T  # ~ N(0, C)
        best = f((m + sigma * Y).astype(x.dtype)).argsort(kind="stable")
        Y, Z, g = Y[best], Z[best], g + 1
        y_w = w_plus @ Y
        m = m + sigma * y_w
        p_s = (1 - c_s) * p_s + np.sqrt(c_s * (2 - c_s) * mu_eff) * (B @ (w_plus @ Z))
        length = np.sqrt(p_s @ p_s) / chi_n
        h = length < (1.4 + 2 / (n + 1)) * np.sqrt(1 - (1 - c_s) ** (2 * g))
        p_c = (1 - c_c) * p_c + h * np.sqrt(c_c * (2 - c_c) * mu_eff) * y_w
        w_o = np.where(w < 0, w * n / (Z * Z).sum(axis=1), w)  # eq. 46: C stays positive
        C = (1 - c_1 - c_mu * w.sum() + (1 - h) * c_1 * c_c * (2 - c_c)) * C
        C = C + c_1 * np.outer(p_c, p_c) + c_mu * (Y.T * w_o) @ Y
        sigma = sigma * np.exp(c_s / d_s * (length - 1))
        if g % lazy == 0:
            B, D = _axes(C)
        yield m.astype(x.dtype)


def sep_cma_es(f, x, rng, *, sigma=0.5, population=None):
    """Separable CMA-ES (Ros and Hansen 2008): `cma_es` with a covariance that stays diagonal.

    It learns a length for each coordinate and no angle, so it may learn (n + 2) / 3 times as fast,
    in O(n) time and memory: for many coordinates, and valleys that lie along them. The paper has
    no active update; this has that of `cma_es`, which saves evaluations here too.
    """
    n, lam = x.size, 4 + int(3 * np.log(x.size)) if population is None else population
    _check_population(lam, at_least=2)
    w, w_plus, mu_eff, c_c, c_s, c_1, c_mu, d_s, chi_n, _ = _cma_constants(n, lam, separable=True)
    m, c, p_c, p_s, g = x.astype(float), np.ones(n), 0, 0, 0
    while True:
        Z = rng.standard_normal((lam, n))
        Y = Z * np.sqrt(c)  # ~ N(0, diag(c))
        best = f((m + sigma * Y).astype(x.dtype)).argsort(kind="stable")
        Y, Z, g = Y[best], Z[best], g + 1
        y_w = w_plus @ Y
        m = m + sigma * y_w
        p_s = (1 - c_s) * p_s + np.sqrt(c_s * (2 - c_s) * mu_eff) * (w_plus @ Z)
        length = np.sqrt(p_s @ p_s) / chi_n
        h = length < (1.4 + 2 / (n + 1)) * np.sqrt(1 - (1 - c_s) ** (2 * g))
        p_c = (1 - c_c) * p_c + h * np.sqrt(c_c * (2 - c_c) * mu_eff) * y_w
        w_o = np.where(w < 0, w * n / (Z * Z).sum(axis=1), w)
        c = (1 - c_1 - c_mu * w.sum() + (1 - h) * c_1 * c_c * (2 - c_c)) * c
        c = c + c_1 * p_c * p_c + c_mu * w_o @ (Y * Y)
        sigma = sigma * np.exp(c_s / d_s * (length - 1))
        yield m.astype(x.dtype)


def spsa(f, x, rng, *, lr=0.1, eps=0.1, A=0.0, alpha=0.602, gamma=0.101):
    """Simultaneous perturbation stochastic approximation (Spall 1992): two evaluations a step.

    The gains decay as a_k = lr / (A + k + 1)^alpha and c_k = eps / (k + 1)^gamma, with the
    exponents that Spall (1998) recommends; A is about a tenth of the steps planned. Yields x,
    whose own loss is never asked.
    """
    k = 0
    while True:
        a_k, c_k = lr / (A + k + 1) ** alpha, eps / (k + 1) ** gamma
        delta = _signs(rng, x)
        f_plus, f_minus = f(np.stack([x + c_k * delta, x - c_k * delta]))
        x, k = x - a_k * float(f_plus - f_minus) / (2 * c_k) / delta, k + 1
        yield x


def mezo(f, x, rng, *, lr=0.01, eps=1e-3, noise="gaussian"):
    """MeZO (Malladi et al. 2023): a slope along one random direction z, and a step along it.

    z is remembered by its seed alone, and drawn again where it is needed: that is how the paper
    fine-tunes in the memory of inference. `noise` is "gaussian" (the paper) or "rademacher"
    (random signs, cheaper to draw). This version says what happens and holds x and z in memory;
    the one in place is in `zglearn.models`. Yields x, whose own loss is never asked.
    """
    if noise not in ("gaussian", "rademacher"):
        raise ValueError(f'noise is "gaussian" or "rademacher", not {noise!r}')
    draw = _normal if noise == "gaussian" else _signs
    while True:
        seed = rng.integers(2**63)
        z = draw(np.random.default_rng(seed), x)
        slope = (f(x + eps * z) - f(x - eps * z)) / (2 * eps)
        x = x - lr * slope * z
        yield x


def _normal(rng, x, *population):
    """Standard normal noise in the shape and precision of x, or of a population of it."""
    return rng.standard_normal((*population, x.size), dtype=x.dtype)


def _signs(rng, x):
    """Rademacher noise: +1 or -1 in each coordinate, at the cost of one random bit."""
    words = rng.bit_generator.random_raw(-(-x.size // 64))
    return 2 * np.unpackbits(words.view(np.uint8), count=x.size).astype(x.dtype) - 1


def _gaussian_neighbour(sigma):
    return lambda x, rng: x + sigma * _normal(rng, x)


def _ask(f, x):
    return f(x), x


def _simplex_coefficients(d, adaptive):
    """Expansion, contraction and shrinkage: the classic ones, or Gao and Han's for dimension d."""
    return (1 + 2 / d, 0.75 - 0.5 / d, 1 - 1 / d) if adaptive and d > 1 else (2, 0.5, 0.5)


def _centred_ranks(F):
    """Ranks scaled to [-1/2, 1/2]; equal losses share their average rank."""
    ordered = np.sort(F)
    low, high = np.searchsorted(ordered, F), np.searchsorted(ordered, F, side="right")
    return (low + high - len(F)) / (2 * len(F) - 2)


def _cma_constants(n, lam, separable=False):
    """Table 1 of Hansen's tutorial, and after how many generations C is decomposed anew.

    A diagonal C has so much less to learn that it may learn faster (Ros and Hansen 2008).
    """
    faster = (n + 2) / 3 if separable else 1
    w = np.log((lam + 1) / 2) - np.log(np.arange(1, lam + 1))  # eq. 49
    plus, minus = w[w > 0], w[w < 0]
    mu_eff, mu_eff_minus = (v.sum() ** 2 / (v * v).sum() for v in (plus, minus))
    c_c = (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n)
    c_s = (mu_eff + 2) / (n + mu_eff + 5)
    c_1 = faster * 2 / ((n + 1.3) ** 2 + mu_eff)
    c_mu = min(1 - c_1, faster * 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((n + 2) ** 2 + mu_eff))
    d_s = 1 + 2 * max(0, np.sqrt((mu_eff - 1) / (n + 1)) - 1) + c_s
    chi_n = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))  # expected length of N(0, I)
    alpha = min(1 + c_1 / c_mu, 1 + 2 * mu_eff_minus / (mu_eff + 2), (1 - c_1 - c_mu) / (n * c_mu))
    w = np.where(w > 0, w / plus.sum(), alpha * w / -minus.sum())  # eq. 53
    lazy = max(1, int(0.5 / (n * (c_1 + c_mu))))  # Hansen's purecma; in the tutorial, a fifth
    return w, np.maximum(w, 0), mu_eff, c_c, c_s, c_1, c_mu, d_s, chi_n, lazy


def _axes(C):
    """B and D with C = B D^2 B^T: principal axes, and the standard deviations along them."""
    D2, B = np.linalg.eigh(C)
    return B, np.sqrt(np.maximum(D2, 1e-15 * D2[-1]))


def _check_population(population, *, at_least, even=False):
    whole = isinstance(population, (int, np.integer)) and not isinstance(population, bool)
    if not whole or population < at_least or even and population % 2:
        kind = "an even number" if even else "a whole number"
        raise ValueError(f"population must be {kind} of at least {at_least}, not {population!r}")
