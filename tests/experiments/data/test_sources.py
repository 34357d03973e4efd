"""Finding and fetching, against a server on the loopback."""

import functools
import hashlib
import http.server
import io
import tarfile
import threading
import zipfile

import pytest

from experiments.data import sources
from experiments.data.sources import Dataset, DataUnavailable, find, locate

CONTENT = b"1\t2\t3\t4\n"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(autouse=True)
def no_data_at_hand(tmp_path, monkeypatch):
    monkeypatch.delenv("SANDBOX_DATA", raising=False)
    monkeypatch.setattr(sources.pooch, "os_cache", lambda _: tmp_path / "cache")
    monkeypatch.setattr(sources, "RETRIES", 0)


@pytest.fixture
def server(tmp_path):
    """A folder with an archive and a plain file, and the address that serves it."""
    root = tmp_path / "server"
    root.mkdir()
    (root / "plain.txt").write_bytes(CONTENT)
    with zipfile.ZipFile(root / "toy.zip", "w") as archive:
        archive.writestr("toy/u.data", CONTENT)
        archive.writestr("toy/deep/u.item", "1|Toy\n")
    handler = functools.partial(QuietHandler, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield root, f"http://127.0.0.1:{serving.server_port}/"
        serving.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


def place(root, content=CONTENT):
    path = root / "toy" / "u.data"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def toy(url="http://127.0.0.1:9/", checksum: str | None = "0" * 64, remote="toy.zip"):
    return Dataset("toy-ratings", "toy", url, {remote: checksum})


def test_looks_in_the_given_folder_then_the_environment_then_the_cache(tmp_path, monkeypatch):
    cached = place(tmp_path / "cache")
    assert locate(toy(), "u.data") == cached
    shared = place(tmp_path / "shared")
    monkeypatch.setenv("SANDBOX_DATA", str(tmp_path / "shared"))
    assert locate(toy(), "u.data") == shared
    given = place(tmp_path / "given")
    assert locate(toy(), "u.data", tmp_path / "given") == given
    assert locate(toy(), "u.data", tmp_path / "elsewhere") == shared


def test_an_archive_is_fetched_checked_and_unpacked(tmp_path, server):
    root, url = server
    path = locate(toy(url, sha256(root / "toy.zip")), "u.data")
    assert path == tmp_path / "cache" / "toy" / "u.data"
    assert path.read_bytes() == CONTENT
    assert sorted(x.name for x in path.parent.rglob("*")) == ["deep", "u.data", "u.item"]
    assert [x.name for x in (tmp_path / "cache").iterdir()] == ["toy"]


def tar(path, **contents):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_a_tarball_is_fetched_checked_and_unpacked(tmp_path, server):
    root, url = server
    tar(root / "toy.tar.gz", toy__one=CONTENT, toy__deep__two=b"2")
    path = locate(toy(url, sha256(root / "toy.tar.gz"), remote="toy.tar.gz"), "one")
    assert path == tmp_path / "cache" / "toy" / "one" and path.read_bytes() == CONTENT
    assert (path.parent / "deep" / "two").read_bytes() == b"2"
    assert [x.name for x in (tmp_path / "cache").iterdir()] == ["toy"]
    with pytest.raises(DataUnavailable, match=r"toy\.tar\.gz and unpack it in "):
        locate(toy(remote="toy.tar.gz")._replace(folder="other"), "one")


def test_a_tarball_that_reaches_outside_its_folder(tmp_path, server):
    root, url = server
    tar(root / "toy.tar.gz", **{"..__..__evil": CONTENT})
    with pytest.raises(DataUnavailable, match=r"outside the destination"):
        locate(toy(url, sha256(root / "toy.tar.gz"), remote="toy.tar.gz"), "one")
    assert not list(tmp_path.rglob("evil"))


def test_finding_does_not_fetch(tmp_path, server):
    root, url = server
    dataset = toy(url, sha256(root / "plain.txt"), remote="plain.txt")
    assert find(dataset, "plain.txt") is None
    assert find(dataset, "plain.txt", tmp_path) is None
    assert find(dataset, "u.data") is None
    path = locate(dataset, "plain.txt")
    assert find(dataset, "plain.txt") == path


def test_unpacking_leaves_what_is_already_there(tmp_path, server):
    root, url = server
    mine = place(tmp_path / "given", b"mine")
    found = locate(toy(url, sha256(root / "toy.zip")), "deep/u.item", tmp_path / "given")
    assert found == tmp_path / "given" / "toy" / "deep" / "u.item"
    assert mine.read_bytes() == b"mine"


def test_a_plain_file_is_fetched_into_the_given_folder(tmp_path, server):
    root, url = server
    dataset = toy(url, sha256(root / "plain.txt"), remote="plain.txt")
    assert locate(dataset, "plain.txt", tmp_path / "given").parent == tmp_path / "given" / "toy"


def test_a_file_with_another_name_at_home(server):
    root, url = server
    dataset = toy(url, sha256(root / "plain.txt"), remote="mine.txt")._replace(names_at_home={"mine.txt": "plain.txt"})
    assert locate(dataset, "mine.txt").read_bytes() == CONTENT
    with pytest.raises(DataUnavailable, match=r"Fetch http://127\.0\.0\.1:9/plain\.txt and put it in .* as mine\.txt"):
        locate(dataset._replace(url="http://127.0.0.1:9/", folder="other"), "mine.txt")


def test_a_wrong_checksum_is_thrown_away_and_said(tmp_path, server):
    with pytest.raises(DataUnavailable, match="wrong checksum and was thrown away"):
        locate(toy(server[1]), "u.data")
    assert not any((tmp_path / "cache").rglob("*"))


def test_a_failed_download_says_what_to_fetch_from_where_into_which_folder(tmp_path):
    with pytest.raises(DataUnavailable) as caught:
        locate(toy(), "u.data")
    for part in ("toy-ratings", "u.data", "http://127.0.0.1:9/toy.zip", str(tmp_path / "cache"),
                 "--data-dir", "SANDBOX_DATA", "--dataset embedded"):
        assert part in str(caught.value)


def test_a_moving_target_is_not_downloaded(server):
    with pytest.raises(DataUnavailable, match="no published checksum"):
        locate(toy(server[1], checksum=None), "u.data")


def test_a_file_that_the_set_does_not_have(server):
    root, url = server
    with pytest.raises(DataUnavailable, match=r"toy-ratings has no file u9\.base"):
        locate(toy(url, sha256(root / "toy.zip")), "u9.base")


def test_a_directory_that_cannot_be_written(tmp_path, server):
    root, url = server
    (tmp_path / "file").touch()
    with pytest.raises(DataUnavailable, match="could not be downloaded"):
        locate(toy(url, sha256(root / "toy.zip")), "u.data", tmp_path / "file")
