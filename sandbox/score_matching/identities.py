"""What this wing satisfies: the calculus of a mixture's score under noise, of processes, and of the losses."""

from functools import partial

import jax
import jax.numpy as jnp

from sandbox.identities import Identity, finite_difference, normals
from sandbox.score_matching import derivatives
from sandbox.score_matching.batches import Noised
from sandbox.score_matching.conversions import (
    denoised_of_score,
    in_process,
    noise_of_score,
    score_of_denoised,
    score_of_noise,
    score_of_velocity,
    velocity_of_score,
)
from sandbox.score_matching.dequantisation import bin_evidence, bin_slopes, binned
from sandbox.score_matching.derivatives import DRIFT_AND_DIFFUSION, AffineScore, affine_score
from sandbox.score_matching.estimator_identities import ESTIMATOR_IDENTITIES, draw_parts
from sandbox.score_matching.losses import denoising_loss, explicit_loss, implicit_loss, sliced_loss
from sandbox.score_matching.mixtures import mixture_denoised, mixture_log_density, mixture_score, noised
from sandbox.score_matching.processes import PROCESSES, drift_and_diffusion
from sandbox.score_matching.traces import exact_trace, projected_trace
from sandbox.score_matching.weightings import edm_weighting, likelihood_weighting

__all__ = ["IDENTITIES"]

ROWS, BINS, WIDTH = 5, 4, 0.8
ARGUMENTS = {"by_level": (0.1, 3.0), "variance_exploding": (0.1, 3.0), "variance_preserving": (0.2, 8.0),
             "sub_variance_preserving": (0.2, 8.0), "linear_path": ()}
EACH = {name: PROCESSES[name](*arguments) for name, arguments in ARGUMENTS.items()}
AFFINE = {"A": (2, 2), "b": (2,), "c": (2,), "x": (ROWS, 2), "noise": (ROWS, 2), "time": (ROWS,),
          "projections": (ROWS, 3, 2)}


def _places(key, dtype):
    """Rows in the plane, a number in [0.1, 0.9] that says how far into a process they are, and a mixture."""
    x, share = normals((ROWS, 2), ())(key, dtype)
    return 1.5 * x, 0.1 + 0.8 * jax.nn.sigmoid(share), draw_parts(jax.random.fold_in(key, 1), dtype)


def _times(process, share):
    return process.t_min + share * (process.t_max - process.t_min)


def _levels(key, dtype):
    x, share, mixture = _places(key, dtype)
    return x, jnp.linspace(0.2, 2.0, ROWS).astype(dtype) * share, mixture


def _of_each_row(function):
    """Of a row by itself, at its level."""
    return lambda x, level, mixture: jax.vmap(lambda row, at: function(row, noised(mixture, at)))(x, level)


def _log_density(row, mixture):
    return mixture_log_density(row[None], mixture)[0]


def _derivatives(x, level, mixture):
    hessian = _of_each_row(jax.hessian(_log_density))(x, level, mixture)
    return _of_each_row(jax.grad(_log_density))(x, level, mixture), hessian, jnp.trace(hessian, axis1=1, axis2=2)


def _derivatives_by_hand(x, level, mixture):
    return (mixture_score(x, level, mixture), derivatives.mixture_jacobian(x, level, mixture),
            derivatives.mixture_laplacian(x, level, mixture))


def _posterior(x, level, mixture):
    return mixture_denoised(x, level, mixture), derivatives.mixture_covariance(x, level, mixture)


def _posterior_by_tweedie(x, level, mixture):
    squared = level[:, None, None] ** 2
    jacobian = jax.vmap(jax.jacfwd(lambda row, at: mixture_score(row[None], at, mixture)[0]))(x, level)
    return (denoised_of_score(mixture_score(x, level, mixture), x, level),
            squared * (jnp.eye(2, dtype=x.dtype)[None] + squared * jacobian))


def _traces(x, level, mixture):
    signs = jnp.broadcast_to(jnp.array([[1, 1], [1, -1]], x.dtype), (ROWS, 2, 2))  # their mean of v vᵀ is I
    def field(x):
        return mixture_score(x, level, mixture)
    return exact_trace(field, x), exact_trace(field, x, at_once=2), projected_trace(field, x, signs)


def _traces_by_hand(x, level, mixture):
    return ((mixture_score(x, level, mixture), derivatives.mixture_laplacian(x, level, mixture)),) * 3


def _score_in(process, x, times, mixture):
    return in_process(lambda mixture, x, level: mixture_score(x, level, mixture), process)(mixture, x, times)


def _in_each(function, x, share, mixture):
    return {name: function(process, x, jnp.full(ROWS, _times(process, share)), mixture)
            for name, process in EACH.items()}


def _there_and_back(process, x, times, mixture):
    alpha, sigma = process.scale(times), process.level(times)
    score = _score_in(process, x, times, mixture)
    return (score_of_denoised(denoised_of_score(score, x, sigma, alpha), x, sigma, alpha),
            score_of_noise(noise_of_score(score, sigma), sigma),
            score_of_velocity(velocity_of_score(score, x, times, process), x, times, process))


def _there(process, x, times, mixture):
    return (_score_in(process, x, times, mixture),) * 3


def _score_of_noised(process, x, times, mixture):
    return jax.vmap(lambda row, time: jax.grad(_log_density)(
        row, noised(mixture, process.level(time), process.scale(time))))(x, times)


def _velocity(process, x, times, mixture):
    return velocity_of_score(_score_in(process, x, times, mixture), x, times, process)


def _mean_rate(process, x, times, mixture):
    """E[α' x + σ' ε | x_t], from the posterior's mean."""
    (alpha, alpha_rate), (sigma, sigma_rate) = (
        tuple(part[:, None] for part in jax.jvp(function, (times,), (jnp.ones_like(times),)))
        for function in (process.scale, process.level))
    denoised = mixture_denoised(x / alpha, process.level(times) / process.scale(times), mixture)
    return alpha_rate * denoised + sigma_rate * (x - alpha * denoised) / sigma


def _log_density_rate(process, x, times, mixture):
    def at(time):
        return mixture_log_density(x, noised(mixture, process.level(time), process.scale(time)))
    return jax.jvp(at, (times[0],), (jnp.ones_like(times[0]),))[1]


def _loss_of_density(process, x, times, mixture):
    """−div v − v · s, by which a density changes that v carries along."""
    velocity, divergence = exact_trace(lambda x: _velocity(process, x, times, mixture), x)
    return -divergence - jnp.sum(velocity * _score_in(process, x, times, mixture), axis=1)


def _coefficients(share):
    return {name: drift_and_diffusion(process, _times(process, share)) for name, process in EACH.items()}


def _coefficients_by_hand(share):
    return {name: DRIFT_AND_DIFFUSION[name](_times(process, share), *ARGUMENTS[name])
            for name, process in EACH.items()}


def _affine(key, dtype):
    """An affine score, a batch of which one row is padding, and what may be the truth."""
    *params, x, noise, time, projections = normals(*AFFINE.values())(key, dtype)
    batch = Noised(x, noise, 0.1 + 0.8 * jax.nn.sigmoid(time), projections, jnp.arange(ROWS).astype(dtype))
    return AffineScore(*params), batch, jnp.sin(x)


def _affine_grads(params, batch, truth):
    def of(loss, **how):
        return jax.grad(lambda params: loss(params, batch, score_fn=affine_score, **how)[0])(params)
    how = {"process": EACH["variance_preserving"], "weighting": likelihood_weighting}
    return (of(explicit_loss, true_score_fn=lambda x, time: truth, **how), of(implicit_loss, **how),
            [of(sliced_loss, variance_reduced=reduced, **how) for reduced in (True, False)],
            of(denoising_loss, process=EACH["linear_path"], weighting=edm_weighting(0.7)))


def _affine_grads_by_hand(params, batch, truth):
    how = {"process": EACH["variance_preserving"], "weighting": likelihood_weighting}
    return (derivatives.explicit_loss_grad(params, batch, truth, **how),
            derivatives.implicit_loss_grad(params, batch, **how),
            [derivatives.sliced_loss_grad(params, batch, variance_reduced=reduced, **how) for reduced in (True, False)],
            derivatives.denoising_loss_grad(params, batch, process=EACH["linear_path"], weighting=edm_weighting(0.7)))


def _binned(x, logits):
    """The slope of each bin's evidence, and the score of counts that a network tells the logits of."""
    score_fn = binned(lambda params, x, time: params, num_bins=BINS, sigma_data=1.0, mean=2.0)
    slopes = bin_slopes(x, jnp.full_like(x, WIDTH), BINS)[1] / WIDTH
    return slopes, score_fn(logits, x, jnp.full(len(x), WIDTH, x.dtype))


def _binned_by_autodiff(x, logits):
    def evidence(x):
        return bin_evidence(x, jnp.full_like(x, WIDTH), BINS)

    def log_p(x):
        return jnp.sum(jax.nn.logsumexp(evidence(x) + jax.nn.log_softmax(logits), axis=-1))

    slopes = jax.jvp(evidence, (x,), (jnp.ones_like(x),))[1]  # each number by itself
    return slopes, jax.grad(log_p)(x)


IDENTITIES = (
    Identity("∇ log p = by finite differences", mixture_score, _of_each_row(
        lambda row, mixture: finite_difference(lambda x: _log_density(x, mixture), row)), _levels,
             tolerance=1e-6, float32_tolerance=0.02),
    Identity("a mixture's score, Jacobian, Laplacian are derivatives of log p", _derivatives_by_hand, _derivatives,
             _levels),
    Identity("Tweedie: posterior mean (x + σ² s)/α, covariance σ² (I + σ² ∇s)", _posterior, _posterior_by_tweedie,
             _levels),
    Identity("trace: exact, in parts, by a full set of projections = Laplacian", _traces, _traces_by_hand, _levels),
    Identity("f, g² of each process", _coefficients, _coefficients_by_hand, lambda key, dtype: (
        jax.random.uniform(key, (ROWS,), dtype, 0.1, 0.9),)),
    Identity("score → denoised, noise, velocity → score", partial(_in_each, _there_and_back), partial(_in_each, _there),
             _places),
    Identity("a process's score is that of its noised density", partial(_in_each, _score_in),
             partial(_in_each, _score_of_noised), _places),
    Identity("f x − ½ g² s = E[α' x + σ' ε | x_t]", partial(_in_each, _velocity), partial(_in_each, _mean_rate),
             _places),
    Identity("continuity: ∂ log p / ∂t = −div v − v · s", partial(_in_each, _log_density_rate),
             partial(_in_each, _loss_of_density), _places),
    Identity("gradients of the losses of an affine score", _affine_grads_by_hand, _affine_grads, _affine),
    Identity("bins: slope of a bin's evidence, score of counts = ∇ log p", _binned, _binned_by_autodiff,
             lambda key, dtype: tuple(scale * one for scale, one in zip(
                 (3, 1), normals((ROWS, 2), (ROWS, 2, BINS))(key, dtype)))),
    *ESTIMATOR_IDENTITIES,
)
