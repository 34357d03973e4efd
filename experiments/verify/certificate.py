"""Every identity that the applications list, tried on drawn inputs."""

import importlib
import pkgutil
from typing import NamedTuple

import jax
import jax.numpy as jnp

import sandbox
from sandbox.identities import Identity, worst_error


class Verdict(NamedTuple):
    """One identity tried: worst relative error in each precision, number of cases, and whether it holds."""

    application: str
    identity: str
    cases: int
    float64: float
    tolerance: float
    float32: float
    float32_tolerance: float
    holds: bool


def applications() -> list[str]:
    """The applications of sandbox that list identities."""
    packages = [module.name for module in pkgutil.iter_modules(sandbox.__path__) if module.ispkg]
    return [name for name in packages
            if any(module.name == "identities" for module in pkgutil.iter_modules([f"{sandbox.__path__[0]}/{name}"]))]


def identities_of(application: str) -> tuple[Identity, ...]:
    """What an application lists."""
    return importlib.import_module(f"sandbox.{application}.identities").IDENTITIES


def certify(application: str, identity: Identity, *, num_cases: int) -> Verdict:
    """Try one identity in both precisions."""
    with jax.enable_x64(True):
        double = _worst(identity, num_cases, jnp.float64)
    single = _worst(identity, num_cases, jnp.float32)
    holds = double <= identity.tolerance and single <= identity.float32_tolerance
    return Verdict(application, identity.name, num_cases, double, identity.tolerance, single,
                   identity.float32_tolerance, holds)


def _worst(identity: Identity, num_cases: int, dtype) -> float:
    compiled = jax.jit(lambda key: worst_error(identity, key, num_cases=num_cases, dtype=dtype))
    return float(compiled(jax.random.key(0)))
