"""The compression explorer: what rank, sparsity and bits cost a trained model."""

from __future__ import annotations

import functools

from .. import panels as draw
from ..widget import Widget, part, positions


def compression_explorer(evaluate, *, ranks, sparsities, bits, alt=""):
    """A widget: rank, sparsity and bits against a model's size, its loss and what it writes.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(rank, sparsity, bits)`` returns (bytes, loss, sample of text) of the model after
        all three. It is asked about each setting once.
    ranks, sparsities, bits : lists
        What each slider offers, in the order from no compression to the most.
    """
    choices = {"rank": tuple(ranks), "sparsity": tuple(sparsities), "bits": tuple(bits)}
    whole = {name: values[0] for name, values in choices.items()}
    ask = functools.cache(lambda *, rank, sparsity, bits: evaluate(rank, sparsity, bits))

    def alone():
        """Each way of compressing by itself."""
        base_size, base, _ = ask(**whole)
        layers = [draw.rule("pareto", y=base, label=f"untouched: {base:.3f}", below=True)]
        for i, (name, values) in enumerate(choices.items()):
            outcomes = [ask(**whole | {name: value}) for value in values]
            layers.append(draw.line("pareto", [size / 1000 for size, _, _ in outcomes],
                                    [loss for _, loss, _ in outcomes], colour=i, marker=True,
                                    label=f"{name} alone"))
        return layers

    def together(rank, sparsity, bits):
        base_size, base, _ = ask(**whole)
        size, loss, sample = ask(rank=rank, sparsity=sparsity, bits=bits)
        return [draw.dots("pareto", [size / 1000], [loss], colour=draw.GREY, star=True,
                          label="this model"),
                draw.text("sample", sample, label=f"rank {rank}, sparsity {sparsity:g}, "
                                                  f"{bits} bits"),
                draw.status(f"{size / 1000:,.1f} kB, {size / base_size:.0%} of the model; loss "
                            f"{loss:.3f}, {loss - base:+.3f}.")]

    return Widget(
        "Compression explorer", seconds=30,
        panels=[draw.Panel("pareto", "loss against size", "kB", "loss", span=7, height=300),
                draw.Panel("sample", "what the model writes", kind="text", span=5, height=300)],
        controls=[positions(name, name, values) for name, values in choices.items()],
        parts=[part(together), part(alone)],
        alt=alt or ("Loss against size in kilobytes for three ways to compress a model, each "
                    "alone, and the model at the chosen rank, sparsity and bits, with a sample of "
                    "its text."))
