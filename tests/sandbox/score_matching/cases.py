"""The losses of the score-matching wing, on a score of one hidden layer that takes its time and a label."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.score_matching.batches import Noised
from sandbox.score_matching.losses import (
    denoising_loss,
    edm_loss,
    explicit_loss,
    flow_matching_loss,
    implicit_loss,
    sliced_loss,
)
from sandbox.score_matching.mixtures import mixture_score, ring_mixture
from sandbox.score_matching.processes import by_level
from tests.case import Case

ROWS, NUMBERS, HIDDEN, LABELS, PROJECTIONS = 4, 2, 5, 3, 2
RNG = np.random.default_rng(0)


def _normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def score_fn(params, x, time, labels):
    """A label shifts the score, so that none can be mistaken for another."""
    hidden = jnp.tanh(x @ params["W1"].T + time[:, None] * params["a"][None] + params["b"][None])
    return hidden @ params["W2"].T + jnp.asarray(params["own"])[labels]


def true_score_fn(x, time, labels):
    return mixture_score(x, time, ring_mixture(3, radius=1.0)) + 0.1 * labels[:, None]


PARAMS = {"W1": _normal(HIDDEN, NUMBERS), "a": _normal(HIDDEN), "b": _normal(HIDDEN), "W2": _normal(NUMBERS, HIDDEN),
          "own": _normal(LABELS, NUMBERS)}
BATCH = Noised(_normal(ROWS, NUMBERS), _normal(ROWS, NUMBERS), RNG.uniform(0.2, 0.8, ROWS).astype(np.float32),
               _normal(ROWS, PROJECTIONS, NUMBERS), np.array([1, 2, 0.5, 0], np.float32),
               (np.array([0, 2, 1, 1], np.int32),))
LOSSES = {  # with what each needs beside the score
    "explicit": partial(explicit_loss, true_score_fn=true_score_fn),
    "implicit": implicit_loss,
    "sliced": sliced_loss,
    "sliced, plain": partial(sliced_loss, variance_reduced=False),
    "denoising": denoising_loss,
    "edm": partial(edm_loss, sigma_data=0.5),
    "flow": flow_matching_loss,
}


def with_nan(name, rows):
    """The batch with NaN in some rows of a field."""
    values = getattr(BATCH, name)
    return BATCH._replace(**{name: np.where(rows.reshape(-1, *[1] * (values.ndim - 1)), np.float32(np.nan), values)})


def _extremes():
    def unknown(rows):
        return BATCH._replace(**{name: getattr(with_nan(name, rows), name) for name in BATCH._fields[:4]})

    nowhere = np.zeros(ROWS, np.float32)
    return (
        (PARAMS, BATCH._replace(weights=nowhere)),
        (PARAMS, unknown(nowhere == 0)._replace(weights=nowhere)),
        (PARAMS, unknown(BATCH.weights == 0)),
        (PARAMS, BATCH._replace(weights=1e4 * BATCH.weights, x=1e4 * BATCH.x, projections=1e4 * BATCH.projections)),
        (PARAMS, BATCH._replace(time=np.full(ROWS, 2e-3, np.float32))),
        (PARAMS, BATCH._replace(time=np.full(ROWS, 0.998, np.float32))),
        (jax.tree.map(lambda leaf: 1e4 * leaf, PARAMS), BATCH),
        (jax.tree.map(lambda leaf: 0 * leaf, PARAMS), BATCH),
    )


def _refused(loss, keywords, before=(), between=(), after=()):
    """What all refuse, of the batch and of the score, with what one of them refuses beside."""
    def of(batch=BATCH, **changed):
        return lambda: loss(PARAMS, batch, **keywords | changed)

    def of_call(refusals):
        return [(kind, words, of(*batch, **changed)) for kind, words, batch, changed in refusals]

    return (
        *of_call(before),
        (ValueError, "a batch must have a row or more, got x (0, 2)", of(jax.tree.map(lambda leaf: leaf[:0], BATCH))),
        (ValueError, "noise must have the shape of x, (4, 2), got (4, 1)",
         of(BATCH._replace(noise=BATCH.noise[:, :1]))),
        (ValueError, "time, weights and conditions must have the rows of x, (4, 2), got (4,), (3,), (4,)",
         of(BATCH._replace(weights=BATCH.weights[:3]))),
        (ValueError, "projections must be (N, P, *shape) of x (4, 2), got (4, 2)",
         of(BATCH._replace(projections=BATCH.x))),
        (TypeError, "noise must be floating, got int32", of(BATCH._replace(noise=BATCH.noise.astype(np.int32)))),
        *of_call(between),
        (ValueError, "score_fn must return the shape of x, (4, 2), got (4, 1)",
         of(score_fn=lambda *given: score_fn(*given)[:, :1])),
        *of_call(after),
    )


def _case(loss, *, before=(), between=(), after=(), **keywords):
    keywords = {"score_fn": score_fn, **keywords}
    return Case(loss, PARAMS, BATCH, keywords, _extremes(), _refused(loss, keywords, before, between, after))


CASES = (
    _case(explicit_loss, true_score_fn=true_score_fn, after=[
        (ValueError, "true_score_fn must return the shape of x, (4, 2), got (4,)", (),
         {"true_score_fn": lambda x, time, labels: time})]),
    _case(implicit_loss, process=by_level(0.1, 1.0), between=[
        (ValueError, "at_once must be at least 1, got 0", (), {"at_once": 0})]),
    _case(sliced_loss, between=[
        (ValueError, "projections must be at least one a row, got (4, 0, 2)",
         (BATCH._replace(projections=BATCH.projections[:, :0]),), {})]),
    _case(denoising_loss),
    _case(edm_loss, sigma_data=0.5, before=[
        (ValueError, "sigma_data must be above 0, got 0.0: data of zero variance", (), {"sigma_data": 0.0})]),
    _case(flow_matching_loss),
)
