"""What an experiment says of itself in its source: read and not imported, since that would wait for jax."""

import ast
import functools
import importlib.util
from pathlib import Path

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
    for node in module.body if module else []:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return {line.target.id for line in node.body if isinstance(line, ast.AnnAssign)
                    and isinstance(line.target, ast.Name) and "ClassVar" not in ast.unparse(line.annotation)}
    return None
