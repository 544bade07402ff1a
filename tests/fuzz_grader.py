"""Notebooks that nobody would write, from a grammar: no other student's line may change for them.

    python tests/fuzz_grader.py [--minutes 10] [--seed 0]

`hostile(seed)` is what one student hands in: odd cells, magics, ids, metadata, encodings and sizes.
A class of honest students is graded with batches of these, and its lines in the gradebook have to
be what they are without. test_grade.py runs a few; this runs as many as there is time for, and
names the seeds of a batch that changed something.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import random
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from submissions import (
    DEAF,
    KILLS,
    LOOP,
    SOLUTIONS,
    WRONG,
    Fault,
    Notebook,
    build_course,
    format_3,
    one,
    right,
    untouched,
)

BATCH = 10
OPTIONS = ("--timeout", "3", "--memory", "256", "--jobs", "2")
HONEST = [right(1), one("wrong", Notebook().step(WRONG)), one("blank", untouched())]
NAMES = ("step", "scale", "descend", "Average", "answer_90_1", "answer_90_5", "check", "np", "x")
CHARACTERS = (" ", "\t", "\n", "(", "[", "{", "-", "~", "lambda:", "not ", "a.", "f'{", "#", "\\",
              '"""', "\u202e", "\ufeff", "漢", "\0", "\x1b[31m", "=", ";", "%", "!", "?", "@", "9")


class Grammar:
    """What `hostile` draws from: each method is a rule."""

    def __init__(self, seed: int):
        self.draw = random.Random(seed)

    def any(self, *rules):
        rule = self.draw.choice(rules)
        return rule() if callable(rule) else rule

    def many(self, rule, most):
        return [rule() for _ in range(self.draw.randint(0, most))]

    def size(self) -> int:
        return int(10 ** self.draw.uniform(0, 5.3))

    # --- code

    def name(self):
        return self.draw.choice(NAMES)

    def run_of(self):
        return self.draw.choice(CHARACTERS) * self.size()

    def expression(self):
        return self.any("1", "...", "x - lr * g", "x + lr * g", "'b'", "10 ** 10 ** 5", "None",
                        "[0] * 10 ** 7", "np.zeros(10 ** 7)", "check", "object()", "lambda *a: 1",
                        "float('nan')", "{}", "(i for i in iter(int, 1))", self.name, self.run_of)

    def magic(self):
        return self.any("%time ", "!echo ", "%pip install ", "%%time\n", "%%bash\n", "%cd ", "!!",
                        "%%trial 90.2 ", "%%hidden 90.2\n", "%run ", "%reset -f ", "%autosave ",
                        "%load_ext ", "?") + self.any(self.expression, "", "/", self.run_of)

    def definition(self):
        return self.any(
            lambda: f"def {self.name()}(*args, **kwargs):\n    return {self.expression()}",
            lambda: f"def {self.name()}(*args, **kwargs):\n    {LOOP}".replace("pass", "    pass"),
            lambda: f"class {self.name()}:\n    def add(self, x): return {self.expression()}",
            lambda: f"{self.name()}, {self.name()} = {self.expression()}, {self.expression()}",
            lambda: f"{self.name()} = {self.expression()}",
            lambda: f"exec('{self.name()} = 1')",
            lambda: self.draw.choice(list(SOLUTIONS.values())))

    def deed(self):
        return self.any(
            LOOP, DEAF, KILLS, "import os; os._exit(1)", "import sys; sys.exit()",
            "raise KeyboardInterrupt",
            "import os\nwhile True: os.fork()", "x = []\nwhile True: x.append('x' * 10 ** 7)",
            "import threading\nthreading.Thread(target=lambda: list(iter(int, 1))).start()",
            "import os\nfor fd in range(3, 99):\n    try: os.close(fd)\n    except OSError: pass",
            "import os\nfor fd in range(3, 99):\n    try: os.write(fd, os.urandom(99))\n"
            "    except OSError: pass", "import gc; gc.disable()",
            "import sys; sys.modules.clear()", "import builtins; builtins.__import__ = None",
            "import ctypes; ctypes.string_at(0)",
            "import sys; sys.setrecursionlimit(10 ** 8)\ndef f(): f()\nf()",
            "import signal; signal.alarm(1)", "print('90.1 correct\\n' * 10 ** 5)")

    def code(self):
        lines = self.many(lambda: self.any(self.definition, self.magic, self.expression,
                                           self.check, self.run_of), 5)
        if self.draw.random() < 0.2:
            lines.append(self.any(self.deed))
        return "\n".join(lines)

    def check(self):
        id = self.any("90.1", "90.2", "90.3", "90.9", "04.1", "9.1", self.run_of)
        return f'check("{id}"){self.any("", ";", "  # done", ".accepted", self.run_of)}'

    # --- the notebook

    def scalar(self):
        return self.any(None, True, -1, 10 ** 30, 1.5, float("nan"), "", "x", self.run_of)

    def value(self, depth=0):
        if depth > 3 or self.draw.random() < 0.5:
            return self.scalar()
        return self.any(lambda: self.many(lambda: self.value(depth + 1), 3),
                        lambda: {str(self.scalar()): self.value(depth + 1)})

    def cell(self):
        return {"cell_type": self.any("code", "code", "code", "markdown", "raw", self.value),
                "id": self.any(lambda: self.draw.choice(list(SOLUTIONS)), self.value),
                "metadata": self.any({}, self.value), "outputs": self.any([], self.value),
                "source": self.any(self.code, self.code, self.code, lambda: [self.code()],
                                   self.value)}

    def cells(self):
        cells = Notebook().json["cells"]
        for _ in range(self.draw.randint(0, 8)):
            place = self.draw.randrange(len(cells) or 1)
            change = self.draw.random()
            if change < 0.5 or not cells:
                cells.insert(place, self.cell())
            elif change < 0.7:
                cells[place] = cells[place] | {"source": self.code()}
            elif change < 0.8:
                del cells[place]
            elif change < 0.9:
                cells.insert(place, dict(self.draw.choice(cells)))
            else:
                self.draw.shuffle(cells)
        return cells * self.any(1, 1, 1, 1, 60)

    def notebook(self):
        whole = {"nbformat": self.any(4, 4, 4, 3, self.value), "metadata": self.any(
            {}, lambda: {"zglearn": self.value()}, lambda: {"zglearn": {
                "name": self.any("90_small", "04_momentum", self.value), "cells": self.value()}},
            self.value), "cells": self.any(*[self.cells] * 9, self.value)}
        if self.draw.random() < 0.1:
            del whole[self.draw.choice(list(whole))]
        return whole

    def bytes(self):
        text = json.dumps(self.notebook(), ensure_ascii=self.draw.random() < 0.5)
        data = text.encode(self.any("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32"), "replace")
        harm = self.draw.random()
        if harm < 0.1:
            data = data[:self.draw.randrange(len(data))]
        elif harm < 0.2:
            data = bytearray(data)
            for _ in range(self.draw.randint(1, 20)):
                data[self.draw.randrange(len(data))] = self.draw.randrange(256)
        elif harm < 0.25:
            data = self.any(b"", b"[" * 10 ** 5, b'{"cells": ' + b"[" * 10 ** 6, format_3,
                            lambda: self.draw.randbytes(self.size()), b'{"cells": []}' * 2,
                            b'{"cells": [' + b"[]," * 10 ** 6 + b"[]]}", b"1" * 10 ** 5)
        return bytes(data)

    # --- what is handed in

    def student(self):
        return self.any("=cmd", "Right001", "wrong ", "..", ".hidden", "\u202ecod", "a\nb",
                        "漢" * 60, "90_small", "04_momentum", "x" * 200, "\udcff", "right001_1_2",
                        "a;b,c\"", "blank_12_assignsubmission_file_", "-rf", "__MACOSX", "%s",
                        "CON", "x.zip")

    def file(self):
        return self.any("90_small.ipynb", "90_small.ipynb", "90_small (1).ipynb", "x.ipynb",
                        "04_momentum.ipynb", "d/" * 30 + "90_small.ipynb", "90_small.IPYNB.txt",
                        "hw.zip", "x/y/90_small.ipynb", "solutions/90_small.ipynb", "notes.txt")

    def zip(self):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
            for _ in range(self.draw.randint(0, 4)):
                name = self.any(self.file, "../../right001/90_small.ipynb", "/etc/passwd",
                                self.student, self.run_of)[:20_000]
                name = name.replace("\udcff", "x").replace("\0", "x")
                if name in archive.namelist():
                    continue
                inner = self.zip() if name.endswith(".zip") and self.draw.random() < 0.7 else None
                archive.writestr(name, inner or self.bytes())
        whole = bytearray(data.getvalue())
        if self.draw.random() < 0.4:
            for _ in range(self.draw.randint(1, 9)):
                whole[self.draw.randrange(len(whole))] = self.draw.randrange(256)
        return bytes(whole)

    def files(self):
        names = sorted({self.file() for _ in range(self.draw.randint(1, 3))})
        return {name: self.zip() if name.endswith(".zip") else self.bytes() for name in names}


def hostile(seed: int) -> Fault:
    """What the student of that seed hands in, under a name that nobody else has."""
    grammar = Grammar(seed)
    name = grammar.student()
    return Fault(name if name in ("..", ".hidden", "__MACOSX") else f"{name}{seed}",
                 grammar.files())


def lines(folder: Path, course: Path, class_: list[Fault]) -> dict[str, list]:
    """The lines of the honest students in the gradebook of a class."""
    from zglearn.grading import command

    for fault in class_:
        for name, data in fault.files.items():
            path = folder / "class" / fault.name / name
            if ".." not in path.parts:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    code = command.main([str(folder / "class"), "--out", str(folder / "grades"),
                         "--course", str(course), *OPTIONS])
    if code:
        return {"the run": [code]}
    with open(folder / "grades/gradebook.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    return {fault.name: [row for row in rows if row[0] == fault.name] for fault in HONEST}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    until, seed = time.monotonic() + 60 * options.minutes, options.seed
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        course = build_course(folder / "course")
        alone = lines(folder / "alone", course, HONEST)
        while time.monotonic() < until:
            batch = range(seed, seed + BATCH)
            changed = lines(folder / str(seed), course, [*HONEST, *map(hostile, batch)])
            if changed != alone:
                print(f"changed by one of the seeds {batch}:\n{alone}\n{changed}")
                return 1
            seed += BATCH
    print(f"seeds {options.seed} to {seed - 1}: nobody else's line changed")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.exit(main())
