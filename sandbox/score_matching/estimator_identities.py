"""The losses are one: each has the gradient of another, and its value but for what no parameter changes.

Expectations are exact. The trapezoid rule on an even grid converges exponentially for what is analytic and dies out,
so that a batch whose rows are the grid and whose weights are a density makes of a loss its own expectation.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.identities import Identity, normals
from sandbox.score_matching.batches import Noised
from sandbox.score_matching.conversions import preconditioned, score_of_velocity
from sandbox.score_matching.losses import (
    denoising_loss,
    edm_loss,
    explicit_loss,
    flow_matching_loss,
    implicit_loss,
    sliced_loss,
)
from sandbox.score_matching.mixtures import GaussianMixture, mixture_log_density, mixture_score, noised
from sandbox.score_matching.processes import (
    by_level,
    linear_path,
    sub_variance_preserving,
    variance_exploding,
    variance_preserving,
)
from sandbox.score_matching.weightings import edm_weighting, flow_weighting, likelihood_weighting

__all__ = ["ESTIMATOR_IDENTITIES", "draw_parts"]

HIDDEN, MODES, POINTS, ROWS = 3, 2, 3, 5
LEVELS, LINE, SIGMA_DATA = by_level(), linear_path(), 0.7
HADAMARD = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])  # its rows' mean of v vᵀ is I
MODEL = {"W1": (HIDDEN, 2), "a": (HIDDEN,), "b": (HIDDEN,), "W2": (2, HIDDEN)}
PARTS = {"weights": (MODES,), "means": (MODES, 2), "angles": (MODES,), "variances": (MODES, 2)}
DIFFUSIONS = ((variance_exploding(0.1, 4.0), 0.55), (variance_preserving(0.1, 8.0), 0.4),
              (sub_variance_preserving(0.1, 8.0), 0.5), (linear_path(), 0.45))


def _drawn(shapes, key, dtype):
    return dict(zip(shapes, normals(*shapes.values())(key, dtype)))


def _model(drawn):
    """Weights small enough for a score that is smooth on the grid: tanh is not analytic further than π/2 from 0."""
    return drawn | {"W1": 0.5 * jnp.tanh(drawn["W1"])}


def _one_hidden(params, x, time):
    hidden = jnp.tanh(x @ params["W1"].T + time[:, None] * params["a"][None] + params["b"][None])
    return hidden @ params["W2"].T


def draw_parts(key, dtype):
    """Two Gaussians that overlap, of any directions.

    >>> draw_parts(jax.random.key(0), jnp.float32).means.shape
    (2, 2)
    """
    drawn = _drawn(PARTS, key, dtype)
    cos, sin = jnp.cos(drawn["angles"]), jnp.sin(drawn["angles"])
    axes = jnp.stack([jnp.stack([cos, -sin], axis=1), jnp.stack([sin, cos], axis=1)], axis=1)
    return GaussianMixture(jax.nn.softmax(drawn["weights"]), jnp.tanh(drawn["means"]), axes,
                           0.3 + 0.4 * jax.nn.sigmoid(drawn["variances"]))


def _nodes(half_width, num, dtype):
    """An even grid in the plane, (num², 2), and the area of a cell."""
    places = np.linspace(-half_width, half_width, num)
    grid = np.stack(np.meshgrid(places, places, indexing="ij"), axis=-1).reshape(-1, 2)
    return jnp.asarray(grid, dtype), (places[1] - places[0]) ** 2


def _on_grid(mixture, process, time, half_width=10.0, num=47):
    """A batch whose mean is that over the noised mixture: x_t = α x, at the nodes."""
    alpha, level = process.scale(time), process.level(time)
    nodes, cell = _nodes(half_width, num, mixture.means.dtype)
    weights = cell * jnp.exp(mixture_log_density(nodes, noised(mixture, level, alpha)))
    return Noised(nodes / alpha, jnp.zeros_like(nodes), jnp.full(len(nodes), time), nodes[:, None], weights)


def _true_score(mixture, process, time):
    return lambda x, times: mixture_score(x, 0.0, noised(mixture, process.level(time), process.scale(time)))


def _with_grad(loss, params, batch, **how):
    return jax.value_and_grad(lambda params: loss(params, batch, **{"score_fn": _one_hidden} | how)[0])(params)


def _explicit(params, mixture, level):
    return _with_grad(explicit_loss, params, _on_grid(mixture, LEVELS, level),
                      true_score_fn=_true_score(mixture, LEVELS, level))


def _power(mixture, level):
    """σ² E ½ ‖s*‖², as the explicit loss of a score of nothing."""
    return explicit_loss(None, _on_grid(mixture, LEVELS, level), score_fn=lambda params, x, times: jnp.zeros_like(x),
                         true_score_fn=_true_score(mixture, LEVELS, level))[0]


def _implicit(params, mixture, level):
    value, grad = _with_grad(implicit_loss, params, _on_grid(mixture, LEVELS, level))
    return value + _power(mixture, level), grad


def _of_mixture(key, dtype):
    of_model, of_mixture, of_level = jax.random.split(key, 3)
    return (_model(_drawn(MODEL, of_model, dtype)), draw_parts(of_mixture, dtype),
            jax.random.uniform(of_level, (), dtype, 0.7, 0.9))


def _of_points(key, dtype):
    """Data that are a few points: Gaussians of no variance."""
    params, _, level = _of_mixture(key, dtype)
    weights, points = normals((POINTS,), (POINTS, 2))(jax.random.fold_in(key, 1), dtype)
    axes = jnp.broadcast_to(jnp.eye(2, dtype=dtype), (POINTS, 2, 2))
    return params, GaussianMixture(jax.nn.softmax(weights), jnp.tanh(points), axes, jnp.zeros_like(points)), level


def _denoising(params, points, level):
    """Over data and noise both, the noise on a grid; less D/2 − σ² E ½ ‖s*‖², with D = 2."""
    noise, cell = _nodes(7.5, 35, level.dtype)
    density = cell * jnp.exp(-jnp.sum(noise**2, axis=1) / 2) / (2 * jnp.pi)
    x, noise = (given.reshape(-1, 2) for given in jnp.broadcast_arrays(points.means[:, None], noise[None]))
    batch = Noised(x, noise, jnp.full(len(x), level), x[:, None], jnp.outer(points.weights, density).ravel())
    value, grad = _with_grad(denoising_loss, params, batch)
    return value - 1 + _power(points, level), grad


def _fisher_divergences(first, second):
    """The explicit loss of the second's score, where the first is, weighed by g²."""
    def divergence(process, time):
        return explicit_loss(second, _on_grid(first, process, time, 9.0, 73), process=process,
                             score_fn=lambda mixture, *place: _true_score(mixture, process, time)(*place),
                             true_score_fn=_true_score(first, process, time), weighting=likelihood_weighting)[0]
    return [divergence(process, time) for process, time in DIFFUSIONS]


def _rates_of_kl(first, second):
    """−d/dt KL(p_t ‖ q_t), both under the same process."""
    def kl(time, process):
        nodes, cell = _nodes(9.0, 73, first.means.dtype)
        p, q = (mixture_log_density(nodes, noised(mixture, process.level(time), process.scale(time)))
                for mixture in (first, second))
        return cell * jnp.sum(jnp.exp(p) * (p - q))
    return [-jax.grad(kl)(jnp.asarray(time, first.means.dtype), process) for process, time in DIFFUSIONS]


def _near_parts(key, dtype):
    """Two mixtures near enough to each other for their densities' ratio to be smooth on the grid."""
    return tuple(parts._replace(means=0.4 * parts.means)
                 for parts in (draw_parts(one, dtype) for one in jax.random.split(key)))


def _rows(key, dtype, size=4, projections=HADAMARD):
    """A score in more dimensions, and rows that have a full set of projections, each with signs of its own."""
    shapes = MODEL | {"W1": (HIDDEN, size), "W2": (size, HIDDEN), "x": (ROWS, size), "noise": (ROWS, size),
                      "time": (ROWS,), "signs": (ROWS, size)}
    drawn = _drawn(shapes, key, dtype)
    signs = jnp.where(drawn["signs"] < 0, -1, 1).astype(dtype)
    batch = Noised(drawn["x"], drawn["noise"], 0.1 + 0.8 * jax.nn.sigmoid(drawn["time"]),
                   signs[:, None] * jnp.asarray(projections, dtype)[None], 1.0 + jnp.arange(ROWS).astype(dtype))
    return {name: drawn[name] for name in MODEL}, batch


def _by_full_slices(params, batch):
    return [_with_grad(sliced_loss, params, batch, variance_reduced=reduced, process=LINE) for reduced in (True, False)]


def _by_trace(params, batch):
    return [_with_grad(implicit_loss, params, batch, at_once=at_once, process=LINE) for at_once in (1, 3)]


def _mean_of(values, batch):
    return jnp.sum(batch.weights * values) / jnp.sum(batch.weights)


def _edm_as_written(params, batch):
    """λ(σ) ‖D(y + n) − y‖², D = c_skip x + c_out F(c_in x, c_noise)."""
    def loss(params):
        sigma, total = batch.time, batch.time**2 + SIGMA_DATA**2
        x = batch.x + sigma[:, None] * batch.noise
        F = _one_hidden(params, x / jnp.sqrt(total)[:, None], jnp.log(sigma) / 4)
        D = (SIGMA_DATA**2 / total)[:, None] * x + (sigma * SIGMA_DATA / jnp.sqrt(total))[:, None] * F
        return _mean_of(total / (sigma * SIGMA_DATA) ** 2 * jnp.sum((D - batch.x) ** 2, axis=1), batch)
    return [jax.value_and_grad(loss)(params)] * 2


def _edm(params, batch):
    how = {"score_fn": preconditioned(_one_hidden, SIGMA_DATA)}
    return [_with_grad(edm_loss, params, batch, sigma_data=SIGMA_DATA, **how),
            _with_grad(denoising_loss, params, batch, weighting=edm_weighting(SIGMA_DATA), **how)]


def _flow_as_written(params, batch):
    """‖u((1 − t) x + t ε, t) − (ε − x)‖²."""
    def loss(params):
        t = batch.time[:, None]
        u = _one_hidden(params, (1 - t) * batch.x + t * batch.noise, batch.time)
        return _mean_of(jnp.sum((u - (batch.noise - batch.x)) ** 2, axis=1), batch)
    return [jax.value_and_grad(loss)(params)] * 2


def _flow(params, batch):
    how = {"score_fn": lambda params, x, time: score_of_velocity(_one_hidden(params, x, time), x, time, LINE)}
    return [_with_grad(flow_matching_loss, params, batch, **how),
            _with_grad(denoising_loss, params, batch, process=LINE, weighting=flow_weighting, **how)]


ESTIMATOR_IDENTITIES = (
    Identity("Hyvärinen: implicit loss + E ½ ‖s*‖² = Fisher divergence, with gradients", _implicit, _explicit,
             _of_mixture),
    Identity("Vincent: denoising loss − D/2 + E ½ ‖s*‖² = Fisher divergence, with gradients", _denoising, _explicit,
             _of_points),
    Identity("sliced = implicit, on a full set of projections, plain and variance-reduced", _by_full_slices, _by_trace,
             _rows),
    Identity("EDM as written = EDM of the score = denoising under its weight", _edm_as_written, _edm,
             partial(_rows, size=2, projections=np.ones((1, 2)))),
    Identity("flow matching as written = of the score = denoising under its weight", _flow_as_written, _flow,
             partial(_rows, size=2, projections=np.ones((1, 2)))),
    Identity("½ g² Fisher divergence = −d/dt KL: the likelihood's weight", _fisher_divergences, _rates_of_kl,
             _near_parts),
)
