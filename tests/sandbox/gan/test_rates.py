"""Each method's rate by eigenvalues against that of its own runs; and that a wrong prediction is seen to be wrong."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.gan.bilinear import bilinear_game
from sandbox.gan.criteria import CRITERIA
from sandbox.gan.dirac import dirac_gan
from sandbox.gan.game import Players
from sandbox.gan.game_derivatives import bilinear_jacobian
from sandbox.gan.linearised import LINEARISED, Plan, linearised_update
from sandbox.gan.rates import method_of, observed_rate, predicted_rate, spectral_radius

TOLERANCE = 1e-6
SIGMA = np.array([0.5, 2.0])
PLANS = {  # but for their step sizes
    "simultaneous": {"name": "simultaneous"},
    "alternating": {"name": "alternating"},
    "alternating, 3 critic steps": {"name": "alternating", "critic_steps": 3},
    "extra-gradient": {"name": "extra-gradient"},
    "optimistic": {"name": "optimistic"},
    "consensus": {"name": "consensus", "consensus_weight": 0.3},
    "competitive": {"name": "competitive"},
    "competitive, zero-sum": {"name": "competitive", "zero_sum": True},
}
every_plan = pytest.mark.parametrize("plan", PLANS)


def games(rows=2, columns=2):
    """Linear games. Zero-sum: bilinear, of singular values SIGMA where square; of others; with squares. And not."""
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(2, rows, columns))
    P, Q = rng.normal(size=(rows, rows)), rng.normal(size=(columns, columns))
    if rows == columns:
        A = np.linalg.qr(A)[0] @ np.diag(SIGMA) @ np.linalg.qr(B)[0]
    zero = {"P": np.zeros_like(P), "Q": np.zeros_like(Q)}
    squares = {"P": 0.5 * P @ P.T, "Q": 0.2 * Q}  # the one damped, the other perhaps spurred
    zero_sum = [{"A": A, "B": A, **zero}, {"A": B, "B": B, **zero}, {"A": A, "B": A, **squares}]
    return zero_sum, [{"A": A, "B": B, **zero}, {"A": A, "B": B, **squares}]


@functools.cache
def compiled(plan):
    """(matrices, step sizes) to the rates that are predicted and observed on a linear game, one after another."""
    def rates(inputs):
        matrices, sizes = inputs
        matrices = dict(matrices)
        rest = Players(*(jnp.zeros(size) for size in matrices["A"].shape))
        game = bilinear_game(matrices.pop("A"), **matrices)
        full = Plan(step_sizes=Players(*sizes), **PLANS[plan])
        return predicted_rate(game, rest, full), observed_rate(game, rest, full)

    return jax.jit(lambda *inputs: jax.lax.map(rates, inputs))


def on_linear_games(plan, sizes, *shape):
    """Predicted and observed on each of the games."""
    zero_sum, general = games(*shape)
    chosen = zero_sum if "zero-sum" in plan else zero_sum + general
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *chosen)
    return [np.asarray(rate) for rate in compiled(plan)(stacked, np.tile(sizes, (len(chosen), 1)))]


@every_plan
def test_prediction_is_observation_on_linear_games(plan, float64):
    """With one time scale, and with two."""
    for sizes in ((0.2, 0.2), (0.05, 0.3)):
        predicted, observed = on_linear_games(plan, sizes)
        np.testing.assert_allclose(observed, predicted, rtol=TOLERANCE)
        assert np.ptp(predicted) > 1e-3


@pytest.mark.parametrize("plan", ["alternating, 3 critic steps", "competitive, zero-sum"])
def test_players_of_different_sizes(plan, float64):
    predicted, observed = on_linear_games(plan, (0.05, 0.3), 3, 2)
    np.testing.assert_allclose(observed, predicted, rtol=TOLERANCE)


@functools.cache
def compiled_dirac(plan, criterion="non-saturating"):
    def rates(inputs):
        r1, sizes = inputs
        game, rest = dirac_gan(CRITERIA[criterion], r1=r1), Players(jnp.zeros(()), jnp.zeros(()))
        full = Plan(step_sizes=Players(*sizes), **PLANS[plan])
        return predicted_rate(game, rest, full), observed_rate(game, rest, full)

    return jax.jit(lambda *inputs: jax.lax.map(rates, inputs))


@pytest.mark.parametrize("plan, criterion", [
    *((plan, "minimax" if "zero-sum" in plan else "non-saturating") for plan in PLANS)])
def test_prediction_is_observation_on_dirac_gan_with_and_without_r1(plan, criterion, float64):
    """A game that is not linear, from as near as makes it so. R1 makes it one that is no longer zero-sum, but the
    mixed derivatives, which are all that competitive steps ask for, stay so."""
    r1 = np.array([0.0, 0.3, 1.7, 0.0, 0.3, 1.7])
    sizes = np.array(3 * [(0.4, 0.4)] + 3 * [(0.1, 0.6)])
    predicted, observed = map(np.asarray, compiled_dirac(plan, criterion)(r1, sizes))
    np.testing.assert_allclose(observed, predicted, rtol=TOLERANCE)
    assert np.all(predicted[1:3] < predicted[0])  # the penalty brings it home, or home faster


def test_a_wrong_prediction_would_be_seen(float64):
    """Predictions of any other method, of the time scales exchanged, or of another β or k: all far off."""
    sizes = (0.2, 0.5)
    squared, general = games()[0][2], games()[1][1]
    jacobians = [bilinear_jacobian(one["A"], one["P"], one["Q"], one["B"]) for one in (squared, general)]
    predict = jax.jit(lambda J: {
        (name, k, beta, swapped): spectral_radius(linearised_update(
            J, 2, Plan(name, Players(*(sizes[::-1] if swapped else sizes)), k, beta)))
        for name in LINEARISED for k in (1, 3) for beta in (0.3, 0.31) for swapped in (False, True)})
    for J, row in zip(jacobians, (2, 4)):
        predicted = predict(J)
        for plan, how in PLANS.items():
            if "zero-sum" in plan:
                continue
            observed = on_linear_games(plan, sizes)[1][row]
            own = (how["name"], how.get("critic_steps", 1), how.get("consensus_weight", 0.3))
            for (name, k, beta, swapped), rate in predicted.items():
                same = name == own[0] and not swapped and (k == own[1] or name != "alternating") and (
                    beta == own[2] or name != "consensus")
                off = abs(float(rate) / observed - 1)
                assert off <= TOLERANCE if same else off > 100 * TOLERANCE, (plan, name, k, beta, swapped, off)


def on_a_bilinear_game(plan, size):
    """As observed, on the one whose singular values are SIGMA."""
    return on_linear_games(plan, (size, size))[1][0]


@pytest.mark.parametrize("plan, size, expected", [
    ("simultaneous", 0.2, np.sqrt(1 + 0.4**2)),  # diverges, whatever the step size
    ("simultaneous", 0.01, np.sqrt(1 + 0.02**2)),
    ("alternating", 0.2, 1.0),  # goes round on the unit circle while η σ <= 2,
    ("alternating", 1.1, 2.2**2 / 2 - 1 + np.sqrt((2.2**2 / 2 - 1) ** 2 - 1)),  # and leaves beyond
    ("extra-gradient", 0.2, np.sqrt(1 - 0.1**2 + 0.1**4)),  # these converge
    ("consensus", 0.2, np.sqrt((1 - 0.2 * 0.3 * 0.5**2) ** 2 + 0.1**2)),
    ("competitive", 0.2, 1 / np.sqrt(1 + 0.1**2)),
    ("competitive, zero-sum", 5.0, 1 / np.sqrt(1 + 2.5**2)),  # whatever the step size
])
def test_rates_on_a_bilinear_game_in_closed_form(plan, size, expected, float64):
    """By η σ of σ = 2, which leaves fastest, or of σ = ½, which comes home slowest."""
    assert abs(on_a_bilinear_game(plan, size) / expected - 1) < TOLERANCE


def test_optimistic_steps_converge_where_simultaneous_ones_leave(float64):
    """The larger root of λ² − (1 + 2 i η σ) λ + i η σ = 0, of either σ."""
    roots = [np.max(np.abs(np.roots([1, -(1 + 2j * s), 1j * s]))) for s in 0.2 * SIGMA]
    assert abs(on_a_bilinear_game("optimistic", 0.2) / max(roots) - 1) < TOLERANCE
    assert max(roots) < 0.999 < 1.07 < on_a_bilinear_game("simultaneous", 0.2)


def test_rates_are_those_of_any_number_of_steps(float64):
    game, rest = dirac_gan(r1=0.3), Players(np.array(0.0), np.array(0.0))
    plan = Plan("simultaneous", Players(0.4, 0.4))
    predicted, *observed = jax.jit(lambda: (predicted_rate(game, rest, plan), *(
        observed_rate(game, rest, plan, num_steps=num_steps) for num_steps in (1, 20))))()
    np.testing.assert_allclose(observed, predicted, rtol=TOLERANCE)


def test_what_makes_no_plan_is_refused():
    game, rest = dirac_gan(), Players(jnp.zeros(()), jnp.zeros(()))
    plan = Plan("simultaneous", Players(0.1, 0.1))
    for of in (method_of, functools.partial(linearised_update, jnp.eye(2), 1)):
        with pytest.raises(ValueError, match=r"name must be one of simultaneous, .*, competitive, got 'newton'"):
            of(plan._replace(name="newton"))
    for size in (0.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match=f"step_sizes must be above 0, got {size}"):
            method_of(plan._replace(step_sizes=Players(0.1, size)))
    with pytest.raises(ValueError, match="num_steps must be at least 1, got 0"):
        observed_rate(game, rest, plan, num_steps=0)
