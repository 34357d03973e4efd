"""What one case of the contract says of a public loss."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Case(NamedTuple):
    """A loss with something to compute it on.

    loss: the public function. params, batch: float32 inputs. keywords: its other arguments.
    extremes: further (params, batch) at which gradients must be finite.
    refused: per line under Raises, in order, (exception type, words of the message, call).
    """

    loss: Callable[..., Any]
    params: Any
    batch: Any
    keywords: dict[str, Any]
    extremes: tuple[tuple[Any, Any], ...]
    refused: tuple[tuple[type[Exception], str, Callable[[], Any]], ...]
