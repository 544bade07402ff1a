"""A small course, and a class that hands in everything that a class hands in.

`build_course` writes a course with one chapter, 90, and its own bank. `FAULTS` lists submissions:
each is a change to the right notebook, and what the gradebook must say of it. A test fills a
class with them; nothing is stored by hand.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path

from zglearn.exercises.originals import fingerprint, stamp

BANK = '''
import numpy as np

from zglearn.exercises.exercise import choice, exercise, expect, expect_close, open_question
from zglearn.objective import Objective

COMMON = {"difficulty": 1, "minutes": 5, "hints": ["a nudge", "a formula", "a skeleton"]}

choice("90.1", "Choose", options={"a": "That is the one before.", "b": "That is it."}, right="b",
       points=1, **COMMON)


@exercise("90.2", "One step", kind="implement", points=2, names=["step"], **COMMON)
def one_step(answer, rng):
    for _ in range(3):
        x, g, lr = rng.normal(size=4), rng.normal(size=4), rng.uniform(0.1, 1)
        expect_close(answer.call("step", x, g, lr), x - lr * g, case="a random step",
                     mistakes={"it goes uphill": x + lr * g})


@exercise("90.3", "A memory", kind="implement", points=2, names=["Average"], **COMMON)
def memory(answer, rng):
    numbers = rng.normal(size=5).tolist()
    average = answer.make("Average")
    for n, number in enumerate(numbers, 1):
        expect_close(average.call("add", number), sum(numbers[:n]) / n, case=f"after {n} numbers")


@exercise("90.4", "A method", kind="implement", points=3, names=["descend"], **COMMON)
def method(answer, rng):
    h, x, lr = rng.uniform(1, 2, size=3), rng.normal(size=3), rng.uniform(0.1, 0.4)
    f = Objective(lambda x: float(h @ x**2) / 2, lambda x: h * x)
    points = answer.iterates("descend", f, x, 20, lr=lr)
    expect_close(points, x * (1 - lr * h) ** np.arange(1, 21)[:, None], case="20 steps")
    expect(f.gradients == 20, f"20 steps asked for {f.gradients} gradients; one a step will do")


open_question("90.5", "Why?", rubric=["it says why"], points=2, min_words=5, **COMMON)


@exercise("90.6", "Scale", kind="debug", points=2, names=["scale"], **COMMON)
def scaled(answer, rng):
    values = {name: float(rng.uniform(1, 9)) for name in "abc"}
    got = answer.call("scale", values)
    expect(isinstance(got, dict), f"expected a dict, got {got!r}")
    expect_close([got.get(name, 0) for name in "abc"], [v / max(values.values())
                 for v in values.values()], case="three values")
'''

SOLUTIONS = {
    "intro": "# 90 · Small",
    "setup": "import numpy as np\n\nfrom zglearn.course import check, hint, predict",
    "ex-90-1": "## 90.1 · Choose",
    "ans-90-1": 'answer_90_1 = "b"  # SOLUTION',
    "chk-90-1": 'check("90.1")',
    "ex-90-2": "## 90.2 · One step",
    "given-90-2": "def halve(x):\n    return x / 2",
    "ans-90-2": "def step(x, g, lr):\n    # BEGIN SOLUTION\n    return x - lr * g\n"
                "    # END SOLUTION",
    "chk-90-2": 'check("90.2")',
    "ex-90-3": "## 90.3 · A memory",
    "run-90-2": "halves = [halve(x) for x in range(3)]",
    "ans-90-3": "class Average:\n    def __init__(self):\n        self.numbers = []\n\n"
                "    def add(self, number):\n        # BEGIN SOLUTION\n"
                "        self.numbers.append(number)\n"
                "        return sum(self.numbers) / len(self.numbers)\n        # END SOLUTION",
    "chk-90-3": 'check("90.3")',
    "ex-90-4": "## 90.4 · A method",
    "ans-90-4": "def descend(f, x, *, lr):\n    # BEGIN SOLUTION\n    while True:\n"
                "        x = x - lr * f.grad(x)\n        yield x\n    # END SOLUTION",
    "chk-90-4": 'check("90.4")',
    "ex-90-5": "## 90.5 · Why?",
    "ans-90-5": 'answer_90_5 = "Because the gradient points uphill, we go against it."  # SOLUTION',
    "chk-90-5": 'check("90.5")',
    "ex-90-6": "## 90.6 · Scale",
    "ans-90-6": "def scale(values):\n    # BEGIN SOLUTION\n"
                "    most = max(values.values(), default=1)\n"
                "    return {name: value / most for name, value in values.items()}\n"
                "    # END SOLUTION",
    "chk-90-6": 'check("90.6")',
    "hid-90-6": '%%hidden 90.6 worth 1\nexpect(answer.call("scale", {}) == {}, "empty")',
    "try-90-2-up": "%%trial 90.2 wrong uphill\ndef step(x, g, lr):\n    return x + lr * g",
    "try-90-2-halves": "%%trial 90.2 wrong half a step\ndef step(x, g, lr):\n"
                       "    return x - halve(lr * g)",
    "try-90-2-none": "%%trial 90.2 wrong nothing\ndef step(x, g, lr):\n    pass",
    "try-90-2-place": "%%trial 90.2 right in place\ndef step(x, g, lr):\n    x -= lr * g\n"
                      "    return x",
    "try-90-2-list": "%%trial 90.2 right a list\ndef step(x, g, lr):\n"
                     "    return [a - lr * b for a, b in zip(x, g)]",
}
POINTS = {"90.1": 1, "90.2": 2, "90.3": 2, "90.4": 3, "90.5": 2, "90.6": 2}
STUB = "    # YOUR CODE HERE\n    raise NotImplementedError"


def build_course(folder: Path) -> Path:
    """A course folder: solutions/ and exercises/90_small.ipynb, and bank/ch90_small.py."""
    for name in ("solutions", "exercises", "bank"):
        (folder / name).mkdir(parents=True)
    (folder / "bank" / "ch90_small.py").write_text(BANK)
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {},
                "cells": [_cell(id, source) for id, source in SOLUTIONS.items()]}
    (folder / "solutions" / "90_small.ipynb").write_text(json.dumps(notebook))
    handed_out = untouched().json
    handed_out["metadata"]["zglearn"] = stamp(
        "90_small", [(cell["id"], cell["source"]) for cell in handed_out["cells"]])
    (folder / "exercises" / "90_small.ipynb").write_text(json.dumps(handed_out))
    return folder


def _cell(id, source):
    kind = "markdown" if id == "intro" or id.startswith("ex-") else "code"
    cell = {"cell_type": kind, "id": id, "metadata": {}, "source": source}
    if id.startswith("hid-"):
        cell["metadata"]["tags"] = ["solution-only"]
    return cell | ({"outputs": [], "execution_count": None} if kind == "code" else {})


class Notebook:
    """A notebook to change: each change returns the notebook."""

    def __init__(self):
        cells = [_cell(id, source) for id, source in SOLUTIONS.items()
                 if not id.startswith(("hid-", "try-"))]
        self.json = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}

    def place(self, id):
        return next(n for n, cell in enumerate(self.json["cells"]) if cell.get("id") == id)

    def put(self, id, source, **more):
        self.json["cells"][self.place(id)].update(source=source, **more)
        return self

    def add(self, source, before="ex-90-2", id="extra"):
        place = self.place(before) if before else len(self.json["cells"])
        self.json["cells"].insert(place, _cell(id, source))
        return self

    def drop(self, *prefixes):
        self.json["cells"] = [cell for cell in self.json["cells"]
                              if not cell["id"].startswith(prefixes)]
        return self

    def step(self, body, head="def step(x, g, lr):"):
        return self.put("ans-90-2", head + "\n    " + body.replace("\n", "\n    "))

    def bytes(self) -> bytes:
        return json.dumps(self.json).encode()


WRONG = "return x + lr * g"  # what every cheat tries to pass off as right


@dataclass
class Fault:
    """A submission: its files, and what the gradebook must say where it is not "correct".

    `expected` maps an exercise to its status, or to (status, part of the message).
    """

    name: str
    files: dict[str, bytes]
    expected: dict = field(default_factory=dict)


def one(name, notebook: Notebook | bytes, expected=None, file="90_small.ipynb") -> Fault:
    data = notebook if isinstance(notebook, bytes) else notebook.bytes()
    return Fault(name, {file: data}, expected or {})


def every(status) -> dict:
    return dict.fromkeys(POINTS, status)


def right(number: int) -> Fault:
    """A right submission, different from every other."""
    return one(f"right{number:03}", Notebook().add(f"lucky = {number}"))


def half_finished() -> Notebook:
    notebook = Notebook().put("ans-90-5", "answer_90_5 = ...  # YOUR ANSWER")
    return notebook.put("ans-90-4", f"def descend(f, x, *, lr):\n{STUB}")


def untouched() -> Notebook:
    notebook = half_finished().put("ans-90-1", "answer_90_1 = ...  # YOUR ANSWER")
    notebook.put("ans-90-3", f"class Average:\n    def add(self, number):\n    {STUB.strip()}"
                 .replace("\n    raise", "\n        raise").replace("    # YOUR", "        # YOUR"))
    return notebook.put("ans-90-2", f"def step(x, g, lr):\n{STUB}").put(
        "ans-90-6", f"def scale(values):\n{STUB}")


def format_3() -> bytes:
    cells = [{"cell_type": cell["cell_type"], "metadata": {}, **(
        {"input": cell["source"], "language": "python", "outputs": [], "collapsed": False}
        if cell["cell_type"] == "code" else {"source": cell["source"]})}
        for cell in Notebook().json["cells"]]
    return json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""},
                       "worksheets": [{"cells": cells, "metadata": {}}]}).encode()


def reordered() -> Notebook:
    """The whole of 90.3 first, and its check even before its answer."""
    notebook = Notebook()
    cells = notebook.json["cells"]
    for id in ("ans-90-3", "chk-90-3"):
        cells.insert(2, cells.pop(notebook.place(id)))
    return notebook


def doubled() -> Notebook:
    """A copy of each answer cell with the same id; the first one is an early, wrong try."""
    notebook = Notebook()
    for id in ("ans-90-2", "ans-90-3"):
        copied = copy.deepcopy(notebook.json["cells"][notebook.place(id)])
        copied["source"] = copied["source"].replace("return", "return 1 +")
        notebook.json["cells"].insert(notebook.place(id), copied)
    return notebook


def forged() -> Notebook:
    """A wrong answer under a saved "Correct", with nbval told to look away."""
    notebook = Notebook().step(f"# NBVAL_IGNORE_OUTPUT\n{WRONG}")
    said = [{"output_type": "stream", "name": "stdout", "text": "90.2 correct\n"}]
    return notebook.put("chk-90-2", '# NBVAL_SKIP\n# NBVAL_RAISES_EXCEPTION\ncheck("90.2")',
                        outputs=said, execution_count=3,
                        metadata={"tags": ["raises-exception", "nbval-skip"]})


def dressed() -> Notebook:
    """Everything right, nothing as usual, and saved by an editor that knows no ids."""
    notebook = Notebook().add("%%writefile mine.py\n" + SOLUTIONS["ans-90-6"]).add(
        "np.seterr(all='raise')\nimport warnings\nwarnings.simplefilter('error')")
    for id, source in DRESSED.items():
        notebook.put(id, source)
    for cell in notebook.json["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
        del cell["id"]
    return notebook


def old_version() -> Notebook:
    """As handed out before the task of 90.2 was changed."""
    notebook = Notebook()
    cells = {cell["id"]: fingerprint(cell["source"]) for cell in untouched().json["cells"]}
    notebook.json["metadata"]["zglearn"] = {
        "name": "90_small", "version": "0", "cells": cells | {"ex-90-2": "0123456789ab"}}
    return notebook


LOOP = "while True:\n    pass"
DEAF = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n" \
       "        pass"
DAEMON = """import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(3600)
    os._exit(0)"""
LIES = """class Lies(np.ndarray):
    __eq__ = __le__ = __lt__ = lambda self, other: np.True_
    def __array__(self, *args, **kwargs): return 1 / 0
    def __abs__(self): return 0 * np.asarray(self)"""
LIAR = """class Liar:
    shape, dtype, ndim, size = (4,), np.dtype(float), 1, 4
    __eq__ = lambda self, other: True
    def __array__(self, *args, **kwargs): return np.zeros(4)
    def __float__(self): return 0.0"""
PICKLE = """import os
class Bomb:
    def __reduce__(self): return os.system, ("touch {target}/pickled",)"""
PATCHES = """import numpy.testing, builtins, zglearn.objective
yes = lambda *args, **kwargs: True
np.testing.assert_allclose = np.allclose = np.isclose = np.array_equal = yes
np.abs = np.absolute = lambda x, *args, **kwargs: 0 * np.asarray(x)
np.max = lambda *args, **kwargs: 0.0
builtins.abs = lambda x: 0
builtins.isinstance, builtins.all = yes, yes
zglearn.objective.Objective.gradients = 20"""
TRANSFORM = """from IPython import get_ipython
def cheat(lines):
    return [line.replace('check("', 'print("90.2 correct") #') for line in lines]
get_ipython().input_transformers_cleanup.append(cheat)"""
WIRE = """import gc, os, socket
for fd in range(3, 20):
    try:
        os.write(fd, b"\\x00\\x00\\x00\\x02{{}}\\x00\\x00\\x00\\x09garbage!!")
    except OSError:
        pass"""
FRAMES = """import sys, gc
frame = sys._getframe()
while frame:
    for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):
        for name in ("check", "verdict", "points", "correct"):
            try: setattr(value, name, lambda *a, **k: True)
            except Exception: pass
    frame = frame.f_back
for thing in gc.get_objects():
    if type(thing).__name__ in ("Exercise", "Verdict", "Referee", "RemoteNamespace"):
        raise SystemError("found " + type(thing).__name__)"""
KILLS = """import os, signal
for kill, who in ((os.kill, os.getppid()), (os.kill, -1), (os.killpg, os.getpgid(0)), (os.kill, 1)):
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            if kill is os.killpg and who == os.getpid():
                continue
            if who: kill(who, sign)
        except OSError: pass"""
FRAMED = """import json, os, struct
def framed(message):
    text = json.dumps([message, []]).encode()
    return struct.pack("!I", len(text)) + text
wires = [n for n in map(int, os.listdir("/proc/self/fd")) if n > 2]
def say(message, times=1):
    for n in wires:
        try: os.write(n, framed(message) * times)
        except OSError: pass
"""
ODD = """class Odd(Exception):
    def __str__(self): raise KeyboardInterrupt
class Set(set):
    def __iter__(self): raise SystemExit
class Tuple(tuple):
    __len__ = lambda self: 2
    __getitem__ = __iter__ = lambda self, *_: 1 / 0"""
HOG = """import os
for _ in range(50):
    if os.fork() == 0:
        os.setsid()
        while True: pass"""
HOARD = """import os, time
for _ in range(12):
    if os.fork() == 0:
        a = np.ones(12 * 2**20); time.sleep(60)
time.sleep(30)
return x - lr * g"""
NAMELESS = """import os, time
for _ in range(8):
    file = os.memfd_create("hoard")
    for _ in range(60): os.write(file, bytes(2**20))
time.sleep(30)
return x - lr * g"""
SOCKETS = """import os, socket, time
for _ in range(12):
    if os.fork() == 0:
        kept = []
        while True:
            try:
                kept.append(socket.socketpair())
                for end in kept[-1]:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**24)
                    end.setblocking(False)
                    while True: end.send(bytes(2**16))
            except OSError as error:
                if error.errno == 24: time.sleep(60)
time.sleep(30)
return x - lr * g"""
FILES = """import os
made = 0
try:
    for made in range(100_000): os.close(os.open(f"f{made}", os.O_CREAT))
except OSError: pass
assert made < 20_000"""
NESTED = """import os
for _ in range(3000):
    os.mkdir("d")
    os.chdir("d")
os.chmod("..", 0)"""
VSOCK = """import socket
try: socket.socket(40, socket.SOCK_STREAM)
except OSError as error: assert error.errno == 97
else: assert False
socket.socket(socket.AF_UNIX), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
return x - lr * g"""
ROOM = """import ctypes, os
C, uid, gid = ctypes.CDLL(None), os.getuid(), os.getgid()
os.makedirs("room", exist_ok=True)
if os.fork() == 0:
    mounted = False
    try:
        C.unshare(0x10020000), C.prctl(4, 1)  # who is not dumpable maps nobody
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"),
                           ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file: file.write(text)
        mounted = C.mount(b"room", b"room", b"tmpfs", 0, None) == 0
    finally:
        os._exit(mounted)
assert os.wait()[1] == 0
return x - lr * g"""
AFTERMATH = f"import os, threading\nthreading.Timer(0.5, os._exit, [0]).start()\n{WRONG}"
# five are made; all have 5 seconds
SLOW = "import time\n" + SOLUTIONS["ans-90-3"].replace(
    "self.numbers = []", "self.numbers = []\n        time.sleep(0.7)")
DRESSED = {  # right answers in unusual dress
    "ans-90-1": "answer_90_1 = np.array(' (B) ')",
    "ans-90-2": "#" * 79 + "\n" + "# note\n" * 40 + "from functools import partial\n\n\n"
                "def _step(a, x, g, lr):\n\t'''走一步'''\n\tprint(x)\n"
                "\treturn tuple(np.float32(x) + a * lr * g)\n\n\nstep = partial(_step, -1)\n"
                "assert check('90.2').status == 'correct', 'no'",
    "ans-90-3": "%%time\nfrom dataclasses import dataclass, field\n\n@dataclass\nclass Average:\n"
                "    seen: list = field(default_factory=list)\n    def add(self, number: float):\n"
                "        self.seen.append(number)\n        return np.array(np.mean(self.seen))",
    "ans-90-4": "class descend:\n    def __init__(self, f, x, *, lr):\n"
                "        self.f, self.x, self.lr = f, x, lr\n    def __iter__(self):\n"
                "        while True:\n            self.x -= self.lr * self.f.grad(self.x)\n"
                "            yield self.x",
    "ans-90-6": "from mine import scale  # a file that a cell wrote",
}
SHELL = """!ls
!pip install numpy==1.0
%pip install numpy==1.0
files = !echo one; echo two
assert files == ["one", "two"] and _exit_code == 0
def step(x, g, lr):"""
KERNEL = """%autosave 60
%store -r nothing
%load_ext no_such_extension
%config InlineBackend.figure_format = 'retina'
%no_such_magic
np.mean?
%time def step(x, g, lr): return x - lr * g
step
assert _ is step and Out and In[-1].endswith("step") and _i.strip() == "0"
import getpass
assert getpass.getuser()
print(f"{check('90.2').points:.1f}", sum([check('90.1').points, 2]), round(check('90.1').x, 2))
step = _"""
TEMPORARY = """import os, tempfile
with tempfile.TemporaryFile() as file, tempfile.NamedTemporaryFile() as named:
    file.write(b'x'), named.write(b'x')
folder = tempfile.mkdtemp()
def step(x, g, lr):
    with open(os.path.join(folder, 'x'), 'w') as file, tempfile.TemporaryDirectory() as other:
        return x - lr * g"""
FORKS = """import os
for _ in range(10_000):
    try:
        if os.fork() == 0:
            import time; time.sleep(3600)
    except OSError:
        break"""


def faults(target: Path, secrets: list[Path], port: int) -> list[Fault]:
    """The class. `target` is a folder that none may write into; `secrets` are files that none may
    read; `port` is one that listens, and hears who connects."""
    steal = "\n".join(f"try: stolen += open({str(path)!r}).read()\nexcept OSError: pass"
                      for path in secrets)
    dial = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2).close()\n"
    write = "\n".join(f"try: open({str(place)!r}, 'w').write('mine')\nexcept OSError: pass"
                      for place in (target / "written", "/etc/written", "/usr/written"))
    return [
        one("syntax error", Notebook().step("return x -- lr * g)"), {"90.2": ("error", "Syntax")}),
        one("half finished", half_finished(), {"90.4": "not_attempted", "90.5": "not_attempted"}),
        one("untouched", untouched(), every("not_attempted")),
        one("loop in a cell", Notebook().add(LOOP)),
        one("loop in the answer's cell", Notebook().put("ans-90-2", f"{LOOP}\ndef step(): pass"),
            {"90.2": ("timeout", "ran for more than")}),
        one("loop in a call", Notebook().step(LOOP), {"90.2": ("timeout", "loop")}),
        one("loop in a generator", Notebook().put("ans-90-4", "def descend(f, x, *, lr):\n"
            "    while True:\n        x = x - lr * f.grad(x)\n    yield x"), {"90.4": "timeout"}),
        one("deaf loop", Notebook().step(DEAF), {"90.2": "timeout"}),
        one("sleep", Notebook().step("import time\ntime.sleep(3600)"), {"90.2": "timeout"}),
        one("memory bomb", Notebook().step("return np.ones(10**10)"),
            {"90.2": ("error", "MemoryError")}),
        one("growing list", Notebook().step("a = [0]\nwhile True:\n    a = a + a"),
            {"90.2": ("error", "MemoryError")}),
        one("much output", Notebook().step("for _ in range(100):\n    print('x' * 10**6)\n"
            "return x - lr * g").add("for _ in range(100):\n    print('x' * 10**6)")),
        one("exit in a cell", Notebook().add("import sys\nsys.exit()")),
        one("exit in a call", Notebook().step("exit()"), {"90.2": ("error", "raised")}),
        one("hard exit in a cell", Notebook().add("import os\nos._exit(0)")),
        one("hard exit in an answer", Notebook().put("ans-90-2", "import os\nos._exit(3)\n"
            "def step(): pass"), {"90.2": ("error", "exit status 3")}),
        one("hard exit in a call", Notebook().step("import os\nos._exit(0)"),
            {"90.2": ("error", "ended its whole process")}),
        one("crash", Notebook().step("import ctypes\nctypes.string_at(0)"),
            {"90.2": ("error", "Segmentation fault")}),
        one("kills its parents", Notebook().add(KILLS)),
        one("leaves a daemon", Notebook().add(DAEMON)),
        one("fork bomb", Notebook().add(FORKS)),
        one("threads", Notebook().add("from concurrent.futures import ThreadPoolExecutor\n"
            "pool = ThreadPoolExecutor(4)").step("return np.array(list(pool.map("
            "lambda ab: ab[0] - lr * ab[1], zip(x, g))))")),
        one("reads what it should not", Notebook().add(f"stolen = ''\n{steal}\nassert stolen")
            .step("exec(stolen, globals())\nreturn x if stolen else x + lr * g"),
            {"90.2": ("incorrect", "uphill")}),
        one("writes elsewhere", Notebook().add(write)),
        one("fills its disk", Notebook().add("with open('big', 'wb') as f:\n"
            "    for _ in range(2000): f.write(bytes(10**6))")),
        one("the network", Notebook().step(f"{dial}return x - lr * g"), {"90.2": "error"}),
        one("corrupt", Notebook().bytes()[:500], every(("refused", "not a notebook"))),
        one("empty file", b"", every("refused")),
        one("not a notebook", b'{"cells": 3}', every("refused")),
        one("binary", bytes(range(256)), every("refused")),
        one("deep json", b'{"cells": ' + b"[" * 100_000, every("refused")),
        one("renamed", Notebook(), file="final FINAL (2).ipynb"),
        Fault("two notebooks", {"90_small.ipynb": untouched().bytes(),
                                "90_small (1).ipynb": Notebook().bytes()}),
        one("old version", old_version(), {"90.2": ("refused", "changed after the hand-out")}),
        one("format 3", format_3()),
        one("a missing cell", Notebook().drop("ans-90-2"), {"90.2": "not_attempted"}),
        one("missing set-up and checks", Notebook().drop("setup", "chk-", "given-")
            .step("return x - 2 * halve(lr * g)")),
        one("doubled cells", doubled()),
        one("reordered cells", reordered()),
        one("helpers", Notebook().add("def helper(a):\n    return -a")
            .step("return x + helper(lr * g)")),
        one("scratch after the check", Notebook().add("step = None", before="ex-90-3", id="")),
        one("magics", Notebook().add("%matplotlib inline\n!rm -rf ~ /tmp/*\n%time 1 + 1")
            .add("%%bash\nrm -rf /", id="bash").add("import asyncio\nawait asyncio.sleep(0)")),
        one("answer and check in one cell", Notebook().drop("chk-90-2", "chk-90-6")
            .put("ans-90-2", "step, other = (lambda x, g, lr: x - lr * g), 1\ncheck('90.2')")
            .put("ans-90-6", "if True:\n    " + SOLUTIONS["ans-90-6"].replace("\n", "\n    ")
                 + "\ncheck('90.6')").add("step = scale = Average = None", before=None)),
        one("defined in passing, after its check", Notebook()
            .put("ans-90-2", "check('90.2')").put("ans-90-6", "0")
            .add("exec('def step(x, g, lr): return x - lr * g')\nglobals()['scale'] = lambda v: "
                 "{k: v[k] / max(v.values()) for k in v}\nAverage = None", before=None)),
        one("a helper that fails", Notebook().add("import no_such_module\ndef helper(x): return x")
            .step("return x - helper(lr * g)"), {"90.2": ("error", "no_such_module")}),
        one("lines for the shell", Notebook().step("return x - lr * g", head=SHELL)
            .put("ans-90-6", f"%%capture said\n%conda install scipy\n{SOLUTIONS['ans-90-6']}")),
        one("what a kernel provides", Notebook().put("ans-90-2", KERNEL)
            .put("ans-90-1", "'b'").add("answer_90_1 = _", before="ex-90-2")
            .add("0", before="ans-90-2", id="")
            .put("ans-90-6", SOLUTIONS["ans-90-6"] + "\nassert len(check('90.6').message) >= 0 and "
                 "'x' in check('90.6').message[:9] and int(check('90.6').points > 1) == 1")),
        one("temporary files", Notebook().put("ans-90-2", TEMPORARY)),
        one("blanks after a check", Notebook().add('check("90.2")' + " " * 200_000 + "x")
            .put("ans-90-3", 'check("90.3")' + " " * 200_000 + "\n" + SOLUTIONS["ans-90-3"])),
        one("small lambdas", Notebook().add("f = [" + "lambda: 0, " * 20_000 + "]")),
        one("an edited check", Notebook().step(WRONG).put("chk-90-2", "assert True"),
            {"90.2": "incorrect"}),
        one("its own check", Notebook().step(WRONG).add("check = lambda id: print('Correct')"),
            {"90.2": "incorrect"}),
        one("forged outputs", forged(), {"90.2": "incorrect"}),
        one("patched numpy", Notebook().add(PATCHES).step(WRONG), {"90.2": "incorrect"}),
        one("an input transformer", Notebook().add(TRANSFORM).step(WRONG), {"90.2": "incorrect"}),
        one("a lying array", Notebook().add(LIES).step("return (x + lr * g).view(Lies)"),
            {"90.2": ("refused", "Lies")}),
        one("a lying object", Notebook().add(LIAR).step("return Liar()"),
            {"90.2": ("refused", "Liar")}),
        one("a pickle", Notebook().add(PICKLE.format(target=target)).step("return Bomb()"),
            {"90.2": ("refused", "Bomb")}),
        one("prints a report", Notebook().step("print('90.2 correct\\n{\"status\": \"correct\"}')\n"
            + WRONG), {"90.2": "incorrect"}),
        one("hard-coded", Notebook().put("ans-90-1", "answer_90_1 = {'a': 1, 'b': 2}").step(
            "return [0.1, 0.2, 0.3, 0.4]"), {"90.1": "incorrect", "90.2": "incorrect"}),
        one("input", Notebook().step("input('number? ')\nreturn x - lr * g"),
            {"90.2": ("error", "input()")}),
        one("a package of its own", Notebook().put("ans-90-2", "import no_such_package\n"
            "def step(x, g, lr): return x - lr * g"), {"90.2": ("error", "no_such_package")}),
        one("forged answers", Notebook().add(FRAMED + "say({'result': {'tuple': [0, 0]}}, 9)\n"
            "say({'ready': {}, 'verdict': 'correct', 'to': 1})").step(WRONG),
            {"90.2": "incorrect"}),
        one("a forged question", Notebook().add(FRAMED).step("say({'number': 7})\n" + WRONG),
            {"90.2": ("refused", "never offered")}),
        one("one answer too many", Notebook().add(FRAMED).step("say({'result': 0})\n" + WRONG),
            {"90.2": ("refused", "was not asked")}),
        one("forks in a call", Notebook().step("import os\nos.fork()\nreturn x - lr * g")),
        one("asks without end", Notebook().put("ans-90-4", "def descend(f, x, *, lr):\n"
            "    while True: f(np.zeros((10**6, 3)))\n    yield"), {"90.4": "timeout"}),
        one("takes the processors", Notebook().add(HOG)),
        one("shares out its memory", Notebook().step(HOARD), {"90.2": ("error", "more memory")}),
        one("ends another's answer", Notebook().step(AFTERMATH).put("ans-90-3", SLOW),
            {"90.2": "incorrect"}),
        one("ends another's cell", Notebook().step(AFTERMATH)
            .put("ans-90-3", f"import time\ntime.sleep(1)\n{SOLUTIONS['ans-90-3']}"),
            {"90.2": "incorrect"}),
        one("memory in sockets", Notebook().step(SOCKETS), {"90.2": ("error", "more memory")}),
        one("a hundred thousand files", Notebook().add(FILES)),
        one("folders without end", Notebook().add(NESTED)),
        one("sockets of the host", Notebook().step(VSOCK)),
        one("a file system of its own", Notebook().step(ROOM)),
        one("memory without a name", Notebook().step(NAMELESS), {"90.2": ("error", "more memory")}),
        one("an odd exception", Notebook().add(ODD).step("raise Odd"), {"90.2": "error"}),
        one("an odd set", Notebook().add(ODD).step("return Set({1})"), {"90.2": "error"}),
        one("an odd tuple", Notebook().add(ODD).step("return Tuple((1, 2))"),
            {"90.2": "incorrect"}),
        one("an interruption", Notebook().step("raise KeyboardInterrupt"),
            {"90.2": ("error", "KeyboardInterrupt")}),
        one("the end of an iteration", Notebook().step("return next(iter(()))"),
            {"90.2": ("error", "StopIteration")}),
        one("two guesses", Notebook().put("ans-90-1", "answer_90_1 = 'a'").add("answer_90_1 = 'b'")
            .add("answer_90_1 = 'a'"), {"90.1": "incorrect"}),
        one("no code at all", Notebook().step("", head="=SUM(A1)"),
            {"90.2": ("error", "SyntaxError")}),
        one("half a character", Notebook().add("text = '\ud800'")),
        one("unusual dress", dressed()),
        one("a task", Notebook().add("import asyncio\nasync def right(): return 'b'\n"
            "task = asyncio.create_task(right())", before="ans-90-1")
            .put("ans-90-1", "answer_90_1 = await task")),
        one("noise on the wire", Notebook().add(WIRE).step(WRONG), {"90.2": "incorrect"}),
        one("looks for the checker", Notebook().add(FRAMES).step(WRONG), {"90.2": "incorrect"}),
        one("a huge number", Notebook().step("return 10 ** 10 ** 6"), {"90.2": "refused"}),
        one("a huge array", Notebook().step("return np.zeros(10**7)"), {"90.2": "refused"}),
        one("a deep list", Notebook().step("a = []\nfor _ in range(10**5):\n    a = [a]\nreturn a"),
            {"90.2": "refused"}),
        one("recursion", Notebook().step("return step(x, g, lr)"),
            {"90.2": ("error", "RecursionError")}),
        one("fails a hidden check", Notebook().put("ans-90-6", "def scale(values):\n"
            "    most = max(values.values())\n    return {k: v / most for k, v in values.items()}"),
            {"90.6": ("incorrect", "not in the notebook")}),
        one("odd characters", Notebook().step("raise ValueError('\\ud800 \\0 \\x1b[31m')")
            .put("ans-90-5", "answer_90_5 = 'It is \\ud800 \\0 so because of this. \\x1b[31m'"),
            {"90.2": ("error", "ValueError")}),
        one("formula", Notebook().step("raise ValueError('=1+1')"), {"90.2": "error"}),
    ]
