"""What a cell of a notebook needs of the cells above it, so that no more than that has to run.

A chapter trains models for minutes; its widget may need two lines of it. A statement is needed if
it binds or changes a name that is needed later. It changes a name by `name[...] =` and
`name.attribute =`, by a call that stands alone (`losses.append(x)`, `np.add.at(counts, i, 1)`), and
a random generator by whatever mentions it.
"""

from __future__ import annotations

import ast
import symtable
from dataclasses import dataclass

from zglearn.course.cells import without_magics

# A call of one of these changes nothing, so that a cell which only shows something is left out.
ONLY_SHOWS = {"print", "show", "display", "plot_lines", "plot_losses", "plot_paths", "plot_bars",
              "plot_landscape", "heatmap", "show_code", "guess", "outcome", "check", "predict"}
MAY_NOT_HAPPEN = ast.If | ast.For | ast.While | ast.With | ast.Try


@dataclass(frozen=True)
class Effect:
    """The names that a statement reads, binds anew, and changes without binding them."""

    reads: set
    binds: set
    changes: set


def needed(sources: list[str]) -> list[ast.stmt]:
    """All statements of the last source, and of those before it the ones that it needs, in order.

    Raises SyntaxError for a source that is no Python, but for IPython's own lines.
    """
    *above, last = [ast.parse(without_magics(source)).body for source in sources]
    statements = [statement for body in above for statement in body]
    effects = {statement: effect_of(statement) for statement in [*statements, *last]}
    inside = {}  # what a function reads when it is called, by its name
    for statement, effect in effects.items():
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            inside.setdefault(statement.name, set()).update(effect.reads)
    generators = set().union(*(effects[statement].binds for statement in statements
                               if "default_rng" in ast.dump(statement)
                               and isinstance(statement, ast.Assign)))
    chosen, names = list(last), set()
    for statement in reversed(last):
        names = names - effects[statement].binds | with_callees(effects[statement].reads, inside)
    for statement in reversed(statements):
        effect = effects[statement]
        if names & (effect.binds | effect.changes | effect.reads & generators):
            if not isinstance(statement, MAY_NOT_HAPPEN):
                names -= effect.binds
            names |= with_callees(effect.reads, inside)
            chosen.insert(0, statement)
    return chosen


def with_callees(names: set, inside: dict[str, set]) -> set:
    """Some names, what the functions among them read, and so on."""
    found, new = set(), set(names)
    while new:
        found |= new
        new = set().union(*(inside.get(name, ()) for name in new)) - found
    return found


def effect_of(statement: ast.stmt) -> Effect:
    """What one statement at the top of a cell does with the notebook's names."""
    table = symtable.symtable(ast.unparse(statement), "<cell>", "exec")
    binds = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    reads = {s.get_name() for s in table.get_symbols() if s.is_referenced()} | globals_in(table)
    changes = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.AugAssign):
            reads |= names_in(node.target)
        elif isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            changes |= names_in(node.value)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            if not names_in(node.value.func) & ONLY_SHOWS:
                changes |= names_in(node.value)
    return Effect(reads, binds, changes)


def globals_in(table: symtable.SymbolTable) -> set[str]:
    """The notebook's names that the functions and comprehensions of a statement read."""
    return {s.get_name() for child in table.get_children() for s in child.get_symbols()
            if s.is_global()}.union(*map(globals_in, table.get_children()))


def names_in(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
