"""Data on the host: found, fetched, checked and read into numpy arrays."""

from experiments.data import (
    embedded_ratings,
    embedded_text,
    embedded_track,
    lidar_radar,
    movielens,
    range_beacons,
    texts,
    tinyshakespeare,
)
from experiments.data.errors import DataError
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
    "RatingTable",
    "Recording",
    "Text",
    "Unseen",
    "embedded_ratings",
    "embedded_text",
    "embedded_track",
    "k_folds",
    "lidar_radar",
    "locate",
    "movielens",
    "range_beacons",
    "read_folds",
    "read_table",
    "texts",
    "tinyshakespeare",
    "track",
    "unseen",
]
