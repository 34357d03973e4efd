"""Operations of factorizations: what the textbook's algorithm takes of one matrix, multiplications and additions.

A device may take another way, and more of them: XLA's eigendecompositions and singular values on a TPU are iterations.

Source: Golub and Van Loan, Matrix Computations, 4th ed. (2013), sections 3.2 (LU), 4.2 (Cholesky), 5.2 (QR), 8.3
(symmetric QR algorithm) and 8.6 (Golub-Reinsch SVD).
"""


def cholesky(n: int) -> int:
    """n³ / 3."""
    return n**3 // 3


def lu(rows: int, columns: int) -> int:
    """2 n³ / 3 where it is square."""
    return reflections(rows, columns, min(rows, columns)) // 2


def qr(rows: int, columns: int, size: int) -> int:
    """R by Householder's reflections, and Q of them; 8 n³ / 3 where it is square.

    Args:
      size: columns of Q, which are formed.

    >>> qr(3, 3, 3) == 8 * 3**3 // 3
    True
    """
    fewest = min(rows, columns)
    return reflections(rows, columns, fewest) + reflections(rows, size, fewest)


def eigh(n: int) -> int:
    """9 n³: eigenvalues and vectors."""
    return 9 * n**3


def svd(rows: int, columns: int, vectors: int | None) -> int:
    """m the longer side, n the shorter one: 4 m n² − 4 n³ / 3 for the values, 14 m n² + 8 n³ with n vectors of either
    side, 4 m² n + 8 m n² + 9 n³ with all.

    Args:
      vectors: of the longer side; None: of neither.

    >>> svd(9, 3, None), svd(3, 9, 3), svd(9, 3, 9)
    (288, 1350, 1863)
    """
    m, n = max(rows, columns), min(rows, columns)
    if vectors is None:
        return 4 * m * n**2 - 4 * n**3 // 3
    return 14 * m * n**2 + 8 * n**3 if vectors == n else 4 * m**2 * n + 8 * m * n**2 + 9 * n**3


def reflections(rows: int, columns: int, number: int) -> int:
    """So many, each shorter by one, applied to a matrix: 4 m n k − 2 (m + n) k² + 4 k³ / 3.

    >>> reflections(6, 3, 3) == 2 * 3**2 * (6 - 1)
    True
    """
    return 4 * rows * columns * number - 2 * (rows + columns) * number**2 + 4 * number**3 // 3
