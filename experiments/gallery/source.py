"""What an experiment says of itself in its source: read and not imported, since that would wait for jax."""

import ast
import functools
import importlib.util
import json
from pathlib import Path
from typing import Any

import experiments


def idea(name: str) -> str:
    """The docstring of an experiment's module; empty if there is none."""
    module = _parsed(name)
    return "" if module is None else ast.get_docstring(module) or ""


def flags(name: str) -> set[str] | None:
    """The flags of an experiment, its own and those of all; None if they cannot be told.

    >>> "learn_start" in flags("kalman"), "seeds" in flags("kalman"), flags("no such experiment")
    (True, True, None)
    """
    own, shared = _fields(_parsed(name), "Config"), _fields(_parsed("runner.config"), "RunConfig")
    return None if own is None or shared is None else own | shared


def preset(name: str, chosen: str) -> dict[str, Any]:
    """The values, in the types of JSON, that a preset gives to flags; those that cannot be told are left out.

    >>> preset("kalman", "full")["steps"], preset("kalman", "quick")["learn_start"], preset("no such", "quick")
    (300, True, {})
    """
    module, shared = _parsed(name), _parsed("runner.config")
    defaults = _values(shared, "RunConfig") | _values(module, "Config")
    presets = _literal(_assigned(module, "PRESETS"))
    over = presets.get(chosen) if isinstance(presets, dict) else None
    return json.loads(json.dumps(defaults | over)) if module and isinstance(over, dict) else {}


def how_it_runs() -> set[str]:
    """The flags that decide nothing about a result.

    >>> {"out", "checkpoint_seconds"} <= how_it_runs(), "seed" in how_it_runs()
    (True, False)
    """
    assigned = [_assigned(_parsed("runner.config"), name) for name in ("ONES_OWN", "HOW_IT_RUNS")]
    sets = [node for value in assigned if value for node in ast.walk(value) if isinstance(node, ast.Set)]
    return {name for one in sets for name in _literal(one) or ()}


@functools.cache
def _parsed(name: str) -> ast.Module | None:
    if name not in (*experiments.names(), "runner.config"):
        return None
    found = importlib.util.find_spec(f"experiments.{name}")
    try:
        return ast.parse(Path(str(found and found.origin)).read_text())
    except (OSError, SyntaxError, ValueError):
        return None


def _fields(module: ast.Module | None, name: str) -> set[str] | None:
    """The annotated names of a dataclass, without those of the class itself."""
    lines = _lines(module, name)
    return None if lines is None else set(lines)


def _values(module: ast.Module | None, name: str) -> dict[str, Any]:
    """The defaults of a dataclass, those that are written out."""
    return {field: value for field, line in (_lines(module, name) or {}).items()
            if line is not None and (value := _literal(line)) is not None}


def _lines(module: ast.Module | None, name: str) -> dict[str, ast.expr | None] | None:
    """The default of each field of a dataclass, as it is written."""
    for node in module.body if module else []:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return {line.target.id: line.value for line in node.body if isinstance(line, ast.AnnAssign)
                    and isinstance(line.target, ast.Name) and "ClassVar" not in ast.unparse(line.annotation)}
    return None


def _assigned(module: ast.Module | None, name: str) -> ast.expr | None:
    """What a module gives a name."""
    for node in module.body if module else []:
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in node.targets):
            return node.value
    return None


def _literal(node: ast.expr | None) -> Any:
    """The value of an expression that is written out; None of another."""
    try:
        return None if node is None else ast.literal_eval(node)
    except ValueError:
        return None
