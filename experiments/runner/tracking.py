"""--track: what metrics.jsonl has, told to TensorBoard as well.

The event files are a copy: a run that goes on writes them anew from the lines that it kept, so nothing is there twice.
"""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from experiments.runner import metrics, processes
from experiments.runner.config import decides, to_json


@contextlib.contextmanager
def tracked(run: Any) -> Iterator[None]:
    """Let run.tell() bring tensorboard/ of its directory up to its metrics.jsonl; its flags stand there at the start,
    and at the end what it came to. In TensorBoard each seed is a run, `kalman/seed 3`, so that their curves overlap.
    A sweep has nothing to tell: its points do."""
    if run.config.track is None or run.config.sweep or not processes.writes():
        yield
        return
    home = run.directory / "tensorboard"
    shutil.rmtree(home, ignore_errors=True)
    with contextlib.ExitStack() as opened:
        writers: dict[str, Any] = {}

        def writer(label: str) -> Any:
            if label not in writers:
                writers[label] = opened.enter_context(_writer(home / label))
            return writers[label]

        writer("").add_text("flags", _as_markdown(to_json(run.config)), 0)
        run.tell = _teller(run.directory, writer)
        try:
            yield
        finally:
            run.tell()
            _tell_end(run, writer(""))


def _writer(where: Path) -> Any:
    """Of an event file that has whoever looked at an earlier one forget it."""
    from tensorboardX import SummaryWriter  # slow to import, and seldom wanted

    return SummaryWriter(logdir=str(where), purge_step=0, flush_secs=10)


def _teller(directory: Path, writer: Callable[[str], Any]) -> Callable[[], None]:
    told, began = 0, (directory / "config.json").stat().st_mtime

    def tell() -> None:
        nonlocal told
        lines, told = metrics.read_from(directory, told)
        for line in lines:
            for name in line.keys() - metrics.NO_METRICS:
                if line[name] is not None:  # null stands for what is not finite
                    writer(line["run"]).add_scalar(f"{line['stage']}/{name}", line[name], line["step"],
                                                   walltime=began + line["seconds"])

    return tell


def _tell_end(run: Any, writer: Any) -> None:
    """The means of a finished run, and the flags that made them, for TensorBoard's table of runs."""
    path = run.directory / "summary.json"
    if not path.exists():
        return
    from tensorboardX.summary import hparams

    means = {f"summary/{name}": metric["mean"] for name, metric in json.loads(path.read_text())["metrics"].items()
             if metric["mean"] is not None}
    flags = {name: value if isinstance(value, bool | int | float | str) else str(value)
             for name, value in to_json(run.config).items() if decides(run.config, name)}
    for part in hparams(flags, means):
        writer.file_writer.add_summary(part)
    for name, mean in means.items():
        writer.add_scalar(name, mean, 0)


def _as_markdown(flags: dict[str, Any]) -> str:
    return "\n".join(["| flag | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in flags.items())])
