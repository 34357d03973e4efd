"""Gymnasium's and PyTorch's half of the benchmark of REINFORCE, for an interpreter that has them."""

# pyright: reportMissingImports=false
import time
from itertools import accumulate, pairwise
from typing import Any

import gymnasium
import numpy as np
import torch
from torch.distributions import Categorical

from experiments.benchmarks.side import serve


def train(file, *, way, hidden_sizes, learning_rate, steps, repeats, threads=1, discount=0.99, name="CartPole-v1"):
    """Seconds a learning environment step of every stretch but the first, and the mean return of the last one.

    REINFORCE with a learned baseline: one environment, an update of both networks after each episode; `way`, of WAYS,
    says when gradients are recorded. A stretch is whole episodes, of `steps` steps or a few more.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    env: Any = gymnasium.make(name)
    env.reset(seed=0)
    policy, value = (_network(env, hidden_sizes, outputs) for outputs in (env.action_space.n, 1))
    optimizer = torch.optim.Adam([*policy.parameters(), *value.parameters()], lr=learning_rate, fused=True)

    def episode():
        """Play one, learn from it: its rewards."""
        log_probs, values, rewards = WAYS[way](env, policy, value)
        to_go = torch.tensor([*accumulate(reversed(rewards), lambda later, now: now + discount * later)][::-1])
        loss = ((values - to_go) ** 2).mean() - (log_probs * (to_go - values.detach())).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return rewards

    seconds, episodes = [], []
    for _ in range(repeats + 1):
        episodes, done, clock = [], 0, time.perf_counter()
        while done < steps:
            episodes.append(episode())
            done += len(episodes[-1])
        seconds.append((time.perf_counter() - clock) / done)
    return {"seconds": seconds[1:], "mean_return": float(np.mean([sum(rewards) for rewards in episodes])),
            "torch": torch.__version__, "gymnasium": gymnasium.__version__}


def _step_by_step(env, policy, value):
    """As PyTorch's own examples do it: the graph of each step's log-probability and value is kept until the end.

    log π(a_t) (T,), V(s_t) (T,), and rewards of one episode.
    """
    log_probs, values = [], []

    def act(observation):
        distribution = Categorical(logits=policy(observation))
        action = distribution.sample()
        log_probs.append(distribution.log_prob(action))
        values.append(value(observation))
        return action

    rewards = _played(env, act)
    return torch.stack(log_probs), torch.cat(values), rewards


def _at_once(env, policy, value):
    """The same, played without gradients: they are taken of the episode as one batch afterwards."""
    observations, actions = [], []

    def act(observation):
        observations.append(observation)
        actions.append(Categorical(logits=policy(observation), validate_args=False).sample())
        return actions[-1]

    with torch.no_grad():
        rewards = _played(env, act)
    batch = torch.stack(observations)
    return Categorical(logits=policy(batch)).log_prob(torch.stack(actions)), value(batch).squeeze(-1), rewards


WAYS = {"step by step": _step_by_step, "at once": _at_once}


def _played(env, act):
    """The rewards of one episode."""
    rewards, observation, over = [], env.reset()[0], False
    while not over:
        observation, reward, terminated, truncated, _ = env.step(act(torch.from_numpy(observation)).item())
        rewards.append(reward)
        over = terminated or truncated
    return rewards


def _network(env, hidden_sizes, outputs):
    sizes = (*env.observation_space.shape, *hidden_sizes)
    hidden = [layer for pair in pairwise(sizes) for layer in (torch.nn.Linear(*pair), torch.nn.Tanh())]
    return torch.nn.Sequential(*hidden, torch.nn.Linear(sizes[-1], outputs))


if __name__ == "__main__":
    serve({"train": train})
