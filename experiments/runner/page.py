"""What a notebook shows of a finished run: HTML."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path


def page(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], below: str, figures: Mapping[str, Path]
         ) -> str:
    """A table under its title, text below it, and figures; each that is gone by its name.

    >>> page("tiny", ["metric"], [["a < b"]], "3 s", {})
    '<b>tiny</b><table><tr><th>metric</th></tr><tr><td>a &lt; b</td></tr></table><pre>3 s</pre>'
    """
    head = _row("th", columns)
    body = "".join(_row("td", row) for row in rows)
    return (f"<b>{html.escape(title)}</b><table>{head}{body}</table><pre>{html.escape(below)}</pre>"
            + "".join(_image(name, path) for name, path in figures.items()))


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _image(name: str, path: Path) -> str:
    if not path.exists():
        return f"<p>{html.escape(path.name)} is gone.</p>"
    return (f'<img alt="{html.escape(name)}" style="max-width: 100%" src="data:image/png;base64,'
            f'{base64.b64encode(path.read_bytes()).decode()}">')
