"""Operations of a program, counted from its jaxpr: bodies of loops as often as they run.

XLA's own cost analysis counts the body of a loop once, so that a chunk of a thousand steps looks like one.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from experiments.porting import factorizations


class Operations(NamedTuple):
    """What is computed; moving, choosing and converting numbers is free.

    matrix: of matrix products and convolutions, 2 per term; a convolution's padding and holes count as terms. And of
      factorizations of matrices; see experiments.porting.factorizations.
    elementwise: one per number made, or taken in by a reduction, be it an addition or a logarithm; of sorting, the
      n log₂ n comparisons. Eigenvalues of matrices that are not symmetric (eig, schur), Fourier transforms and top_k
      are not counted but as one per number made, which is too few.
    unbounded: loops whose number of turns is decided by what they compute; each is counted as one turn.
    """

    matrix: int = 0
    elementwise: int = 0
    unbounded: int = 0

    @property
    def total(self) -> int:
        return self.matrix + self.elementwise

    def __add__(self, other: tuple) -> "Operations":
        return Operations(*(one + another for one, another in zip(self, other, strict=True)))

    def times(self, number: int) -> "Operations":
        """As often; a loop that is run often is still one loop."""
        return Operations(number * self.matrix, number * self.elementwise, self.unbounded)


FREE = frozenset("""
    bitcast_convert_type broadcast broadcast_in_dim concatenate convert_element_type copy copy_p create_token
    device_put dynamic_slice dynamic_update_slice expand_dims gather get iota optimization_barrier pad pvary
    random_clone random_unwrap random_wrap reduce_precision reshape rev scatter select_and_gather_add
    sharding_constraint slice split squeeze stop_gradient swap transpose
""".split())
TAKE_IN = frozenset("""
    argmax argmin reduce reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_sum reduce_xor
    psum pmax pmin psum_invariant all_gather reduce_scatter
""".split())


def count(jaxpr: Jaxpr | ClosedJaxpr) -> Operations:
    """All operations of one call.

    >>> def thrice(x): return jax.lax.scan(lambda x, _: (x @ x, None), x, length=3)[0]
    >>> count(jax.make_jaxpr(thrice)(jax.numpy.ones((4, 4))))
    Operations(matrix=384, elementwise=0, unbounded=0)
    """
    plain = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    return sum((_of(eqn) for eqn in plain.eqns), Operations())


def primitives(jaxpr: Jaxpr | ClosedJaxpr) -> Iterator[str]:
    """Names of the primitives, those inside of others too.

    >>> sorted(primitives(jax.make_jaxpr(jax.jit(lambda x: x + 1))(1.0)))
    ['add', 'jit']
    """
    plain = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    for eqn in plain.eqns:
        yield eqn.primitive.name
        for inner in _inside(eqn):
            yield from primitives(inner)


def _of(eqn: JaxprEqn) -> Operations:
    name, params = eqn.primitive.name, eqn.params
    if name in _SPECIAL:
        return _SPECIAL[name](eqn)
    inner = [count(jaxpr) for jaxpr in _inside(eqn)]
    if name == "scan":
        return inner[0].times(params["length"])
    if name == "while":
        return sum(inner, Operations(unbounded=1))
    if name == "cond":
        return max(inner, key=lambda one: one.total)
    if name == "shard_map":
        return inner[0].times(_num_shards(params))
    if name == "pallas_call":
        return inner[0].times(math.prod(params["grid_mapping"].grid))
    if name.startswith("scatter") and name != "scatter":
        return Operations(elementwise=_size(eqn.invars[2]))
    if name in TAKE_IN:
        return Operations(elementwise=sum(map(_size, eqn.invars)))
    if inner:
        return sum(inner, Operations())
    return Operations(elementwise=0 if name in FREE else max(map(_size, eqn.outvars), default=0))


def _as_it_computes(eqn: JaxprEqn) -> Operations:
    """Of a primitive of sandbox: what it stands for."""
    stands_for = jax.make_jaxpr(lambda *values: eqn.primitive.impl(*values, **eqn.params))
    return count(stands_for(*(variable.aval for variable in eqn.invars)))


def _matrix_product(eqn: JaxprEqn) -> Operations:
    (contracted, _), _ = eqn.params["dimension_numbers"]
    terms = math.prod(_shape(eqn.invars[0])[axis] for axis in contracted)
    return Operations(matrix=2 * _size(eqn.outvars[0]) * terms)


def _convolution(eqn: JaxprEqn) -> Operations:
    """Each number of the result is a sum over the kernel's window and its input features."""
    kernel = _shape(eqn.invars[1])
    features = kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
    return Operations(matrix=2 * _size(eqn.outvars[0]) * (math.prod(kernel) // max(features, 1)))


def _num_shards(params: Mapping[str, Any]) -> int:
    axes = next(value for name, value in params.items() if name.endswith("manual_axes"))
    return math.prod(params["mesh"].shape[axis] for axis in axes)


def _triangular_solve(eqn: JaxprEqn) -> Operations:
    """n² of each right-hand side."""
    return Operations(matrix=_size(eqn.invars[1]) * _shape(eqn.invars[0])[-1])


def _linear_solve(eqn: JaxprEqn) -> Operations:
    """It brings a product with the matrix and the transposed one, too, of which nothing is computed here."""
    return count(eqn.params["jaxprs"].solve)


def _each_matrix(operations: Callable[..., int], eqn: JaxprEqn, *more: Any) -> Operations:
    *stack, rows, columns = _shape(eqn.invars[0])
    return Operations(matrix=math.prod(stack) * operations(rows, columns, *more))


def _qr(eqn: JaxprEqn) -> Operations:
    return _each_matrix(factorizations.qr, eqn, _shape(eqn.outvars[0])[-1])


def _svd(eqn: JaxprEqn) -> Operations:
    vectors = max(_shape(side)[axis] for side, axis in zip(eqn.outvars[1:], (-1, -2))) if eqn.outvars[1:] else None
    return _each_matrix(factorizations.svd, eqn, vectors)


def _sort(eqn: JaxprEqn) -> Operations:
    length = _shape(eqn.invars[0])[eqn.params["dimension"]]
    return Operations(elementwise=_size(eqn.invars[0]) * math.ceil(math.log2(max(length, 1))))


_SPECIAL = {"dot_general": _matrix_product, "conv_general_dilated": _convolution, "stacked_conv": _as_it_computes,
            "triangular_solve": _triangular_solve, "custom_linear_solve": _linear_solve, "qr": _qr, "svd": _svd,
            "cholesky": partial(_each_matrix, lambda n, _: factorizations.cholesky(n)),
            "eigh": partial(_each_matrix, lambda n, _: factorizations.eigh(n)),
            "lu": partial(_each_matrix, factorizations.lu), "sort": _sort}


def _inside(eqn: JaxprEqn) -> list[Any]:
    values = [item for value in eqn.params.values() for item in (value if isinstance(value, tuple | list) else [value])]
    return [value for value in values if isinstance(value, Jaxpr | ClosedJaxpr)]


def _shape(variable: Any) -> tuple[int, ...]:
    return getattr(variable.aval, "shape", ())


def _size(variable: Any) -> int:
    return math.prod(_shape(variable))
