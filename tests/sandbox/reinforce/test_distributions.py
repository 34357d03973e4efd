"""What heads say: against SciPy, and by counting what is drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sandbox.reinforce import (
    CARTPOLE,
    CATEGORICAL,
    GAUSSIAN,
    PENDULUM,
    REGULATOR,
    Gaussian,
    StateValue,
    environment_named,
    policy_for,
)

RNG = np.random.default_rng(0)
NUM = 100_000


def test_categorical_is_scipy_s(float64):
    logits, actions = 2 * RNG.normal(size=(5, 4, 3)), RNG.integers(0, 3, (5, 4))
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(CATEGORICAL.log_prob(jnp.asarray(logits), jnp.asarray(actions)),
                               np.log(np.take_along_axis(p, actions[..., None], axis=-1)[..., 0]), rtol=1e-12)
    np.testing.assert_allclose(CATEGORICAL.entropy(jnp.asarray(logits)), scipy.stats.entropy(p, axis=-1), rtol=1e-12)
    np.testing.assert_array_equal(CATEGORICAL.mode(jnp.asarray(logits)), p.argmax(axis=-1))


def test_gaussian_is_scipy_s(float64):
    mean, log_std, actions = RNG.normal(size=(3, 5, 2))
    found = Gaussian(jnp.asarray(mean), jnp.asarray(log_std))
    scipys = [scipy.stats.multivariate_normal(m, np.diag(np.exp(2 * s))) for m, s in zip(mean, log_std)]
    np.testing.assert_allclose(GAUSSIAN.log_prob(found, jnp.asarray(actions)),
                               [one.logpdf(a) for one, a in zip(scipys, actions)], rtol=1e-12)
    np.testing.assert_allclose(GAUSSIAN.entropy(found), [one.entropy() for one in scipys], rtol=1e-12)
    np.testing.assert_array_equal(GAUSSIAN.mode(found), mean)


def test_actions_are_drawn_as_often_as_they_are_likely():
    """By χ² of 100,000 draws: of the true probabilities it would fail for one seed in a million. An action of
    probability 0, at either end or between, is never drawn."""
    logits = jnp.array([-jnp.inf, 0.0, 1.0, -jnp.inf, -3.0, 2.0, -jnp.inf])
    noise = CATEGORICAL.noise(jax.random.key(0), (NUM,), len(logits))
    drawn = CATEGORICAL.sample(jnp.broadcast_to(logits, (NUM, len(logits))), noise)
    assert drawn.dtype == jnp.int32
    counts, expected = np.bincount(drawn, minlength=len(logits)), NUM * np.float64(jax.nn.softmax(logits))
    possible = expected > 0
    assert np.all(counts[~possible] == 0)
    right = expected[possible] * NUM / expected.sum()
    assert scipy.stats.chisquare(counts[possible], right).pvalue > 1e-6
    assert scipy.stats.chisquare(counts[possible], np.roll(right, 1)).pvalue < 1e-6


def test_an_action_that_cannot_be_is_not_drawn_at_the_edge_either():
    logits = jnp.array([-jnp.inf, 0.0, -jnp.inf])
    np.testing.assert_array_equal(CATEGORICAL.sample(jnp.broadcast_to(logits, (2, 3)), jnp.array([0.0, 1 - 2**-24])), 1)


def test_numbers_are_drawn_from_their_normal():
    """By Kolmogorov and Smirnov's test, of both numbers: true ones would fail for one seed in a million."""
    head = Gaussian(*(jnp.broadcast_to(jnp.array(row), (NUM, 2)) for row in ([1.0, -2.0], [0.5, -1.0])))
    drawn = np.asarray(GAUSSIAN.sample(head, GAUSSIAN.noise(jax.random.key(0), (NUM,), 2)))
    for number, (mean, log_std) in enumerate(((1.0, 0.5), (-2.0, -1.0))):
        def pvalue(std, drawn=drawn[:, number], mean=mean):
            return scipy.stats.kstest((drawn - mean) / std, scipy.stats.norm.cdf).pvalue
        assert pvalue(np.exp(log_std)) > 5e-7 and pvalue(1.05 * np.exp(log_std)) < 5e-7
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 5 / NUM**0.5


def test_an_unknown_action_has_no_probability_and_the_others_keep_theirs():
    found = CATEGORICAL.log_prob(jnp.zeros((4, 2)), jnp.array([0, -1, 2, 1]))
    np.testing.assert_array_equal(jnp.isnan(found), [False, True, True, False])


def test_a_certain_policy_has_no_entropy_and_a_finite_log():
    logits = jnp.array([0.0, 1000.0])
    assert CATEGORICAL.entropy(logits) == 0 and CATEGORICAL.log_prob(logits, jnp.array(0)) == -1000


@pytest.mark.parametrize("call, error, words", [
    (lambda: CATEGORICAL.log_prob(jnp.zeros((4, 2)), jnp.zeros(3, int)), ValueError,
     r"actions of a categorical policy with logits \(4, 2\) must be \(4,\), got \(3,\)"),
    (lambda: CATEGORICAL.log_prob(jnp.zeros((4, 2)), jnp.zeros(4)), TypeError,
     "actions of a categorical policy must be integers, got float32"),
    (lambda: CATEGORICAL.log_prob(Gaussian(jnp.zeros((4, 2)), jnp.zeros((4, 2))), jnp.zeros(4, int)), TypeError,
     "the head of a categorical policy must be logits, got a Gaussian"),
    (lambda: GAUSSIAN.log_prob(Gaussian(jnp.zeros((4, 2)), jnp.zeros((4, 2))), jnp.zeros(4)), ValueError,
     r"actions of a Gaussian policy with mean \(4, 2\) must be of that shape, got \(4,\)"),
    (lambda: GAUSSIAN.log_prob(jnp.zeros((4, 2)), jnp.zeros((4, 2))), TypeError,
     "the head of a Gaussian policy must be a Gaussian, got ArrayImpl"),
    (lambda: GAUSSIAN.sample(Gaussian(jnp.zeros((4, 2)), jnp.zeros((4, 2))), jnp.zeros((4, 1))), ValueError,
     r"noise must be of the shape of the mean, \(4, 2\), got \(4, 1\)"),
    (lambda: CATEGORICAL.sample(jnp.zeros((4, 2)), jnp.zeros((4, 2))), ValueError,
     r"noise of logits \(4, 2\) must be \(4,\), got \(4, 2\)"),
])
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("environment, family, size, scale", [
    (CARTPOLE, CATEGORICAL, 2, None), (PENDULUM, GAUSSIAN, 1, 2.0), (REGULATOR, GAUSSIAN, 1, 1.0)])
def test_a_policy_fits_its_environment(environment, family, size, scale):
    """At first all actions are nearly as likely, or the mean is near 0 and the spread half of what a Box allows."""
    network, distribution = policy_for(environment, widths=(8,))
    assert distribution == family and environment.actions.size == size
    observations = RNG.normal(size=(3, 5, environment.observation_size)).astype(np.float32)

    @jax.jit
    def at_first(key):
        params = network.init(key, observations[0, 0])
        head = network.apply(params, observations)
        actions = distribution.sample(head, distribution.noise(key, (3, 5), size))
        return params, head, actions, distribution.log_prob(head, actions), network.apply(params, observations[1, 2])

    params, head, actions, log_probs, one = at_first(jax.random.key(0))
    assert actions.shape == (3, 5, *environment.actions.shape) and log_probs.shape == (3, 5)
    jax.tree.map(lambda all_, one: np.testing.assert_allclose(all_[1, 2], one, rtol=1e-4, atol=1e-6), head, one)
    if scale is None:
        assert head.shape == (3, 5, size) and 0 < np.abs(head).max() < 0.1
    else:
        assert head.mean.shape == head.log_std.shape == (3, 5, size) and 0 < np.abs(head.mean).max() < 0.1 * scale
        np.testing.assert_allclose(head.log_std, np.log(scale), atol=1e-6)
        assert params["params"]["log_std"].shape == (size,)


def test_a_value_is_a_number_for_each_state():
    network = StateValue((8,))
    values, params = jax.jit(lambda key: network.init_with_output(key, jnp.ones((3, 5, 2))))(jax.random.key(0))
    assert values.shape == (3, 5)
    assert {leaf.shape for leaf in jax.tree.leaves(params)} == {(2, 8), (8,), (8, 1), (1,)}


def test_an_environment_that_nobody_knows_is_refused():
    assert environment_named("Pendulum-v1") is PENDULUM
    with pytest.raises(ValueError, match=r"there is no environment 'cartpole-v1'; perhaps CartPole-v1\? All: CartPole"):
        environment_named("cartpole-v1")
    with pytest.raises(ValueError, match="there is no environment 'Go'; All: CartPole-v1, Acrobot-v1, Pendulum-v1, "
                                         "MountainCarContinuous-v0, grid, bandit, regulator"):
        environment_named("Go")
