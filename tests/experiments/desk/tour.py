"""The tour of the README, as it is written there, in the explorer's shell."""

import ast
import re
from pathlib import Path

from IPython import get_ipython

ROOT = Path(__file__).parents[3]


def statements():
    """Every statement of the section's Python, in order, with the output that its comment states, or None."""
    section = re.search(r"^## In IPython\n(.*?)^## ", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert section
    for block in re.findall(r"^```python\n(.*?)^```", section[1], re.DOTALL | re.MULTILINE):
        lines = block.splitlines()
        for node in ast.parse(block).body:
            source = "\n".join(lines[node.lineno - 1:node.end_lineno])
            yield source, source.partition("# ")[2].partition("-> ")[2] or None


def play():
    """Run them in this shell: source, whether it succeeded, what it showed, and what it was to show, of each."""
    shell = get_ipython()
    for source, stated in statements():
        outcome = shell.run_cell(source)
        shown, _ = shell.display_formatter.format(outcome.result)
        yield {"source": source, "success": outcome.success, "shown": shown["text/plain"], "stated": stated}
