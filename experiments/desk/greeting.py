"""What is at hand in the explorer's shell, and what it says first."""

import importlib.util
import textwrap
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import experiments
import sandbox

WIDTH = 79
TRY = """
  kalman?                                      # its formula, and what is in it
  jax.jacobian(jax.nn.softmax)(jnp.zeros(2))   # diag(s) − s sᵀ; and by hand:
  attention.derivatives.softmax_jacobian(jnp.zeros(2))
  result = experiments.kalman.run()            # learns, and shows itself:
  result
"""


def at_hand() -> dict[str, Any]:
    """Names that the shell begins with."""
    wings = {name: importlib.import_module(f"sandbox.{name}") for name in _wings()}
    return {"jax": jax, "jnp": jnp, "np": np, "optax": optax, "grad": jax.grad, "jit": jax.jit, "vmap": jax.vmap,
            "experiments": experiments, "sandbox": sandbox, **wings}


def greeting() -> str:
    """On what devices it runs, what is at hand, and what to try."""
    device, count = jax.devices()[0], jax.device_count()
    devices = device.device_kind if count == 1 else f"{count} x {device.device_kind}"
    words = [f"jax {jax.__version__} on {devices}. Edited files reload themselves; TAB completes, ? explains.",
             f"At hand: {', '.join(name for name in at_hand() if name not in _wings())}, and of sandbox "
             f"{', '.join(_wings())}. Try:"]
    return "\n".join(textwrap.fill(line, WIDTH) for line in words) + "\n" + TRY


def _wings() -> list[str]:
    """The applications of sandbox."""
    return [name for name in experiments.names() if importlib.util.find_spec(f"sandbox.{name}")]
