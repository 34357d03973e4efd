"""python -m experiments.porting.parity: each loss and gradient on the CPU and on the accelerator, from the same inputs.

The truth is the CPU's float64, from the same float32 (or bfloat16) numbers. How far the CPU's float32 is from it tells
how much a loss magnifies rounding: its error in units of float32's own rounding, u = 2⁻²⁴ (at least 4 of them: a few
operations in another order). On an accelerator it may err by so many units of what its products are rounded to there,
times 8: sums are taken in another order, and functions like exp by other polynomials.

  tolerance = 8 · (u' / u) · max(error of the CPU's float32, 4 u),  and never more than a quarter

Never more than a quarter, because a loss that magnifies rounding would pass with any gradient where products are
coarse. So the two ends tell of different things: `default` and bfloat16 find broken kernels, whose results are off by
their own size; `highest` finds wrong formulas, down to rounding. Where the quarter is what holds (* in the table), what
the loss makes of bfloat16 on the CPU, also in the table, tells how much of an error is the rounding's.

u' is float32's own at precision `highest`. At `default` and `high` a GPU's products are of TensorFloat32, u' = 2⁻¹¹;
a TPU's of bfloat16 in one pass, u' = 2⁻⁸, and in three, 2⁻¹⁶. Of bfloat16 inputs all is computed in bfloat16, 2⁻⁸;
where a loss refuses them, which it does when jax traces it on the CPU ("refused"), or is not finite of them on the CPU
either, nothing is promised.
"""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich import box
from rich.table import Table

from experiments.porting.programs import applications, cases, value_and_grad
from experiments.runner import devices, files
from experiments.runner.errors import UserError
from experiments.runner.progress import bar, console, say

FLOAT32, BFLOAT16, TENSORFLOAT32 = 2.0**-24, 2.0**-8, 2.0**-11
UNITS = {"gpu": {"default": TENSORFLOAT32, "high": TENSORFLOAT32, "highest": FLOAT32},
         "tpu": {"default": BFLOAT16, "high": 2.0**-16, "highest": FLOAT32},
         "cpu": {"default": FLOAT32, "high": FLOAT32, "highest": FLOAT32}}
"""What the products of a platform are rounded to, by precision."""
MULTIPLE, LEAST_UNITS, MOST = 8, 4, 0.25
OWN = "cpu float32"
CAPTION = ("u: float32's rounding, 6e-08. Tolerance: 8 u'/u times the error of the CPU's float32, or 4 u where that is "
           "less; * at most a quarter. u': that of what products are rounded to.")
NOTHING = 1e-9  # of the whole gradient: a leaf of this norm is 0 but for rounding, and measured by the whole


@dataclasses.dataclass(frozen=True)
class Options:
    """Compute each loss and its gradient on the CPU and on the accelerator that is here, and compare."""

    only: str = ""
    """Leave out losses whose name (`attention: next_token_cross_entropy`) does not contain this."""
    json: Path | None = None
    """Where the differences go as JSON."""


class Difference(NamedTuple):
    """From the CPU's float64, of the leaf that differs most. error: None where the loss refuses such inputs.
    tolerance: None where nothing is promised."""

    where: str
    error: float | None
    leaf: str
    tolerance: float | None

    @property
    def holds(self) -> bool:
        return self.error is None or self.tolerance is None or self.error <= self.tolerance


def main(options: Options, accelerator: Any = None) -> int:
    """Compare all losses; returns the exit status.

    Args:
      accelerator: a device; default: the first that is no CPU, if there is one.
    Raises:
      UserError: --only leaves no loss.
    """
    accelerator = accelerator or next((device for device in jax.devices() if device.platform != "cpu"), None)
    if accelerator is None:
        say("No accelerator is present, so nothing is compared with one. What follows is how far the CPU's own "
            "precisions are from its float64.")
        if unused := devices.unused_accelerator():
            say(unused)
    with jax.default_device(jax.devices("cpu")[0]):  # inputs are made there, so that they are the same everywhere
        chosen = [(f"{application}: {case.loss.__name__}", case) for application in applications()
                  for case in cases(application)]
    chosen = [(title, case) for title, case in chosen if options.only in title]
    if not chosen:
        raise UserError(f"--only {options.only}: no loss's name contains this; without it all are listed")
    found = {}
    with bar("losses", len(chosen)) as show:
        for title, case in chosen:
            show(len(found), title)
            found[title] = list(differences(case, accelerator))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(options.json, {title: [one._asdict() for one in row] for title, row in found.items()})
    console.print(_table(found))
    return _close(found, accelerator)


def differences(case: Any, accelerator: Any = None) -> Iterator[Difference]:
    """Of a loss and its gradient, in each precision and dtype, from float64."""
    cpu = jax.devices("cpu")[0]
    single, half = (_as(dtype, (case.params, case.batch)) for dtype in (jnp.float32, jnp.bfloat16))
    truth = _in_float64(case, single)
    own, leaf = worst(_computed(case, single, cpu, "highest"), truth)
    yield Difference(OWN, own, leaf, None)
    if accelerator is not None:
        units = UNITS[accelerator.platform]
        for precision in ("default", "high", "highest"):
            error, leaf = worst(_computed(case, single, accelerator, precision), truth)
            yield Difference(f"float32 {precision}", error, leaf, tolerance(own, units[precision]))
    if not _traces(case, half):
        yield Difference("cpu bfloat16", None, "", None)
        return
    rounded = _in_float64(case, half)
    coarse = worst(_computed(case, half, cpu, "default"), rounded)
    yield Difference("cpu bfloat16", *coarse, None)
    if accelerator is not None and np.isfinite(coarse[0]):
        found = worst(_computed(case, half, accelerator, "default"), rounded)
        yield Difference("bfloat16", *found, tolerance(own, BFLOAT16))


def _traces(case: Any, inputs: Any) -> bool:
    """Whether the loss takes inputs of this dtype: it says so, or a loop of it does, before anything is computed."""
    try:
        jax.eval_shape(value_and_grad(case), *inputs)
    except (TypeError, ValueError):
        return False
    return True


def tolerance(own: float, unit: float) -> float:
    """What is let pass; see the head of this file.

    Args:
      own: error of the CPU's float32. unit: that products are rounded to.

    >>> tolerance(0.0, FLOAT32) == 8 * 4 * 2.0**-24, tolerance(1e-6, TENSORFLOAT32)
    (True, 0.065536)
    """
    return min(MULTIPLE * unit / FLOAT32 * max(own, LEAST_UNITS * FLOAT32), MOST)


def worst(found: Any, truth: Any) -> tuple[float, str]:
    """‖found − truth‖ / ‖truth‖ of the leaf where it is largest, and the leaf.

    Args:
      found, truth: (value, gradient).

    >>> worst((1.0, {"w": np.array([3.0, 4.0])}), (1.0, {"w": np.array([3.0, 4.5])}))
    (0.0924..., "['w']")
    """
    (value, slopes), (true_value, true_slopes) = found, truth
    errors = [(_relative(np.subtract(value, true_value), abs(true_value)), "value")]
    whole = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(true_slopes)))
    for (path, slope), true in zip(jax.tree_util.tree_leaves_with_path(slopes), jax.tree.leaves(true_slopes)):
        size = np.linalg.norm(true)
        error = _relative(slope - true, size if size > NOTHING * whole else whole)
        errors.append((error, jax.tree_util.keystr(path) or "gradient"))
    return max(errors, key=lambda pair: pair[0])


def _relative(difference: Any, size: float) -> float:
    norm = float(np.linalg.norm(difference))
    if not np.isfinite(norm):
        return np.inf
    return norm / float(size) if size else (np.inf if norm else 0.0)


def _computed(case: Any, inputs: Any, device: Any, precision: str) -> Any:
    """(value, gradient) on a device, as float64 on the host."""
    with jax.default_device(device), jax.default_matmul_precision(precision):
        (value, _), gradient = jax.jit(value_and_grad(case))(*jax.device_put(inputs, device))
    return jax.tree.map(lambda leaf: np.asarray(leaf).astype(np.float64), (value, gradient))


def _in_float64(case: Any, inputs: Any) -> Any:
    with jax.enable_x64(True):
        return _computed(case, _as(np.float64, inputs), jax.devices("cpu")[0], "highest")


def _as(dtype: Any, tree: Any) -> Any:
    """On the host, what is floating in another dtype."""
    return jax.tree.map(lambda leaf: np.asarray(leaf).astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating)
                        else np.asarray(leaf), tree)


def _table(found: dict[str, list[Difference]]) -> Table:
    columns = list(dict.fromkeys(one.where for row in found.values() for one in row))
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), title_justify="left",
                  title="Relative difference from float64 on the CPU, of the leaf that differs most, and its tolerance",
                  caption=CAPTION, caption_justify="left")
    drawn.add_column("loss")
    for name in columns:
        drawn.add_column(name, justify="right", no_wrap=True)
    for title, row in found.items():
        cells = {one.where: _cell(one) for one in row}
        drawn.add_row(title, *(cells.get(name, "") for name in columns))
    return drawn


def _cell(one: Difference) -> str:
    if one.error is None:
        return "refused"
    if not np.isfinite(one.error):
        return "[bold red]not finite[/]" if one.tolerance else "not finite"
    if one.tolerance is None:
        return f"{one.error:.0e}" + (f" = {one.error / FLOAT32:.3g} u" if one.where == OWN else "")
    compared = f"{one.error:.0e} {'≤' if one.holds else '>'} {one.tolerance:.0e}{'*' * (one.tolerance == MOST)}"
    return compared if one.holds else f"[bold red]{compared}[/]"


def _close(found: dict[str, list[Difference]], accelerator: Any) -> int:
    broken = [(title, one) for title, row in found.items() for one in row if not one.holds]
    for title, one in broken:
        say(f"{title}: {one.where} differs by {one.error:.2e} in {one.leaf}, of {one.tolerance:.2e} allowed")
    if accelerator is not None:
        say(f"{len(found) - len(dict(broken))} of {len(found)} losses agree on {accelerator.device_kind}.")
    return 1 if broken else 0


if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Options, prog="python -m experiments.porting.parity")))
    except UserError as error:
        sys.exit(f"error: {error}")
