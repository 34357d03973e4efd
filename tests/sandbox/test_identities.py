"""Every identity that a wing lists, in double and in single precision; and that a false one is noticed."""

import importlib
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import sandbox
from sandbox.identities import Identity, relative_error, worst_error

WINGS = sorted(path.parent.name for path in Path(sandbox.__file__).parent.glob("*/identities.py"))
IDENTITIES = [pytest.param(identity, id=f"{wing}: {identity.name}") for wing in WINGS
              for identity in importlib.import_module(f"sandbox.{wing}.identities").IDENTITIES]

pytestmark = pytest.mark.identity


def worst(identity, dtype):
    return float(jax.jit(lambda key: worst_error(identity, key, num_cases=20, dtype=dtype))(jax.random.key(0)))


@pytest.mark.parametrize("identity", IDENTITIES)
def test_identity_in_float64(identity, float64):
    assert worst(identity, jnp.float64) <= identity.tolerance


@pytest.mark.parametrize("identity", IDENTITIES)
def test_identity_in_float32(identity):
    assert worst(identity, jnp.float32) <= identity.float32_tolerance


def test_a_false_identity_is_noticed():
    false = Identity("x = −x", lambda x: x, lambda x: -x, lambda key, dtype: (jax.random.normal(key, (3,), dtype),))
    assert worst(false, jnp.float32) > 1


def test_nan_on_a_side_is_not_an_agreement():
    assert not relative_error(jnp.array([jnp.nan]), jnp.array([jnp.nan])) <= 1


def test_sides_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        relative_error(jnp.ones(2), jnp.ones(3))
    with pytest.raises(ValueError, match="differ in structure"):
        relative_error((jnp.ones(2),), jnp.ones(2))
