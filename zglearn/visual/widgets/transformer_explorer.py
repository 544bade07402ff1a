"""The transformer explorer: what a language model expects next, where it looks, what surprised it.
"""

from __future__ import annotations

import functools

import numpy as np

from .. import panels as draw
from ..widget import Widget, choice, field, part, slider

LIKELIEST = 10  # of the next symbols, in the table
SURPRISES = 6   # symbols that are named over their loss
LONGEST = 12    # characters of a symbol that are shown
GOES_ON = 40    # symbols that are drawn after the text


def transformer_explorer(model, p, symbols, text, *, alt=""):
    """A widget: a text and a temperature against the next symbol, attention and losses.

    Parameters
    ----------
    model : Transformer
    p : array (size,)
    symbols : BytePairs
        With ``encode``, ``decode`` and ``pieces``.
    text : str
        What the learner finds in the field.
    """
    heads = [f"layer {l}, head {h}" for l in range(1, model.depth + 1)
             for h in range(1, model.heads + 1)]

    @functools.lru_cache(maxsize=32)
    def read(text):
        """The symbols that the model looks at, the end of a text if it is long, and for each
        place log probabilities (n, classes) and weights (layers · heads, n, n)."""
        codes = symbols.encode(text).astype(np.intp)
        codes = np.append(0, codes)[-model.context:]  # a text begins after symbol 0
        log_q = np.log(model.probabilities(p, codes[None])[0].astype(float))
        n = len(codes)
        return codes, log_q, model.attention_weights(p, codes[None]).reshape(-1, n, n)

    def name(code):
        return repr(symbols.pieces[code])[:LONGEST]

    def following(text, temperature):
        codes, log_q, _ = read(text)
        q, warm = np.exp(log_q[-1]), tempered(log_q[-1], temperature)
        best = np.argsort(-q, kind="stable")[:LIKELIEST]
        return [draw.table("next", ("symbol", "probability", f"at {temperature:g}", ""),
                           [(name(c), f"{q[c]:.3f}", f"{warm[c]:.3f}", "█" * round(20 * warm[c]))
                            for c in best]),
                draw.status(f"{len(codes) - 1} symbols; likeliest next: {name(best[0])}, "
                            f"{q[best[0]]:.0%}. Perplexity here {perplexity(q):.1f}, at this "
                            f"temperature {perplexity(warm):.1f}.")]

    def continued(text, temperature, seed):
        codes, _, _ = read(text)
        more = model.generate(p, seed, codes, GOES_ON, temperature)
        return [draw.text("goes on", symbols.decode(more).replace("\f", "\n"))]

    def looks(text, head):
        codes, _, weights = read(text)
        P, n = weights[heads.index(head)], len(codes)
        most = np.argsort(-P[-1], kind="stable")[:3]
        seen = ", ".join(f"{name(codes[j])} {P[-1, j]:.0%}" for j in most)
        future = np.triu(np.ones((n, n), dtype=bool), 1)
        return [draw.heat("attention", np.where(future, np.nan, P), (-0.5, -0.5, n - 0.5, n - 0.5),
                          low=0, high=1, label="weight"),
                draw.status(f"From the last symbol this head looks at {seen}.")]

    def surprise(text):
        codes, log_q, _ = read(text)
        if len(codes) == 1:
            return [draw.axis("losses"), draw.status("Type something.")]
        losses = -log_q[np.arange(len(codes) - 1), codes[1:]]
        places = np.arange(1, len(codes))
        largest = np.sort(np.argsort(-losses, kind="stable")[:SURPRISES])
        return [draw.bars("losses", places, losses, width=0.8),
                draw.dots("losses", places[largest], losses[largest], colour=1,
                          names=[name(codes[places[i]]) for i in largest]),
                draw.rule("losses", y=losses.mean(), label=f"mean {losses.mean():.2f}")]

    return Widget(
        "Transformer explorer", seconds=20,
        panels=[draw.Panel("next", "the next symbol", kind="text", span=5, height=230),
                draw.Panel("attention", "attention", "symbol that is looked at (0: the start)",
                           "symbol that looks", span=7, height=290),
                draw.Panel("goes on", "and it goes on", kind="text", span=5, height=120),
                draw.Panel("losses", "what surprised it", "symbol", "nats", span=7, height=170)],
        controls=[field("text", "text", text),
                  slider("temperature", "temperature", 0.1, 2, 1, positions=39),
                  choice("head", "attention of", heads),
                  slider("seed", "seed", 0, 20, 0, whole=True, positions=21)],
        parts=[part(following), part(looks), part(surprise), part(continued)],
        alt=alt or ("For a text: a table of the likeliest next symbols with their probabilities, "
                    "the attention weights of one head as a triangular map, a continuation, and "
                    "a bar for the loss of each symbol with the most surprising ones named."))


def tempered(log_q, temperature):
    """The distribution whose log probabilities are divided by the temperature."""
    z = log_q / temperature
    q = np.exp(z - z.max())
    return q / q.sum()


def perplexity(q) -> float:
    """exp of the entropy: how many equally likely symbols would be as uncertain."""
    return float(np.exp(-(q * np.log(np.maximum(q, 1e-30))).sum()))
