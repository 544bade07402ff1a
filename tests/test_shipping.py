"""Symbols, documentation, and how the shipped transformers are trained and read."""

import dataclasses
import inspect
import json
import signal

import numpy as np
import pytest

from zglearn import data
from zglearn.data import BytePairs, cache, documentation, load_byte_pairs, load_documentation
from zglearn.data.tokenization import CHARACTERS, END, PIECES
from zglearn.models import pretrained, pretraining, shipping

TEXT = "the cat and the hat, then the other (a + b) = [0.25]\n    return\n" + END
RECIPE = shipping.Recipe(dict(context=8, width=8, heads=2, layers=1), steps=30, lr=0.01,
                         sequences=4, warm_up=5)


# --- symbols ---------------------------------------------------------------------------------

def test_text_comes_back_from_symbols():
    for symbols in (BytePairs(), BytePairs.learn(TEXT * 3, 110), load_byte_pairs()):
        for text in (TEXT, CHARACTERS, "", "a" * 9, "  \n\n   x__y  "):
            codes = symbols.encode(text)
            assert symbols.decode(codes) == text and codes.dtype == np.uint16
    assert BytePairs().encode("\f\n ~").tolist() == [0, 1, 2, 96]
    assert BytePairs().encode_texts(["~", "", " "]).tolist() == [96, 0, 0, 2, 0]


def test_the_most_frequent_pair_is_merged_first():
    symbols = BytePairs.learn("abab abab cb", 99)
    assert symbols.pieces[97:] == ["ab", "abab"] and len(symbols) == 99
    assert [symbols.pieces[code] for code in symbols.encode("cababab")] == ["c", "abab", "ab"]


def test_learnt_pairs_are_those_of_counting_everything_anew():
    text = "to be, or not to be: that is the question. " * 2 + "whether 'tis nobler in the mind"
    symbols = BytePairs.learn(text, 125)
    rows = [BytePairs().encode(match[0]).tolist() for match in PIECES.finditer(text)]
    for new, pair in enumerate(symbols.merges, start=len(CHARACTERS)):
        counts = {}
        for row in rows:
            for both in zip(row, row[1:], strict=False):
                counts[both] = counts.get(both, 0) + 1
        assert counts[pair] == max(counts.values())
        rows = [merged(row, pair, new) for row in rows]
    assert sum(rows, []) == symbols.encode(text).tolist()


def merged(row, pair, new):
    i, out = 0, []
    while i < len(row):
        if tuple(row[i:i + 2]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(row[i])
            i += 1
    return out


def test_characters_without_a_symbol_are_named():
    with pytest.raises(ValueError, match="there is none for 'é'"):
        load_byte_pairs().encode("Bézier")


# --- documentation ---------------------------------------------------------------------------

def test_documentation_keeps_code_and_drops_what_it_prints():
    docstring = inspect.cleandoc("""Add two numbers.

    Parameters
    ----------
    a : int
        The first.

    >>> add(1, 2)
    3
    >>> for i in range(2):
    ...     add(i, i)
    0
    2

    0.12 0.3 0.25
    """)
    [(text, file)] = documentation.documentation([(docstring, "a/b.py")])
    assert text == ("Add two numbers.\n\nParameters\n----------\na : int\n    The first.\n\n"
                    ">>> add(1, 2)\n>>> for i in range(2):\n...     add(i, i)")
    assert file == "a/b.py"


def test_a_paragraph_or_an_entry_stands_once():
    entry = "axis : int\n    The axis to sum over."
    heading = "Parameters\n----------\n"
    found = documentation.documentation([
        (f"One.\n\n{heading}{entry}", "a"), (f"Two.\n\n{heading}{entry}", "b"),
        (f"One.\n\n{heading}{entry}\nout : array\n    The sum.", "c"), ("One.", "d"),
        ("Bézier.", "e")])
    assert found == [(f"One.\n\n{heading}{entry}", "a"), ("Two.\n\nParameters\n----------", "b"),
                     (f"{heading}out : array\n    The sum.", "c")]


def test_documentation_of_the_libraries():
    home, away = load_documentation(without="matplotlib"), load_documentation("matplotlib")
    assert "docstrings" in repr(home) and not set(home.train) & set(home.validation)
    assert not set(home.train + home.validation) & set(away.train + away.validation)
    files = cache.load_texts()["documentation"]["files"]
    assert len(home.train + home.validation + away.train + away.validation) == len(files)
    assert load_byte_pairs().encode(home.validation[0]).size


# --- the training ----------------------------------------------------------------------------

@pytest.fixture
def codes():
    return np.random.default_rng(0).integers(20, size=500).astype(np.uint16)


@pytest.fixture(autouse=True)
def few_symbols(monkeypatch):
    monkeypatch.setattr(shipping, "SYMBOLS", 20)


def test_the_rate_warms_up_stays_and_falls_to_zero():
    rates = [RECIPE.rate(step) for step in range(1, 31)]
    assert RECIPE.plateau == 18 and max(rates) == rates[4] == rates[17] == 0.01
    assert rates[:4] == pytest.approx([0.002, 0.004, 0.006, 0.008])
    assert rates[18] < 0.01 and rates[-1] == 0 and sorted(rates[17:], reverse=True) == rates[17:]


def test_an_interrupted_training_ends_at_the_same_bits(codes, tmp_path, monkeypatch):
    _, whole = shipping.pretrain(RECIPE, codes, codes, tmp_path / "whole", every=7)
    step = shipping.adam_step
    for stop in (3, 9, 20, 28):
        calls = []

        def interrupted(*args, stop=stop, calls=calls, **options):
            step(*args, **options)
            calls.append(1)
            if args[4] == stop:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(shipping, "adam_step", interrupted)
        monkeypatch.setattr("zglearn.trajectory.LONG", 0.0)
        assert shipping.pretrain(RECIPE, codes, codes, tmp_path / "parts", every=7)[1] is None
    monkeypatch.setattr(shipping, "adam_step", step)
    _, parts = shipping.pretrain(RECIPE, codes, codes, tmp_path / "parts", every=7)
    assert parts.step == 30 and parts.curve == whole.curve
    for name in ("p", "m", "v"):
        assert (getattr(parts, name) == getattr(whole, name)).all()


def test_a_longer_recipe_goes_on_from_the_plateau(codes, tmp_path, monkeypatch):
    longer = dataclasses.replace(RECIPE, steps=60)
    _, alone = shipping.pretrain(longer, codes, codes, tmp_path / "alone")
    shipping.pretrain(RECIPE, codes, codes, tmp_path / "both")
    steps, step = [], shipping.adam_step
    monkeypatch.setattr(shipping, "adam_step", lambda *args, **options: (
        steps.append(args[4]), step(*args, **options)))
    _, extended = shipping.pretrain(longer, codes, codes, tmp_path / "both")
    assert steps[0] == RECIPE.plateau + 1 and (extended.p == alone.p).all()


def test_another_text_or_recipe_begins_anew(codes, tmp_path):
    folders = {shipping.checkpoints(recipe, text, tmp_path)
               for recipe in (RECIPE, dataclasses.replace(RECIPE, lr=0.02)) for text in
               (codes, codes[::-1])}
    assert len(folders) == 4


def test_a_training_that_diverges_says_so(codes, tmp_path):
    wild = dataclasses.replace(RECIPE, lr=1e30, warm_up=1)
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="smaller lr"):
        shipping.pretrain(wild, codes, codes, tmp_path)


def test_what_is_shipped_is_read_again(codes, tmp_path, monkeypatch):
    symbols = BytePairs.learn(TEXT * 20, 110)
    monkeypatch.setattr(shipping, "SYMBOLS", 110)
    corpus = {"train": TEXT * 20, "home": TEXT * 4, "away": TEXT[5:] * 4}
    codes = symbols.encode(corpus["train"])
    model, state = shipping.pretrain(RECIPE, codes, codes, tmp_path)
    written = shipping.ship("mini", RECIPE, state, model, corpus, symbols, tmp_path / "weights")
    monkeypatch.setattr(pretraining, "WEIGHTS", tmp_path / "weights")
    same, p = pretrained("mini")
    assert p.dtype == np.float32 and repr(same) == repr(model)
    np.testing.assert_allclose(p, state.p, rtol=1e-3, atol=1e-6)
    assert pretraining.manifest("mini") == json.loads(json.dumps(written))
    home = written["held out"]["home"]
    assert home["check"] == shipping.check(same, p, symbols.encode(corpus["home"]))
    assert home["characters"] == len(corpus["home"])


def test_nats_per_character_count_every_symbol_once(codes):
    """A model that knows nothing needs log(classes) for each symbol."""
    model = shipping.Transformer(20, context=8, width=8, heads=2, layers=1)
    nats = shipping.nats_per_character(model, np.zeros(model.size), codes, 1000)
    assert nats == pytest.approx(np.log(20) * 500 / 1000)


# --- the shipped models ----------------------------------------------------------------------

def skip_if_texts_differ(manifest):
    if manifest["corpus"]["libraries"] != shipping.library_versions():
        pytest.skip("the installed libraries are not those of the lock file")


@pytest.mark.parametrize("name", pretraining.SHIPPED)
def test_a_shipped_model_has_the_held_out_loss_of_its_manifest(name):
    (model, p), manifest = pretrained(name), pretraining.manifest(name)
    corpus, symbols = shipping.texts(), load_byte_pairs()
    assert shipping.fingerprint(json.dumps(symbols.merges)) == manifest["symbols"]
    skip_if_texts_differ(manifest)
    assert shipping.fingerprint(corpus["train"]).items() <= manifest["corpus"].items()
    for place in ("home", "away"):
        loss = shipping.check(model, p, symbols.encode(corpus[place]))
        assert abs(loss - manifest["held out"][place]["check"]) < manifest["margin"]


@pytest.mark.parametrize("name", pretraining.MODELS)
def test_nobody_waits_for_the_models_over_characters(name, monkeypatch):
    skip_if_texts_differ(pretraining.manifest("main"))
    monkeypatch.setattr(pretraining, "train", None)
    monkeypatch.setattr(data, "cache_folder", None)
    (file,) = pretraining.WEIGHTS.glob(f"language-model-{name}-*.npy")
    model, p = pretrained(name)
    assert (p == np.load(file)).all() and p.shape == (model.size,) and p.dtype == model.dtype


def test_the_shipped_weights_are_small():
    files = list(pretraining.WEIGHTS.iterdir())
    assert sum(file.stat().st_size for file in files) < 4e6 and files
