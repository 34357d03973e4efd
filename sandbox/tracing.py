"""What a function under a transformation knows of its arguments."""

from typing import Any

from jax.core import Tracer

__all__ = ["is_concrete"]


def is_concrete(value: Any) -> bool:
    """Whether a value can be looked at. One that is traced cannot: nobody refuses it.

    Args:
      value: a number or an array.
    Returns:
      False under jax.jit, vmap or grad with respect to it.

    >>> is_concrete(0.1), bool(jax.jit(lambda value: jnp.array(is_concrete(value)))(0.1))
    (True, False)
    """
    return not isinstance(value, Tracer)
