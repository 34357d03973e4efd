"""Recommendations: r̂_ui = μ + b_u + b_i + q_iᵀ p_u, by L = e² + λ (b_u² + b_i² + |p_u|² + |q_i|²), with e = r − r̂.

∂L/∂p_u = −2 e q_i + 2 λ p_u: each factor moves along the other side's, weighted by the error.

losses, derivatives, identities: the objectives, their gradients by hand, and the proof.
model: parameters and predictions. als, svdpp, gibbs, factorization_machine: the solvers; conjugate, posterior, fields:
what they are made of. sampling: batches. metrics, serving: what comes out.
"""

from sandbox.matrix_factorization import (
    als,
    conjugate,
    derivatives,
    factorization_machine,
    fields,
    gibbs,
    losses,
    metrics,
    model,
    posterior,
    ragged,
    sampling,
    serving,
    set_features,
    svdpp,
)
from sandbox.matrix_factorization.losses import (
    Histories,
    SoftmaxBatch,
    SvdppParams,
    Triplets,
    biased_squared_error,
    bpr,
    implicit_squared_error,
    sampled_softmax,
    svdpp_predict,
    svdpp_squared_error,
)
from sandbox.matrix_factorization.model import Params, Ratings, init, predict

__all__ = [
    "Histories", "Params", "Ratings", "SoftmaxBatch", "SvdppParams", "Triplets", "als", "biased_squared_error",
    "bpr", "conjugate", "derivatives", "factorization_machine", "fields", "gibbs",
    "implicit_squared_error", "init", "losses", "metrics", "model", "posterior", "predict", "ragged",
    "sampled_softmax", "sampling", "serving", "set_features", "svdpp", "svdpp_predict", "svdpp_squared_error",
]
