"""The reinforcement learning experiment, a short run of it through its real command line."""

import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import experiments
from experiments import reinforce
from experiments.acting import figures, report, variance
from experiments.acting.agent import agent_for
from experiments.acting.recipes import RECIPES, USUAL, recipe_for
from experiments.acting.report import curves, interquartile_mean, steps_to
from experiments.reinforce import Config
from experiments.runner import cli
from experiments.runner.errors import UserError
from sandbox.reinforce import BANDIT, CARTPOLE, ENVIRONMENTS
from sandbox.reinforce.bandit import MEANS
from tests.experiments import command

SMALL = ("--widths", 16, "--episodes", 5)
SHORT = ("reinforce", *SMALL, "--steps", 20_480, "--seeds", 2, "--plain-steps", 20_000, "--plain-batches", 12)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("reinforce")
    code, out, err = command.run(*SHORT, "--evaluate-in-gym", cwd=cwd)
    assert code == 0, err
    return cwd / "runs" / "reinforce" / "latest", out


@pytest.mark.slow
def test_a_short_run_learns_to_balance_here_and_in_gymnasium(finished):
    directory, out = finished
    summary = json.loads((directory / "summary.json").read_text())
    reached = summary["metrics"]
    assert set(reached) == {
        "solved_fraction", "mean_return", "steps_to_475", "steps_to_475_median", "steps_to_475_worst",
        "solved_fraction_plain", "mean_return_plain", "steps_to_475_plain", "steps_to_475_plain_median",
        "steps_to_475_plain_worst", "gym_mean_return"}
    assert reached["mean_return"]["mean"] > 100 and reached["mean_return_plain"]["mean"] > 60, "chance comes to 9 to 22"
    assert summary["dataset"] == "CartPole-v1" and summary["reference"]["mean_return"]["value"] == 500
    assert {path.stem for path in (directory / "figures").iterdir()} == {"learning", "variance", "phase_plane",
                                                                         "episode"}
    assert "20,480 steps of CartPole-v1 each" in out
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert {line["run"] for line in lines} == {"seed 0", "seed 1"} and {line["stage"] for line in lines} == {
        "solve", "plain"}
    assert max(line["steps_used"] for line in lines if line["stage"] == "plain") <= 20_000


@pytest.mark.slow
def test_finished_agents_act_and_say_how_good_it_looks(finished):
    agents = experiments.load(finished[0]).model
    assert agents.num == 2 and agents.environment == CARTPOLE
    upright, falling = np.zeros(4), np.array([0.0, 0.0, 0.2, 2.0])
    assert agents.act(upright) in (0, 1) and agents.act(np.stack([upright, falling])).shape == (2,)
    assert agents.act(falling) == 1, "a pole that falls to the right is caught by going right"
    assert agents.probabilities(upright).sum() == pytest.approx(1, abs=1e-5)
    assert agents.worth(upright) > agents.worth(falling)
    steps = agents.play(seed=3, agent=1)
    assert len(steps.rewards) == steps.rewards.sum() and (steps.terminated | steps.truncated).sum() == 1
    there = agents.play_in_gymnasium("CartPole-v1", 40, 0)[0]
    keys = jax.vmap(lambda seed: jax.random.key(seed))(jnp.arange(2))
    here = np.asarray(jax.jit(lambda params: agents.judge(params, keys, episodes=400))(agents.params.policy))[0]
    apart = abs(there.mean() - here.mean()) / np.sqrt(there.var() / 40 + here.var() / 400 + 1e-6)
    assert apart < 4, "the same score within its interval, but for 1 in 10,000"
    with pytest.raises(UserError, match=r"an observation of CartPole-v1 must be \(..., 4\), got \(3,\)"):
        agents.act(np.zeros(3))
    with pytest.raises(UserError, match="agent must be 0 to 1, got 2"):
        agents.act(upright, agent=2)


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_to_the_same_numbers(finished, tmp_path):
    command.kill_and_resume(*SHORT, "--evaluate-in-gym", stage="plain", cwd=tmp_path)  # one way has learned already
    never, twice = (json.loads((where / "summary.json").read_text()) for where in (finished[0], tmp_path / "run"))
    assert twice["metrics"] == never["metrics"]


@pytest.mark.slow
def test_agents_of_a_run_act_in_any_environment_that_fits(finished, tmp_path):
    flags = ("reinforce", "--agent", finished[0].resolve(), "--episodes", 3)
    code, _, err = command.run(*flags, "--env", "gymnasium:CartPole-v0", cwd=tmp_path)
    assert code == 0, err
    reached = json.loads((tmp_path / "runs/reinforce/latest/summary.json").read_text())
    assert set(reached["metrics"]) == {"gym_mean_return"} and reached["seeds"] == [0, 1]
    assert max(reached["metrics"]["gym_mean_return"]["per_seed"]) <= 200, "CartPole-v0 ends after 200 steps"
    assert experiments.load(tmp_path / "runs/reinforce/latest").model.environment == CARTPOLE
    for name, words in (("Acrobot-v1", "gymnasium's Acrobot-v1 shows Box(6,) and takes Discrete(3)"),
                        ("Cartpole", "gymnasium cannot make 'Cartpole'")):
        code, _, err = command.run(*flags, "--env", f"gymnasium:{name}", cwd=tmp_path)
        assert code == 2 and words in err and "Traceback" not in err


@pytest.mark.slow
def test_a_gaussian_policy_on_two_devices(tmp_path):
    code, out, err = command.run("reinforce", *SMALL, "--env", "Pendulum-v1", "--steps", 2048, "--seeds", 2,
                                 "--plain-steps", 0, "--passes", 1, "--mesh", "data=2", cwd=tmp_path)
    assert code == 0, err
    assert "solved_fraction" not in out and "2,048 steps of Pendulum-v1 each" in out


@pytest.mark.parametrize(("flags", "words"), [
    (("--dataset", "digits"), "--dataset must be embedded: what is learned from is chosen by --env, got digits"),
    (("--discount", 1.1), "--discount must be in [0, 1], got 1.1"),
    (("--trace", -0.1), "--trace must be in [0, 1], got -0.1"),
    (("--plain-discount", 2), "--plain-discount must be in [0, 1], got 2.0"),
    (("--steps", 0), "--steps must be at least 1, got 0"),
    (("--learning-rate", "nan"), "--learning-rate must be 0 or more, and finite, got nan"),
    (("--reward-scale", 0), "--reward-scale must be above 0, and finite, got 0.0"),
    (("--clip", 0), "--clip must be above 0, got 0.0"),
    (("--widths", 0), "--widths must be each at least 1, got (0,)"),
    (("--plain-steps", -1), "--plain-steps must be 0 or more, got -1"),
    (("--plain-episodes", 1), "--plain-episodes must be at least 2, got 1"),
    (("--plain-baseline", "best"), "--plain-baseline must be one of leave-one-out, constant, none, got best"),
    (("--minibatches", 5), "--minibatches must be a divisor of the batch, 8 environments x 32 steps, got 5"),
    (("--steps", 100), "--steps must be at least a batch, 8 environments x 32 steps, got 100"),
])
def test_wrong_flags_are_refused(flags, words):
    with pytest.raises(UserError) as refused:
        cli.parse("reinforce", reinforce, [str(flag) for flag in flags])
    assert str(refused.value) == words


@pytest.mark.parametrize(("flags", "words"), [
    (("--env", "CartPole-v2"), "--env: there is no environment 'CartPole-v2'; perhaps CartPole-v1?"),
    (("--env", "grid", "--evaluate-in-gym"), "gymnasium cannot make 'grid'"),
    (("--env", "gymnasium:CartPole-v1", "--agent", "nowhere"), "nowhere is not a run directory"),
])
def test_environments_and_agents_that_cannot_be_are_refused(flags, words, tmp_path):
    code, _, err = command.call("reinforce", *SMALL, *flags, cwd=tmp_path)
    assert code == 2 and words in err and "Traceback" not in err


def test_flags_come_before_the_recipe():
    assert recipe_for(Config()) == RECIPES["CartPole-v1"]
    assert recipe_for(Config(env="grid", discount=0.5)) == USUAL._replace(discount=0.5)


def test_interquartile_mean_is_of_the_middle_half():
    values = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0])[:, None]
    mean, low, high = interquartile_mean(values, np.random.default_rng(0))
    assert mean[0] == 3.5 and 0.5 < low[0] < 3.5 < high[0] < 60


def test_steps_to_a_return_are_the_first_and_never_is_infinite():
    returns = {"a": (100, 480, 470), "b": (1, 2, 3)}
    lines = [{"run": run, "step": step, "return": value, "episodes": 20.0 * step}
             for run, values in returns.items() for step, value in enumerate(values, start=1)]
    assert steps_to(curves(lines, 256), 475).tolist() == [512, np.inf]
    metrics = report.metrics(CARTPOLE, {"solve": np.array([[500.0, 500.0], [400.0, 500.0]])},
                             {"solve": curves(lines, 256)})
    assert metrics["solved_fraction"].tolist() == [1, 0] and metrics["steps_to_475_worst"] == np.inf


def test_a_curve_begins_with_enough_episodes_and_has_no_batch_that_was_thrown_away():
    early = [{"run": "a", "step": step, "return": value, "episodes": ended}
             for step, value, ended in ((1, 0.0, 0.0), (2, -40.0, 8.0), (3, -480.0, 24.0))]
    assert [axis.tolist() for axis in curves(early, 10)["a"]] == [[30], [-480]]
    plain = [{"run": "a", "step": step, "return": value, "steps_used": used}
             for step, value, used in ((1, 100.0, 1000), (2, 200.0, 3000), (3, 500.0, 3000))]
    assert [axis.tolist() for axis in curves(plain)["a"]] == [[1000, 3000], [100, 200]]


def test_variance_by_baseline_of_a_bandit_is_what_it_must_be():
    """One step, and nothing to see: with arms of means μ and unit noise, it is known for every b."""
    agent = agent_for(BANDIT, ())
    p, worth = np.array([0.05, 0.05, 0.85, 0.05]), -0.7
    params = jax.tree.map(jnp.zeros_like, agent.init(jax.random.key(0)))
    params.policy["params"]["layers"]["head"]["bias"] = jnp.log(jnp.array(p, jnp.float32))
    params.value["params"]["layers"]["head"]["bias"] = jnp.full(1, worth)
    measured = jax.jit(lambda params: variance.by_baseline(agent, params, discount=1.0, episodes=32768))(params)
    means = np.array(MEANS)
    scores = np.eye(len(means)) - p[None]
    squares = 2 * (scores**2).sum(axis=1)  # of logits with a weight on the constant observation and a bias

    def exact(b):
        gradient = p @ (scores * (means - b)[:, None])
        return p @ (squares * ((means - b) ** 2 + 1)) - 2 * (gradient**2).sum()

    mean, best = p @ means, p @ (squares * means) / (p @ squares)
    expected = [exact(0), exact(0), exact(mean), exact(best), exact(mean), exact(worth)]
    np.testing.assert_allclose(measured, expected, rtol=0.08)  # 4 standard errors of 32,768 episodes come to less
    np.testing.assert_allclose(measured[2] / measured[3], exact(mean) / exact(best), rtol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=[one.name for one in ENVIRONMENTS])
def test_every_environment_has_its_pictures(environment):
    agent = agent_for(environment, (4,))
    params = jax.tree.map(lambda leaf: leaf[None], agent.init(jax.random.key(0)))
    agent = agent.with_params(params)
    for figure in (figures.filmstrip(agent), *figures.phase_plane(agent).values()):
        figure.savefig(io.BytesIO())
