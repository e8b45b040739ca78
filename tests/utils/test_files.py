"""Files appear whole or not at all, and devices are named rightly."""

import os

import pytest
import torch

from sklearn_pttf._utils.device import check_device
from sklearn_pttf._utils.files import written_whole


def test_file_appears_once_the_block_is_done(tmp_path):
    path = tmp_path / "out.txt"
    with written_whole(path) as temporary:
        assert temporary.parent == tmp_path
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_old_file_is_replaced(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("an older and longer text")
    with written_whole(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "an older and longer text"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [None, "old"])
def test_failure_leaves_all_as_it_was(tmp_path, error, old):
    path = tmp_path / "out.txt"
    if old is not None:
        path.write_text(old)
    before = os.listdir(tmp_path)

    def write():
        with written_whole(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert os.listdir(tmp_path) == before
    assert old is None or path.read_text() == old


def test_failing_rename_leaves_all_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def refuse(*args):
        raise OSError("no space")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no space"), written_whole(path) as temporary:
        temporary.write_text("new")
    assert os.listdir(tmp_path) == ["out.txt"]
    assert path.read_text() == "old"


def test_folders_are_made_and_paths_may_be_text(tmp_path):
    path = tmp_path / "a" / "b" / "out.txt"
    with written_whole(str(path)) as temporary:
        temporary.write_bytes(b"\x00\x01")
    assert path.read_bytes() == b"\x00\x01"


def test_two_writers_do_not_meet(tmp_path):
    path = tmp_path / "out.txt"
    with written_whole(path) as first, written_whole(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the outer block is the last to finish
    assert os.listdir(tmp_path) == ["out.txt"]


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such permissions")
def test_others_may_read_the_file(tmp_path):
    with written_whole(tmp_path / "out.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "out.txt").stat().st_mode & 0o777 == 0o644


def test_check_device():
    assert check_device("cpu") == "cpu"
    assert check_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("device", ["abc", "meta", "mps", "", "cpu:x", None])
def test_check_device_refuses_what_is_no_device(device):
    with pytest.raises(ValueError, match=r"device must be 'auto', 'cpu', 'cuda' or 'cuda:k'"):
        check_device(device)


def test_check_device_refuses_what_is_not_there():
    with pytest.raises(ValueError, match=r"device='cuda:99' is not there: \d+ CUDA"):
        check_device("cuda:99")
