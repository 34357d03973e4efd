"""Seven objectives of machine learning as pure JAX functions, one package each, on a shared floor plan.

losses.py holds the objectives, derivatives.py their closed forms, identities.py what those satisfy.

>>> import sandbox
>>> sandbox.matrix_factorization.predict.__name__
'predict'
"""

from sandbox import (
    attention,
    averaging,
    convolution,
    epochs,
    gan,
    identities,
    kalman,
    matrix_factorization,
    muon,
    reductions,
    reinforce,
    score_matching,
    sharding,
    tracing,
    training,
    two_sample,
)

__all__ = [
    "attention", "averaging", "convolution", "epochs", "gan", "identities", "kalman", "matrix_factorization", "muon",
    "reductions", "reinforce", "score_matching", "sharding", "tracing", "training",
    "two_sample",
]
