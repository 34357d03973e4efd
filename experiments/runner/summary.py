"""What a run came to, over its seeds and beside its references."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit


class Reference(NamedTuple):
    """What a metric is held against, published as a rule, with its source."""

    value: float
    source: str


def over_seeds(per_seed: Sequence[float]) -> dict[str, Any]:
    """Mean of K seeds and half-width of its 95% interval by Student's t; None where K < 2.

    t_{0.975, K−1} s / √K,   s² = Σ (x − x̄)² / (K − 1).

    Args:
      per_seed: (K,) values; one that is not finite makes mean and interval so.
    Returns:
      {"mean", "ci95", "per_seed"}.

    >>> over_seeds([1.0, 2.0, 3.0])["ci95"]  # 4.303 / √3
    2.484...
    """
    values = np.asarray(per_seed, dtype=np.float64)
    count = len(values)
    half = None
    if count > 1:
        spread = values.std(ddof=1) if np.isfinite(values).all() else math.nan
        half = float(stdtrit(count - 1, 0.975) * spread / math.sqrt(count))
    return {"mean": float(values.mean()), "ci95": half, "per_seed": values.tolist()}


def summarise(experiment: str, preset: str, dataset: str, seeds: Sequence[int], metrics: Mapping[str, Sequence[float]],
              seconds: Mapping[str, float], devices: Mapping[str, Any],
              reference: Mapping[str, Reference]) -> dict[str, Any]:
    """The content of summary.json.

    Args:
      experiment, preset, dataset: names. seeds: K seeds.
      metrics: (K,) values by name. seconds: by name. devices: as in the manifest.
      reference: by metric.
    Returns:
      A JSON document.
    """
    return {
        "experiment": experiment,
        "preset": preset,
        "dataset": dataset,
        "seeds": list(seeds),
        "metrics": {name: over_seeds(values) for name, values in metrics.items()},
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "devices": dict(devices),
        "reference": {name: {"value": one.value, "source": one.source} for name, one in reference.items()},
    }
