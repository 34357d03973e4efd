"""The losses: by plain loops, what the truth costs, what slices and padding do, and images as points."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.score_matching.batches import Noised
from sandbox.score_matching.conversions import preconditioned
from sandbox.score_matching.draws import draw_log_normal_levels, draw_noised
from sandbox.score_matching.losses import (
    denoising_loss,
    edm_loss,
    explicit_loss,
    flow_matching_loss,
    implicit_loss,
    sliced_loss,
)
from sandbox.score_matching.processes import by_level, linear_path, sub_variance_preserving, variance_preserving
from sandbox.score_matching.weightings import likelihood_weighting, unit_weighting
from tests.sandbox.score_matching.cases import (
    BATCH,
    LOSSES,
    PARAMS,
    PROJECTIONS,
    ROWS,
    score_fn,
    true_score_fn,
    with_nan,
)

every_loss = pytest.mark.parametrize("name", LOSSES)
OF = {name: jax.jit(jax.value_and_grad(functools.partial(lambda loss, params, batch: loss(
    params, batch, score_fn=score_fn)[0], loss))) for name, loss in LOSSES.items()}


def in_double(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64 if leaf.dtype == np.float32 else None), tree)


def looked_at(params, batch, n, alpha, sigma):
    """x_t, s and ∂s/∂x_t of a row."""
    x = alpha * batch.x[n] + sigma * batch.noise[n]
    h = np.tanh(params["W1"] @ x + batch.time[n] * params["a"] + params["b"])
    score = params["W2"] @ h + params["own"][batch.conditions[0][n]]
    return x, score, params["W2"] @ np.diag(1 - h**2) @ params["W1"]


def of_row(name, batch, n, score, jacobian, truth, alpha, sigma, weight):
    """Value of a row as the formula says."""
    x, noise = batch.x[n], batch.noise[n]
    if name == "explicit":
        return weight / 2 * np.sum((score - truth) ** 2)
    if name == "implicit":
        return weight * (score @ score / 2 + np.trace(jacobian))
    if name.startswith("sliced"):
        square = (lambda v: (v @ score) ** 2) if "plain" in name else (lambda v: score @ score)
        return weight * np.mean([v @ jacobian @ v + square(v) / 2 for v in batch.projections[n]])
    if name == "denoising":
        return weight / 2 * np.sum((score + noise / sigma) ** 2)
    if name == "edm":
        denoised = (alpha * x + sigma * noise + sigma**2 * score) / alpha
        level = sigma / alpha
        return (level**2 + 0.5**2) / (level * 0.5) ** 2 * np.sum((denoised - x) ** 2)
    t = batch.time[n]  # the flow's velocity: f x − ½ g² s, with f = −1/(1 − t) and g² = 2 t/(1 − t)
    velocity = -((1 - t) * x + t * noise) / (1 - t) - t / (1 - t) * score
    return np.sum((velocity - (noise - x)) ** 2)


@every_loss
@pytest.mark.parametrize("make, weighting", [(by_level, unit_weighting), (variance_preserving, likelihood_weighting)])
def test_losses_are_plain_loops(name, make, weighting, float64):
    params, batch = in_double((PARAMS, BATCH))
    process = linear_path() if name == "flow" else make()
    how = {} if name in ("edm", "flow") else {"weighting": weighting}
    value, aux = jax.jit(lambda params, batch: LOSSES[name](params, batch, score_fn=score_fn, process=process, **how))(
        params, batch)
    alpha, sigma, weights = (np.asarray(part) for part in (process.scale(batch.time), process.level(batch.time),
                                                           weighting(process, batch.time)))
    expected = []
    for n in np.flatnonzero(batch.weights):
        x, score, jacobian = looked_at(params, batch, n, alpha[n], sigma[n])
        truth = None
        if name == "explicit":
            truth = true_score_fn(x[None], batch.time[n:n + 1], batch.conditions[0][n:n + 1])[0]
        expected.append(of_row(name, batch, n, score, jacobian, truth, alpha[n], sigma[n], weights[n]))
        np.testing.assert_allclose(aux.squared_score[n], score @ score, rtol=1e-10)
    np.testing.assert_allclose(aux.objective[:3], expected, rtol=1e-10)
    np.testing.assert_allclose(value, np.average(expected, weights=batch.weights[:3]), rtol=1e-10)
    looks = {"explicit": (False, True), "implicit": (True, False), "sliced": (True, False)}
    assert (aux.trace is not None, aux.error is not None) == looks.get(name.split(",")[0], (False, True))


def test_errors_are_those_of_the_noise_that_is_told(float64):
    """‖σ (s − s*)‖² with s* = −ε/σ, and D where no score is told and the noise is of length √D."""
    batch = in_double(BATCH)._replace(noise=np.tile([1.0, -1.0], (ROWS, 1)))
    _, aux = denoising_loss(None, batch, score_fn=lambda params, x, *rest: 0 * x)
    np.testing.assert_allclose(np.asarray(aux.error)[:3], 2, rtol=1e-12)
    _, aux = explicit_loss(None, batch, score_fn=lambda params, x, *rest: 0 * x,
                           true_score_fn=lambda x, time, labels: -batch.noise / time[:, None])
    np.testing.assert_allclose(np.asarray(aux.error)[:3], 2, rtol=1e-12)


def test_the_truth_costs_nothing(float64):
    _, aux = explicit_loss(in_double(PARAMS), in_double(BATCH), score_fn=score_fn,
                           true_score_fn=functools.partial(score_fn, in_double(PARAMS)))
    np.testing.assert_array_equal(aux.objective, 0)

    def told(params, x, time, labels):
        """By whoever knows the noise: the score of each row's own path."""
        return -jnp.asarray(in_double(BATCH).noise) / time[:, None]

    for name in ("denoising", "edm", "flow"):
        _, aux = LOSSES[name](None, in_double(BATCH), score_fn=told)
        np.testing.assert_allclose(aux.objective[:3], 0, atol=1e-25)


def test_a_network_of_nothing_costs_d_under_edm():
    """Of Gaussian data its denoiser is the best there is, and its network's target has variance 1 in each number."""
    x = 0.5 * jax.random.normal(jax.random.key(0), (20_000, 3))
    batch = draw_noised(jax.random.key(1), x, draw_log_normal_levels(jax.random.key(2), 20_000))
    value, aux = jax.jit(lambda batch: edm_loss(None, batch, sigma_data=0.5, score_fn=preconditioned(
        lambda params, x, t: 0 * x, 0.5)))(batch)
    assert abs(value - 3) < 5 * np.sqrt(2 * 3 / 20_000)
    np.testing.assert_allclose(np.corrcoef(aux.objective, np.log(batch.time))[0, 1], 0, atol=5 / np.sqrt(20_000))


@pytest.mark.parametrize("variance_reduced", [True, False])
def test_slices_have_no_hidden_dimension(variance_reduced, float64):
    """Of s = −x the mean over signs is D (‖x‖²/2D − 1), not a D-th of it; reduced, each sign says so by itself."""
    D, num = 16, 4_000
    x = jax.random.normal(jax.random.key(0), (1, D))
    signs = jax.random.rademacher(jax.random.key(1), (1, num, D), float)
    batch = Noised(x, jnp.zeros((1, D)), jnp.ones(1), signs, jnp.ones(1))
    how = {"score_fn": lambda params, x, time: -x, "weighting": unit_weighting}
    value, _ = sliced_loss(None, batch, variance_reduced=variance_reduced, **how)
    expected = jnp.sum(x**2) / 2 - D
    np.testing.assert_allclose(implicit_loss(None, batch, **how)[0], expected, rtol=1e-12)
    error = 1e-10 if variance_reduced else 5 * float(jnp.sum(x**2)) / np.sqrt(2 * num)
    assert abs(value - expected) < error


@every_loss
@pytest.mark.parametrize("field", ["x", "noise", "time", "projections"])
def test_what_is_nan_is_seen_where_it_counts_and_not_in_padding(name, field):
    of = OF[name]
    jax.tree.map(np.testing.assert_array_equal, of(PARAMS, with_nan(field, BATCH.weights == 0)), of(PARAMS, BATCH))
    seen = np.isnan(of(PARAMS, with_nan(field, np.arange(ROWS) == 0))[0])
    assert seen == (field != "projections" or name.startswith("sliced"))


@every_loss
def test_a_row_of_weight_2_is_a_row_twice_and_rows_have_no_order(name):
    order = np.array([2, 1, 0, 1])
    shuffled = jax.tree.map(lambda leaf: leaf[order], BATCH)._replace(weights=np.array([0.5, 1, 1, 1], np.float32))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), OF[name](PARAMS, shuffled),
                 OF[name](PARAMS, BATCH))


@pytest.mark.parametrize("name", ["explicit", "implicit", "sliced, plain", "denoising"])
def test_images_are_points(name, float64):
    """Rows of shape (2, 3, 1) and the same of shape (6,)."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(6, 6))
    flat = Noised(rng.normal(size=(3, 6)), rng.normal(size=(3, 6)), rng.uniform(0.2, 0.8, 3),
                  rng.normal(size=(3, PROJECTIONS, 6)), np.ones(3))
    shaped = flat._replace(**{field: getattr(flat, field).reshape(3, *lead, 2, 3, 1)
                              for field, lead in (("x", ()), ("noise", ()), ("projections", (PROJECTIONS,)))})

    def score(mix, x, time):
        return (jnp.sin(x.reshape(3, 6) @ mix.T) * time[:, None]).reshape(x.shape)

    def of(batch):
        loss = LOSSES[name]
        how = {"true_score_fn": lambda x, time: jnp.cos(x)} if name == "explicit" else {}
        return loss(mix, batch, score_fn=score, **how)

    both = jax.jit(lambda *both: [of(one) for one in both])(shaped, flat)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-10), *both)


@pytest.mark.parametrize("name", ["denoising", "edm", "flow"])
def test_losses_against_noise_look_once_and_need_no_projections(name):
    looks = []

    def counted(params, x, time, labels):
        looks.append(len(x))
        return score_fn(params, x, time, labels)

    LOSSES[name](PARAMS, BATCH._replace(projections=BATCH.projections[:, :0]), score_fn=counted)
    assert looks == [ROWS]


def test_little_noise_costs_the_losses_no_digits():
    """At σ = 1e-4 data of 100 are what x_t is made of to 1e-6 of it; (D − x)² would be lost in that."""
    batch = Noised(np.full((1, 2), 100, np.float32), np.array([[0.5, -1.5]], np.float32),
                   np.array([1e-4], np.float32), np.ones((1, 0, 2), np.float32), np.ones(1, np.float32))
    score = np.array([[1000.0, 2000.0]], np.float32)
    r = 1e-4 * score.astype(float) + batch.noise
    how = {"score_fn": lambda params, x, time: jnp.asarray(score), "process": by_level(1e-5, 1.0)}
    np.testing.assert_allclose(denoising_loss(None, batch, **how)[0], np.sum(r**2) / 2, rtol=1e-5)
    np.testing.assert_allclose(edm_loss(None, batch, sigma_data=1.0, **how)[0], np.sum(r**2) * (1 + 1e-8), rtol=1e-5)


def test_near_all_noise_the_flow_is_finite():
    """At t = 0.999 f is −1000; the loss of an exact score of normal data stays that of the paths, about D · 2."""
    batch = draw_noised(jax.random.key(0), jax.random.normal(jax.random.key(1), (4_000, 2)), jnp.full(4_000, 0.999))

    def normal(params, x, time):
        return -x / ((1 - time) ** 2 + time**2)[:, None]

    assert abs(flow_matching_loss(None, batch, score_fn=normal)[0] - 2) < 0.2


@every_loss
def test_a_score_of_another_shape_is_refused(name):
    with pytest.raises(ValueError, match=r"score_fn must return the shape of x, \(4, 2\), got \(4, 2, 1\)"):
        LOSSES[name](PARAMS, BATCH, score_fn=lambda *given: score_fn(*given)[..., None])


@pytest.mark.parametrize("changed, words", [
    ({"time": BATCH.time[:, None]}, r"must have the rows of x, \(4, 2\), got \(4, 1\), \(4,\), \(4,\)"),
    ({"conditions": (np.ones((3, 2)),)}, r"must have the rows of x, \(4, 2\), got \(4,\), \(4,\), \(3, 2\)"),
    ({"projections": BATCH.projections[:3]}, "projections must be"),
    ({"projections": BATCH.projections[..., :1]}, "projections must be"),
    ({"x": np.float32(1), "noise": np.float32(1)}, "must have the rows of x"),
])
def test_batches_that_do_not_fit_are_refused(changed, words):
    for loss in (denoising_loss, implicit_loss):
        with pytest.raises(ValueError, match=words):
            loss(PARAMS, BATCH._replace(**changed), score_fn=score_fn, process=sub_variance_preserving())


@pytest.mark.parametrize("field", ["x", "noise", "time", "projections"])
def test_types_that_are_not_floating_are_refused(field):
    with pytest.raises(TypeError, match=f"{field} must be floating, got int32"):
        denoising_loss(PARAMS, BATCH._replace(**{field: getattr(BATCH, field).astype(np.int32)}), score_fn=score_fn)
