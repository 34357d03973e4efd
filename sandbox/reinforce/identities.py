"""What this wing satisfies: scores and losses by hand, and the policy gradient by enumeration, by theorem, by JAX."""

from functools import partial

import jax
import jax.numpy as jnp

from sandbox.identities import Identity, finite_difference, normals
from sandbox.reinforce import derivatives, exact
from sandbox.reinforce.baselines import optimal_constant
from sandbox.reinforce.distributions import CATEGORICAL, GAUSSIAN, Gaussian
from sandbox.reinforce.losses import Decisions, Returns, clipped_policy_gradient, policy_gradient, value_error
from sandbox.reinforce.regulator import LinearQuadratic, linear_gaussian_return
from sandbox.reinforce.tabular import MDP, action_values, expected_return, state_values, state_visits

__all__ = ["IDENTITIES"]

ROWS, NUMBERS, STATES, ACTIONS, HORIZON, LONGER = 5, 3, 3, 2, 3, 6
DISCOUNT, ENTROPY_WEIGHT, CLIP = 0.9, 0.1, 0.2
OF_GAUSSIAN = {"score": derivatives.gaussian_score, "entropy_grad": derivatives.gaussian_entropy_grad}


def _batch(actions, advantages, log_probs):
    """Decisions of which one is padding."""
    weights = jnp.arange(ROWS).astype(advantages.dtype)
    return Decisions(jnp.zeros((ROWS, 1), advantages.dtype), actions, advantages, log_probs, weights)


def _categorical(key, dtype):
    """Logits, and decisions of another policy not far away."""
    logits, advantages, away, order = normals((ROWS, NUMBERS), (ROWS,), (ROWS,), (ROWS, NUMBERS))(key, dtype)
    actions = jnp.argmax(order, axis=-1)
    return logits, _batch(actions, advantages, CATEGORICAL.log_prob(logits, actions) + away / 3)


def _gaussian(key, dtype):
    mean, log_std, actions, advantages, away = normals(*[(ROWS, NUMBERS)] * 3, (ROWS,), (ROWS,))(key, dtype)
    head = Gaussian(mean, log_std / 2)
    return head, _batch(actions, advantages, GAUSSIAN.log_prob(head, actions) + away / 3)


def _of_loss(loss, head, batch, **how):
    """∇ of a loss to the head, the network being none."""
    return jax.grad(lambda head: loss(head, batch, apply_fn=lambda head, observations: head, **how)[0])(head)


def _score_and_entropy(distribution, head, batch):
    def of_score(head):
        return jnp.sum(distribution.log_prob(head, batch.actions))
    return jax.grad(of_score)(head), jax.grad(lambda head: jnp.sum(distribution.entropy(head)))(head)


def _clipped(distribution, head, batch, **how):
    return derivatives.clipped_policy_gradient_grad(head, distribution.log_prob(head, batch.actions), batch, **how)


def _values(key, dtype):
    values, returns = normals((ROWS,), (ROWS,))(key, dtype)
    return values, Returns(jnp.zeros((ROWS, 1), dtype), returns, jnp.arange(ROWS).astype(dtype))


def _process(key, dtype):
    """A policy, another, and a Markov decision process that may end."""
    pairs = (STATES, ACTIONS)
    theta, other, moves, rewards, first = normals(pairs, pairs, (*pairs, STATES), pairs, (STATES,))(key, dtype)
    terminal = jnp.arange(STATES) == STATES - 1
    transitions = jnp.where(terminal[:, None, None], jnp.eye(STATES, dtype=dtype)[None, -1:], jax.nn.softmax(moves))
    start = jax.nn.softmax(jnp.where(terminal, -jnp.inf, first))
    return theta, other, MDP(transitions, jnp.where(terminal[:, None], 0, rewards), start, terminal)


def _return_grad(theta, other, mdp, horizon=LONGER):
    return jax.grad(partial(expected_return, mdp=mdp, horizon=horizon, discount=DISCOUNT))(theta)


def _by_theorem(theta, other, mdp):
    return exact.tabular_policy_gradient(theta, mdp, horizon=LONGER, discount=DISCOUNT)


def _by_enumeration(theta, other, mdp):
    return exact.enumerated_policy_gradient(theta, mdp, horizon=HORIZON, discount=DISCOUNT)


def _episode_scores(theta, episodes):
    """∇ log p(τ) to θ, (N, S A): the sum of the scores of its decisions."""
    at = jax.nn.one_hot(episodes.states, STATES, dtype=theta.dtype) * episodes.weights[..., None]
    scores = derivatives.categorical_score(theta[episodes.states], episodes.actions)
    return jnp.einsum("nts,nta->nsa", at, scores).reshape(-1, theta.size)


def _to_go_with_baseline(theta, other, mdp):
    """E Σ_t (Σ_{k ≥ t} γ^k r_k − γ^t b_t(s_t)) ∇ log π, with any b: that of another policy's values."""
    episodes = exact.enumerate_episodes(theta, mdp, horizon=HORIZON)
    powers = jnp.asarray(DISCOUNT, theta.dtype) ** jnp.arange(HORIZON)[None]
    to_go = jnp.cumsum((powers * episodes.rewards)[:, ::-1], axis=1)[:, ::-1]
    b = state_values(other, mdp, horizon=HORIZON)[jnp.arange(HORIZON)[None], episodes.states]
    worth = episodes.probabilities[:, None] * episodes.weights * (to_go - powers * b)
    scores = derivatives.categorical_score(theta[episodes.states], episodes.actions)
    return jnp.zeros_like(theta).at[episodes.states].add(worth[..., None] * scores)


def _samples(theta, mdp):
    episodes = exact.enumerate_episodes(theta, mdp, horizon=HORIZON)
    return _episode_scores(theta, episodes), jnp.sum(episodes.rewards, axis=1), episodes.probabilities


def _variance_and_slope(theta, other, mdp):
    """The variance and its ∂/∂b, at some b."""
    return jax.value_and_grad(partial(exact.baseline_variance, *_samples(theta, mdp)))(other[0, 0])


def _parabola(theta, other, mdp):
    scores, returns, probabilities = _samples(theta, mdp)
    squares = jnp.sum(scores**2, axis=1)
    best = optimal_constant(squares, returns, probabilities)
    least = exact.baseline_variance(scores, returns, probabilities, best)
    away, curve = other[0, 0] - best, jnp.sum(probabilities * squares)
    return least + away**2 * curve, 2 * away * curve


def _from_another(theta, other, mdp):
    """J(θ') as J(θ) and the advantages over θ, met on the way of θ'."""
    how = {"horizon": LONGER, "discount": DISCOUNT}
    better = action_values(theta, mdp, **how) - state_values(theta, mdp, **how)[..., None]
    gained = jnp.einsum("ts,sa,tsa->", state_visits(other, mdp, **how), jax.nn.softmax(other), better)
    return expected_return(theta, mdp, **how) + gained


def _fisher_in_three_ways(logits, vector):
    """F v by E[∇ log p (∇ log p · v)], by −E[∇² log p] v, and as the gradient of what a bandit of means v pays."""
    p = jax.nn.softmax(logits)
    scores = derivatives.categorical_score(jnp.broadcast_to(logits, (NUMBERS, NUMBERS)), jnp.arange(NUMBERS))
    curvature = jax.hessian(lambda z: jnp.sum(p * jax.nn.log_softmax(z)))(logits)
    paid = jax.grad(lambda z: jnp.sum(jax.nn.softmax(z) * vector))(logits)
    return scores.T @ (p * (scores @ vector)), -curvature @ vector, paid


def _system(key, dtype):
    """A gain, spreads, and a system that neither explodes nor is still: two numbers of state, one of action."""
    gain, log_std, A, B, Q, R, G, S = normals((1, 2), (1,), (2, 2), (2, 1), (2, 2), (1, 1), (2, 2), (2, 2))(key, dtype)
    return gain / 2, log_std / 2, LinearQuadratic(A / 2, B, Q + Q.T, jnp.abs(R), G, S)


def _regulated(gain, log_std, system):
    return linear_gaussian_return(gain, log_std, system, horizon=HORIZON, discount=DISCOUNT)


def _regulated_backwards(gain, log_std, system):
    """The same by the cost to go: of where it starts, and of the noise that comes in on the way."""
    P = exact.regulator_values(gain, system, horizon=HORIZON, discount=DISCOUNT)
    noise = system.B @ (jnp.exp(2 * log_std)[:, None] * system.B.T) + system.G @ system.G.T
    own = jnp.sum(jnp.diagonal(system.R) * jnp.exp(2 * log_std))
    powers = jnp.asarray(DISCOUNT, gain.dtype) ** jnp.arange(HORIZON)
    each = own + DISCOUNT * jnp.sum(P[1:] * noise[None], axis=(1, 2))
    return -jnp.sum(P[0] * (system.S @ system.S.T)) - jnp.sum(powers * each)


IDENTITIES = (
    Identity("∇ log π, ∇ H of a categorical = e_a − p, −p (log p + H)",
             lambda z, batch: (derivatives.categorical_score(z, batch.actions),
                               derivatives.categorical_entropy_grad(z)),
             partial(_score_and_entropy, CATEGORICAL), _categorical),
    Identity("∇ log π, ∇ H of a Gaussian = (z/σ, z² − 1), (0, 1)",
             lambda head, batch: (derivatives.gaussian_score(head, batch.actions),
                                  derivatives.gaussian_entropy_grad(head)),
             partial(_score_and_entropy, GAUSSIAN), _gaussian),
    Identity("∇ log π of a categorical = by finite differences",
             lambda z, batch: derivatives.categorical_score(z, batch.actions),
             lambda z, batch: finite_difference(lambda z: jnp.sum(CATEGORICAL.log_prob(z, batch.actions)), z),
             _categorical, tolerance=1e-6, float32_tolerance=0.02),
    Identity("∇ policy gradient's surrogate, categorical",
             partial(derivatives.policy_gradient_grad, entropy_weight=ENTROPY_WEIGHT),
             partial(_of_loss, policy_gradient, entropy_weight=ENTROPY_WEIGHT), _categorical),
    Identity("∇ clipped surrogate, categorical",
             partial(_clipped, CATEGORICAL, clip=CLIP, entropy_weight=ENTROPY_WEIGHT),
             partial(_of_loss, clipped_policy_gradient, clip=CLIP, entropy_weight=ENTROPY_WEIGHT), _categorical),
    Identity("∇ importance-weighted surrogate, Gaussian", partial(_clipped, GAUSSIAN, **OF_GAUSSIAN),
             partial(_of_loss, clipped_policy_gradient, distribution=GAUSSIAN), _gaussian),
    Identity("∇ value error = w / Σw (V − G)", derivatives.value_error_grad, partial(_of_loss, value_error), _values),
    Identity("F v = E[∇ log p ∇ log pᵀ] v = −E[∇² log p] v = ∇ pᵀ v",
             lambda z, v: (derivatives.fisher_product(z, v),) * 3, _fisher_in_three_ways,
             normals((NUMBERS,), (NUMBERS,))),
    Identity("∇J of an MDP, by the theorem", _by_theorem, _return_grad, _process),
    Identity("∇J of an MDP, by enumeration", _by_enumeration, partial(_return_grad, horizon=HORIZON), _process),
    Identity("∇J by rewards to go, with any baseline", _to_go_with_baseline, _by_enumeration, _process),
    Identity("variance by baseline: a parabola about b*", _variance_and_slope, _parabola, _process),
    Identity("J(θ') = J(θ) + Σ γ^t d'_t Σ π' (Q − V)", _from_another,
             lambda theta, other, mdp: expected_return(other, mdp, horizon=LONGER, discount=DISCOUNT), _process),
    Identity("∇J of a regulator, by P and Σ",
             partial(exact.regulator_grad, horizon=HORIZON, discount=DISCOUNT),
             jax.grad(_regulated, (0, 1)), _system),
    Identity("J of a regulator, forwards by Σ = backwards by P", _regulated, _regulated_backwards, _system),
)
