"""python -m experiments.desk [IPython's flags]: the explorer's shell."""

import sys
from collections.abc import Sequence

from IPython import start_ipython
from traitlets.config import Config

from experiments.desk.greeting import at_hand, greeting


def main(arguments: Sequence[str]) -> None:
    """Start it, and stay in it until its user leaves."""
    config = Config()
    config.InteractiveShellApp.extensions = ["experiments.desk"]
    config.TerminalInteractiveShell.banner1 = greeting()
    config.TerminalInteractiveShell.enable_tip = False
    start_ipython(argv=list(arguments), config=config, user_ns=at_hand())


if __name__ == "__main__":
    main(sys.argv[1:])
