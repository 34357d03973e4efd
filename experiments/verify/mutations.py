"""Each mutant of each closed form put in its place, and the identities that call it tried on a few drawn inputs.

One that no row turns red is a hole in the identities, or equivalent; these are listed with their reasons.
"""

import contextlib
import importlib
import pkgutil
import sys
import time
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import sandbox
from experiments.verify.certificate import drawn, identities_of
from experiments.verify.equivalents import EQUIVALENT
from experiments.verify.mutants import Mutant, functions_of, mutants_of, name_of
from sandbox.identities import Identity, relative_error

NUM_DRAWS = 20


class Report(NamedTuple):
    """Of an application: how many functions and mutants, mutants that no row catches, functions that none calls."""

    application: str
    functions: int
    mutants: int
    survivors: list[str]
    uncalled: list[str]

    @property
    def equivalent(self) -> list[str]:
        """Survivors that are listed with a reason."""
        return [change for change in self.survivors if change in EQUIVALENT.get(self.application, {})]

    @property
    def holes(self) -> list[str]:
        """What the identities leave open, and what is listed as equivalent and is not."""
        listed = EQUIVALENT.get(self.application, {})
        return [*(f"{name}: no identity calls it" for name in self.uncalled),
                *(f"{change}: no identity fails" for change in self.survivors if change not in listed),
                *(f"{change}: listed as equivalent, and noticed or gone" for change in listed
                  if change not in self.survivors)]


class _Row(NamedTuple):
    """An identity as it is: its inputs, both sides' values, which functions each calls, and how long it takes."""

    identity: Identity
    inputs: tuple
    values: tuple[Any, Any]
    calls: tuple[set[FunctionType], set[FunctionType]]
    seconds: float


def mutate(application: str) -> Report:
    """Break every function of an application's closed forms in every way."""
    found = {function: source for module in derivatives_of(application)
             for function, source in functions_of(module).items()}
    mutants = [mutant for function, source in found.items() for mutant in mutants_of(function, source)]
    with _strictly():
        rows = sorted(_rows(identities_of(application), set(found)), key=lambda row: row.seconds)
        survivors = [mutant for mutant in mutants if not _caught(mutant, rows)]
        if broken := [row.identity.name for row in rows if not _holds(row, range(2))]:
            raise RuntimeError(f"still broken after what broke it is gone: {broken}")
        survivors = [mutant.change for mutant in survivors if not _caught(mutant, rows, afresh=True)]
    called = set().union(*(calls for row in rows for calls in row.calls))
    uncalled = [name_of(function, source) for function, source in found.items() if function not in called]
    return Report(application, len(found), len(mutants), survivors, uncalled)


def derivatives_of(application: str) -> list[ModuleType]:
    """The modules of an application that hold closed forms: those whose names end in derivatives."""
    names = [module.name for module in pkgutil.iter_modules([f"{sandbox.__path__[0]}/{application}"])]
    return [importlib.import_module(f"sandbox.{application}.{name}") for name in names if name.endswith("derivatives")]


@contextlib.contextmanager
def _strictly() -> Iterator[None]:
    """float64, and shapes that broadcast: what only a test's settings refuse, no row has caught."""
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
        yield


def _rows(identities: tuple[Identity, ...], functions: set[FunctionType]) -> Iterator[_Row]:
    """Those that call any of the functions."""
    for identity in identities:
        inputs = jax.tree.map(jnp.asarray, drawn(identity, NUM_DRAWS))
        calls = _called(identity.left, inputs, functions), _called(identity.right, inputs, functions)
        if any(calls):
            values = jax.vmap(identity.left)(*inputs), jax.vmap(identity.right)(*inputs)
            start = time.perf_counter()
            row = _Row(identity, inputs, values, calls, 0.0)
            if not _holds(row, range(2)):
                raise RuntimeError(f"does not hold as it is: {identity.name}")
            yield row._replace(seconds=time.perf_counter() - start)


def _called(side: Callable, inputs: tuple, functions: set[FunctionType]) -> set[FunctionType]:
    """Which of the functions a side calls, as jax traces it."""
    codes, called = {function.__code__: function for function in functions}, set()

    def note(frame, event, _):
        if event == "call" and frame.f_code in codes:
            called.add(codes[frame.f_code])

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        jax.eval_shape(jax.vmap(side), *inputs)
    finally:
        sys.setprofile(before)
    return called


def _caught(mutant: Mutant, rows: list[_Row], *, afresh: bool = False) -> bool:
    """Whether a row fails. afresh: jax forgets what it has made of functions, lest it go by what one was before."""
    function: Any = mutant.function
    code = function.__code__
    touched = [(row, [side for side in range(2) if function in row.calls[side]]) for row in rows]
    if afresh:
        jax.clear_caches()
    function.__code__ = mutant.code  # in the function itself: partial(...) and tables hold it, too
    try:
        return any(not _holds(row, sides) for row, sides in touched if sides)
    finally:
        function.__code__ = code


def _holds(row: _Row, sides) -> bool:
    """Whether both sides agree, these evaluated anew."""
    try:
        values = list(row.values)
        for side in sides:
            values[side] = jax.vmap(row.identity[1 + side])(*row.inputs)
        return bool(jnp.max(_errors(*values)) <= row.identity.tolerance)
    except Exception:  # as in the certificate: what raises does not hold
        return False


_errors = jax.jit(jax.vmap(relative_error))
