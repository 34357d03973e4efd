"""Images of one's own, good and bad."""

import numpy as np
import pytest

from experiments.data import DataError, image_archives

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
GOOD = {"train_images": PIXELS, "train_labels": np.array([0, 1, 2, 0, 1, 2]), "test_images": PIXELS[:2],
        "test_labels": np.array([2, 0], np.uint8)}
MIXED = np.empty(6, object)
MIXED[:] = [PIXELS[0], PIXELS[0, :3], *PIXELS[2:]]


@pytest.fixture
def read(tmp_path):
    def read(**arrays):
        path = tmp_path / "mine.npz"
        np.savez(path, **{name: array for name, array in (GOOD | arrays).items() if array is not None})
        return image_archives.read(path)
    return read


def test_classes_without_names_are_numbers(read):
    one = read(extra=np.zeros(3))
    assert one.name == "mine.npz" and one.class_names == ("0", "1", "2") and one.max_pixel == 255
    np.testing.assert_array_equal(one.train_images, PIXELS)
    assert one.train_labels.tolist() == [0, 1, 2, 0, 1, 2] and one.test_labels.tolist() == [2, 0]
    assert one.train_labels.dtype == one.test_labels.dtype == np.int32


def test_grey_images_of_wide_integers_and_classes_with_names(read):
    one = read(train_images=PIXELS[..., 0].astype(np.int64), test_images=PIXELS[:2, ..., :1],
               class_names=["cat", "dog", "élan", "fish"])
    np.testing.assert_array_equal(one.train_images, PIXELS[..., :1])
    assert one.train_images.dtype == np.uint8 and one.class_names == ("cat", "dog", "élan", "fish")


BAD = {
    "a missing array": ({"test_labels": None}, "there is no test_labels; .* holds train_images, train_labels, test_im"),
    "mixed sizes": ({"train_images": MIXED}, "train_images must be one array of plain values; images of mixed sizes"),
    "objects for labels": ({"test_labels": np.array([2, None])}, "test_labels must be one array of plain values"),
    "floats": ({"train_images": PIXELS / 255}, r"train_images: must be integers in \[0, 255\], got float64; .*astype"),
    "booleans": ({"train_images": PIXELS > 9}, r"train_images: must be integers .* got bool"),
    "negative pixels": ({"test_images": PIXELS[:2] - np.int16(9)}, r"test_images: must be in \[0, 255\], got .* -"),
    "16-bit pixels": ({"train_images": PIXELS * np.uint16(257)}, r"train_images: must be in \[0, 255\], got .* to 65"),
    "one image": ({"test_images": PIXELS[0, ..., 0]}, r"test_images: must be \(N, H, W\) or .* got \(4, 5\)"),
    "five dimensions": ({"test_images": PIXELS[None]}, r"test_images: must be \(N, H, W\) or .* got \(1, 6, 4, 5, 3\)"),
    "another height": ({"test_images": PIXELS[:2, 1:]}, "test_images: images are 3 x 5 x 3, .* are 4 x 5 x 3"),
    "another width": ({"test_images": PIXELS[:2, :, 1:]}, "test_images: images are 4 x 4 x 3, .* are 4 x 5 x 3"),
    "other channels": ({"test_images": PIXELS[:2, ..., 0]}, "test_images: images are 4 x 5 x 1, .* are 4 x 5 x 3"),
    "no images": ({"train_images": PIXELS[:0], "train_labels": np.zeros(0, int)}, r"train_images: .* got \(0, 4, 5, "),
    "fewer labels": ({"train_labels": np.array([0, 1, 2])}, "train_labels: 6 images take as many labels, got 3"),
    "floating labels": ({"train_labels": np.zeros(6)}, "train_labels: labels must be integers, got float64"),
    "negative labels": ({"train_labels": np.arange(-1, 5)}, "train_labels: label -1 of image 0 "),
    "only negative labels": ({"train_labels": np.full(6, -1)}, "train_labels: label -1 of image 0 .* 0 to 0"),
    "a class unseen in training": ({"test_labels": np.array([0, 3])}, "test_labels: label 3 of image 1 .* 3 classes"),
    "a label without a name": ({"class_names": ["cat", "dog"]}, "train_labels: label 2 of image 2 .* of 2 classes"),
    "labels far apart": ({"train_labels": np.array([0, 1, 2, 3, 4, 10**12])}, "train_labels: 6 labels go up to 1,0+"),
    "names that are numbers": ({"class_names": [1, 2, 3]}, "class_names must be a list of strings, got .* of int64"),
    "one name": ({"class_names": "cat"}, r"class_names must be a list of strings, got \(\) of <U3"),
}


@pytest.mark.parametrize("change, message", BAD.values(), ids=BAD)
def test_what_is_wrong_is_said(read, change, message):
    with pytest.raises(DataError, match=rf"mine\.npz: {message}"):
        read(**change)


def test_files_that_are_no_archive(tmp_path):
    text, one, empty = (tmp_path / name for name in ("text.npz", "one.npz", "empty.npz"))
    text.write_text("pixels")
    with one.open("wb") as file:
        np.save(file, PIXELS)
    empty.touch()
    for path, message in ((text, "not an .npz file"), (empty, "not an .npz file"), (one, "one array alone"),
                          (tmp_path, "Is a directory"), (tmp_path / "none.npz", "No such file")):
        with pytest.raises(DataError, match=rf"{path.name}: {message}"):
            image_archives.read(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_archive(tmp_path, save):
    path = tmp_path / "mine.npz"
    save(path, **GOOD)
    whole = path.read_bytes()
    flags = whole.index(b"PK\1\2") + 8  # of the first member, in the archive's own list
    for damaged, message in ((altered(whole, 300), "train_images is damaged"),
                             (altered(whole, flags, 1), "train_images is damaged .*encrypted"),
                             (whole[:-100], r"not an \.npz file, or a damaged one")):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"mine\.npz: {message}"):
            image_archives.read(path)


def altered(content, place, bits=0xFF):
    return content[:place] + bytes([content[place] ^ bits]) + content[place + 1:]
