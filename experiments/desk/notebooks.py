"""python -m experiments.desk.notebooks [NAMES] [--out DIR]: one notebook per experiment, made of its own code."""

import ast
import dataclasses
import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import nbformat
import tyro
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import experiments
from experiments.desk.tries import TRIES
from experiments.runner.errors import UserError
from experiments.runner.files import write_bytes

BEGIN = """\
import os
import sys
from pathlib import Path

for folder in Path.cwd().parents:  # runs are kept where the experiments are
    if (folder / "experiments" / "desk").is_dir():
        sys.path.insert(0, str(folder))
        os.chdir(folder)
        break

%load_ext experiments.desk"""


def notebook(name: str, flags: Mapping[str, Any] | None = None) -> nbformat.NotebookNode:
    """An experiment as a notebook: its source, a definition a cell, then a run of it, and what the run learned.

    Args:
      name: of the experiment. flags: over those of the quick preset.
    """
    module = importlib.import_module(f"experiments.{name}")
    wing = importlib.import_module(f"sandbox.{name}")
    asked = f" | {dict(flags)}" if flags else ""
    cells = [
        new_markdown_cell(f"# {name.replace('_', ' ').capitalize()}\n\n{inspect.getdoc(module)}\n\n"
                          f"Made from `experiments/{name}.py`. Change a cell, and run it and those below it again."),
        new_code_cell(BEGIN),
        new_markdown_cell(f"## What it computes\n\n{inspect.getdoc(wing)}\n\n`sandbox.{name}?` says it, too."),
        new_markdown_cell("## The experiment"),
        *_cells(inspect.getsource(module)),
        new_markdown_cell("## A run"),
        new_code_cell(f'config = Config(preset="quick", **PRESETS["quick"]{asked})\nresult = run(config)'),
        new_code_cell("result"),
        new_markdown_cell("## What it learned"),
        *map(new_code_cell, TRIES.get(name, "result.model").strip().split("\n\n")),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"{name.replace('_', '-')}-{number}"  # the same whenever it is made
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


@dataclasses.dataclass(frozen=True)
class Config:
    """Notebooks that are made."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Experiments; without any, all of them."""
    out: Path = Path("runs/notebooks")
    """Where they are put."""


def main(arguments: Sequence[str]) -> int:
    """Make what the arguments say; returns the exit status."""
    config = tyro.cli(Config, args=arguments, prog="python -m experiments.desk.notebooks", description=__doc__)
    try:
        for name in config.names or experiments.names():
            print(write(name, config.out))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def write(name: str, folder: Path, flags: Mapping[str, Any] | None = None) -> Path:
    """The notebook of an experiment as a file, NAME.ipynb.

    Raises:
      UserError: there is no such experiment, or the folder cannot be one.
    """
    if name not in experiments.names():
        raise UserError(f"NAMES must be of {', '.join(experiments.names())}, got {name!r}")
    path, content = folder / f"{name}.ipynb", nbformat.writes(notebook(name, flags)).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    except OSError as error:
        raise UserError(f"--out must be a folder to write to, got {folder}: {error.strerror}") from error
    return path


def _cells(source: str) -> Iterator[nbformat.NotebookNode]:
    """A cell for each function and class, under what it says of itself; one for imports, and for values that follow
    each other.

    >>> [cell.source for cell in _cells("import jax\\n\\nA = 1\\nB = 2\\n\\n\\ndef f():\\n    'Twice.'\\n    return 2")]
    ['import jax', 'A = 1\\nB = 2', '**f.** Twice.', "def f():\\n    'Twice.'\\n    return 2"]
    """
    lines, nodes = source.splitlines(), ast.parse(source).body
    begun = 0
    if ast.get_docstring(ast.parse(source)):  # said above
        begun = nodes.pop(0).end_lineno or 0
    for node, following in zip(nodes, [*nodes[1:], None], strict=True):
        alone = isinstance(node, ast.FunctionDef | ast.ClassDef)
        if alone:
            said = (ast.get_docstring(node) or "").split("\n\n")[0]
            yield new_markdown_cell(f"**{node.name}.** {said}")
        if alone or following is None or _is_import(node) != _is_import(following) or isinstance(
                following, ast.FunctionDef | ast.ClassDef):
            yield new_code_cell("\n".join(lines[begun:node.end_lineno]).strip("\n"))
            begun = node.end_lineno or 0


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
