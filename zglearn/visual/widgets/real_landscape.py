"""Real landscapes: a two-dimensional slice through the loss of a model with many parameters."""

from __future__ import annotations

import functools

import numpy as np

from ...hyperparameters import check_value
from .. import panels as draw
from ..widget import Widget, choice, part, slider

PRINCIPAL, RANDOM = "the paths' principal plane", "two random directions, filter-normalised"
POINTS = 100  # of each path, so many are drawn
ROW = 32  # points of the slice whose loss is asked at once


def real_landscape(f, paths, *, shapes, centre=None, resolution=31, seed=0, seconds=60, alt=""):
    """A widget: the loss of a model on a plane through its parameters, with the methods' paths.

    Parameters
    ----------
    f : Objective
        The loss of the whole parameter vector. It is only peeked at, never charged.
    paths : {method: array (n, d) of parameter vectors}
    shapes : list of shapes
        The arrays that a parameter vector consists of, in order (``model.shapes.values()``).
    centre : array (d,), optional
        Where the planes cross; the end of the first path by default.
    resolution : int
        A slice asks for resolution² losses.
    """
    paths = {name: _thinned(np.asarray(points, dtype=float)) for name, points in paths.items()}
    centre = np.asarray(next(iter(paths.values()))[-1] if centre is None else centre, dtype=float)

    check_value("resolution", resolution, "whole [2, inf)")

    @functools.cache
    def plane(kind, seed):
        if kind == PRINCIPAL:
            return principal_plane(np.vstack(list(paths.values())) - centre)
        return random_plane(centre, shapes, np.random.default_rng(seed)), None

    def slice_(kind, seed, zoom):
        (a, b), _ = plane(kind, seed)
        box = _box([project(points - centre, a, b) for points in paths.values()], kind, zoom)
        Z = loss_on_plane(f, centre, a, b, box, resolution)
        return [draw.terrain("slice", Z, box),
                draw.status(f"Loss on this plane from {np.nanmin(Z):.3f} to {np.nanmax(Z):.3f}.")]

    def walked(kind, seed):
        (a, b), share = plane(kind, seed)
        layers = [draw.line("slice", *project(points - centre, a, b).T, colour=i, label=name,
                            timed=True) for i, (name, points) in enumerate(paths.items())]
        if share is not None:
            layers.append(draw.status(f"The plane holds {share:.0%} of the paths' variance."))
        return layers

    return Widget(
        "A slice through a real landscape", timed="moment", seconds=seconds,
        panels=[draw.Panel("slice", "loss, darker where it is lower", "first direction",
                           "second direction", span=12, height=430)],
        controls=[choice("kind", "plane", (PRINCIPAL, RANDOM)),
                  slider("zoom", "zoom", 0.25, 8, 1, scale="log", positions=11),
                  slider("seed", "random directions", 0, 9, seed, whole=True, positions=10)],
        parts=[part(slice_, "slice"), part(walked)],
        alt=alt or (f"Contours of the loss on the plane that the paths of {', '.join(paths)} "
                    "span best, with the paths projected onto it."))


def principal_plane(D):
    """The plane that holds most of the differences D (n, d): two orthonormal rows, and its share
    of their squared length (Lorch 2016; Li et al. 2018)."""
    squares, Q = np.linalg.eigh(D @ D.T)  # n × n: there are far fewer points than parameters
    directions = Q[:, :-3:-1].T @ D
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    return directions, float(squares[-2:].sum() / squares.sum())


def random_plane(centre, shapes, rng):
    """Two random directions, each filter as long as the model's own (Li et al. 2018).

    A filter is a column of a weight matrix, the weights into one unit; vectors (biases, scales)
    stay put.
    """
    directions = np.zeros((2, centre.size))
    at = 0
    for shape in shapes:
        part_ = slice(at, at := at + int(np.prod(shape)))
        if len(shape) < 2:
            continue
        W = centre[part_].reshape(shape)
        for direction in directions:
            N = rng.normal(size=shape)
            N *= np.linalg.norm(W, axis=0) / np.maximum(np.linalg.norm(N, axis=0), 1e-12)
            direction[part_] = N.ravel()
    return directions


def project(D, a, b):
    """Coordinates (n, 2) of the points of the plane nearest to D (n, d)."""
    return np.linalg.lstsq(np.stack([a, b], axis=1), D.T, rcond=None)[0].T


def loss_on_plane(f, centre, a, b, box, resolution):
    """Losses (resolution, resolution) at centre + x a + y b, the first row at the lowest y."""
    left, low, right, high = box
    x, y = np.linspace(left, right, resolution), np.linspace(low, high, resolution)
    xy = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    Z = np.concatenate([f.peek(centre + xy[i:i + ROW] @ np.stack([a, b]))
                        for i in range(0, len(xy), ROW)])
    return Z.reshape(resolution, resolution)


def _box(coordinates, kind, zoom):
    """The visible box: around the projected paths, or one filter's length about the centre."""
    if kind == RANDOM:
        return [-1 / zoom, -1 / zoom, 1 / zoom, 1 / zoom]
    points = np.vstack(coordinates)
    low, high = points.min(axis=0), points.max(axis=0)
    middle, half = (low + high) / 2, 0.6 * np.maximum(high - low, 1e-9) / zoom
    return [float(v) for v in (*(middle - half), *(middle + half))]


def _thinned(points):
    return points[np.unique(np.linspace(0, len(points) - 1, POINTS).astype(int))]
