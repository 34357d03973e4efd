"""Every identity that the applications list, tried on drawn inputs."""

import importlib
import pkgutil
from typing import NamedTuple

import jax
import jax.numpy as jnp

import sandbox
from sandbox.identities import Identity, relative_error

# Nearly all the time goes into compiling programs that run for a moment. The last option went with jaxlib 0.10.
QUICKLY = {"xla_backend_optimization_level": 0, "xla_cpu_parallel_codegen_split_count": 1}
if jax.__version_info__ < (0, 11):
    QUICKLY["xla_cpu_use_fusion_emitters"] = False


class Verdict(NamedTuple):
    """One identity tried: worst relative error in each precision, and whether it holds; or what it raised."""

    application: str
    identity: str
    cases: int
    float64: float
    tolerance: float
    float32: float
    float32_tolerance: float
    holds: bool
    error: str = ""


def applications() -> list[str]:
    """The applications of sandbox that list identities."""
    packages = [module.name for module in pkgutil.iter_modules(sandbox.__path__) if module.ispkg]
    return [name for name in packages
            if any(module.name == "identities" for module in pkgutil.iter_modules([f"{sandbox.__path__[0]}/{name}"]))]


def identities_of(application: str) -> tuple[Identity, ...]:
    """What an application lists."""
    return importlib.import_module(f"sandbox.{application}.identities").IDENTITIES


def drawn(identity: Identity, num_cases: int) -> tuple:
    """Inputs to try it on, in float64, on the host, with a leading axis of cases; fewer are the first of more."""
    # Compiled with both sides and in both precisions, as a test does, drawing would cost as much as all the rest.
    keys = jax.random.split(jax.random.key(0), num_cases)
    return jax.device_get(jax.vmap(lambda key: identity.draw(key, jnp.float64))(keys))


def certify(application: str, identity: Identity, *, num_cases: int) -> Verdict:
    """Try one identity in both precisions, on the CPU. One that raises does not hold."""
    double = single = float("nan")
    raised = ""
    try:
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            with jax.enable_x64(True):
                inputs = drawn(identity, num_cases)
                double = _worst(identity, inputs)
            with jax.enable_x64(False):
                single = _worst(identity, inputs)
    except Exception as error:
        raised = f"{type(error).__name__}: {error}"
    holds = double <= identity.tolerance and single <= identity.float32_tolerance
    return Verdict(application, identity.name, num_cases, double, identity.tolerance, single,
                   identity.float32_tolerance, holds, raised)


def certify_listed(place: tuple[str, int], *, num_cases: int) -> Verdict:
    """The same for (application, place in its list), which another process can be told."""
    application, number = place
    return certify(application, identities_of(application)[number], num_cases=num_cases)


def _worst(identity: Identity, inputs: tuple) -> float:
    """Over all cases; without x64, jax takes float64 from the host as float32."""
    def error(case):
        return relative_error(identity.left(*case), identity.right(*case))

    cases = jax.tree.map(jnp.asarray, inputs)
    worst = jax.jit(lambda cases: jnp.max(jax.lax.map(error, cases)))
    return float(worst.lower(cases).compile(compiler_options=QUICKLY)(cases))
