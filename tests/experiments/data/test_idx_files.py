"""idx files of every type, and each way to be damaged."""

import gzip
import hashlib

import numpy as np
import pytest

from experiments.data import DataError, idx_files
from tests.experiments.data.idx import CODES, idx

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
WHOLE = idx(IMAGES)
PACKED = gzip.compress(WHOLE)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some-idx"


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("shape", [(6,), (3, 2), (1, 2, 3), (0, 2)], ids=str)
def test_every_type_comes_back_in_this_machines_byte_order(path, kind, shape):
    array = (np.arange(np.prod(shape)) * 100).astype(kind).reshape(shape)
    path.write_bytes(idx(array))
    found = idx_files.read(path)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype and found.dtype.isnative


@pytest.mark.parametrize("content", [WHOLE, PACKED], ids=["plain", "gzipped"])
@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_the_content_tells_whether_it_is_gzipped(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    checksum = hashlib.sha256(WHOLE).hexdigest()
    found = idx_files.read(path, magic=idx_files.GREY_IMAGES, sha256=checksum)
    np.testing.assert_array_equal(found, IMAGES)


BAD = {
    "empty": (b"", "not an idx file: .* begins with none"),
    "two bytes": (b"\0\0", "not an idx file: .* begins with 00 00"),
    "a web page": (b"<!DOCTYPE html>", "must begin with the bytes 00 00, or with 1f 8b if gzipped, .* 3c 21 44 4f"),
    "little-endian": (WHOLE[3::-1] + WHOLE[4:], "not an idx file: .* begins with 03 08 00 00"),
    "labels": (idx(np.zeros(3, np.uint8)), "must be 2051, elements of type 08 in 3 dimensions; "
                                           "got 2049, elements of type 08 in 1 dimension$"),
    "of floats": (idx(IMAGES.astype(np.float32)), "got 3331, elements of type 0d in 3 dimensions"),
    "of two dimensions": (idx(IMAGES[0]), "got 2050, elements of type 08 in 2 dimensions"),
    "cut in its header": (WHOLE[:11], "cut short in its header, which has 16 bytes; got 11"),
    "header alone": (WHOLE[:16], "cut short: 2 x 3 x 4 elements take 24 bytes after the 16 of the header; got 0"),
    "cut short": (WHOLE[:-1], "cut short: .* take 24 bytes .* got 23"),
    "too long": (WHOLE + b"\0", "longer than its header says: .* take 24 bytes .* got 25"),
    "endless": (WHOLE[:4] + b"\xff" * 12, "cut short: 4294967295 x 4294967295 x 4294967295 elements"),
    "gzip cut short": (PACKED[:-9], "damaged or cut short as a gzip file"),
    "gzip's header alone": (PACKED[:5], "damaged or cut short as a gzip file"),
    "gzip with another byte": (PACKED[:14] + bytes([PACKED[14] ^ 0xFF]) + PACKED[15:], "damaged or cut short as"),
    "gzip with a tail": (PACKED + b"tail", "damaged or cut short as a gzip file"),
    "gzipped short": (gzip.compress(WHOLE[:-1]), "cut short: .* got 23"),
    "another checksum": (idx(IMAGES + 1), "the SHA-256 of its unpacked bytes must be .*, but is "),
}


@pytest.mark.parametrize("content, message", BAD.values(), ids=BAD)
def test_a_damaged_file_is_named_with_what_was_expected(path, content, message):
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"some-idx: .*{message}"):
        idx_files.read(path, magic=idx_files.GREY_IMAGES, sha256=hashlib.sha256(WHOLE).hexdigest())


@pytest.mark.parametrize("head", [b"\0\0\x0a\1", b"\0\0\x08\0"], ids=["no such type", "no dimensions"])
def test_a_type_that_the_format_does_not_have(path, head):
    path.write_bytes(head + b"\0\0\0\1\0")
    with pytest.raises(DataError, match=r"of 08, 09, 0b, 0c, 0d, 0e, and byte 3, .* at least 1; got 0[a8] and [10]"):
        idx_files.read(path)


def test_a_missing_file(path):
    with pytest.raises(FileNotFoundError, match="some-idx"):
        idx_files.read(path)
