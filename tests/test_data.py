"""The data: what is in it, what must not be, and a cache that nothing can break.

Counts and hashes are asserted, never text. Exact ones hold for the versions in the lock file.
"""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from zglearn import data
from zglearn.data import cache, cleaning, docstrings, loaders, sentences, texts

MEASURED = {"numpy": "2.4.6", "scipy": "1.17.1", "scikit-learn": "1.9.1", "matplotlib": "3.11.2"}
with_measured_versions = pytest.mark.skipif(
    docstrings.library_versions() != MEASURED,
    reason="these counts belong to the package versions in the lock file")

SMALL = {"documents": {"texts": ["a"], "files": ["numpy/a.py"]},
         "sentences": {"texts": ["é \ud800"], "files": ["numpy/b.py"]}}


@pytest.fixture(scope="module")
def task():
    return data.load_docstrings()


def parts_of(task):
    return task.train, task.validation, task.test


def every(task, what):
    return [item for part in parts_of(task) for item in getattr(part, what)]


def digest(strings):
    return hashlib.sha256("\n".join(strings).encode()).hexdigest()[:16]


def python(code, **environ):
    """Run code in a fresh interpreter; returns what it printed."""
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | environ, text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- finding and reading docstrings ---------------------------------------------------------------

SOURCE = b'''
"""The module's own docstring."""
def f():
    """Of f."""
    def inside():
        """Not looked at."""
class C:
    """Of C."""
    async def g(self):
        """Of g."""
if True:
    def h():
        """Of h
        on two lines."""
add_newdoc("place", "name", """
    Added
    to name.""")
x.add_newdoc("place", "name", [("a", """First
    pair."""), ("b", "one line only")])
other("place", """Not
    added.""")
'''


def test_docstrings_of_classes_functions_methods_and_added_ones():
    assert sorted(docstrings.docstrings(SOURCE)) == sorted([
        "Of f.", "Of C.", "Of g.", "Of h\non two lines.", "Added\nto name.", "First\npair."])


@pytest.mark.parametrize("source", [b"def f(:", b"\x00", b"\xff\xfe"])
def test_a_file_that_cannot_be_parsed_has_no_docstrings(source):
    assert list(docstrings.docstrings(source)) == []


def test_reading_parses_the_libraries_and_imports_none():
    loaded = python("""if True:
        import sys
        from zglearn.data import docstrings
        for library in docstrings.LIBRARIES:
            name, path = docstrings.source_files(library)[0]
            list(docstrings.docstrings(path.read_bytes()))
        print([library for library in docstrings.LIBRARIES if library in sys.modules])""")
    assert loaded.strip() == "[]"


def test_tests_vendored_code_and_platform_files_are_not_read():
    names = [name for library in docstrings.LIBRARIES
             for name, _ in docstrings.source_files(library)]
    assert names and len(set(names)) == len(names) and not any("\\" in name for name in names)
    for part in ("/tests/", "/externals/", "/distutils/", "/f2py/", "/version.py", "__config__"):
        assert not [name for name in names if part in name]


def test_a_library_without_sources_gets_advice(tmp_path, monkeypatch):
    package = tmp_path / "compiled_only"
    package.mkdir()
    (package / "__init__.pyc").write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(docstrings.LIBRARIES, "compiled_only", "compiled-only")
    with pytest.raises(data.DataError, match="force-reinstall compiled-only"):
        docstrings.source_files("compiled_only")


def test_a_missing_library_gets_advice(monkeypatch):
    monkeypatch.setitem(docstrings.LIBRARIES, "no_such_library", "no-such-library")
    with pytest.raises(data.DataError, match="pip install no-such-library"):
        docstrings.source_files("no_such_library")
    with pytest.raises(data.DataError, match="pip install no-such-library"):
        data.load_docstrings()
    status = data.cache_status()
    assert status.state == "unavailable" and "pip install no-such-library" in status.advice


# --- cleaning -------------------------------------------------------------------------------------

DOCSTRING = """my_function(x, y)
Weigh the apples, e.g. in `kilograms`, with :func:`~orchard.weigh`. See [1]_.

.. versionadded:: 1.0
   It used to weigh pears.

For example::

    weigh(apples)

- Bézier curves are left alone.
>>> weigh(3)
4

Parameters
----------
x : int
    Never read.

Notes
-----
Scikit-learn, NumPy and np.weigh call it; so does ``weigh_all`` in AppleScale.

References
----------
.. [1] Never read either.
"""


def test_prose_is_what_stands_before_the_headings_and_under_notes():
    found = cleaning.paragraphs(DOCSTRING)
    assert [paragraph.split()[0] for paragraph in found] == [
        "Weigh", "For", "Bézier", "Scikit-learn,"]
    assert not any(gone in " ".join(found) for gone in ("pears", "read", "weigh(", "my_function"))


def test_masking_drops_code_identifiers_and_library_names():
    assert [cleaning.masked(p) for p in cleaning.paragraphs(DOCSTRING)] == [
        "Weigh the apples, for example in, with. See.", "For example:",
        "Bézier curves are left alone.", ", and call it; so does in."]


def test_unwrapping_takes_the_markup_off_and_keeps_the_words():
    assert [cleaning.unwrapped(p) for p in cleaning.paragraphs(DOCSTRING)] == [
        "Weigh the apples, for example in kilograms, with orchard.weigh. See.", "For example:",
        "Bézier curves are left alone.",
        "Scikit-learn, NumPy and np.weigh call it; so does weigh_all in AppleScale."]


def test_an_abbreviation_ends_no_sentence():
    text = cleaning.masked("One, i.e. the First. Two, e.g. Red! Three?")
    assert cleaning.sentences(text) == ["One, that is the First.", "Two, for example Red!",
                                        "Three?"]


# --- the docstring task ---------------------------------------------------------------------------

@with_measured_versions
def test_documents_are_those_that_were_measured(task):
    assert task.label_names == ("matplotlib", "numpy", "scipy", "sklearn")
    assert [len(part) for part in parts_of(task)] == [2623, 874, 1166]
    assert np.bincount(every(task, "labels")).tolist() == [1194, 703, 1733, 1033]
    assert len(set(every(task, "groups"))) == 651
    assert digest(task.train.texts) == "69c2daaa8d158795"
    assert digest(task.test.texts) == "65fb9dc0547069cc"


def test_documents_are_about_as_many_in_any_version(task):
    assert 3000 < len(every(task, "texts")) < 8000
    assert np.bincount(every(task, "labels")).min() > 400


@pytest.mark.parametrize("labels", ["library", "subject"])
@pytest.mark.parametrize("split_seed", [0, 1])
def test_parts_share_no_file_and_no_text(labels, split_seed):
    task = data.load_docstrings(labels, split_seed)
    for a, b in [("train", "validation"), ("train", "test"), ("validation", "test")]:
        a, b = getattr(task, a), getattr(task, b)
        assert len(a) and len(b)
        assert not set(a.groups) & set(b.groups)
        assert not set(a.texts) & set(b.texts)


def test_no_two_documents_are_nearly_the_same(task):
    documents = every(task, "texts")
    assert len(set(texts.near_duplicates(documents))) == len(documents)


def test_near_duplicates_are_found_through_each_other():
    words = [f"{a}{b}" for a in "abcdefghij" for b in "klmnopqrst"]
    first, second, third = words[:60], words[:50] + ["new"] * 9, words[5:50] + ["new"] * 9
    groups = texts.near_duplicates([" ".join(w) for w in (first, words[60:], second, third)])
    assert groups[0] == groups[2] == groups[3] != groups[1]


def test_no_document_names_a_library_or_holds_code(task):
    for text in every(task, "texts"):
        assert not cleaning.LIBRARY_NAME.search(text)
        assert not set(text) & set("`_") and ">>>" not in text
        assert len(texts.WORD.findall(text)) >= texts.FEWEST_WORDS


def test_no_sentence_is_boilerplate(task):
    used = {}
    for number, text in enumerate(every(task, "texts")):
        for sentence in cleaning.sentences(text):
            used.setdefault(texts._letters(sentence), set()).add(number)
    assert max(map(len, used.values())) <= texts.MOST_REPEATS


def test_labels_are_in_proportion(task):
    shares = [np.bincount(part.labels) / len(part) for part in parts_of(task)]
    assert np.ptp(shares, axis=0).max() < 0.02


def test_the_same_seed_gives_the_same_split_and_another_another(task):
    again, other = data.load_docstrings(), data.load_docstrings(split_seed=1)
    assert again.test.texts == task.test.texts
    assert (again.test.labels == task.test.labels).all()
    assert other.test.texts != task.test.texts


def test_what_a_caller_changes_stays_with_the_caller(task):
    mine = data.load_docstrings()
    mine.train.texts.clear()
    mine.train.groups.clear()
    mine.train.labels[:] = 0
    mine.counting.clear()
    again = data.load_docstrings()
    assert again.train.texts == task.train.texts and again.train.groups == task.train.groups
    assert again.train.labels.any() and again.counting == task.counting
    with pytest.raises(dataclasses.FrozenInstanceError):
        mine.train = None


def test_subjects_cross_libraries():
    task = data.load_docstrings("subject")
    assert len(task.label_names) == 9 and np.bincount(every(task, "labels")).min() > 50
    libraries = {}
    for label, file in zip(every(task, "labels"), every(task, "groups"), strict=True):
        libraries.setdefault(task.label_names[label], set()).add(texts.library_of(file))
    assert libraries["linear algebra"] >= {"numpy", "scipy"}
    assert libraries["clustering"] == {"scipy", "sklearn"}


def test_another_label_set_is_refused():
    with pytest.raises(ValueError, match="library"):
        data.load_docstrings("author")


def test_the_repr_shows_no_text(task):
    assert len(repr(task)) < 300


# --- TF-IDF ---------------------------------------------------------------------------------------

def test_tfidf_matrices_fit_the_task(task):
    X = data.tfidf(task)
    for part, matrix in zip(parts_of(task), (X.train, X.validation, X.test), strict=True):
        assert matrix.shape == (len(part), len(X.terms))
        assert matrix.format == "csr" and matrix.dtype == np.float64
        lengths = np.sqrt((matrix**2).sum(axis=1))
        assert np.all(np.isclose(lengths, 1) | (lengths == 0))
    assert (X.vectorizer.transform(task.test.texts[:3]) != X.test[:3]).nnz == 0
    assert "the" not in X.terms and min(map(len, X.terms)) >= 2


def test_tfidf_looks_at_the_train_part_only(task):
    X = data.tfidf(task)
    blank = dataclasses.replace(task.test, texts=["nonsense"] * len(task.test))
    Y = data.tfidf(dataclasses.replace(task, validation=blank, test=blank))
    assert (X.terms == Y.terms).all() and (X.train != Y.train).nnz == 0
    assert Y.test.nnz == 0


def test_tfidf_takes_settings(task):
    assert len(data.tfidf(task, max_features=100).terms) == 100


def test_the_task_can_be_learnt_and_is_not_given_away(task):
    from sklearn.naive_bayes import MultinomialNB

    X = data.tfidf(task)
    model = MultinomialNB(alpha=0.1).fit(X.train, task.train.labels)
    accuracy = model.score(X.test, task.test.labels)
    majority = np.bincount(task.test.labels).max() / len(task.test)
    assert majority + 0.25 < accuracy < 0.85  # unmasked, or split at random, it is 0.83 to 0.94


# --- sentences ------------------------------------------------------------------------------------

@with_measured_versions
def test_sentences_are_those_that_were_measured():
    corpus = data.load_sentences()
    assert (len(corpus.train), len(corpus.validation)) == (18448, 2408)
    assert digest(corpus.train) == "3e8241060a5e03fd"
    assert len(data.load_sentences("matplotlib").train) == 4053


def test_sentences_are_plain_and_each_stands_once():
    corpus = data.load_sentences()
    everything = corpus.train + corpus.validation
    assert len({texts._letters(sentence) for sentence in everything}) == len(everything) > 10_000
    for sentence in everything:
        assert sentence.isascii() and sentence[0].isupper() and sentence[-1] in ".!?"
        assert 5 <= len(sentence.split()) <= 60 and "\n" not in sentence


def test_no_file_has_sentences_for_both_training_and_validation():
    found = cache.load_texts()["sentences"]
    file_of = dict(zip(found["texts"], found["files"], strict=True))
    corpus = data.load_sentences()
    train, validation = ({file_of[s] for s in part} for part in (corpus.train, corpus.validation))
    assert not train & validation
    assert 0.05 < len(validation) / len(train | validation) < 0.15


def test_domains_share_nothing_and_make_up_the_whole():
    whole, rest, held_out = (data.load_sentences(), data.load_sentences(without="matplotlib"),
                             data.load_sentences("matplotlib"))
    for part in ("train", "validation"):
        a, b = set(getattr(rest, part)), set(getattr(held_out, part))
        assert a and b and not a & b and a | b == set(getattr(whole, part))


@pytest.mark.parametrize("wrong", [{"domain": "pandas"}, {"without": "pandas"},
                                   {"domain": "numpy", "without": "scipy"}])
def test_an_unknown_domain_is_refused(wrong):
    with pytest.raises(ValueError, match="domain"):
        data.load_sentences(**wrong)


def test_encoding_lower_cases_and_spaces_out_what_it_does_not_know():
    assert data.decode(data.encode("Ab 2-D, it's (fine).")) == "ab -d, it's fine ."
    assert data.decode(data.encode(["One.", "Two."])) == "one.\ntwo.\n"
    assert data.encode("").shape == data.encode([]).shape == (0,)
    assert data.encode("Bézier İ").max() < 32


def test_every_character_survives_a_round_trip():
    codes = data.encode(sentences.ALPHABET)
    assert codes.dtype == np.uint8 and codes.tolist() == list(range(32))
    assert data.decode(codes) == sentences.ALPHABET


# --- names, digits, diabetes, newsgroups ----------------------------------------------------------

def test_names_belong_to_one_language_and_keys_to_one_part():
    task = data.load_names()
    assert task.label_names == loaders.LANGUAGES and len(task.label_names) == 14
    names, keys = every(task, "texts"), [set(part.groups) for part in parts_of(task)]
    assert len(set(names)) == len(names) > 10_000
    assert not keys[0] & keys[1] | keys[0] & keys[2] | keys[1] & keys[2]
    assert not any(c.isdecimal() or c in "()[]（）" for name in names for c in name)
    assert all(name == name.lower() for name in names)
    assert np.bincount(every(task, "labels")).min() > 400
    assert data.load_names().test.texts == task.test.texts


def test_names_without_babel_get_advice(monkeypatch):
    monkeypatch.setitem(sys.modules, "babel", None)
    with pytest.raises(data.DataError, match="pip install babel"):
        data.load_names()


def test_names_are_counted_in_characters():
    X = data.tfidf(data.load_names())
    assert max(map(len, X.terms)) == 3 and X.train.shape[1] > 5000


def test_digits_are_split_once_and_for_all():
    task = data.load_digits()
    assert [part.X.shape for part in parts_of(task)] == [(1077, 64), (360, 64), (360, 64)]
    assert task.train.X.min() == 0 and task.train.X.max() == 1
    assert all(np.bincount(part.y).min() > 0.09 * len(part) for part in parts_of(task))
    rows = {row.tobytes() for part in parts_of(task) for row in part.X}
    assert len(rows) == 1797
    assert (data.load_digits().test.X == task.test.X).all()
    assert (data.load_digits(split_seed=1).test.X != task.test.X).any()


def test_diabetes_is_scaled_by_the_train_part():
    task = data.load_diabetes()
    assert [part.X.shape for part in parts_of(task)] == [(264, 10), (89, 10), (89, 10)]
    np.testing.assert_allclose(task.train.X.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(task.train.X.std(axis=0), 1)
    assert np.abs(task.test.X.mean(axis=0)).max() > 0.01
    assert len(task.feature_names) == 10 and task.train.y.max() > 100


def test_newsgroups_do_not_touch_the_network_unasked(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    monkeypatch.setattr("sklearn.datasets._base.urlretrieve", lambda *_: pytest.fail("network"))
    with pytest.raises(data.DataError, match="download=True") as error:
        data.load_newsgroups()
    assert str(tmp_path) in str(error.value) and "load_docstrings()" in str(error.value)


def test_a_failed_download_says_what_to_do(tmp_path, monkeypatch):
    import socket

    timeouts = []

    def fail(*_):
        timeouts.append(socket.getdefaulttimeout())
        raise TimeoutError("the wire was cut")

    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    monkeypatch.setattr("sklearn.datasets._base.urlretrieve", fail)
    with (pytest.warns(UserWarning, match="Retry"),
          pytest.raises(data.DataError, match="the wire was cut.*works as well")):
        data.load_newsgroups(download=True)
    assert timeouts == [20, 20] and socket.getdefaulttimeout() is None


def test_newsgroups_keep_their_own_test_part_and_drop_empty_posts(monkeypatch):
    def fetch(subset, **_):
        n = 40 if subset == "train" else 12
        return SimpleNamespace(data=[f"{subset} post" if i % 10 else " \n" for i in range(n)],
                               target=np.arange(n) % 2, target_names=["a", "b"],
                               filenames=[f"{subset}/{i}" for i in range(n)])

    monkeypatch.setattr("sklearn.datasets.fetch_20newsgroups", fetch)
    task = data.load_newsgroups()
    assert len(task.train) + len(task.validation) == 36 and len(task.test) == 10
    assert set(task.train.texts + task.validation.texts) == {"train post"}
    assert set(task.test.texts) == {"test post"}
    assert not set(task.train.groups) & set(task.validation.groups)


# --- the cache ------------------------------------------------------------------------------------

@pytest.fixture
def small_cache(tmp_path, monkeypatch):
    """A cache folder of its own, and a build that takes no time. Counts the builds."""
    builds = []
    monkeypatch.setenv("ZGLEARN_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "build", lambda progress: builds.append(progress) or SMALL)
    return SimpleNamespace(folder=tmp_path, builds=builds)


def test_a_fresh_build_gives_the_same_bytes_and_shows_its_progress(tmp_path):
    folder = tmp_path / "with a space" / "数据"
    done = subprocess.run([sys.executable, "-m", "zglearn.data"], text=True, encoding="utf-8",
                          capture_output=True, timeout=600, check=True,
                          env=os.environ | {"ZGLEARN_CACHE": str(folder), "PYTHONUTF8": "1"})
    assert "whole" in done.stdout and str(folder) in done.stdout
    assert "Reading docstrings: 100%" in done.stderr
    mine = data.build_cache(progress=False)
    assert [path.read_bytes() for path in folder.iterdir()] == [mine.path.read_bytes()]


def test_the_second_load_builds_nothing(small_cache, capfd):
    assert data.cache_status().state == "missing"
    assert cache.load_texts() == cache.load_texts() == SMALL
    status = data.build_cache()
    assert small_cache.builds == [True] and status.state == "whole" and status.advice == ""
    assert status.path.parent == small_cache.folder and status.size == status.path.stat().st_size
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("damage", [
    lambda content: b"",
    lambda content: content[:len(content) // 2],
    lambda content: content[:-1],
    lambda content: content.replace(b"numpy/a", b"numpy/c"),
    lambda content: b"not JSON\n" + content,
    lambda content: b"[]\n" + content,
    lambda content: b"\xff\xfe\n" + content,
])
def test_a_damaged_cache_is_rebuilt_with_one_line(small_cache, capfd, damage):
    path = data.build_cache().path
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert data.cache_status().state == "corrupt" and data.cache_status().advice
    assert cache.load_texts() == SMALL and len(small_cache.builds) == 2
    assert path.read_bytes() == whole
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and str(path) in said


def test_other_versions_have_their_own_cache(small_cache, monkeypatch):
    first = data.build_cache().path
    monkeypatch.setattr(cache, "RECIPE", 0)
    assert data.cache_status().state == "stale"
    assert data.build_cache().path != first and first.exists()
    monkeypatch.setattr(cache, "library_versions", lambda: {"numpy": "3"})
    assert data.cache_status().state == "stale"


def test_old_caches_go_and_strangers_stay(small_cache, monkeypatch):
    strangers = [small_cache.folder / name for name in ("texts-mine.json", "notes.txt")]
    for path in strangers:
        path.write_text('{"is": "mine"}')
    for name, age in [("texts-old.part", 7200), ("texts-new.part", 0)]:
        path = small_cache.folder / name
        path.write_text("")
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    built = []
    for recipe in range(-5, 0):
        monkeypatch.setattr(cache, "RECIPE", recipe)
        built.append(data.build_cache().path)
        os.utime(built[-1], (10**9 + recipe,) * 2)
    assert [path.exists() for path in built] == [False, False, True, True, True]
    assert all(path.exists() for path in strangers)
    assert [p.name for p in small_cache.folder.glob("*.part")] == ["texts-new.part"]


def test_a_folder_that_cannot_be_written_to_costs_a_line_not_the_text(
        small_cache, monkeypatch, capfd):
    (small_cache.folder / "file").write_text("")
    monkeypatch.setenv("ZGLEARN_CACHE", str(small_cache.folder / "file" / "cache"))
    assert cache.load_texts() == SMALL
    assert "Set ZGLEARN_CACHE" in capfd.readouterr().err
    assert data.cache_status().state in ("missing", "corrupt")


def test_a_failed_write_leaves_nothing_behind(small_cache, monkeypatch, capfd):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(cache.os, "replace", full)
    assert cache.load_texts() == SMALL
    assert "no space left" in capfd.readouterr().err
    assert list(small_cache.folder.iterdir()) == []


def test_builds_at_the_same_time_do_not_disturb_each_other(tmp_path):
    code = f"""if True:
        from zglearn.data import cache
        small = {SMALL!r}
        small["documents"]["texts"] *= 100_000
        cache.build = lambda progress: small
        for _ in range(60):
            cache._cache_file().unlink(missing_ok=True)
            cache._read_once.cache_clear()
            assert cache.load_texts() == small
        print(cache.cache_status().state)"""
    environ = os.environ | {"ZGLEARN_CACHE": str(tmp_path)}
    both = [subprocess.Popen([sys.executable, "-c", code], env=environ, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0 and errors == "", errors
    assert len(list(tmp_path.iterdir())) <= 1


def test_the_cache_lives_in_the_checkout_if_that_can_be_written_to(tmp_path, monkeypatch):
    monkeypatch.delenv("ZGLEARN_CACHE", raising=False)
    assert cache.cache_folder().parts[-2:] == (".zglearn", "cache")
    monkeypatch.setattr(cache.os, "access", lambda *_: False)
    elsewhere = cache.cache_folder()
    assert ".zglearn" not in elsewhere.parts and "zglearn" in elsewhere.parts
    monkeypatch.setenv("ZGLEARN_CACHE", "some/folder")
    assert cache.cache_folder() == type(elsewhere).cwd() / "some" / "folder"


def test_the_cache_file_says_what_it_is(small_cache):
    path = data.build_cache().path
    header = json.loads(path.read_text().split("\n")[0])
    assert header["versions"] == docstrings.library_versions()
    assert header["recipe"] == texts.RECIPE


def test_the_doctor_can_ask_without_numpy():
    loaded = python("""if True:
        import sys
        from zglearn.data import cache_status
        print(cache_status().state, "numpy" in sys.modules)""")
    assert loaded.split() in (["whole", "False"], ["missing", "False"], ["stale", "False"])


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="load_everything"):
        _ = data.load_everything
    assert set(data.__all__) <= set(dir(data))


def test_records_with_arrays_can_be_told_apart():
    from zglearn.data.tasks import Texts, TextTask, Tfidf

    def records(n):
        X = np.full((2, 2), n)
        table, texts = loaders.Table(X, X[0]), Texts(["a", "b"], X[0], ["x", "y"])
        return [table, texts, loaders.TableTask(("p", "q"), table, table, table),
                TextTask(("p", "q"), texts, texts, texts, {}), Tfidf(X, X, X, X, None)]

    for one, other in zip(records(1), records(1), strict=True):
        assert [one, other].index(other) == 1 and {one: "one", other: "other"}[other] == "other"
