"""Files appear whole or not at all, and devices are named rightly."""

import os
import subprocess
import sys

import pytest
import torch

from sklearn_pttf._utils import files
from sklearn_pttf._utils.device import check_device
from sklearn_pttf._utils.files import refuse_unwritable, written_whole


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


POSIX = pytest.mark.skipif(os.name != "posix", reason="other systems have no such modes or locks")


def mode_of(path):
    return path.stat().st_mode & 0o777


@pytest.fixture
def umask():
    """Sets the umask, until the test is over."""
    before = os.umask(0)
    yield os.umask
    os.umask(before)


@POSIX
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_new_files_have_the_mode_that_the_umask_allows(tmp_path, umask, mask, mode):
    umask(mask)
    with written_whole(tmp_path / "out.txt") as temporary:
        assert mode_of(temporary) == mode
    assert mode_of(tmp_path / "out.txt") == mode


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o400])
def test_old_files_keep_their_mode(tmp_path, umask, mode):
    umask(0o022)
    path = tmp_path / "out.txt"
    path.write_text("old")
    path.chmod(mode)
    with written_whole(path) as temporary:
        assert mode_of(temporary) & 0o077 == 0  # nobody else reads what is half written
        temporary.write_text("new")
    assert mode_of(path) == mode
    assert path.read_text() == "new"


@POSIX
def test_a_link_stays_and_its_target_is_written(tmp_path):
    target, link = tmp_path / "there" / "out.txt", tmp_path / "link.txt"
    link.symlink_to(target)
    with written_whole(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


KILLED = """
import os, runpy, signal, sys
module, path = sys.argv[1:]  # alone: the package takes seconds to import
with runpy.run_path(module)["written_whole"](path) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@POSIX
def test_what_killed_processes_left_is_removed_and_what_others_write_stays(tmp_path):
    path = tmp_path / "out.txt"
    subprocess.run([sys.executable, "-c", KILLED, files.__file__, str(path)], check=False)
    (left,) = os.listdir(tmp_path)
    assert left.startswith(".out.txt.")
    with written_whole(path) as first:
        assert os.listdir(tmp_path) == [first.name] != [left]
        with written_whole(path) as second:
            assert sorted(os.listdir(tmp_path)) == sorted([first.name, second.name])
    assert os.listdir(tmp_path) == ["out.txt"]


def test_without_locks_only_old_leftovers_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)
    path, old, new = (tmp_path / name for name in ("out.txt", ".out.txt.a.tmp", ".out.txt.b.tmp"))
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    with written_whole(path) as temporary:
        temporary.write_text("new")
    assert sorted(os.listdir(tmp_path)) == [new.name, "out.txt"]
    assert path.read_text() == "new"


def test_names_as_long_as_there_are(tmp_path):
    path = tmp_path / ("ä" * 127)  # 254 bytes
    with written_whole(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_paths_that_cannot_be_written_are_refused(tmp_path):
    (tmp_path / "file").touch()
    for path, match in [
        ("", "out must be the name of a file; got ''"),
        (".", r"out must be the name of a file; got '\.'"),
        (tmp_path, r"out='.*' is a folder: give the name of a file"),
        ("/dev/null", r"out='/dev/null' is no regular file"),
        (tmp_path / "file" / "out", r"out='.*file/out' cannot be written: Not a directory"),
        (tmp_path / ("a" * 256), r"out='.*' cannot be written: File name too long"),
    ]:
        with pytest.raises(ValueError, match=match):
            refuse_unwritable(path, "out")
    refuse_unwritable(tmp_path / "file", "out")
    refuse_unwritable(tmp_path / "new" / "folder" / "out", "out")
    assert os.listdir(tmp_path) == ["file"]


def test_folders_that_may_not_be_written_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ValueError, match=r"no file may be made in .*"):
        refuse_unwritable(tmp_path / "out", "out")


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
