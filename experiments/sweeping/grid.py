"""What --sweep asks for: keys, their values, and a config for each combination, all refused before anything runs."""

import contextlib
import dataclasses
import io
import itertools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, get_type_hints

import tyro

from experiments.runner.config import RunConfig, decides
from experiments.runner.errors import UserError

OF_ALL_POINTS = {"preset", "seed", "seeds", "mesh", "precision", "sweep"}
"""Flags that decide results, and are the same at every point."""
YES, NO = ("true", "yes", "1"), ("false", "no", "0")


class Point(NamedTuple):
    """A combination. values: by key. config: of its run. label: "learning_rate=0.1,l2=0.01"."""

    values: dict[str, Any]
    config: Any
    label: str

    @property
    def folder(self) -> str:
        """Its directory's name: the label, without what a path does not take."""
        return re.sub(r"[^\w.,=+-]", "-", self.label)


def points_of(config: RunConfig) -> list[Point]:
    """Every combination of the values that --sweep names, the last key changing fastest.

    Raises:
      UserError: an unknown key, or one that is no point's own; a value that the flag refuses, or that stands twice.
    """
    axes = axes_of(config)
    if not axes:
        raise UserError("a sweep needs a key at least, as in learning_rate=1e-4,1e-3")
    points = [_point(config, dict(zip(axes, values))) for values in itertools.product(*axes.values())]
    folders = [point.folder for point in points]
    if twice := [folder for folder in folders if folders.count(folder) > 1]:
        raise UserError(f"--sweep: two points would share the directory {twice[0]}")
    return points


def axes_of(config: RunConfig) -> dict[str, list[Any]]:
    """The values of each key."""
    axes: dict[str, list[Any]] = {}
    for word in config.sweep:
        key, equals, text = word.partition("=")
        key = key.strip().removeprefix("--").replace("-", "_")
        if not equals or not text:
            raise UserError(f"--sweep must read like learning_rate=1e-4,1e-3 l2=0.01,0.1, got {word!r}")
        if key not in keys_of(config):
            why = f"{key} is the same at every point" if key in OF_ALL_POINTS else f"there is no key {key!r}"
            raise UserError(f"--sweep: {why}; the keys are {', '.join(keys_of(config))}")
        if key in axes:
            raise UserError(f"--sweep must name each key once, got {key} twice")
        axes[key] = [value_of(config, key, one) for one in text.split(",")]
        for value in axes[key]:
            if axes[key].count(value) > 1:
                raise UserError(f"--sweep must name each value of {key} once, got {text_of(value)} twice")
    return axes


def keys_of(config: RunConfig) -> list[str]:
    """Flags that a sweep may change."""
    return [field.name for field in dataclasses.fields(config)
            if decides(config, field.name) and field.name not in OF_ALL_POINTS]


def value_of(config: RunConfig, key: str, text: str) -> Any:
    """What a flag makes of a text, as on the command line; words of a flag that takes several are joined by +.

    Raises:
      UserError: it is of another type.
    """
    flag, text = f"--{key.replace('_', '-')}", text.strip()
    takes = get_type_hints(type(config))[key]
    if takes is bool:
        if text.lower() not in YES + NO:
            raise UserError(f"--sweep {key}={text}: {flag} takes True or False")
        return text.lower() in YES
    words = text.split("+") if "tuple" in str(takes) else [text]
    silent = io.StringIO()
    try:
        with contextlib.redirect_stderr(silent), contextlib.redirect_stdout(silent):
            return getattr(tyro.cli(type(unchecked(config)), args=[flag, *words], default=unchecked(config)), key)
    except SystemExit:
        kind = getattr(takes, "__name__", str(takes)) if isinstance(takes, type) else str(takes)
        raise UserError(f"--sweep {key}={text}: {flag} takes {kind.replace(' | None', ' or None')}") from None


def unchecked(config: Any, **values: Any) -> Any:
    """The same config with other values, which nobody checks: they need not even be numbers."""
    kind = type(config)
    return type(kind.__name__, (kind,), {"__post_init__": lambda self: None, "__module__": kind.__module__})(
        **{field.name: getattr(config, field.name) for field in dataclasses.fields(config)} | values)


def text_of(value: Any) -> str:
    """A value as --sweep takes it.

    >>> text_of(1e-4), text_of((64, 64)), text_of(0.1)
    ('0.0001', '64+64', '0.1')
    """
    if isinstance(value, tuple):
        return "+".join(map(text_of, value))
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def sweep_words(**axes: Sequence[Any]) -> tuple[str, ...]:
    """--sweep's words for lists of values.

    >>> sweep_words(learning_rate=[0.1, 0.01], widths=[(64, 64), (128,)])
    ('learning_rate=0.1,0.01', 'widths=64+64,128')
    """
    return tuple(f"{key}={','.join(map(text_of, values))}" for key, values in axes.items())


def _point(config: RunConfig, values: dict[str, Any]) -> Point:
    label = ",".join(f"{key}={text_of(value)}" for key, value in values.items())
    try:
        return Point(values, dataclasses.replace(config, sweep=(), sweep_metric=None, out=None, resume=None,
                                                 profile=False, **values), label)
    except UserError as error:
        raise UserError(f"--sweep, at {label}: {error}") from error
