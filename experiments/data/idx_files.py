"""idx files, the format of MNIST: one array each, big-endian, often gzipped.

The header is two zero bytes, a byte for the type of the elements, a byte for the number of dimensions, which together
are the magic number, and the dimensions as 32-bit integers; the elements follow, the last index changing fastest.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", file formats.
"""

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np

from experiments.data.errors import DataError

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GREY_IMAGES = 0x0803  # 2051: bytes in three dimensions
LABELS = 0x0801  # 2049: bytes in one
GZIP = b"\x1f\x8b"


def read(path: str | Path, *, magic: int | None = None, sha256: str | None = None) -> np.ndarray:
    """Read an idx file, gzipped or not: its content tells, and not its name.

    Args:
      path: of the file.
      magic: number that it must begin with, such as GREY_IMAGES; without it, any array is read.
      sha256: of its unpacked bytes, which do not depend on who packed them, in hexadecimal; without it, any are taken.
    Returns:
      The array, in this machine's byte order.
    Raises:
      DataError: it is no idx file, its magic number is another one, its elements are of no known type, it is cut short
        or longer than its header says, it is damaged as a gzip file, or its checksum is another one.
      FileNotFoundError: there is no such file.
    """
    content = _unpacked(path)
    array = _parse(path, content, magic)
    if sha256 is not None and (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise DataError(f"{path}: not the file that was published: the SHA-256 of its unpacked bytes must be "
                        f"{sha256}, but is {found}")
    return array


def _unpacked(path: str | Path) -> bytes:
    content = Path(path).read_bytes()
    if not content.startswith(GZIP):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path}: damaged or cut short as a gzip file ({error})") from error


def _parse(path: str | Path, content: bytes, magic: int | None) -> np.ndarray:
    zeros, code, num_dims = content[:2], *content[2:4].ljust(2, b"\0")
    if len(content) < 4 or zeros != b"\0\0":
        raise DataError(f"{path}: not an idx file: it must begin with the bytes 00 00, or with 1f 8b if gzipped, and "
                        f"begins with {content[:4].hex(' ') or 'none'}")
    if magic is not None and (found := 256 * code + num_dims) != magic:
        raise DataError(f"{path}: the magic number must be {magic}, {_in_words(magic)}; "
                        f"got {found}, {_in_words(found)}")
    if code not in TYPES or num_dims == 0:
        known = ", ".join(f"{known:02x}" for known in TYPES)
        raise DataError(f"{path}: byte 2, the type of the elements, must be one of {known}, and byte 3, the number of "
                        f"dimensions, at least 1; got {code:02x} and {num_dims}")
    start = 4 + 4 * num_dims
    if len(content) < start:
        raise DataError(f"{path}: cut short in its header, which has {start} bytes; got {len(content)}")
    shape = tuple(map(int, np.frombuffer(content, ">u4", num_dims, offset=4)))
    dtype = np.dtype(TYPES[code])
    expected, got = math.prod(shape) * dtype.itemsize, len(content) - start
    if got != expected:
        wrong = "cut short" if got < expected else "longer than its header says"
        raise DataError(f"{path}: {wrong}: {' x '.join(map(str, shape))} elements take {expected:,} bytes after the "
                        f"{start} of the header; got {got:,}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _in_words(magic: int) -> str:
    """
    >>> _in_words(GREY_IMAGES)
    'elements of type 08 in 3 dimensions'
    """
    return f"elements of type {magic >> 8:02x} in {magic & 0xFF} dimension{'s' * (magic & 0xFF != 1)}"
