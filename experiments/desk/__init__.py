"""Where the explorer sits: IPython made ready (`%load_ext experiments.desk`), its shell, and notebooks."""

from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """Make an IPython shell, or a notebook's kernel, ready; see experiments.desk.ready."""
    from experiments.desk.ready import make_ready

    make_ready(shell)
