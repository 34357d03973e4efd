"""Data on the host: found, fetched, checked and read into numpy arrays."""

from experiments.data import (
    cifar10,
    embedded_digits,
    embedded_ratings,
    embedded_text,
    embedded_track,
    image_archives,
    image_sets,
    images,
    lidar_radar,
    mnist,
    movielens,
    range_beacons,
    texts,
    tinyshakespeare,
)
from experiments.data.errors import DataError
from experiments.data.images import Images
from experiments.data.rating_files import read_folds, read_table
from experiments.data.ratings import Fold, RatingTable, Unseen, k_folds, unseen
from experiments.data.recordings import Recording, track
from experiments.data.sources import Dataset, DataUnavailable, locate
from experiments.data.texts import Alphabet, Text

__all__ = [
    "Alphabet",
    "DataError",
    "DataUnavailable",
    "Dataset",
    "Fold",
    "Images",
    "RatingTable",
    "Recording",
    "Text",
    "Unseen",
    "cifar10",
    "embedded_digits",
    "embedded_ratings",
    "embedded_text",
    "embedded_track",
    "image_archives",
    "image_sets",
    "images",
    "k_folds",
    "lidar_radar",
    "locate",
    "mnist",
    "movielens",
    "range_beacons",
    "read_folds",
    "read_table",
    "texts",
    "tinyshakespeare",
    "track",
    "unseen",
]
