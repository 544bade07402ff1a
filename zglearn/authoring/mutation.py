"""Small mistakes, made by machine: an answer's source with one thing changed, for each such thing.

A mutant is known by its change, `old line → new line`, in Python's own formatting, so that its name
outlives a reformatted answer. `CHANGES` is the table of operators: each is given a node of the
syntax tree and the parameters of the function around it, and yields what may stand in its place.
"""

from __future__ import annotations

import ast
import copy
import difflib
import os

from zglearn.course.cells import without_magics

SHOWN, AROUND = 80, 30  # characters of a line, and around a change in a longer one
ARITHMETIC = {ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Div], ast.Div: [ast.Mult],
              ast.Pow: [ast.Mult], ast.FloorDiv: [ast.Div], ast.Mod: [ast.FloorDiv],
              ast.MatMult: [ast.Mult], ast.BitAnd: [ast.BitOr], ast.BitOr: [ast.BitAnd]}
COMPARISONS = {ast.Lt: [ast.LtE, ast.Gt], ast.LtE: [ast.Lt, ast.Gt], ast.Gt: [ast.GtE, ast.Lt],
               ast.GtE: [ast.Gt, ast.Lt], ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq],
               ast.In: [ast.NotIn], ast.NotIn: [ast.In], ast.Is: [ast.IsNot], ast.IsNot: [ast.Is]}
NAMES = {"mean": "sum", "sum": "mean", "max": "min", "min": "max", "argmax": "argmin",
         "argmin": "argmax", "zeros": "ones", "ones": "zeros", "zeros_like": "ones_like",
         "ones_like": "zeros_like", "floor": "ceil", "round": "floor", "all": "any", "any": "all",
         "normal": "uniform", "standard_normal": "random", "random": "standard_normal",
         "maximum": "minimum", "minimum": "maximum", "lower": "upper", "append": "extend",
         "std": "var", "log": "log2", "exp": "exp2", "pop": "copy", "reversed": "list",
         "fullmatch": "match", "argsort": "sort", "sort": "asarray", "sorted": "list"}


def _operators(node, around):
    if isinstance(node, ast.BinOp | ast.AugAssign):
        for op in ARITHMETIC.get(type(node.op), ()):
            yield _with(node, op=op())
    if isinstance(node, ast.AugAssign):
        yield ast.Assign([node.target], node.value)
    if isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for op in COMPARISONS[type(node.ops[0])]:
            yield _with(node, ops=[op()])
    if isinstance(node, ast.Compare) and len(node.ops) == 2:
        first, second = node.ops
        for op in COMPARISONS[type(first)]:
            yield _with(node, ops=[op(), second])
        for op in COMPARISONS[type(second)]:
            yield _with(node, ops=[first, op()])


def _operands(node, around):
    if isinstance(node, ast.BinOp):
        yield from (node.left, node.right)
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    if isinstance(node, ast.BoolOp):
        yield from node.values
    if isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)


def _constants(node, around):
    if not isinstance(node, ast.Constant):
        return
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield from (ast.Constant(value + 1), ast.Constant(value - 1))
    elif isinstance(value, float):
        yield from (ast.Constant(2 * value), ast.Constant(0.0))
    elif isinstance(value, str) and value and "\n" not in value:
        yield ast.Constant(value[:-1])


def _arguments(node, around):
    """Arguments dropped or swapped, among them axes and copies."""
    if not isinstance(node, ast.Call):
        return
    arguments = node.args
    for i in range(len(arguments)):
        yield _with(node, args=arguments[:i] + arguments[i + 1:])
    for i in range(len(arguments) - 1):
        yield _with(node, args=[*arguments[:i], arguments[i + 1], arguments[i], *arguments[i + 2:]])
    for i, keyword in enumerate(node.keywords):
        yield _with(node, keywords=node.keywords[:i] + node.keywords[i + 1:])
        if keyword.arg == "axis" and getattr(keyword.value, "value", None) in (0, 1):
            other = ast.keyword("axis", ast.Constant(1 - keyword.value.value))
            yield _with(node, keywords=[*node.keywords[:i], other, *node.keywords[i + 1:]])


def _calls(node, around):
    """Means for sums and the like; roots, absolute values and copies removed."""
    if not isinstance(node, ast.Call):
        return
    function = node.func
    if isinstance(function, ast.Attribute):
        if function.attr in NAMES:
            yield _with(node, func=_with(function, attr=NAMES[function.attr]))
        if not isinstance(function.value, ast.Name) or function.value.id not in ("np", "rng", "re"):
            yield function.value
    if isinstance(function, ast.Name) and function.id in NAMES:
        yield _with(node, func=ast.Name(NAMES[function.id], ast.Load()))
    if len(node.args) == 1 or node.args and node.keywords:
        yield node.args[0]


def _ranges(node, around):
    """A range, or a slice, one shorter or longer; a transpose removed."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "range":
        last = 0 if len(node.args) == 1 else 1
        for step in (ast.Add, ast.Sub):
            longer = ast.BinOp(node.args[last], step(), ast.Constant(1))
            yield _with(node, args=[*node.args[:last], longer, *node.args[last + 1:]])
        if len(node.args) == 1:
            yield _with(node, args=[ast.Constant(1), *node.args])
    if isinstance(node, ast.Slice):
        for bound in ("lower", "upper"):
            value = getattr(node, bound)
            if value is None:
                continue
            yield _with(node, **{bound: None})
            if not isinstance(value, ast.Constant):
                for step in (ast.Add, ast.Sub):
                    yield _with(node, **{bound: ast.BinOp(value, step(), ast.Constant(1))})
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value
    if isinstance(node, ast.comprehension) and node.ifs:
        yield _with(node, ifs=node.ifs[1:])


def _statements(node, around):
    if isinstance(node, ast.Assign | ast.AugAssign | ast.Break | ast.For | ast.While) or (
            isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)):
        yield ast.Pass()
    if isinstance(node, ast.If):
        yield from (_with(node, test=ast.Constant(value)) for value in (True, False))


def _names(node, around):
    """A parameter taken for another one; the input returned, or results in another order."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in around:
        place = around.index(node.id)
        for other in {around[place - 1], around[(place + 1) % len(around)]} - {node.id}:
            yield ast.Name(other, ast.Load())
    if isinstance(node, ast.Return) and node.value is not None:
        yield from (ast.Return(ast.Name(name, ast.Load())) for name in around[:1])
        if isinstance(node.value, ast.Tuple) and len(node.value.elts) > 1:
            yield ast.Return(ast.Tuple(node.value.elts[::-1], ast.Load()))


CHANGES = {"operators": _operators, "operands": _operands, "constants": _constants,
           "arguments": _arguments, "calls": _calls, "ranges": _ranges, "statements": _statements,
           "names": _names}


def mutants(source: str) -> dict[str, str]:
    """The mutants of an answer cell: {`old line → new line`: the mutant's source}."""
    tree = ast.parse(without_magics(source))
    original, around = ast.unparse(tree), _parameters(tree)
    found, seen = {}, {original}
    silent = _beside_the_point(tree)
    for place, node in enumerate(ast.walk(tree)):
        if node in silent:
            continue
        for change in CHANGES.values():
            for new in change(node, around.get(node, ())):
                mutant = _source(tree, place, new)
                if mutant and mutant not in seen:
                    seen.add(mutant)
                    found[_name(original, mutant, found)] = mutant
    return found


def _with(node, **fields):
    """A shallow copy of a node, some of its fields changed."""
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _parameters(tree) -> dict[ast.AST, list[str]]:
    """For each node inside a function: the parameters of the innermost one, without self."""
    around = {}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            given = [*function.args.args, *function.args.kwonlyargs]
            names = [a.arg for a in given if a.arg != "self"]
            inside = [node for part in function.body for node in ast.walk(part)]
            called = {node.func for node in inside if isinstance(node, ast.Call)}
            around |= dict.fromkeys(set(inside) - called, names)
    return around


def _beside_the_point(tree) -> set[ast.AST]:
    """Docstrings, and the cell's own calls, such as `predict`."""
    docstrings = {node.value for node in ast.walk(tree)
                  if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    return docstrings | {node for statement in tree.body if isinstance(statement, ast.Expr)
                         for node in ast.walk(statement)}


def _source(tree, place: int, new) -> str:
    """The source of the tree with another node at that place of the walk; "" if that is none."""
    tree = copy.deepcopy(tree)
    old = list(ast.walk(tree))[place]

    class Replace(ast.NodeTransformer):
        def visit(self, node):
            return copy.deepcopy(new) if node is old else super().generic_visit(node)

    try:
        mutant = ast.unparse(ast.fix_missing_locations(Replace().visit(tree)))
        compile(mutant, "", "exec")
    except (SyntaxError, AttributeError, TypeError, ValueError):
        return ""
    return mutant


def _name(original: str, mutant: str, taken) -> str:
    lines = [line for line in difflib.ndiff(original.split("\n"), mutant.split("\n"))
             if line[:2] in ("- ", "+ ")]
    removed, added = ([line[2:].strip() for line in lines if line[0] == sign] for sign in "-+")
    name = _change(removed[0] if removed else "", added[0] if added else "")
    same = sum(other == name or other.startswith(f"{name} (") for other in taken)
    return f"{name} ({same + 1})" if same else name


def _change(old: str, new: str) -> str:
    """`old → new`; of long lines only what differs, with what stands around it."""
    if max(len(old), len(new)) <= SHOWN:
        return f"{old} → {new}"
    head = len(os.path.commonprefix([old, new]))
    tail = len(os.path.commonprefix([old[:head - 1:-1] if head else old[::-1],
                                     new[:head - 1:-1] if head else new[::-1]]))
    start, end = max(0, head - AROUND), max(0, tail - AROUND)

    def part(line):
        return ("…" if start else "") + line[start:len(line) - end] + ("…" if end else "")

    return f"{part(old)} → {part(new)}"
