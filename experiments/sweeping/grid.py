"""What --sweep asks for: keys, their values, and a config for each combination; what none takes is refused at once."""

import contextlib
import dataclasses
import difflib
import hashlib
import io
import itertools
import math
import re
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple, get_type_hints

import tyro

from experiments.runner.config import RunConfig, decides, unchecked
from experiments.runner.errors import UserError

OF_ALL_POINTS = {"preset", "seed", "seeds", "mesh", "precision", "sweep"}
"""Flags that decide results, and are the same at every point."""
YES, NO = ("true", "yes", "1"), ("false", "no", "0")
LONGEST = 120
"""Bytes of the name of a directory, before its digest."""


class Point(NamedTuple):
    """A combination. values: by key. config: of its run. label: "learning_rate=0.1,l2=0.01"."""

    values: dict[str, Any]
    config: Any
    label: str

    @property
    def folder(self) -> str:
        """Its directory's name: the label, or so much of it as a path takes, and a digest."""
        plain = re.sub(r"[^\w.,=+-]", "-", self.label).encode()[:LONGEST].decode(errors="ignore")
        return plain if plain == self.label else f"{plain}-{hashlib.sha256(self.label.encode()).hexdigest()[:8]}"


def points_of(config: RunConfig) -> list[Point]:
    """Every combination of the values that --sweep names, the last key changing fastest.

    Raises:
      UserError: an unknown key, or one that is no point's own; a value that the flag refuses, or that stands twice.
    """
    axes = axes_of(config)
    if not axes:
        raise UserError("a sweep needs a key at least, as in learning_rate=1e-4,1e-3")
    return [_point(config, dict(zip(axes, values))) for values in itertools.product(*axes.values())]


def axes_of(config: RunConfig) -> dict[str, list[Any]]:
    """The values of each key."""
    axes: dict[str, list[Any]] = {}
    for word in config.sweep:
        key, equals, text = word.partition("=")
        key = key.strip().removeprefix("--").replace("-", "_")
        if not equals or not text:
            raise UserError(f"--sweep must read like learning_rate=1e-4,1e-3 l2=0.01,0.1, got {word!r}")
        if key not in keys_of(config):
            raise UserError(_no_key(key, keys_of(config)))
        if key in axes:
            raise UserError(f"--sweep must name each key once, got {key} twice")
        axes[key] = [value_of(config, key, one) for one in text.split(",")]
        texts = [text_of(value) for value in axes[key]]
        if twice := [one for one in texts if texts.count(one) > 1]:
            raise UserError(f"--sweep must name each value of {key} once, got {twice[0]} twice")
    return axes


def keys_of(config: RunConfig) -> list[str]:
    """Flags that a sweep may change."""
    return [field.name for field in dataclasses.fields(config)
            if decides(config, field.name) and field.name not in OF_ALL_POINTS]


def _no_key(key: str, keys: list[str]) -> str:
    why = f"{key} is the same at every point" if key in OF_ALL_POINTS else f"there is no key {key!r}"
    near = difflib.get_close_matches(key, keys, 1, cutoff=0.45)
    return (f"--sweep: {why}{f'; did you mean {near[0]}?' if near else ''}\n"
            + textwrap.fill(f"The keys are {', '.join(keys)}", 100))


def value_of(config: RunConfig, key: str, text: str) -> Any:
    """What a flag makes of a text, as on the command line; words of a flag that takes several are joined by +.

    Raises:
      UserError: it is empty, of another type, or a number that is too small or too large.
    """
    flag, text = f"--{key.replace('_', '-')}", text.strip()
    takes = get_type_hints(type(config))[key]
    if not text:
        raise UserError(f"--sweep: there is an empty value of {key}")
    if takes is bool:
        if text.lower() not in YES + NO:
            raise UserError(f"--sweep: {flag} takes True or False, got {text!r}")
        return text.lower() in YES
    words = text.split("+") if "tuple" in str(takes) else [text]
    silent = io.StringIO()
    try:
        with contextlib.redirect_stderr(silent), contextlib.redirect_stdout(silent):
            value = getattr(tyro.cli(type(unchecked(config)), args=[flag, *words], default=unchecked(config)), key)
    except SystemExit:
        kind = getattr(takes, "__name__", str(takes)) if isinstance(takes, type) else str(takes)
        raise UserError(f"--sweep: {flag} takes {kind.replace(' | None', ' or None')}, got {text!r}") from None
    if isinstance(value, float) and _beyond_floats(value, text.lower()):
        raise UserError(f"--sweep: {flag} takes numbers that a float can hold, got {text!r}")
    return value


def _beyond_floats(value: float, text: str) -> bool:
    """Whether a number was written that is not 0, or not infinite, and became so.

    >>> _beyond_floats(float("1e-400"), "1e-400"), _beyond_floats(0.0, "0e-9"), _beyond_floats(float("1e999"), "1e999")
    (True, False, True)
    """
    digits = text.partition("e")[0]
    return (value == 0 and bool(re.search("[1-9]", digits))) or (math.isinf(value) and "inf" not in text)


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

    Raises:
      UserError: a key has no values, or one that --sweep would read as several.

    >>> sweep_words(learning_rate=[0.1, 0.01], widths=[(64, 64), (128,)])
    ('learning_rate=0.1,0.01', 'widths=64+64,128')
    """
    for key, values in axes.items():
        if not values:
            raise UserError(f"a sweep needs a value at least of each key, got none of {key}")
        if several := [text_of(value) for value in values if "," in text_of(value)]:
            raise UserError(f"a sweep takes no value with a comma in it, got {several[0]!r} of {key}")
    return tuple(f"{key}={','.join(map(text_of, values))}" for key, values in axes.items())


def _point(config: RunConfig, values: dict[str, Any]) -> Point:
    label = ",".join(f"{key}={text_of(value)}" for key, value in values.items())
    try:
        return Point(values, dataclasses.replace(config, sweep=(), sweep_metric=None, out=None, resume=None,
                                                 profile=False, **values), label)
    except UserError as error:
        raise UserError(f"--sweep, at {label}: {error}") from error
