"""The criteria: by plain sums of the formulas, what they are worth where nothing is known, and what they leave open."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.gan import CRITERIA, HINGE, MINIMAX, NON_SATURATING, RELATIVISTIC, WASSERSTEIN
from sandbox.gan.derivatives import CRITERION_SLOPES

RNG = np.random.default_rng(0)
REAL, FAKE = RNG.normal(size=(2, 6)) * 2


def probability(logits):
    return 1 / (1 + np.exp(-logits))


def below(values):
    return np.maximum(0, values)


WRITTEN_OUT = {
    "minimax": (lambda r, f: -np.log(probability(r)) - np.log(1 - probability(f)),
                lambda r, f: np.log(probability(r)) + np.log(1 - probability(f))),
    "non-saturating": (lambda r, f: -np.log(probability(r)) - np.log(1 - probability(f)),
                       lambda r, f: -np.log(probability(f))),
    "least-squares": (lambda r, f: ((r - 1) ** 2 + f**2) / 2, lambda r, f: (f - 1) ** 2 / 2),
    "hinge": (lambda r, f: below(1 - r) + below(1 + f), lambda r, f: -f),
    "wasserstein": (lambda r, f: f - r, lambda r, f: r - f),
    "relativistic": (lambda r, f: -np.log(probability(r - f)), lambda r, f: -np.log(probability(f - r))),
}


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_values_are_the_formulas(name, float64):
    found = [of(jnp.asarray(REAL), jnp.asarray(FAKE)) for of in CRITERIA[name][1:]]
    for value, formula in zip(found, WRITTEN_OUT[name]):
        np.testing.assert_allclose(value, formula(REAL, FAKE), rtol=1e-12)


def test_every_criterion_is_written_out_here_and_is_found_by_its_name():
    assert set(CRITERIA) == set(WRITTEN_OUT) == set(CRITERION_SLOPES)
    assert all(criterion.name == name for name, criterion in CRITERIA.items())


def test_where_the_discriminator_knows_nothing_the_minimax_value_is_minus_log_4(float64):
    even = jnp.zeros(1)
    np.testing.assert_allclose(MINIMAX.generator(even, even), -np.log(4), rtol=1e-15)
    np.testing.assert_allclose(MINIMAX.discriminator(even, even), np.log(4), rtol=1e-15)
    np.testing.assert_allclose(RELATIVISTIC.generator(even, even), np.log(2), rtol=1e-15)


@pytest.mark.parametrize("criterion", CRITERIA.values(), ids=CRITERIA)
def test_two_of_them_are_zero_sum_and_two_do_not_see_a_constant(criterion, float64):
    def values(shift):
        return [np.asarray(of(jnp.asarray(REAL) + shift, jnp.asarray(FAKE) + shift)) for of in criterion[1:]]

    plain, shifted = values(0.0), values(3.0)
    assert np.allclose(plain[0], -plain[1]) == (criterion in (MINIMAX, WASSERSTEIN))
    assert np.allclose(plain, shifted) == (criterion in (RELATIVISTIC, WASSERSTEIN))


def test_where_the_discriminator_is_sure_only_the_non_saturating_generator_is_pushed():
    sure = jnp.array(-20.0)
    flat, steep = (jax.grad(of.generator, 1)(-sure, sure) for of in (MINIMAX, NON_SATURATING))
    np.testing.assert_allclose([flat, steep], [-np.exp(-20), -1], rtol=1e-5)


def test_a_hinge_asks_for_no_more_than_its_margin():
    real, fake = jnp.array([0.5, 1.5, 0.5, 1.5]), jnp.array([-0.5, -0.5, -1.5, -1.5])
    to_real, to_fake = jax.grad(lambda r, f: jnp.sum(HINGE.discriminator(r, f)), (0, 1))(real, fake)
    np.testing.assert_array_equal(to_real, [-1, 0, -1, 0])
    np.testing.assert_array_equal(to_fake, [1, 1, 0, 0])


@pytest.mark.parametrize("criterion", CRITERIA.values(), ids=CRITERIA)
def test_logits_of_any_size_have_finite_values_and_slopes(criterion):
    logits = jnp.array([-1e4, -100.0, 0.0, 100.0, 1e4])
    for of in criterion[1:]:
        value, slopes = jax.value_and_grad(lambda r, f, of=of: jnp.sum(of(r, f)), (0, 1))(logits, logits[::-1])
        assert np.isfinite(value) and np.all(np.isfinite(slopes))


def test_criteria_can_be_static_arguments():
    assert len({*CRITERIA.values(), MINIMAX}) == len(CRITERIA)
