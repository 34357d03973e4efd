"""Both losses: by a plain loop, who holds still, what a penalty costs, and what padding, images and labels do."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.gan import CRITERIA, RELATIVISTIC, WASSERSTEIN, Pairs, discriminator_loss, generator_loss
from tests.sandbox.gan.cases import BATCH, DISCRIMINATOR, GENERATOR, NETWORKS, OF_DISCRIMINATOR, ROWS

REAL_ROWS = BATCH.weights > 0
LINEAR = {"generate": lambda params, latents: params * latents, "discriminate": lambda params, x: x @ params}


def in_double(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64 if leaf.dtype == np.float32 else None), tree)


@functools.partial(jax.jit, static_argnums=0, static_argnames=("criterion", "r1", "r2", "gradient_penalty"))
def of_loss(loss, params, batch, opponent, **how):
    return loss(params, batch, opponent=opponent, **NETWORKS, **how)


def generated(params, n):
    B, c = params["same"]
    return B @ BATCH.latents[n] + c + params["own"][BATCH.conditions[0][n]]


def logit_and_slope(params, x, n):
    W, b, v, a = params["same"]
    own, h = params["own"][BATCH.conditions[0][n]], np.tanh(W @ x + b)
    return v @ h + a + own @ x, W.T @ (v * (1 - h**2)) + own


def softplus(x):
    return np.log1p(np.exp(x))


@pytest.mark.parametrize("r1, r2, gradient_penalty", [
    (0.5, 0.2, 2.0), (0.5, 0.0, 0.0), (0.0, 0.2, 2.0), (0.0, 0.0, 0.0)])
def test_losses_are_plain_loops(r1, r2, gradient_penalty, float64):
    D, G, batch = in_double((DISCRIMINATOR, GENERATOR, BATCH))
    of_discriminator, of_generator = [], []
    for n in range(ROWS):
        x, fake, m = batch.real[n], generated(G, n), batch.mix[n]
        (real_logit, at_real), (fake_logit, at_fake) = logit_and_slope(D, x, n), logit_and_slope(D, fake, n)
        _, between = logit_and_slope(D, (1 - m) * x + m * fake, n)
        of_discriminator.append(softplus(fake_logit - real_logit) + r1 / 2 * at_real @ at_real
                                + r2 / 2 * at_fake @ at_fake + gradient_penalty * (np.linalg.norm(between) - 1) ** 2)
        of_generator.append(softplus(real_logit - fake_logit))
    value, aux = of_loss(discriminator_loss, D, batch, G, criterion=RELATIVISTIC, r1=r1, r2=r2,
                         gradient_penalty=gradient_penalty)
    np.testing.assert_allclose(value, np.average(of_discriminator, weights=BATCH.weights), rtol=1e-12)
    assert [part is None for part in aux] == [False, False, r1 == 0, r2 == 0, gradient_penalty == 0]
    assert all(part is None or part.shape == (ROWS,) for part in aux)
    value, _ = of_loss(generator_loss, G, batch, D, criterion=RELATIVISTIC)
    np.testing.assert_allclose(value, np.average(of_generator, weights=BATCH.weights), rtol=1e-12)


@pytest.mark.parametrize("criterion", CRITERIA.values(), ids=CRITERIA)
def test_values_are_the_mean_of_the_criterion_at_the_logits_of_both(criterion):
    value, aux = discriminator_loss(DISCRIMINATOR, BATCH, opponent=GENERATOR, criterion=criterion, **NETWORKS)
    np.testing.assert_allclose(value, np.average(criterion.discriminator(*aux[:2]), weights=BATCH.weights), rtol=1e-5)
    value, same = generator_loss(GENERATOR, BATCH, opponent=DISCRIMINATOR, criterion=criterion, **NETWORKS)
    np.testing.assert_allclose(value, np.average(criterion.generator(*same), weights=BATCH.weights), rtol=1e-5)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), tuple(same), tuple(aux[:2]))


@pytest.mark.parametrize("loss, own, other", [(discriminator_loss, DISCRIMINATOR, GENERATOR),
                                              (generator_loss, GENERATOR, DISCRIMINATOR)])
def test_the_opponent_stands_still_unless_let_go(loss, own, other, float64):
    own, other, batch = in_double((own, other, BATCH))
    how = OF_DISCRIMINATOR if loss is discriminator_loss else {"criterion": RELATIVISTIC, **NETWORKS}

    def value(params, opponent, held):
        return loss(params, batch, **how | {"opponent": opponent, "held": held})[0]

    slopes = jax.jit(jax.grad(value, 1), static_argnums=2)
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(slopes(own, other, True)))
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(slopes(own, other, False)) if leaf.shape)


def test_a_linear_discriminator_pays_half_gamma_times_its_squared_slope(float64):
    psi, batch = jnp.array([3.0, -4.0]), Pairs(*map(jnp.asarray, np.random.default_rng(0).normal(size=(2, 3, 2))),
                                              jnp.zeros(3), jnp.ones(3))
    of = jax.jit(lambda **how: discriminator_loss(psi, batch, opponent=jnp.array(1.0), criterion=WASSERSTEIN, **LINEAR,
                                                  **how)[0])
    by_criterion = jnp.mean((batch.latents - batch.real) @ psi)
    np.testing.assert_allclose(of(r1=0.6, r2=0.0, gradient_penalty=0.0) - by_criterion, 0.3 * 25, rtol=1e-12)
    np.testing.assert_allclose(of(r1=0.0, r2=0.6, gradient_penalty=0.0) - by_criterion, 0.3 * 25, rtol=1e-12)
    np.testing.assert_allclose(of(r1=0.0, r2=0.0, gradient_penalty=0.5) - by_criterion, 0.5 * (5 - 1) ** 2, rtol=1e-12)


def test_a_flat_discriminator_pays_the_whole_gradient_penalty_and_is_not_pushed_to_nan():
    batch = Pairs(jnp.ones((2, 2)), jnp.ones((2, 2)), jnp.zeros(2), jnp.ones(2))
    value, slope = jax.jit(jax.value_and_grad(lambda psi: discriminator_loss(
        psi, batch, opponent=1.0, criterion=WASSERSTEIN, gradient_penalty=3.0, **LINEAR)[0]))(jnp.zeros(2))
    assert value == 3 and np.all(slope == 0)


def test_a_weight_that_is_traced_weighs_as_the_number_does():
    traced = jax.jit(lambda weights: discriminator_loss(
        DISCRIMINATOR, BATCH, opponent=GENERATOR, criterion=RELATIVISTIC, **weights, **NETWORKS)[0])
    for numbers in ((0.5, 0.2, 2.0), (0.0, 0.0, 0.0)):
        weights = dict(zip(("r1", "r2", "gradient_penalty"), numbers))
        known, _ = of_loss(discriminator_loss, DISCRIMINATOR, BATCH, GENERATOR, criterion=RELATIVISTIC, **weights)
        np.testing.assert_allclose(traced(weights), known, rtol=1e-5)


@pytest.mark.parametrize("name", ["r1", "r2", "gradient_penalty"])
@pytest.mark.parametrize("weight", [-1.0, float("nan"), np.float32(-1)])
def test_a_penalty_that_is_below_zero_is_refused(name, weight):
    with pytest.raises(ValueError, match=f"{name} must be at least 0, got {weight}"):
        discriminator_loss(DISCRIMINATOR, BATCH, **OF_DISCRIMINATOR | {name: weight})


@pytest.mark.parametrize("penalties, rows", [
    ((), [2]), (("r1", "r2"), [2]), (("r1",), [1, 1]), (("gradient_penalty",), [1, 2]),
    (("r2", "gradient_penalty"), [1, 2]), (("r1", "r2", "gradient_penalty"), [3]),
])
def test_the_discriminator_looks_once_at_all_whose_slopes_are_asked_for_and_once_at_the_others(penalties, rows):
    looked = []

    def discriminate(params, x):
        looked.append(len(x) // 4)
        return x @ params

    batch = Pairs(jnp.ones((4, 2)), jnp.ones((4, 2)), jnp.zeros(4), jnp.ones(4))
    discriminator_loss(jnp.ones(2), batch, opponent=1.0, **LINEAR | {"discriminate": discriminate},
                       **dict.fromkeys(penalties, 0.5))
    assert sorted(looked) == rows


def with_nan(name, row):
    values = np.array(getattr(BATCH, name), copy=True)
    values[row] = np.nan
    return BATCH._replace(**{name: values})


@pytest.mark.parametrize("loss", [discriminator_loss, generator_loss])
def test_what_is_nan_is_seen_where_it_counts_and_not_in_padding(loss):
    own, how = ((DISCRIMINATOR, OF_DISCRIMINATOR) if loss is discriminator_loss else
                (GENERATOR, {"opponent": DISCRIMINATOR, "criterion": RELATIVISTIC, **NETWORKS}))
    of = jax.jit(jax.value_and_grad(lambda params, batch: loss(params, batch, **how)[0]))
    plain = of(own, BATCH)
    padding, = np.flatnonzero(~REAL_ROWS)
    for name in ("real", "latents", "mix"):
        jax.tree.map(np.testing.assert_array_equal, of(own, with_nan(name, padding)), plain)
        assert np.isnan(of(own, with_nan(name, 0))[0]) == (name != "mix" or loss is discriminator_loss)


def test_a_row_of_weight_2_is_a_row_twice(float64):
    D, G, batch = in_double((DISCRIMINATOR, GENERATOR, BATCH))
    twice = jax.tree.map(lambda leaf: np.concatenate([leaf, leaf[1:2]]), batch)._replace(
        weights=np.array([1, 1, 0.5, 0, 1]))
    for loss, own, other, how in ((discriminator_loss, D, G, {"r1": 0.5, "r2": 0.2, "gradient_penalty": 2.0}),
                                  (generator_loss, G, D, {})):
        one, same = (of_loss(loss, own, rows, other, criterion=RELATIVISTIC, **how)[0] for rows in (twice, batch))
        np.testing.assert_allclose(one, same, rtol=1e-12)


@pytest.mark.parametrize("shape", [(), (2, 3, 1)])
def test_samples_of_any_shape_have_slopes_over_all_of_it(shape, float64):
    """Of D(x) = k · sin x, flattened: ∇D = k cos x."""
    rng = np.random.default_rng(0)
    real, k = rng.normal(size=(4, *shape)), rng.normal(size=shape)
    batch = Pairs(real, np.ones((4, 1)), np.full(4, 0.25), np.ones(4))
    size = int(np.prod(shape))
    _, aux = jax.jit(functools.partial(
        discriminator_loss, opponent=0.5, r1=1.0, gradient_penalty=1.0,
        generate=lambda scale, latents: scale * jnp.ones(real.shape),
        discriminate=lambda k, x: jnp.sin(x).reshape(-1, size) @ k.reshape(size)))(k, batch)
    between = 0.75 * real + 0.25 * 0.5
    for found, x in ((aux.real_squared_slopes, real), (aux.slopes_between**2, between)):
        np.testing.assert_allclose(found, np.sum((k * np.cos(x)).reshape(4, -1) ** 2, axis=1), rtol=1e-12)


@pytest.mark.parametrize("changed, words", [
    ({"real": np.float32(1)}, "must have the rows of real"),
    ({"mix": BATCH.mix[:, None]}, "must have the rows of real"),
    ({"conditions": (BATCH.conditions[0], np.ones((3, 2)))}, r"got \(4, 2\), \(4,\), \(4,\), \(4,\), \(3, 2\)"),
    ({"latents": BATCH.latents[:, 0]}, r"latents must be \(N, L\) with L of at least 1, got \(4,\)"),
])
def test_batches_that_do_not_fit_are_refused(changed, words):
    for loss, own, other in ((discriminator_loss, DISCRIMINATOR, GENERATOR),
                             (generator_loss, GENERATOR, DISCRIMINATOR)):
        with pytest.raises(ValueError, match=words):
            loss(own, BATCH._replace(**changed), opponent=other, **NETWORKS)
