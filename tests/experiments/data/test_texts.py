"""Texts as tokens: files good and bad, and back again to the same string."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from experiments.data import DataError, texts
from experiments.data.texts import BYTES, Alphabet, Text

TUNE = texts.of_string("tune.txt", "tarantella")


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "tune.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path
    return write


def whole(one: Text) -> str:
    return texts.decode(one.alphabet, np.concatenate([one.train, one.validation]))


@settings(max_examples=50)
@given(st.text(min_size=1))
@example("naïve 🦀 👩‍🚀 漢字\r\n\0")
def test_decoding_undoes_encoding(string):
    for unit in texts.UNITS:
        one = texts.of_string("drawn", string, unit)
        assert whole(one) == string and one.alphabet.unit == unit
        assert one.train.dtype == one.validation.dtype == np.int32
        tokens = np.concatenate([one.train, one.validation])
        assert 0 <= tokens.min() and tokens.max() < one.alphabet.size
        assert np.array_equal(texts.encode(one.alphabet, string), tokens)


@given(st.binary(min_size=1))
def test_bytes_are_their_own_tokens(content):
    string = texts.decode(BYTES, np.frombuffer(content, np.uint8).astype(np.int32))
    assert string == content.decode(errors="replace")


def test_an_alphabet_is_what_the_whole_text_has_in_order():
    assert texts.of_string("two", "ba" * 9 + "éA").alphabet == Alphabet("Aabé")
    assert texts.of_string("two", "ba", "bytes").alphabet == BYTES == Alphabet(None) and BYTES.size == 256


def test_an_alphabet_in_any_order_means_what_it_says():
    assert texts.encode(Alphabet("ca"), "acc").tolist() == [1, 0, 0] and texts.decode(Alphabet("ca"), [1, 0]) == "ac"


def test_nothing_is_no_token():
    for alphabet in (BYTES, TUNE.alphabet):
        assert texts.encode(alphabet, "").shape == (0,) and texts.decode(alphabet, np.zeros(0, np.int32)) == ""


@pytest.mark.parametrize("string, message", [
    ("tan\n", r"^character 4, '\\n', is none of the 6 that the text has: 'aelnrt'$"),
    ("🦀", "^character 1, '🦀'"), ("\udcff", r"^character 1, '\\udcff'")])
def test_an_unknown_character_is_named_with_its_place(string, message):
    assert texts.encode(TUNE.alphabet, "tent").tolist() == [5, 1, 3, 5]
    with pytest.raises(DataError, match=message):
        texts.encode(TUNE.alphabet, string)


def test_a_large_alphabet_is_not_told_whole():
    with pytest.raises(DataError, match=r"none of the 5,000 that the text has: '.{200}…'$"):
        texts.encode(Alphabet("".join(map(chr, range(0x4E00, 0x4E00 + 5000)))), "a")


def test_a_file_keeps_its_line_ends_and_loses_its_byte_order_mark(write):
    path = write("\ufeffan\r\nold\rtune\n")
    one = texts.read(path)
    assert one.name == "tune.txt" and whole(one) == "an\r\nold\rtune\n"
    as_bytes = texts.read(str(path), "bytes")
    assert np.concatenate([as_bytes.train, as_bytes.validation]).tolist() == list(path.read_bytes())


def test_bytes_take_any_file(write):
    assert whole(texts.read(write(b"\xff\0abc\n"), "bytes")) == "\ufffd\0abc\n"


@pytest.mark.parametrize("content, message", {
    "empty": (b"", r"tune\.txt: the text is empty$"),
    "a byte order mark alone": ("\ufeff", r"tune\.txt: the text is empty$"),
    "latin-1": ("café".encode("latin-1"),
                r"tune\.txt: not UTF-8 text at byte 3, which is 0xe9; --unit bytes takes any file$"),
    "latin-1 after a mark": (b"\xef\xbb\xbfab\xe9.", r"not UTF-8 text at byte 5, which is 0xe9"),
    "UTF-16": ("tune".encode("utf-16"), "not UTF-8 text at byte 0, which is 0xf[ef]"),
    "cut short": ("aé".encode()[:-1], "not UTF-8 text at byte 1, which is 0xc3"),
}.values())
def test_a_bad_file_is_refused(write, content, message):
    with pytest.raises(DataError, match=message):
        texts.read(write(content))


def test_an_empty_file_has_no_bytes_either(write):
    with pytest.raises(DataError, match="the text is empty"):
        texts.read(write(b""), "bytes")


def test_no_file(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.txt: No such file"):
        texts.read(tmp_path / "nowhere.txt")
    with pytest.raises(DataError, match=f"{tmp_path.name}: Is a directory"):
        texts.read(tmp_path)


def test_an_unknown_unit(write):
    with pytest.raises(ValueError, match="unit must be characters or bytes, got 'words'"):
        texts.read(write("tune"), "words")


def test_the_first_nine_tenths_are_to_learn_from():
    assert [len(part) for part in texts.split(np.arange(1_115_394))] == [1_003_854, 111_540]
    assert [len(part) for part in texts.split(np.arange(1))] == [0, 1]


@pytest.mark.parametrize("length, context, message", [
    (20, 2, "its validation part has 2 characters, but a context of 2 takes 3; give a longer text or a smaller --con"),
    (1, 1, "its train part has 0 characters, but a context of 1 takes 2"),
    (20_000, 2_000, "its validation part has 2,000 characters, but a context of 2,000 takes 2,001")])
def test_a_text_shorter_than_the_context(length, context, message):
    with pytest.raises(DataError, match=f"^short: {message}"):
        texts.require_length(texts.of_string("short", "a" * length), context)


def test_a_text_just_long_enough():
    texts.require_length(texts.of_string("long", "a" * 30), context=2)


@given(st.integers(0, 40), st.integers(2, 9))
def test_blocks_predict_each_token_but_the_first_of_a_block_once(length, context):
    tokens = np.arange(1, length + 1)
    blocks = texts.blocks(tokens, context)
    num_blocks = -(-length // context)
    assert blocks.inputs.shape == blocks.targets.shape == blocks.weights.shape == (num_blocks, context - 1)
    real = blocks.weights > 0
    assert np.array_equal(blocks.targets[real], np.delete(tokens, np.arange(0, length, context)))
    assert np.array_equal(blocks.inputs[real] + 1, blocks.targets[real])
    assert not blocks.targets[~real].any() and blocks.weights.sum() == length - num_blocks
    assert [str(field.dtype) for field in blocks] == ["int32", "int32", "float32"]


def test_a_block_of_one_predicts_nothing():
    with pytest.raises(ValueError, match="context must be at least 2, got 1"):
        texts.blocks(np.arange(5), 1)
    assert not texts.blocks(np.arange(4), 3).weights[-1].any()  # a last one with its first token alone


def test_a_fingerprint_is_of_all_that_is_learned_from():
    same = Text("another name", Alphabet("aelnrt"), TUNE.train.copy(), TUNE.validation.astype(np.int64))
    assert texts.fingerprint(same) == texts.fingerprint(TUNE) and len(texts.fingerprint(TUNE)) == 64
    tokens = np.concatenate([TUNE.train, TUNE.validation])
    others = [TUNE._replace(alphabet=Alphabet("aelnrz")), TUNE._replace(alphabet=BYTES),
              TUNE._replace(train=TUNE.train[::-1]), TUNE._replace(train=tokens[:-2], validation=tokens[-2:])]
    assert len({texts.fingerprint(one) for one in (TUNE, *others)}) == 5
