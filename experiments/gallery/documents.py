"""What is taken from a JSON document that may hold anything: the fields that are what they should be."""

import math
from typing import Any, NamedTuple


class Metric(NamedTuple):
    """A metric over seeds, beside a value to hold it against. None: not finite, or not there."""

    name: str
    mean: float | None
    half: float | None
    per_seed: list[float | None]
    reference: float | None
    source: str


class Point(NamedTuple):
    """A point of a sweep; name: of its run's directory."""

    name: str
    values: dict[str, str]
    metrics: list[Metric]
    failures: list[str]


class Verdict(NamedTuple):
    """One identity tried; see experiments.verify."""

    application: str
    identity: str
    cases: str
    errors: list[tuple[float | None, float | None]]
    holds: bool
    raised: str


def number(value: Any) -> float | None:
    """A finite number, or None.

    >>> number(3), number("3"), number(True), number(float("nan"))
    (3.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def text(value: Any) -> str:
    """A text, or an empty one."""
    return value if isinstance(value, str) else ""


def texts(value: Any) -> list[str]:
    """The items of a list, as texts."""
    return [str(item) for item in value] if isinstance(value, list) else []


def objects(value: Any) -> list[dict[str, Any]]:
    """The items of a list that are objects."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def numbers(value: Any) -> dict[str, float]:
    """The finite numbers of an object, by name."""
    found = {name: number(item) for name, item in value.items()} if isinstance(value, dict) else {}
    return {name: item for name, item in found.items() if item is not None}


def metrics(summary: dict[str, Any]) -> list[Metric]:
    """The metrics of a summary.json, or of a point of a sweep."""
    named, references = _object(summary.get("metrics")), _object(summary.get("reference"))
    return [_metric(name, value, _object(references.get(name))) for name, value in named.items()]


def points(sweep: dict[str, Any]) -> list[Point]:
    """The points of a sweep.json."""
    return [Point(text(row.get("directory")).rpartition("/")[2], {key: str(value) for key, value in
            _object(row.get("values")).items()}, metrics(row), texts(row.get("failures")))
            for row in objects(sweep.get("points"))]


def verdicts(document: Any) -> list[Verdict]:
    """The rows of certificate.json.

    Raises:
      ValueError: it is no list.
    """
    if not isinstance(document, list):
        raise ValueError("it holds no list")
    return [Verdict(text(row.get("application")), text(row.get("identity")), str(row.get("cases", "")), [
        (number(row.get(precision)), number(row.get(tolerance)))
        for precision, tolerance in (("float64", "tolerance"), ("float32", "float32_tolerance"))
    ], row.get("holds") is True, text(row.get("error"))) for row in objects(document)]


def _metric(name: str, value: Any, reference: dict[str, Any]) -> Metric:
    fields = value if isinstance(value, dict) else {"mean": value}  # a bare number, in another version's summary
    per_seed = fields.get("per_seed")
    return Metric(name, number(fields.get("mean")), number(fields.get("ci95")),
                  [number(one) for one in per_seed] if isinstance(per_seed, list) else [],
                  number(reference.get("value")), text(reference.get("source")))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
