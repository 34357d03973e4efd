"""A text as tokens: characters or bytes, the beginning to learn from and the end to be judged on."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.data.errors import DataError

UNITS = ("characters", "bytes")
BYTE_ORDER_MARK = "\ufeff"
NUM_CODE_POINTS = 0x110000
MOST_SHOWN = 200  # characters of an alphabet in a message


class Alphabet(NamedTuple):
    """What tokens stand for: token i is characters[i]; or, where `characters` is None, the byte i."""

    characters: str | None

    @property
    def size(self) -> int:
        """V: tokens are in [0, V)."""
        return 256 if self.characters is None else len(self.characters)

    @property
    def unit(self) -> str:
        """characters or bytes."""
        return "bytes" if self.characters is None else "characters"


BYTES = Alphabet(None)


class Text(NamedTuple):
    """A text in two parts. train: (N,) int32, its beginning. validation: (M,) int32, the rest."""

    name: str
    alphabet: Alphabet
    train: np.ndarray
    validation: np.ndarray


class Blocks(NamedTuple):
    """B blocks of T tokens, each predicting its own: inputs, targets: (B, T - 1) int32, and weights: (B, T - 1)
    float32, 1 where the target is a token of the text and 0 where it is padding."""

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def read(path: str | Path, unit: str = "characters") -> Text:
    """Read any file as a text.

    Line ends stay as the file has them. As characters, it is UTF-8, and a byte order mark at its beginning is left
    out; as bytes, every byte counts.

    Args:
      path: of the file.
      unit: of UNITS.
    Returns:
      Text, named for the file; see `of_string`.
    Raises:
      DataError: there is no such file, it is a directory or cannot be read, it is empty, or it is not UTF-8.
      ValueError: no such unit.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    if unit == "bytes":
        return _of_tokens(path.name, BYTES, _tokens(content))
    try:
        return of_string(path.name, content.decode().removeprefix(BYTE_ORDER_MARK), unit)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text at byte {error.start:,}, which is 0x{content[error.start]:02x}; "
                        "--unit bytes takes any file") from error


def of_string(name: str, string: str, unit: str = "characters") -> Text:
    """A string as a text.

    Args:
      name: what messages call it.
      string: L characters.
      unit: characters, whose alphabet is the distinct ones of the whole string in the order of their code points;
        or bytes, of its UTF-8.
    Returns:
      Text; see `split`.
    Raises:
      DataError: the string is empty.
      ValueError: no such unit.

    >>> text = of_string("tune", "tarantella")
    >>> text.alphabet, text.train.tolist(), text.validation.tolist()
    (Alphabet(characters='aelnrt'), [5, 0, 4, 0, 3, 5, 1, 2, 2], [0])
    """
    if unit not in UNITS:
        raise ValueError(f"unit must be {' or '.join(UNITS)}, got {unit!r}")
    alphabet = BYTES if unit == "bytes" else Alphabet("".join(sorted(set(string))))
    return _of_tokens(name, alphabet, encode(alphabet, string))


def encode(alphabet: Alphabet, string: str) -> np.ndarray:
    """The tokens of a string: (L,) int32, one for each character, or for each byte of its UTF-8.

    Raises:
      DataError: a character is none of the alphabet's; to bytes, every string is known.

    >>> encode(Alphabet("abc"), "cab").tolist(), encode(BYTES, "é").tolist()
    ([2, 0, 1], [195, 169])
    >>> encode(Alphabet("abc"), "cad")
    Traceback (most recent call last):
    experiments.data.errors.DataError: character 3, 'd', is none of the 3 that the text has: 'abc'
    """
    if alphabet.characters is None:
        return _tokens(string.encode(errors="surrogatepass"))
    token_of = np.full(NUM_CODE_POINTS, -1, np.int32)
    token_of[_code_points(alphabet.characters)] = np.arange(alphabet.size)
    tokens = token_of[_code_points(string)]
    if (tokens < 0).any():
        first = int(np.argmax(tokens < 0))
        shown = alphabet.characters[:MOST_SHOWN] + "…" * (alphabet.size > MOST_SHOWN)
        raise DataError(f"character {first + 1:,}, {string[first]!r}, is none of the {alphabet.size:,} that the text "
                        f"has: {shown!r}")
    return tokens


def decode(alphabet: Alphabet, tokens: np.ndarray) -> str:
    """The string of tokens (L,) in [0, V). Bytes that are not UTF-8, as a sample's may be, become U+FFFD.

    >>> decode(Alphabet("abc"), np.array([2, 0, 1])), decode(BYTES, np.array([195, 169, 255]))
    ('cab', 'é\ufffd')
    """
    if alphabet.characters is None:
        return bytes(np.asarray(tokens).tolist()).decode(errors="replace")
    return "".join(alphabet.characters[token] for token in np.asarray(tokens).tolist())


def split(tokens: np.ndarray, fraction: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
    """The first ⌊fraction · L⌋ of tokens (L,), to learn from, and the rest, to be judged on.

    >>> [part.tolist() for part in split(np.arange(5), fraction=0.6)]
    [[0, 1, 2], [3, 4]]
    """
    num_train = int(fraction * len(tokens))
    return tokens[:num_train], tokens[num_train:]


def require_length(text: Text, context: int, batch_size: int = 1) -> None:
    """Refuse a text of which a part is too short for `context` tokens and the one that follows them, or whose train
    part is too short for a batch of such blocks, wherever the first one begins: (batch_size + 1) · context tokens.

    Raises:
      DataError: it is.

    >>> require_length(of_string("tune.txt", "tarantella"), context=4)
    Traceback (most recent call last):
    experiments.data.errors.DataError: tune.txt: its validation part has 1 characters, but a context of 4 takes 5;
    give a longer text or a smaller --context
    """
    for part in ("train", "validation"):
        if (length := len(getattr(text, part))) <= context:
            raise DataError(f"{text.name}: its {part} part has {length:,} {text.alphabet.unit}, but a context of "
                            f"{context:,} takes {context + 1:,}; give a longer text or a smaller --context")
    if len(text.train) < (needed := (batch_size + 1) * context):
        raise DataError(f"{text.name}: its train part has {len(text.train):,} {text.alphabet.unit}, but {batch_size} "
                        f"blocks of {context:,} take {needed:,}; give a longer text, or a smaller --context or "
                        "--batch-size")


def blocks(tokens: np.ndarray, context: int) -> Blocks:
    """Cut tokens into blocks that do not overlap, so that each but the first of a block is predicted once.

    Args:
      tokens: (N,) integers.
      context: T >= 2, tokens of a block.
    Returns:
      Blocks, B = ⌈N / T⌉, the last one padded; the weights sum to N − B.
    Raises:
      ValueError: context < 2.

    >>> blocks(np.arange(1, 6), context=3)
    Blocks(inputs=array([[1, 2], [4, 5]], dtype=int32), targets=array([[2, 3], [5, 0]], dtype=int32),
           weights=array([[1., 1.], [1., 0.]], dtype=float32))
    """
    if context < 2:
        raise ValueError(f"context must be at least 2, got {context}")
    padding = (0, -len(tokens) % context)
    block = np.pad(np.asarray(tokens, np.int32), padding).reshape(-1, context)
    real = np.pad(np.ones(len(tokens), np.float32), padding).reshape(-1, context)
    return Blocks(block[:, :-1], block[:, 1:], real[:, 1:])


def fingerprint(text: Text) -> str:
    """SHA-256 over the alphabet and both parts, in hexadecimal; the name does not count."""
    total = hashlib.sha256(repr((text.alphabet.characters, len(text.train))).encode())
    for part in (text.train, text.validation):
        total.update(part.astype("<i4").tobytes())
    return total.hexdigest()


def _of_tokens(name: str, alphabet: Alphabet, tokens: np.ndarray) -> Text:
    if len(tokens) == 0:
        raise DataError(f"{name}: the text is empty")
    return Text(name, alphabet, *split(tokens))


def _tokens(content: bytes) -> np.ndarray:
    return np.frombuffer(content, np.uint8).astype(np.int32)


def _code_points(string: str) -> np.ndarray:
    return np.frombuffer(string.encode("utf-32-le", "surrogatepass"), "<u4")
