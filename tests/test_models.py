"""The models: shapes, gradients, populations, text; and that bad input is refused in words."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.neural_network import MLPClassifier

from zglearn import run
from zglearn.data.sentences import Corpus
from zglearn.gradient_methods import adam
from zglearn.models import (
    MLP,
    LanguageModel,
    SoftmaxRegression,
    contexts,
    pretrained,
    pretraining,
    train,
)
from zglearn.models.flat import FlatModel, minibatches

MODELS = {
    "logistic regression": MLP([6, 4], dtype=float),
    "tanh": MLP([6, 5, 4], dtype=float),
    "deep relu": MLP([6, 7, 5, 4], "relu", dtype=float),
    "sigmoid": MLP([6, 7, 5, 4], "sigmoid", dtype=float),
    "Bengio": LanguageModel(5, context=3, embedding=4, hidden=6, dtype=float),
    "residual": LanguageModel(5, context=3, embedding=4, hidden=6, residual=2, dtype=float),
}


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def example(model, rng, n=17):
    """Random parameters and data for a model."""
    p = model.init(rng) + 0.1 * rng.normal(size=model.size)
    if isinstance(model, MLP):
        return p, rng.normal(size=(n, 6)), rng.integers(4, size=n)
    return p, rng.integers(5, size=(n, 3)), rng.integers(5, size=n)


@pytest.mark.parametrize("name", MODELS)
def test_backpropagation_agrees_with_central_differences(name, rng):
    model = MODELS[name]
    p, X, y = example(model, rng)
    h = 1e-6
    differences = [(model.loss(p + h * e, X, y) - model.loss(p - h * e, X, y)) / (2 * h)
                   for e in np.eye(model.size)]
    np.testing.assert_allclose(model.gradient(p, X, y), differences, atol=1e-7)


@pytest.mark.parametrize("name", MODELS)
def test_a_population_has_the_losses_of_its_members(name, rng, monkeypatch):
    model = MODELS[name]
    p, X, y = example(model, rng)
    P = p + rng.normal(size=(9, model.size))
    one_by_one = [model.loss(q, X, y) for q in P]
    np.testing.assert_allclose(model.loss(P, X, y), one_by_one, rtol=1e-12)
    monkeypatch.setattr("zglearn.models.flat.CHUNK", 5 * model.activations)  # in many small pieces
    np.testing.assert_allclose(model.loss(P, X, y), one_by_one, rtol=1e-12)
    np.testing.assert_allclose(model.predict(p, X), model.probabilities(p, X).argmax(axis=1))


@pytest.mark.parametrize("name", MODELS)
def test_losses_and_probabilities_are_those_of_the_softmax(name, rng):
    model = MODELS[name]
    p, X, y = example(model, rng)
    q = model.probabilities(p, X)
    np.testing.assert_allclose(q.sum(axis=1), 1)
    np.testing.assert_allclose(model.loss(p, X, y), -np.log(q[np.arange(len(y)), y]).mean())
    assert model.accuracy(p, X, y) == np.mean(q.argmax(axis=1) == y)


@pytest.mark.parametrize("name", ["logistic regression", "tanh", "deep relu"])
def test_sparse_input_changes_nothing(name, rng):
    model = MODELS[name]
    p, X, y = example(model, rng)
    X[rng.random(X.shape) < 0.6] = 0
    P = p + rng.normal(size=(3, model.size))
    for S in (sp.csr_matrix(X), sp.csc_array(X)):
        np.testing.assert_allclose(model.loss(p, S, y), model.loss(p, X, y))
        np.testing.assert_allclose(model.loss(P, S, y), model.loss(P, X, y))
        np.testing.assert_allclose(model.gradient(p, S, y), model.gradient(p, X, y), atol=1e-12)
        assert (model.predict(p, S) == model.predict(p, X)).all()


@pytest.mark.parametrize("activation, theirs", [("tanh", "tanh"), ("relu", "relu"),
                                                ("sigmoid", "logistic")])
def test_the_mlp_is_that_of_sklearn(activation, theirs, rng):
    model = MLP([6, 5, 4], activation, dtype=float)
    p, X, y = example(model, rng, n=40)
    peer = MLPClassifier((5,), activation=theirs, max_iter=1).partial_fit(X, y, classes=range(4))
    W1, b1, W2, b2 = model.unpack(p)
    peer.coefs_, peer.intercepts_ = [W1, W2], [b1, b2]
    np.testing.assert_allclose(model.probabilities(p, X), peer.predict_proba(X), rtol=1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_float32_computes_in_float32(name, rng):
    model = MODELS[name]
    p, X, y = example(model, rng)
    small = (MLP(model.sizes, model.activation) if isinstance(model, MLP) else
             LanguageModel(5, 3, 4, 6, residual=model.residual))
    assert small.init(rng).dtype == small.gradient(p, X, y).dtype == np.float32
    np.testing.assert_allclose(small.loss(p, X, y), model.loss(p, X, y), rtol=1e-5)


def test_narrow_labels_do_not_overflow(rng):
    """300 examples of 3 classes: places in the logits go beyond what uint8 holds."""
    model, y = MLP((4, 3), dtype=np.float64), rng.integers(3, size=300)
    p, X = model.init(0), rng.normal(size=(300, 4))
    X, y = model.check_data(X, y)
    assert model.loss_of_checked(p, X, y.astype(np.uint8)) == model.loss_of_checked(p, X, y)


def test_extreme_logits_stay_finite(rng):
    model = MODELS["tanh"]
    p, X, y = example(model, rng)
    loss, g = model.loss_and_gradient(1e4 * p, X, y)
    assert np.isfinite(loss) and np.isfinite(g).all()


def test_parts_name_the_places_of_the_arrays(rng):
    model = MODELS["residual"]
    p = model.init(rng)
    assert sum(part.stop - part.start for part in model.parts.values()) == model.size == len(p)
    for (name, part), array in zip(model.parts.items(), model.unpack(p), strict=True):
        assert array.shape == model.shapes[name] and np.shares_memory(array, p)
        assert (p[part] == array.ravel()).all()
    assert list(model.parts) == ["E", "W1", "b1", "W2", "b2", "W3", "b3", "U", "c"]


@pytest.mark.parametrize("name", MODELS)
def test_a_seed_does_for_a_generator(name):
    model = MODELS[name]
    assert (model.init(4) == model.init(np.random.default_rng(4))).all()
    assert (model.init(4) != model.init(5)).any()


def test_init_keeps_activations_at_their_size():
    model = MLP([400, 300, 300, 300, 10], "relu")
    rng = np.random.default_rng(0)
    A = rng.normal(size=(200, 400))
    for W, b in model.layers(model.init(rng))[:-1]:
        A = np.maximum(A @ W + b, 0)
    assert 0.8 < np.sqrt(np.mean(A**2)) < 1.25


def test_an_objective_is_ready_to_run(rng):
    model = MODELS["tanh"]
    p, X, _ = example(model, rng, n=200)
    y = X[:, :4].argmax(axis=1)
    f = model.objective(X, y)
    path = run(adam, f, p, steps=150, lr=0.05)
    assert path.losses[-1] < 0.3 < path.losses[0] and f.gradients == 150
    assert f(p + np.zeros((3, 1))).shape == (3,) and f.evaluations == 3


def test_batches_are_counted_and_leave_nothing_out(rng):
    model = MODELS["tanh"]
    p, X, y = example(model, rng, n=25)
    f = model.objective(X, y, batch_size=10, rng=0)
    run(adam, f, p, steps=3)
    assert f.examples == 25
    batches = minibatches(np.arange(25), np.arange(25), 10, np.random.default_rng(0))
    epochs = [np.concatenate([next(batches)[0] for _ in range(3)]) for _ in range(2)]
    assert all(sorted(epoch) == list(range(25)) for epoch in epochs)
    assert (epochs[0] != epochs[1]).any()


# --- the language model ----------------------------------------------------------------------

@pytest.mark.parametrize("name", ["Bengio", "residual"])
def test_the_slope_along_a_direction_is_the_gradient_times_it(name, rng):
    model = MODELS[name]
    p, X, y = example(model, rng)
    u = rng.normal(size=model.size)
    loss, slope = model.jvp(p, u, X, y)
    np.testing.assert_allclose(loss, model.loss(p, X, y))
    np.testing.assert_allclose(slope, model.gradient(p, X, y) @ u, rtol=1e-12)


def test_contexts_are_what_came_before():
    X, y = contexts(np.array([4, 1, 2, 3]), 3)
    assert X.tolist() == [[0, 0, 0], [0, 0, 4], [0, 4, 1], [4, 1, 2]] and y.tolist() == [4, 1, 2, 3]
    assert np.shares_memory(X, X[1:])


def test_sampling_follows_the_probabilities(rng):
    model = LanguageModel(5, context=3, embedding=4, hidden=6, dtype=float)
    p = model.init(rng)
    draws = [model.generate(p, rng, [1, 2, 3], 1)[0] for _ in range(4000)]
    q = model.probabilities(p, np.array([[1, 2, 3]]))[0]
    np.testing.assert_allclose(np.bincount(draws, minlength=5) / 4000, q, atol=0.03)
    greedy = model.generate(p, rng, [1, 2, 3], 6, temperature=0)
    for i, code in enumerate(greedy):
        before = np.concatenate([[1, 2, 3], greedy[:i]])[-3:]
        assert code == model.predict(p, before[None])[0]
    assert len(model.generate(p, rng, length=7)) == 7


def test_a_language_model_learns_what_follows_what(rng):
    codes = np.tile([1, 2, 3, 1, 4], 60)
    model = LanguageModel(5, context=2, embedding=3, hidden=8)
    X, y = contexts(codes, 2)
    path = run(adam, model.objective(X, y), model.init(rng), steps=150, lr=0.05)
    assert path.losses[-1] < 0.05  # two symbols of context are enough to know the next for sure
    text = model.generate(path.points[-1], rng, [4, 1], 5, temperature=0)
    assert text.tolist() == [2, 3, 1, 4, 1]


# --- pretrained ------------------------------------------------------------------------------

@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of our own, and a recipe that takes no time on a text of our own."""
    text = Corpus(train=["A text that is easily learnt by heart."] * 40, validation=[])
    recipe = dict(context=4, embedding=4, hidden=8), dict(steps=60, batch_size=32, lr=0.02)
    monkeypatch.setattr("zglearn.data.sentences.load_sentences", lambda **_: text)
    monkeypatch.setattr(pretraining, "MODELS", {"tiny": recipe})
    monkeypatch.setenv("ZGLEARN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def never(*args, **kwargs):
    raise AssertionError("this must not be trained again")


def test_a_pretrained_model_is_trained_once(cache, monkeypatch):
    model, p = pretrained("tiny", progress=False)
    assert p.shape == (model.size,) and p.dtype == np.float32
    assert [file.suffix for file in cache.iterdir()] == [".npy"]
    monkeypatch.setattr(pretraining, "train", never)
    assert (pretrained("tiny")[1] == p).all()


def test_another_text_or_recipe_is_another_model(cache, monkeypatch):
    pretrained("tiny", progress=False)
    monkeypatch.setattr(pretraining, "VERSION", pretraining.VERSION + 1)
    pretrained("tiny", progress=False)
    other = Corpus(train=["Quite another text."] * 40, validation=[])
    monkeypatch.setattr("zglearn.data.sentences.load_sentences", lambda **_: other)
    pretrained("tiny", progress=False)
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"not an array", None])
def test_a_damaged_model_is_trained_again_and_said_so(cache, damage, capsys):
    _, p = pretrained("tiny", progress=False)
    [file] = cache.iterdir()
    if damage is None:
        np.save(file, np.zeros(3))
    else:
        file.write_bytes(damage)
    assert (pretrained("tiny", progress=False)[1] == p).all()
    assert "training it again" in capsys.readouterr().err
    assert (np.load(file) == p).all()


def test_an_interrupted_pretraining_keeps_nothing(cache, monkeypatch):
    whole = pretraining.train
    monkeypatch.setattr(pretraining, "train", lambda *args, **options: dataclasses.replace(
        whole(*args, **options), stopped="interrupted"))
    with pytest.raises(KeyboardInterrupt):
        pretrained("tiny", progress=False)
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_costs_a_line(cache, capsys):
    cache.write_text("a file where the folder should be")
    model, p = pretrained("tiny", progress=False)
    assert p.shape == (model.size,) and "Set ZGLEARN_CACHE" in capsys.readouterr().err


# --- errors say what to do -------------------------------------------------------------------

def test_bad_models():
    for sizes in ([5], [5, 1], [0, 3], [4, 0, 2]):
        with pytest.raises(ValueError, match="sizes are"):
            MLP(sizes)
    for sizes in ([4.5, 2], ["4", 2], [4, True, 2]):
        with pytest.raises(ValueError, match="sizes are"):
            MLP(sizes)
    for wrong in (dict(hidden=2.5), dict(context="8"), dict(embedding=0), dict(residual=-1),
                  dict(residual=0.5), dict(classes=True)):
        with pytest.raises(ValueError, match="a language model needs|residual must be"):
            LanguageModel(**wrong)
    for wrong in ((0, 3), (5, 1), (2.5, 3), (5, "3"), (5, 3, -1), (5, 3, np.nan), (5, 3, "0.1")):
        with pytest.raises(ValueError, match="will not do|ridge must be"):
            SoftmaxRegression(*wrong)
    with pytest.raises(ValueError, match="activation is one of tanh, relu, sigmoid"):
        MLP([3, 2], "swish")
    with pytest.raises(ValueError, match="float32 or float64"):
        MLP([3, 2], dtype=int)
    with pytest.raises(ValueError, match="at least two classes"):
        LanguageModel(1)
    with pytest.raises(ValueError, match="pretrained models are tiny, small"):
        pretrained("huge")


def questions(model):
    """Everything that a model can be asked about labelled data."""
    asked = {name: getattr(model, name) for name in ("loss", "gradient", "accuracy")}
    if isinstance(model, FlatModel):
        asked |= {"loss_and_gradient": model.loss_and_gradient,
                  "train": lambda p, X, y: train(model, "adam", (X, y), p=p, steps=1, lr=0.1),
                  "validation": lambda p, X, y: train(
                      model, "mezo", (X[:1], [0]), p=p, steps=1, lr=0.1, validation=(X, y))}
    if hasattr(model, "jvp"):
        asked["jvp"] = lambda p, X, y: model.jvp(p, np.ones(model.size), X, y)
    return asked | {"objective": lambda p, X, y: model.objective(X, y)(p),
                    "gradient of the objective": lambda p, X, y: model.objective(X, y).grad(p)}


LINEAR = SoftmaxRegression(6, 4)


def labelled(name, rng):
    if name == "softmax regression":
        return LINEAR, rng.normal(size=24), rng.normal(size=(17, 6)), rng.integers(4, size=17)
    return MODELS[name], *example(MODELS[name], rng)


@pytest.mark.parametrize("name", [*MODELS, "softmax regression"])
def test_every_question_to_every_model_checks_the_labels(name, rng):
    model, p, X, y = labelled(name, rng)
    masked = np.ma.masked_equal(y, y[0])
    for question, ask in questions(model).items():
        ask(p, X, list(y))
        for bad, words in [
                (y[:, None], "one label for each of the 17"), (y[:-1], "one label for each"),
                (y[None], "one label for each"), (0, "one label for each"), ([], "one label"),
                (y - 1, "whole numbers from 0"), (y + 3, "whole numbers from 0"),
                (y.astype(float), "whole numbers from 0"), (y > 0, "whole numbers from 0"),
                (y.astype(str), "whole numbers from 0"), (masked, "y has masked entries")]:
            with pytest.raises(ValueError, match=words):
                print(question, ask(p, X, bad))


@pytest.mark.parametrize("name", [*MODELS, "softmax regression"])
def test_every_question_to_every_model_checks_the_data_and_the_parameters(name, rng):
    model, p, X, y = labelled(name, rng)
    asked = questions(model) | {
        "predict": lambda p, X, y: model.predict(p, X),
        "probabilities": lambda p, X, y: model.probabilities(p, X)}
    for question, ask in asked.items():
        for bad in (X[:, :-1], X[0], X[None], X.astype(complex), X.astype(str),
                    np.ma.masked_equal(X, X[0, 0])):
            with pytest.raises(ValueError, match="X (must|has masked)"):
                print(question, ask(p, bad, y))
        for bad in (p[1:], p[:, None], p * 1j, np.ma.masked_equal(p, p[0])):
            with pytest.raises((ValueError, TypeError), match="parameters|real numbers|"
                               "masked|finite numbers|one point"):
                print(question, ask(bad, X, y))
        if question not in ("loss", "objective"):
            with pytest.raises(ValueError, match="p has shape|p is|one point|finite numbers"):
                print(question, ask(np.stack([p, p]), X, y))


@pytest.mark.parametrize("name", ["tanh", "softmax regression"])
def test_every_form_of_the_data_has_the_same_loss(name, rng):
    model, p, X, y = labelled(name, rng)
    X = np.round(4 * X)
    rows, columns = np.indices(X.shape).reshape(2, -1)
    pieces = sp.coo_array((np.tile(X.ravel() / 2, 2), (np.tile(rows, 2), np.tile(columns, 2))))
    for form in (pieces, pieces.tocsc(), sp.csr_matrix(X), X.tolist(), np.asfortranarray(X),
                 X.astype(np.int8), X.astype(np.float16), np.broadcast_to(X, X.shape),
                 np.repeat(X, 2, axis=1)[:, ::2], np.ma.array(X)):
        assert model.loss(p, form, y) == pytest.approx(model.loss(p, X, y), rel=1e-6)
        np.testing.assert_allclose(model.gradient(p, form, y), model.gradient(p, X, y), rtol=1e-4,
                                   atol=1e-6)
        np.testing.assert_array_equal(model.predict(p, form), model.predict(p, X))


def test_bad_data_for_an_mlp(rng):
    model = MODELS["tanh"]
    p, X, y = example(model, rng)
    for bad in (X[:, :3], X[0], sp.csr_array(X[:, :3])):
        with pytest.raises(ValueError, match=r"X must have shape \(examples, 6\)"):
            model.loss(p, bad, y)
    with pytest.raises(ValueError, match="nan or infinity"):
        model.loss(p, np.where(X > 1, np.nan, X), y)
    with pytest.raises(ValueError, match="one label for each of the 17 examples"):
        model.gradient(p, X, y[1:])
    for bad in (y + 1, y - 1, y / 2):
        with pytest.raises(ValueError, match="whole numbers from 0 to 3"):
            model.objective(X, bad)
    with pytest.raises(ValueError, match=f"this model has {model.size} parameters"):
        model.loss(p[1:], X, y)
    with pytest.raises(ValueError, match="batch_size must"):
        model.objective(X, y, batch_size=0)


def test_bad_data_for_a_language_model(rng):
    model = MODELS["Bengio"]
    p, X, y = example(model, rng)
    with pytest.raises(ValueError, match=r"see contexts\(codes, 3\)"):
        model.loss(p, X[:, :2], y)
    with pytest.raises(ValueError, match="symbols from 0 to 4"):
        model.loss(p, X + 1, y)
    with pytest.raises(ValueError, match="prompt must hold symbols"):
        model.generate(p, rng, [7])
    for prompt in (["a"], [0.5], [[1]]):
        with pytest.raises(ValueError, match="prompt must hold symbols"):
            model.generate(p, rng, prompt)
    for wrong in (dict(temperature=-1), dict(temperature=np.nan), dict(temperature=np.inf),
                  dict(temperature="1"), dict(length=-1), dict(length=2.5), dict(p=p[1:])):
        with pytest.raises(ValueError, match=f"{[*wrong][0]} "):
            model.generate(**dict(p=p, rng=rng) | wrong)
    for context in (0, -1, 1.5, "8", None):
        with pytest.raises(ValueError, match="context must be"):
            contexts([1, 2, 3], context)
    with pytest.raises(ValueError, match="as encode gives"):
        contexts(["some", "text"], 3)
