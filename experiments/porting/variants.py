"""Training chunks that no quick preset has by itself: flags that make another program of an experiment."""

from collections.abc import Mapping
from typing import Any

VARIANTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "attention": {"bfloat16, dropout": {"dtype": "bfloat16", "dropout": 0.1}},
    "convolution": {"residual, bfloat16": {"network": "residual", "dtype": "bfloat16", "widths": (16, 32),
                                           "depths": (1, 1)}},
    "gan": {"digits": {"dataset": "digits"}},
    "matrix_factorization": {"features": {"folds": 1, "burn_in": 10, "features_sweeps": 20, "features_rank": 2,
                                          "set_size": 4}},
    "score_matching": {"digits": {"dataset": "digits"},
                       "objectives": {"objectives": ("implicit", "sliced", "edm", "flow")}},
}
"""Flags over the quick preset's, by application and a name of them; all on embedded data."""
