"""IPython made ready: edited files reload themselves, completion offers what is public, arrays and trees show well."""

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
from IPython.core.formatters import PlainTextFormatter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.generics import complete_object

from experiments.data import DataError, DataUnavailable
from experiments.runner.errors import UserError

OURS = ("sandbox", "experiments")
SHOWN_WHOLE = 1000  # numbers; NumPy leaves some out where there are more


def make_ready(shell: InteractiveShell) -> None:
    """Settings of a running shell."""
    reload_what_is_edited(shell)
    shell.Completer.use_jedi = False  # it offers all that a module has imported
    complete_object.register(ModuleType, public_names)
    if importlib.util.find_spec("treescope"):
        show_trees(shell)
    shell.set_custom_exc((UserError, DataError, DataUnavailable), in_a_line)
    if hasattr(shell, "kernel"):
        import experiments.runner.figures  # noqa: F401  that draw without a screen; the reader's own are shown

        shell.enable_matplotlib("inline")


def in_a_line(shell: InteractiveShell, kind: type, error: BaseException, *rest: Any, **more: Any) -> None:
    """What a user can mend is told without a traceback."""
    print(f"error: {error}", file=sys.stderr)


def reload_what_is_edited(shell: InteractiveShell) -> None:
    """%autoreload, after which jax forgets what it has compiled: it would go on with the old code."""
    edited = _times()

    def forget(info: Any) -> None:
        now = _times()
        if any(edited.get(file, time) != time for file, time in now.items()):
            jax.clear_caches()
        edited.update(now)

    def note(outcome: Any) -> None:
        edited.update({file: time for file, time in _times().items() if file not in edited})  # what it has imported

    shell.run_line_magic("load_ext", "autoreload")
    shell.run_line_magic("autoreload", "2")  # 3 fails on a function that takes a module
    shell.events.register("pre_run_cell", forget)
    shell.events.register("post_run_cell", note)


def public_names(module: ModuleType, names: list[str]) -> list[str]:
    """What completion offers of a module.

    Args:
      names: that it has. Of those in this project, what it says that it offers, or else what it defines.

    >>> import sandbox, experiments.tracking.tracker
    >>> public_names(sandbox.kalman.track, dir(sandbox.kalman.track))
    ['Track', 'check_track', 'rows_before']
    >>> public_names(experiments.tracking.tracker, dir(experiments.tracking.tracker))
    ['Tracker', 'filter_and_smooth']
    """
    if module.__name__.split(".")[0] not in OURS:
        return names
    if "__dir__" in vars(module) or hasattr(module, "__all__"):
        return dir(module) if "__dir__" in vars(module) else list(module.__all__)
    defined = _defined(Path(module.__file__ or "").read_text())
    parts = [name for name in names if f"{module.__name__}.{name}" in sys.modules]
    return [name for name in [*defined, *parts] if not name.startswith("_")]


def show_trees(shell: InteractiveShell) -> None:
    """Trees of arrays, and large arrays, by treescope: to be folded in a notebook, as text in a terminal."""
    import treescope

    class Text(PlainTextFormatter):
        """The usual, but for those."""

        def __call__(self, value: Any) -> Any:
            if not _is_tree_of_arrays(value):
                return super().__call__(value)
            drawn, lines = treescope.active_autovisualizer, treescope.using_expansion_strategy
            with drawn.set_scoped(None), lines(max_height=40):  # text cannot be drawn, nor unfolded
                return treescope.render_to_text(value, ignore_exceptions=True)

    treescope.basic_interactive_setup()
    display: Any = shell.display_formatter
    display.formatters["text/plain"] = Text(parent=display)


def _is_tree_of_arrays(value: Any) -> bool:
    """Whether a value is one that treescope says more of than its own text would.

    >>> _is_tree_of_arrays({"a": jax.numpy.ones(2)}), _is_tree_of_arrays(jax.numpy.ones(2)), _is_tree_of_arrays([1.0])
    (True, False, False)
    """
    if isinstance(value, jax.Array | np.ndarray):
        return value.size > SHOWN_WHOLE
    try:
        return any(isinstance(leaf, jax.Array | np.ndarray) for leaf in jax.tree.leaves(value))
    except ValueError:  # no tree: keys of a dictionary that cannot be sorted, say
        return False


def _defined(source: str) -> list[str]:
    """Names that a file gives to functions, classes and values.

    >>> _defined("import jax\\nA, B = 1, 2\\ndef f(): pass")
    ['A', 'B', 'f']
    """
    names = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
    return names


def _times() -> dict[str, float]:
    """When each file of this project that is in use was written."""
    files = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] in OURS]
    return {file: Path(file).stat().st_mtime for file in files if file and Path(file).exists()}
