"""A Markov decision process small enough to be written down: what a softmax policy earns in it, exactly."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.reinforce.environment import Discrete, Environment
from sandbox.reinforce.returns import check_share

__all__ = [
    "MDP", "TabularState", "action_values", "check_mdp", "checked_mdp", "expected_return", "state_values",
    "state_visits", "tabular_environment",
]


class MDP(NamedTuple):
    """S states, A actions. The horizon is no part of it, and goes with whatever is asked.

    transitions: (S, A, S) floating, p(s' | s, a). rewards: (S, A) floating, r(s, a). start: (S,) floating, p(s₀).
    terminal: (S,) bool, where an episode has ended; such a state is never left and pays nothing.
    """

    transitions: Any
    rewards: Any
    start: Any
    terminal: Any


class TabularState(NamedTuple):
    """state: () int32, its number. key: the randomness of what is still to come, which is no part of a step's
    arguments."""

    state: jax.Array
    key: jax.Array


def check_mdp(mdp: MDP) -> None:
    """Refuse what is no Markov decision process; for the host, on concrete arrays.

    Args:
      mdp: MDP.
    Raises:
      ValueError: the shapes are not (S, A, S), (S, A), (S,) and (S,); a number is not finite; transitions or start
      are not probabilities; a terminal state is left or pays; an episode starts in one.

    >>> check_mdp(MDP(jnp.ones((1, 1, 1)), jnp.ones((1, 1)), jnp.ones(1), jnp.ones(1, bool)))
    Traceback (most recent call last):
    ValueError: rewards of a terminal state must be 0, got 1.0 in state 0
    """
    transitions, rewards, start, terminal = (np.asarray(part) for part in mdp)
    _check_shapes(transitions.shape, rewards.shape, start.shape, terminal.shape)
    for name, part in (("transitions", transitions), ("rewards", rewards), ("start", start)):
        if not np.all(np.isfinite(part)):
            raise ValueError(f"{name} must be finite, got {part[~np.isfinite(part)][0]}")
    for name, rows in (("transitions", transitions), ("start", start)):
        sums = np.sum(rows, axis=-1)
        if np.min(rows) < 0 or np.max(np.abs(sums - 1)) > 1e-5:
            worst = np.ravel(sums)[np.argmax(np.abs(sums - 1))]
            raise ValueError(f"{name} must be at least 0 and sum to 1, got a least {np.min(rows)} and a sum of {worst}")
    for state in np.flatnonzero(terminal):
        if np.any(rewards[state] != 0):
            raise ValueError(f"rewards of a terminal state must be 0, got {np.max(np.abs(rewards[state]))} in state "
                             f"{state}")
        if np.any(transitions[state, :, state] < 1 - 1e-5):
            raise ValueError(f"transitions must not leave a terminal state, got some that leave state {state}")
        if start[state] > 0:
            raise ValueError(f"start must not be in a terminal state, got {start[state]} for state {state}")


def action_values(theta: jax.Array, mdp: MDP, *, horizon: int, discount: float = 1.0) -> jax.Array:
    """What an action at time t is worth under π = softmax(θ), backwards from the horizon, where nothing follows.

    Q_t(s, a) = r(s, a) + γ Σ_s' p(s' | s, a) V_{t+1}(s'),   V_t(s) = Σ_a π(a | s) Q_t(s, a),   V_H = 0.

    Dimensions: S states, A actions, H = horizon.

    Args:
      theta: (S, A) floating, the logits. mdp: MDP. horizon: H, steps. discount: γ, in [0, 1].
    Returns:
      (H, S, A).
    Raises:
      ValueError: theta is not (S, A), mdp is of other shapes than MDP says, horizon is less than 1, discount is not
      in [0, 1].
    Source: Sutton, Barto 2018, "Reinforcement learning", eq. 3.14, with the time left as part of the state.

    >>> coin = MDP(jnp.ones((1, 2, 1)), jnp.array([[0.0, 1.0]]), jnp.ones(1), jnp.zeros(1, bool))
    >>> action_values(jnp.zeros((1, 2)), coin, horizon=2).tolist()
    [[[0.5, 1.5]], [[0.0, 1.0]]]
    """
    mdp = checked_mdp(theta, mdp, horizon, discount)
    policy = jax.nn.softmax(theta)

    def backwards(values, _):
        q = mdp.rewards + discount * jnp.matmul(mdp.transitions, values, precision="highest")
        return jnp.sum(policy * q, axis=-1), q

    return jax.lax.scan(backwards, jnp.zeros_like(theta[:, 0]), length=horizon, reverse=True)[1]


def state_values(theta: jax.Array, mdp: MDP, *, horizon: int, discount: float = 1.0) -> jax.Array:
    """What a state at time t is worth: V_t(s) = Σ_a π(a | s) Q_t(s, a).

    Args:
      Those of `action_values`.
    Returns:
      (H, S).
    Raises:
      ValueError: what `action_values` refuses.

    >>> coin = MDP(jnp.ones((1, 2, 1)), jnp.array([[0.0, 1.0]]), jnp.ones(1), jnp.zeros(1, bool))
    >>> state_values(jnp.zeros((1, 2)), coin, horizon=3).tolist()
    [[1.5], [1.0], [0.5]]
    """
    q = action_values(theta, mdp, horizon=horizon, discount=discount)
    return jnp.sum(jax.nn.softmax(theta)[None] * q, axis=-1)


def state_visits(theta: jax.Array, mdp: MDP, *, horizon: int, discount: float = 1.0) -> jax.Array:
    """How often a state is seen at time t, discounted: γ^t d_t(s),   d_{t+1}(s') = Σ_sa d_t(s) π(a | s) p(s' | s, a).

    Args:
      Those of `action_values`.
    Returns:
      (H, S); row t sums to γ^t.
    Raises:
      ValueError: what `action_values` refuses.

    >>> coin = MDP(jnp.ones((1, 2, 1)), jnp.array([[0.0, 1.0]]), jnp.ones(1), jnp.zeros(1, bool))
    >>> state_visits(jnp.zeros((1, 2)), coin, horizon=3, discount=0.5).tolist()
    [[1.0], [0.5], [0.25]]
    """
    mdp = checked_mdp(theta, mdp, horizon, discount)
    moves = jnp.einsum("sa,sat->st", jax.nn.softmax(theta), mdp.transitions, precision="highest")

    def forwards(visits, _):
        return discount * jnp.matmul(visits, moves, precision="highest"), visits

    return jax.lax.scan(forwards, mdp.start, length=horizon)[1]


def expected_return(theta: jax.Array, mdp: MDP, *, horizon: int, discount: float = 1.0) -> jax.Array:
    """J(θ) = E[Σ_t γ^t r(s_t, a_t)] = Σ_s p(s₀ = s) V_0(s) of π = softmax(θ), over H steps.

    Args:
      Those of `action_values`.
    Returns:
      Scalar.
    Raises:
      ValueError: what `action_values` refuses.

    >>> coin = MDP(jnp.ones((1, 2, 1)), jnp.array([[0.0, 1.0]]), jnp.ones(1), jnp.zeros(1, bool))
    >>> expected_return(jnp.zeros((1, 2)), coin, horizon=3)
    Array(1.5, dtype=float32)
    """
    values = state_values(theta, mdp, horizon=horizon, discount=discount)[0]
    return jnp.sum(jnp.asarray(mdp.start, theta.dtype) * values)


def tabular_environment(name: str, mdp: MDP, horizon: int) -> Environment:
    """A Markov decision process to be acted in: one-hot observations, terminated in terminal states, truncated at the
    horizon.

    Args:
      name: its name. mdp: MDP of concrete arrays. horizon: steps.
    Returns:
      Environment, whose x is a TabularState.
    Raises:
      ValueError: what `check_mdp` refuses.

    >>> walk = MDP(np.eye(2)[[[1], [1]]], np.array([[-1.0], [0.0]]), np.eye(2)[0], np.array([False, True]))
    >>> environment = tabular_environment("walk", walk, 5)
    >>> state, observation = environment.reset(jax.random.key(0))
    >>> outcome = environment.step(state, jnp.array(0))
    >>> observation.tolist(), outcome.observation.tolist(), float(outcome.reward), bool(outcome.terminated)
    ([1.0, 0.0], [0.0, 1.0], -1.0, True)
    """
    check_mdp(mdp)
    mdp = MDP(*(np.asarray(part) for part in mdp))
    states, actions = mdp.rewards.shape

    def start(key):
        now, later = jax.random.split(key)
        return TabularState(_drawn(now, mdp.start), later)

    def advance(x, action):
        now, later = jax.random.split(x.key)
        state = _drawn(now, jnp.asarray(mdp.transitions)[x.state, action])
        return TabularState(state, later), jnp.asarray(mdp.rewards)[x.state, action], jnp.asarray(mdp.terminal)[state]

    return Environment(name, start, advance, lambda x: jax.nn.one_hot(x.state, states), states, Discrete(actions),
                       horizon)


def checked_mdp(theta: jax.Array, mdp: MDP, horizon: int, discount: float = 1.0) -> MDP:
    """The MDP as JAX's arrays of theta's type, once logits that do not fit it, no steps at all, and a discount outside
    [0, 1] are refused.

    >>> coin = MDP(jnp.ones((1, 2, 1)), jnp.array([[0.0, 1.0]]), jnp.ones(1), jnp.zeros(1, bool))
    >>> checked_mdp(jnp.zeros((1, 2)), coin, 3, 1.5)
    Traceback (most recent call last):
    ValueError: discount must be in [0, 1], got 1.5
    """
    transitions, rewards, start = (jnp.asarray(part, theta.dtype) for part in mdp[:3])
    mdp = MDP(transitions, rewards, start, jnp.asarray(mdp.terminal))
    _check_shapes(*(part.shape for part in mdp))
    if theta.shape != mdp.rewards.shape:
        raise ValueError(f"theta must be of the shape of the rewards, {mdp.rewards.shape}, got {theta.shape}")
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1, got {horizon}")
    check_share("discount", discount)
    return mdp


def _drawn(key, probabilities) -> jax.Array:
    """An index by inversion, one number being drawn; what rounding leaves above the last sum is the last one's that
    can be."""
    sums = jnp.cumsum(jnp.asarray(probabilities))
    return jnp.sum(jax.random.uniform(key) * sums[-1] >= sums).astype(jnp.int32)


def _check_shapes(transitions, rewards, start, terminal) -> None:
    states = start[0] if start else 0
    if len(rewards) != 2 or (transitions, rewards, terminal) != ((*rewards, states), (states, rewards[1]), start):
        raise ValueError("transitions, rewards, start and terminal must be (S, A, S), (S, A), (S,) and (S,), got "
                         f"{transitions}, {rewards}, {start} and {terminal}")
