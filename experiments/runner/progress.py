"""What a person sees while a run works: a bar in a terminal, now and then a line elsewhere."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINE_SECONDS = 10.0

console = Console(highlight=False)
if not console.is_terminal and "COLUMNS" not in os.environ:
    console = Console(highlight=False, width=110)  # a pipe has no width of its own


def say(text: str) -> None:
    """Print a line, above the bar if there is one."""
    console.print(text, markup=False, soft_wrap=True)


@contextlib.contextmanager
def bar(title: str, total: int, done: int = 0) -> Iterator[Callable[[int, str], None]]:
    """Yields show(done, text)."""
    if not console.is_terminal:
        yield _lines(title, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn(), TextColumn("{task.fields[text]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=total, completed=done, text="")
        yield lambda done, text: progress.update(task, completed=done, text=text)


def _lines(title: str, total: int) -> Callable[[int, str], None]:
    last = time.monotonic()

    def show(done: int, text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            say(f"  {title}: {done} of {total}  {text}")

    return show
