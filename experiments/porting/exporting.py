"""Whether a program can be written down for CPU, GPU and TPU at once, and holds nothing that a TPU would mind."""

import re

from jax import export

from experiments.porting.operations import primitives
from experiments.porting.programs import Built

PLATFORMS = ("cpu", "cuda", "tpu")
_FLOAT64 = re.compile(r"tensor<(?:[\dx?]*x)?(?:complex<f64>|f64)>")
_CALLBACK = re.compile(r"@\w*callback\w*")


def refusals(built: Built) -> list[str]:
    """Why a program does not go to other platforms, each reason in a line; none: it does."""
    try:
        called = {name for name in primitives(built.function.trace(*built.arguments).jaxpr) if _calls_the_host(name)}
        if called:  # jax.export refuses it too, in other words
            return [f"calls the host: {name}" for name in sorted(called)]
        return refused_in(export.export(built.function, platforms=PLATFORMS)(*built.arguments).mlir_module())
    except Exception as error:  # whatever it is, it is why
        return [f"does not export: {first_line(error)}"]


def refused_in(text: str) -> list[str]:
    """The same of a program's StableHLO.

    >>> refused_in("%0 = stablehlo.add %a, %b : tensor<4x2xf64>")
    ['float64: tensor<4x2xf64>']
    """
    return ([f"float64: {found}" for found in sorted(set(_FLOAT64.findall(text)))]
            + [f"calls the host: {found[1:]}" for found in sorted(set(_CALLBACK.findall(text)))])


def first_line(error: Exception) -> str:
    """What an exception says, in a line."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def _calls_the_host(primitive: str) -> bool:
    return "callback" in primitive or primitive in ("debug_print", "infeed", "outfeed")
