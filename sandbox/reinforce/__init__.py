"""Policy gradients: L = −E[G_0], −∂L = E[Σ_t (G_t − b_t) ∂ log π(a_t|s_t)], where b_t does not know a_t.

G_t is the return of what follows t. Of actions by p = softmax(z), ∂ log π(a)/∂z = e_a − p: what was done, less what was
to be expected.

losses, returns, baselines: what is learned from. derivatives, identities: the calculus by hand, and the proof; exact,
tabular, regulator: where the gradient is known. actor_critic, monte_carlo: the two ways to learn. cartpole and the
other environments; networks, distributions, rollout: policies, and how they act.
"""

from sandbox.reinforce import derivatives, exact
from sandbox.reinforce.acrobot import ACROBOT
from sandbox.reinforce.actor_critic import ActorCritic, Learner, actor_critic_step, init_learner
from sandbox.reinforce.bandit import BANDIT, bandit_of
from sandbox.reinforce.baselines import batch_mean, leave_one_out, no_baseline, optimal_constant
from sandbox.reinforce.cartpole import CARTPOLE
from sandbox.reinforce.distributions import CATEGORICAL, GAUSSIAN, Distribution, Gaussian
from sandbox.reinforce.environment import Box, Discrete, Environment, EnvironmentState, Outcome, check_actions
from sandbox.reinforce.environments import ENVIRONMENTS, environment_named
from sandbox.reinforce.grid import GRID, grid_world
from sandbox.reinforce.losses import (
    Decisions,
    PolicyAux,
    Returns,
    ValueAux,
    check_decisions,
    clipped_policy_gradient,
    policy_gradient,
    value_error,
)
from sandbox.reinforce.monte_carlo import EpisodicLearner, init_episodic, monte_carlo_step
from sandbox.reinforce.mountain_car import MOUNTAIN_CAR
from sandbox.reinforce.networks import CategoricalPolicy, GaussianPolicy, StateValue, policy_for
from sandbox.reinforce.pendulum import PENDULUM
from sandbox.reinforce.regulator import REGULATOR, LinearQuadratic, linear_gaussian_return, regulator_of
from sandbox.reinforce.returns import advantages, discounted_returns, full_returns, lambda_returns
from sandbox.reinforce.rollout import Steps, UnderWay, acting_by, begin, play_episodes, unroll
from sandbox.reinforce.tabular import MDP, check_mdp, expected_return, tabular_environment

__all__ = [
    "ACROBOT", "BANDIT", "CARTPOLE", "CATEGORICAL", "ENVIRONMENTS", "GAUSSIAN", "GRID", "MDP", "MOUNTAIN_CAR",
    "PENDULUM", "REGULATOR", "ActorCritic", "Box", "CategoricalPolicy", "Decisions", "Discrete", "Distribution",
    "Environment", "EnvironmentState", "EpisodicLearner", "Gaussian", "GaussianPolicy", "Learner", "LinearQuadratic",
    "Outcome", "PolicyAux", "Returns", "StateValue", "Steps", "UnderWay", "ValueAux", "acting_by", "actor_critic_step",
    "advantages", "bandit_of", "batch_mean", "begin", "check_actions", "check_decisions", "check_mdp",
    "clipped_policy_gradient", "derivatives", "discounted_returns", "environment_named", "exact", "expected_return",
    "full_returns", "grid_world", "init_episodic", "init_learner", "lambda_returns", "leave_one_out",
    "linear_gaussian_return", "monte_carlo_step", "no_baseline", "optimal_constant", "play_episodes", "policy_for",
    "policy_gradient", "regulator_of", "tabular_environment", "unroll", "value_error",
]
