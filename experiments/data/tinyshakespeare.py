"""Tiny Shakespeare: 40,000 lines of the plays, 1,115,394 characters, 65 of them distinct.

The text is in the public domain; A. Karpathy collected it for "The Unreasonable Effectiveness of Recurrent Neural
Networks", 2015.
"""

from pathlib import Path

from experiments.data.sources import Dataset, locate
from experiments.data.texts import Text, read

FILE = "input.txt"
DATASET = Dataset(
    "tinyshakespeare", "tinyshakespeare",
    "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/"
    "data/tinyshakespeare/",
    {FILE: "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
)


def load(data_dir: str | Path | None = None, unit: str = "characters") -> Text:
    """The text, of which 1,003,854 characters are to learn from and 111,540 to be judged on.

    Args:
      data_dir: see `sources.locate`.
      unit: see `texts.read`.
    Returns:
      Text.
    Raises:
      DataUnavailable: not at hand and not to be downloaded.
      DataError, ValueError: see `texts.read`.
    """
    return read(locate(DATASET, FILE, data_dir), unit)._replace(name=DATASET.name)
