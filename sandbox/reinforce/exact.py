"""The policy gradient itself, exact: of a Markov decision process by theorem and by enumeration, of a regulator."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.reinforce.derivatives import categorical_score
from sandbox.reinforce.regulator import LinearQuadratic, check_gain, state_covariances
from sandbox.reinforce.tabular import MDP, action_values, checked_mdp, state_values, state_visits

__all__ = [
    "Episodes", "baseline_variance", "enumerate_episodes", "enumerated_policy_gradient", "regulator_grad",
    "regulator_values", "tabular_policy_gradient",
]


class Episodes(NamedTuple):
    """All N sequences of H states and actions that can be written down, likely or not.

    probabilities: (N,), of each under the policy; they sum to 1. states, actions: (N, H) int. rewards: (N, H).
    weights: (N, H), 0 where the episode has ended before.
    """

    probabilities: jax.Array
    states: jax.Array
    actions: jax.Array
    rewards: jax.Array
    weights: jax.Array


def tabular_policy_gradient(theta: jax.Array, mdp: MDP, *, horizon: int, discount: float = 1.0) -> jax.Array:
    """∇J of a softmax policy by the policy-gradient theorem: no derivative of what the policy does to the states.

    ∇J = Σ_t γ^t Σ_s d_t(s) Σ_a π(a | s) Q_t(s, a) ∇ log π(a | s);   to θ_sa, Σ_t γ^t d_t(s) π(a | s) (Q_t − V_t)(s, a).

    Dimensions: S states, A actions.

    Args:
      theta: (S, A) floating, the logits. mdp: MDP. horizon: H, steps. discount: γ, in [0, 1].
    Returns:
      (S, A).
    Raises:
      ValueError: what `tabular.action_values` refuses.
    Source: Sutton, McAllester, Singh, Mansour 2000, theorem 1.

    >>> coin = MDP(jnp.ones((1, 2, 1)), jnp.array([[0.0, 1.0]]), jnp.ones(1), jnp.zeros(1, bool))
    >>> tabular_policy_gradient(jnp.zeros((1, 2)), coin, horizon=3)
    Array([[-0.75,  0.75]], dtype=float32)
    """
    visits = state_visits(theta, mdp, horizon=horizon, discount=discount)
    q = action_values(theta, mdp, horizon=horizon, discount=discount)
    better = q - state_values(theta, mdp, horizon=horizon, discount=discount)[..., None]
    return jax.nn.softmax(theta) * jnp.einsum("ts,tsa->sa", visits, better, precision="highest")


def enumerate_episodes(theta: jax.Array, mdp: MDP, *, horizon: int) -> Episodes:
    """Every sequence of states and actions of H steps, with its probability.

    p(τ) = p(s₀) Π_t π(a_t | s_t) Π_t p(s_{t+1} | s_t, a_t),   N = (S A)^H.

    Args:
      theta: (S, A) floating, the logits. mdp: MDP. horizon: H, steps.
    Returns:
      Episodes; in a terminal state actions are drawn too, and their weights are 0.
    Raises:
      ValueError: what `tabular.action_values` refuses; or N is above a million.

    >>> coin = MDP(jnp.ones((1, 2, 1)), jnp.array([[0.0, 1.0]]), jnp.ones(1), jnp.zeros(1, bool))
    >>> episodes = enumerate_episodes(jnp.zeros((1, 2)), coin, horizon=2)
    >>> episodes.probabilities.tolist(), episodes.rewards.sum(axis=1).tolist()
    ([0.25, 0.25, 0.25, 0.25], [0.0, 1.0, 1.0, 2.0])
    """
    mdp = checked_mdp(theta, mdp, horizon)
    pairs = theta.size
    if pairs**horizon > 10**6:
        raise ValueError(f"episodes must be at most a million, got {pairs}**{horizon}")
    which = np.indices((pairs,) * horizon).reshape(horizon, -1).T
    states, actions = np.divmod(which, theta.shape[1])
    chosen = jax.nn.softmax(theta)[states, actions]
    moved = mdp.transitions[states[:, :-1], actions[:, :-1], states[:, 1:]]
    probabilities = mdp.start[states[:, 0]] * jnp.prod(chosen, axis=1) * jnp.prod(moved, axis=1)
    weights = jnp.where(mdp.terminal[states], 0, jnp.ones_like(chosen))
    return Episodes(probabilities, jnp.asarray(states), jnp.asarray(actions), mdp.rewards[states, actions], weights)


def enumerated_policy_gradient(theta: jax.Array, mdp: MDP, *, horizon: int, discount: float = 1.0) -> jax.Array:
    """∇J of a softmax policy by its definition, over all episodes: what REINFORCE draws samples of.

    ∇J = Σ_τ p(τ) G(τ) Σ_t ∇ log π(a_t | s_t),   G(τ) = Σ_t γ^t r_t.

    Args:
      Those of `tabular_policy_gradient`, small enough for `enumerate_episodes`.
    Returns:
      (S, A).
    Raises:
      ValueError: what `tabular.action_values` and `enumerate_episodes` refuse.
    Source: Williams 1992, theorem 1.

    >>> coin = MDP(jnp.ones((1, 2, 1)), jnp.array([[0.0, 1.0]]), jnp.ones(1), jnp.zeros(1, bool))
    >>> enumerated_policy_gradient(jnp.zeros((1, 2)), coin, horizon=3)
    Array([[-0.75,  0.75]], dtype=float32)
    """
    checked_mdp(theta, mdp, horizon, discount)
    episodes = enumerate_episodes(theta, mdp, horizon=horizon)
    powers = jnp.asarray(discount, theta.dtype) ** jnp.arange(horizon)
    returns = jnp.sum(powers[None] * episodes.rewards, axis=1)
    worth = (episodes.probabilities * returns)[:, None] * episodes.weights
    scores = categorical_score(theta[episodes.states], episodes.actions)
    return jnp.zeros_like(theta).at[episodes.states].add(worth[..., None] * scores)


def baseline_variance(scores: jax.Array, returns: jax.Array, probabilities: jax.Array, baseline: jax.Array
                      ) -> jax.Array:
    """Variance of ∇ log π (G − b), summed over its components: a parabola in b.

    tr Var = E[|∇ log π|² (G − b)²] − |E[∇ log π (G − b)]|²;   where E[∇ log π] = 0, it is its least, at
    b* = E[|∇ log π|² G] / E[|∇ log π|²], and (b − b*)² E[|∇ log π|²] above.

    Args:
      scores: (N, P), of a decision or of a whole episode. returns: (N,). probabilities: (N,). baseline: b, ().
    Returns:
      Scalar.
    Source: Greensmith, Bartlett, Baxter 2004, theorem 8.

    >>> baseline_variance(jnp.array([[1.0], [-1.0]]), jnp.array([3.0, 1.0]), jnp.array([0.5, 0.5]), jnp.array(2.0))
    Array(0., dtype=float32)
    """
    samples = scores * (returns - baseline)[:, None]
    mean = jnp.sum(probabilities[:, None] * samples, axis=0)
    return jnp.sum(probabilities[:, None] * (samples - mean[None]) ** 2)


def regulator_values(gain: jax.Array, system: LinearQuadratic, *, horizon: int, discount: float = 1.0) -> jax.Array:
    """Cost to go of u = −K x, xᵀ P_t x but for noise:   P_t = Q + Kᵀ R K + γ (A − B K)ᵀ P_{t+1} (A − B K),   P_H = 0.

    Args:
      gain: K, (M, D). system: LinearQuadratic. horizon: H, steps. discount: γ.
    Returns:
      (H + 1, D, D), P_0 to P_H.

    >>> still = LinearQuadratic(*((((1.0,),),) * 6))
    >>> regulator_values(jnp.zeros((1, 1)), still, horizon=2).ravel()
    Array([2., 1., 0.], dtype=float32)
    """
    A, B, Q, R, _, _ = (jnp.asarray(part, gain.dtype) for part in system)
    closed, cost = A - _product(B, gain), Q + _product(_product(gain.T, R), gain)

    def backwards(P, _):
        return cost + discount * _product(_product(closed.T, P), closed), P

    first, later = jax.lax.scan(backwards, jnp.zeros_like(A), length=horizon, reverse=True)
    return jnp.concatenate([first[None], later])


def regulator_grad(gain: jax.Array, log_std: jax.Array, system: LinearQuadratic, *, horizon: int,
                   discount: float = 1.0) -> tuple[jax.Array, jax.Array]:
    """∇J of u = −K x + σ ε in a linear-quadratic regulator, to K and log σ.

    ∂J/∂K = −2 Σ_t γ^t (R K − γ Bᵀ P_{t+1} (A − B K)) Σ_t,   ∂J/∂log σ = −2 σ² Σ_t γ^t diag(R + γ Bᵀ P_{t+1} B),

    P backwards by `regulator_values`, Σ_t = E[x_t x_tᵀ] forwards by `regulator.state_covariances`.

    Dimensions: D numbers of state, M of action.

    Args:
      gain: K, (M, D). log_std: log σ, (M,). system: LinearQuadratic. horizon: H, steps. discount: γ, in [0, 1].
    Returns:
      (M, D), (M,).
    Raises:
      ValueError: what `regulator.linear_gaussian_return` refuses.
    Source: Fazel, Ge, Kakade, Mesbahi 2018, "Global convergence of policy gradient methods for the linear quadratic
      regulator", lemma 1, with an end and a discount.

    >>> still = LinearQuadratic(*((((1.0,),),) * 6))
    >>> regulator_grad(jnp.ones((1, 1)), jnp.zeros(1), still, horizon=1)
    (Array([[-2.]], dtype=float32), Array([-2.], dtype=float32))
    """
    check_gain(gain, log_std, system, horizon, discount)
    A, B, _, R, _, _ = (jnp.asarray(part, gain.dtype) for part in system)
    covariances = state_covariances(gain, log_std, system, horizon=horizon)
    later = regulator_values(gain, system, horizon=horizon, discount=discount)[1:]
    powers = jnp.asarray(discount, gain.dtype) ** jnp.arange(horizon)[:, None, None]
    pushed = discount * _product(B.T[None], later)  # γ Bᵀ P_{t+1}
    slopes = _product(R, gain)[None] - _product(pushed, (A - _product(B, gain))[None])
    curves = R[None] + _product(pushed, B[None])
    return (-2 * jnp.sum(powers * _product(slopes, covariances), axis=0),
            -2 * jnp.exp(2 * log_std) * jnp.diagonal(jnp.sum(powers * curves, axis=0)))


def _product(left: jax.Array, right: jax.Array) -> jax.Array:
    return jnp.matmul(left, right, precision="highest")
