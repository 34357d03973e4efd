"""The gradients by hand: against finite differences, second order too, at extremes, and what the formulas promise."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from sandbox.reinforce import derivatives, exact, tabular
from sandbox.reinforce.baselines import optimal_constant
from sandbox.reinforce.distributions import CATEGORICAL, GAUSSIAN, Gaussian
from sandbox.reinforce.losses import Decisions, Returns, clipped_policy_gradient, policy_gradient, value_error
from sandbox.reinforce.regulator import DOUBLE_INTEGRATOR, linear_gaussian_return
from sandbox.reinforce.tabular import MDP

ROWS, NUMBERS = 4, 3
MEANS = np.array([1.0, -0.5, 2.0])


def process(seed=0, states=3, actions=2):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(size=(states, actions))), MDP(
        rng.dirichlet(np.ones(states), (states, actions)), rng.normal(size=(states, actions)),
        rng.dirichlet(np.ones(states)), np.zeros(states, bool))


def problem(distribution):
    """A head, decisions of another policy, and one that is padding; no ratio is near 0.8 or 1.2, where a clip bends."""
    rng = np.random.default_rng(1)
    if distribution is CATEGORICAL:
        head, actions = jnp.asarray(rng.normal(size=(ROWS, NUMBERS))), jnp.array([0, 2, 1, 1])
    else:
        head = Gaussian(*jnp.asarray(rng.normal(size=(2, ROWS, NUMBERS)) / 2))
        actions = jnp.asarray(rng.normal(size=(ROWS, NUMBERS)))
    ratios = jnp.array([1.1, 1.5, 0.5, 0.9])  # within; too far, and so is the third, whose advantage is below 0
    batch = Decisions(jnp.zeros((ROWS, 1)), actions, jnp.array([1.0, 2.0, -1.5, 3.0]),
                      distribution.log_prob(head, actions) - jnp.log(ratios), jnp.array([1.0, 2.0, 0.5, 0.0]))
    return head, batch


def of_head(loss, batch, **how):
    return lambda head: loss(head, batch, apply_fn=lambda head, observations: head, **how)[0]


@pytest.mark.parametrize("distribution", [CATEGORICAL, GAUSSIAN])
@pytest.mark.parametrize("loss, how", [(policy_gradient, {}), (clipped_policy_gradient, {"clip": 0.2})])
def test_losses_by_finite_differences_to_second_order(distribution, loss, how, float64):
    head, batch = problem(distribution)
    check_grads(jax.jit(of_head(loss, batch, distribution=distribution, entropy_weight=0.1, **how)), (head,), order=2,
                modes=("rev",))


def test_values_by_finite_differences_to_second_order(float64):
    batch = Returns(jnp.zeros((2, 1)), jnp.array([1.0, 3.0]), jnp.array([1.0, 2.0]))
    check_grads(jax.jit(of_head(value_error, batch)), (jnp.array([0.5, -1.0]),), order=2, modes=("rev",))


def test_expected_returns_by_finite_differences(float64):
    theta, mdp = process()
    how = {"horizon": 4, "discount": 0.9}
    check_grads(jax.jit(functools.partial(tabular.expected_return, mdp=mdp, **how)), (theta,), order=1, modes=("rev",))
    policy = jnp.array([[1.0, 1.5]]), jnp.array([-0.5])
    check_grads(jax.jit(functools.partial(linear_gaussian_return, system=DOUBLE_INTEGRATOR, **how)), policy, order=1,
                modes=("rev",))


def test_gradients_by_hand_are_differentiable_again(float64):
    """The Hessian of a return, as the Jacobian of its gradient by hand."""
    theta, mdp = process()
    how = {"horizon": 4, "discount": 0.9}
    by_hand, truth = jax.jit(lambda theta: (
        jax.jacfwd(lambda theta: exact.tabular_policy_gradient(theta, mdp, **how))(theta),
        jax.hessian(lambda theta: tabular.expected_return(theta, mdp, **how))(theta)))(theta)
    np.testing.assert_allclose(by_hand, truth, rtol=1e-10, atol=1e-12)


def test_only_the_ratio_has_the_second_derivative_of_the_return(float64):
    """Every arm of a bandit once, weighted by its probability: both surrogates have ∇J, and of ∇²J only the one by
    ratios; that by logarithms lacks E[∇ log π ∇ log πᵀ G]."""
    logits = jnp.array([0.3, -0.2, 0.7])
    arms, probabilities = jnp.arange(NUMBERS), jax.nn.softmax(logits)
    batch = Decisions(jnp.zeros((NUMBERS, 1)), arms, jnp.asarray(MEANS), jnp.log(probabilities), probabilities)

    def earned(loss):
        return lambda logits: -of_head(loss, batch)(jnp.broadcast_to(logits, (NUMBERS, NUMBERS)))

    def truth(logits):
        return jax.nn.softmax(logits) @ MEANS

    by_log, by_ratio = earned(policy_gradient), earned(clipped_policy_gradient)
    for surrogate in (by_log, by_ratio):
        np.testing.assert_allclose(jax.jit(jax.grad(surrogate))(logits), derivatives.fisher_product(logits, MEANS),
                                   rtol=1e-12)
    of_log, of_ratio, of_return = jax.jit(lambda logits: [jax.hessian(f)(logits) for f in (by_log, by_ratio, truth)])(
        logits)
    np.testing.assert_allclose(of_ratio, of_return, rtol=1e-10, atol=1e-14)
    scores = derivatives.categorical_score(jnp.broadcast_to(logits, (NUMBERS, NUMBERS)), arms)
    lacking = jnp.einsum("n,ni,nj->ij", probabilities * MEANS, scores, scores)
    np.testing.assert_allclose(of_log + lacking, of_return, rtol=1e-10, atol=1e-14)
    assert np.max(np.abs(lacking)) > 0.1


def test_a_clip_lets_go_only_of_what_goes_with_the_advantage(float64):
    """Of ratios 1.5 and 0.5 under advantages of both signs, two are free to come back."""
    logits, actions = jnp.zeros((4, 2)), jnp.zeros(4, int)
    log_probs, ratios = CATEGORICAL.log_prob(logits, actions), jnp.array([1.5, 1.5, 0.5, 0.5])
    batch = Decisions(jnp.zeros((4, 1)), actions, jnp.array([1.0, -1.0, 1.0, -1.0]), log_probs - jnp.log(ratios),
                      jnp.ones(4))
    by_hand, by_jax = jax.jit(lambda logits: (
        derivatives.clipped_policy_gradient_grad(logits, log_probs, batch, clip=0.2),
        jax.grad(of_head(clipped_policy_gradient, batch, clip=0.2))(logits)))(logits)
    np.testing.assert_allclose(by_hand[:, 0], [0, 1.5 / 8, -0.5 / 8, 0], rtol=1e-12)
    np.testing.assert_allclose(by_hand, by_jax, rtol=1e-12)


def test_padding_and_a_batch_of_nothing_have_no_gradient():
    head, batch = problem(CATEGORICAL)
    by_hand = derivatives.policy_gradient_grad(head, batch, entropy_weight=0.1)
    assert jnp.all(by_hand[-1] == 0) and jnp.all(by_hand[0] != 0)
    nothing = batch._replace(weights=jnp.zeros(ROWS))
    assert jnp.all(derivatives.policy_gradient_grad(head, nothing, entropy_weight=0.1) == 0)
    assert jnp.all(derivatives.value_error_grad(jnp.ones(2), Returns(jnp.zeros((2, 1)), jnp.zeros(2), jnp.zeros(2)))
                   == 0)


def test_a_policy_that_is_certain_has_finite_gradients():
    logits = jnp.array([[0.0, 200.0, -200.0]])
    for of in (derivatives.categorical_score(logits, jnp.array([0])), derivatives.categorical_entropy_grad(logits),
               derivatives.fisher_product(logits, logits)):
        assert jnp.all(jnp.isfinite(of))
    np.testing.assert_array_equal(derivatives.categorical_score(logits, jnp.array([0])), [[1, -1, 0]])
    np.testing.assert_array_equal(derivatives.categorical_entropy_grad(logits), [[0, 0, 0]])


def test_the_natural_gradient_of_a_bandit_does_not_ask_for_the_policy(float64):
    """F⁺ ∇J = m − mean(m), for a policy nearly certain of the wrong arm as well."""
    for logits in (jnp.zeros(3), jnp.array([2.0, -3.0, 0.0])):
        F = jax.vmap(derivatives.fisher_product, (None, 0))(logits, jnp.eye(3))
        natural = jnp.linalg.pinv(F) @ derivatives.fisher_product(logits, MEANS)
        np.testing.assert_allclose(natural, MEANS - MEANS.mean(), rtol=1e-8)


def test_no_constant_baseline_has_less_variance_than_the_optimal_one(float64):
    theta, mdp = process(2)

    @jax.jit
    def variances(offsets):
        episodes = exact.enumerate_episodes(theta, mdp, horizon=1)
        scores = derivatives.categorical_score(theta[episodes.states[:, 0]], episodes.actions[:, 0])
        of = functools.partial(exact.baseline_variance, scores, episodes.rewards[:, 0], episodes.probabilities)
        return jax.vmap(of)(offsets + optimal_constant(jnp.sum(scores**2, axis=1), episodes.rewards[:, 0],
                                                       episodes.probabilities))

    far_below, below, least, above, far_above = variances(jnp.array([-1.0, -1e-3, 0.0, 1e-3, 1.0]))
    assert far_below > below > least < above < far_above


def test_a_gain_that_is_optimal_has_no_gradient(float64):
    """K of Riccati's equation, with a discount that makes 400 steps as good as all."""
    A, B, Q, R, _, _ = (np.array(part) for part in DOUBLE_INTEGRATOR)
    P, discount = Q, 0.9
    for _ in range(400):
        K = np.linalg.solve(R + discount * B.T @ P @ B, discount * B.T @ P @ A)
        P = Q + discount * A.T @ P @ (A - B @ K)
    of_gain = jax.jit(functools.partial(exact.regulator_grad, system=DOUBLE_INTEGRATOR, horizon=400,
                                        discount=discount))
    best, other = (of_gain(jnp.asarray(gain), jnp.array([-0.5]))[0] for gain in (K, 1.1 * K))
    assert np.max(np.abs(best)) < 1e-12 < 1e-3 < np.max(np.abs(other))
