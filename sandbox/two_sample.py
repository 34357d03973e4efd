"""How far two sets of points are from having come from one distribution.

Points are rows; of images, take features of a network that was not trained to make them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

__all__ = [
    "PrecisionRecall", "energy_distance", "frechet_distance", "kernel_distance", "nearest_neighbours",
    "precision_recall", "squared_distances",
]

ROWS_AT_ONCE = 256  # of a matrix of distances: memory grows with the other set alone


class PrecisionRecall(NamedTuple):
    """precision: share of what was made that lies among the real; recall: share of the real that lies among it."""

    precision: jax.Array
    recall: jax.Array


def frechet_distance(x: jax.Array, y: jax.Array) -> jax.Array:
    """Squared 2-Wasserstein distance of the Gaussians with the means and covariances of two sets.

    ‖μ_x − μ_y‖² + tr(Σ_x + Σ_y − 2 (Σ_x^½ Σ_y Σ_x^½)^½).

    Args:
      x: (N, D), y: (M, D), N, M >= 2, in one unit; float64 where a covariance is singular, of which a
        root loses half of the digits. The distance is biased upwards, the more so the smaller the sets.
    Returns:
      Scalar >= 0 up to rounding, in squared units.
    Raises:
      ValueError: sets of fewer than two points, or of different dimensions.
    Source: Dowson, Landau 1982; Heusel et al. 2017, "GANs trained by a two time-scale update rule".

    >>> frechet_distance(jnp.array([[0.0], [2.0]]), jnp.array([[3.0], [5.0]]))
    Array(9., dtype=float32)
    """
    _require_sets(x, y, least=2)
    root = _square_root(_covariance(x))
    cross = jnp.linalg.eigvalsh(_product(_product(root, _covariance(y)), root))
    spread = jnp.trace(_covariance(x)) + jnp.trace(_covariance(y)) - 2 * jnp.sum(jnp.sqrt(jnp.maximum(cross, 0)))
    return jnp.sum((jnp.mean(x, axis=0) - jnp.mean(y, axis=0))**2) + spread


def kernel_distance(x: jax.Array, y: jax.Array) -> jax.Array:
    """Unbiased estimate of the squared maximum mean discrepancy, with the cubic kernel.

    MMD² = E k(x, x') + E k(y, y') − 2 E k(x, y),   k(a, b) = (⟨a, b⟩/D + 1)³,   each pair of two different points.

    Args:
      x: (N, D), y: (M, D), N, M >= 2.
    Returns:
      Scalar; its mean is 0 where both come from one distribution, so it can be below 0.
    Raises:
      ValueError: sets of fewer than two points, or of different dimensions.
    Source: Gretton et al. 2012, "A kernel two-sample test", lemma 6; Bińkowski et al. 2018, "Demystifying MMD GANs".

    >>> kernel_distance(jnp.array([[0.0], [0.0]]), jnp.array([[1.0], [1.0]]))  # 1 + 8 − 2 · 1
    Array(7., dtype=float32)
    """
    _require_sets(x, y, least=2)
    N, M = len(x), len(y)
    within_x = (_kernel_sum(x, x) - jnp.sum(_cubic(jnp.sum(x * x, axis=1), x.shape[1]))) / (N * (N - 1))
    within_y = (_kernel_sum(y, y) - jnp.sum(_cubic(jnp.sum(y * y, axis=1), y.shape[1]))) / (M * (M - 1))
    return within_x + within_y - 2 * _kernel_sum(x, y) / (N * M)


def energy_distance(x: jax.Array, y: jax.Array) -> jax.Array:
    """Unbiased estimate of the squared maximum mean discrepancy with the kernel −‖a − b‖, which has no width to choose.

    2 E‖x − y‖ − E‖x − x'‖ − E‖y − y'‖, each pair of two different points.

    Args:
      x: (N, D), y: (M, D), N, M >= 2, in one unit.
    Returns:
      Scalar, in that unit; its mean is 0 where both come from one distribution, and only there.
    Raises:
      ValueError: sets of fewer than two points, or of different dimensions.
    Source: Székely, Rizzo 2013, "Energy statistics"; Sejdinovic et al. 2013, "Equivalence of distance-based and
      RKHS-based statistics in hypothesis testing", theorem 22.

    >>> energy_distance(jnp.array([[0.0], [0.0]]), jnp.array([[1.0], [1.0]]))
    Array(2., dtype=float32)
    """
    _require_sets(x, y, least=2)
    N, M = len(x), len(y)
    within = _distance_sum(x, x) / (N * (N - 1)) + _distance_sum(y, y) / (M * (M - 1))
    return 2 * _distance_sum(x, y) / (N * M) - within


def precision_recall(real: jax.Array, fake: jax.Array, *, neighbours: int = 3) -> PrecisionRecall:
    """Shares of each set within the other, where a set is the union of balls that reach to each point's k-th neighbour.

    precision = 1/M Σ_j [fake_j in ∪_i B(real_i, r_i)], r_i the distance from real_i to its k-th neighbour in its own
    set; recall with the two exchanged.

    Args:
      real: (N, D). fake: (M, D). neighbours: k >= 1, below N and M.
    Returns:
      PrecisionRecall.
    Raises:
      ValueError: neighbours is not in 1 ... min(N, M) − 1, or dimensions differ.
    Source: Kynkäänniemi et al. 2019, "Improved precision and recall metric", eq. 1 and 2.

    >>> real, fake = jnp.array([[0.0], [1.0], [2.0]]), jnp.array([[0.5], [9.0]])
    >>> precision_recall(real, fake, neighbours=1).precision
    Array(0.5, dtype=float32)
    """
    _require_sets(real, fake, least=1)
    if not 1 <= neighbours < min(len(real), len(fake)):
        raise ValueError(f"neighbours must be at least 1 and below both sets' sizes, {len(real)} and {len(fake)}, got "
                         f"{neighbours}")
    return PrecisionRecall(_share_within(fake, real, neighbours), _share_within(real, fake, neighbours))


def nearest_neighbours(x: jax.Array, among: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Number of each point's nearest point in another set, (N,), and the squared distance to it, (N,).

    Args:
      x: (N, D). among: (M, D).
    Raises:
      ValueError: a set without points, or of different dimensions.

    >>> nearest_neighbours(jnp.array([[0.0], [5.0]]), jnp.array([[4.0], [1.0]]))
    (Array([1, 0], dtype=int32), Array([1., 1.], dtype=float32))
    """
    _require_sets(x, among, least=1)

    def nearest(point: jax.Array) -> tuple[jax.Array, jax.Array]:
        distances = jnp.sum((among - point[None])**2, axis=1)  # differences, not products: exact at 0
        return jnp.argmin(distances), jnp.min(distances)

    return jax.lax.map(nearest, x)


def squared_distances(x: jax.Array, y: jax.Array) -> jax.Array:
    """‖x_i − y_j‖², (N, M), by ‖x‖² + ‖y‖² − 2⟨x, y⟩ about the mean of y: one matrix product.

    Args:
      x: (N, D). y: (M, D).

    >>> squared_distances(jnp.array([[0.0], [1.0]]), jnp.array([[3.0]]))
    Array([[9.],
           [4.]], dtype=float32)
    """
    middle = jnp.mean(y, axis=0, keepdims=True)
    x, y = x - middle, y - middle
    return jnp.maximum(jnp.sum(x**2, axis=1)[:, None] + jnp.sum(y**2, axis=1)[None] - 2 * _product(x, y.T), 0)


def _share_within(points: jax.Array, balls: jax.Array, neighbours: int) -> jax.Array:
    own = jax.lax.map(lambda row: -jax.lax.top_k(-_to(row, balls), neighbours + 1)[0][-1], balls,
                      batch_size=ROWS_AT_ONCE)  # itself is the first
    within = jax.lax.map(lambda row: jnp.any(_to(row, balls) <= own), points, batch_size=ROWS_AT_ONCE)
    return jnp.mean(within.astype(points.dtype))


def _to(point: jax.Array, others: jax.Array) -> jax.Array:
    return squared_distances(point[None], others)[0]


def _kernel_sum(x: jax.Array, y: jax.Array) -> jax.Array:
    rows = jax.lax.map(lambda row: jnp.sum(_cubic(_product(y, row), y.shape[1])), x, batch_size=ROWS_AT_ONCE)
    return jnp.sum(rows)


def _distance_sum(x: jax.Array, y: jax.Array) -> jax.Array:
    def of_row(row: jax.Array) -> jax.Array:  # differences, not products: small distances count
        squares = jnp.sum((y - row[None])**2, axis=1)
        same = squares == 0  # of a point and itself: without a slope there
        return jnp.sum(jnp.where(same, 0, jnp.sqrt(jnp.where(same, 1, squares))))

    return jnp.sum(jax.lax.map(of_row, x, batch_size=min(ROWS_AT_ONCE, len(x))))


def _cubic(products: jax.Array, D: int) -> jax.Array:
    return (products / D + 1)**3


def _covariance(x: jax.Array) -> jax.Array:
    away = x - jnp.mean(x, axis=0, keepdims=True)
    return _product(away.T, away) / (len(x) - 1)


def _square_root(matrix: jax.Array) -> jax.Array:
    """Of a symmetric positive semi-definite matrix."""
    values, vectors = jnp.linalg.eigh(matrix)
    return _product(vectors * jnp.sqrt(jnp.maximum(values, 0))[None], vectors.T)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")  # a TPU would take bfloat16, which loses small distances


def _require_sets(x: jax.Array, y: jax.Array, least: int) -> None:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < least:
        raise ValueError(f"two sets must be (N, D) and (M, D) of {least} points or more, got {x.shape} and {y.shape}")
