"""The command line: its name, its exit status, and labels that spreadsheets would run."""

import errno
import io
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

import sklearn_pttf
from sklearn_pttf import __main__
from sklearn_pttf._command import _decide, _files
from support.command import COSTS, FAST, RECORDS, SMALL, read_orders, refused, run_decide

ROOT = Path(sklearn_pttf.__file__).parents[1]


def test_console_script(monkeypatch, capsys):
    with open(ROOT / "pyproject.toml", "rb") as file:
        scripts = tomllib.load(file)["project"]["scripts"]
    assert scripts == {"sklearn-pttf": "sklearn_pttf.__main__:main"}
    for called, name in (("/bin/sklearn-pttf", "sklearn-pttf"), ("x/__main__.py", "python -m skl")):
        monkeypatch.setattr(sys, "argv", [called])
        with pytest.raises(SystemExit):
            __main__.main(["--help"])
        assert f"usage: {name}" in capsys.readouterr().out


# ---------------------------------------------------------------- exit status


class Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_a_summary_that_cannot_be_printed(small, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Broken())
    assert run_decide(*COSTS, *FAST) == 3
    assert len(read_orders()) == 3
    assert "error: all is written, but the summary could not be printed" in capsys.readouterr().err


@pytest.mark.parametrize("stop", [ValueError("no saving"), KeyboardInterrupt()])
def test_orders_do_not_wait_for_what_they_save(small, monkeypatch, capsys, stop):
    def no_saving(*args):
        assert len(read_orders()) == 3
        raise stop

    monkeypatch.setattr(_decide, "_saving", no_saving)
    assert run_decide(*COSTS, *FAST) == 3
    assert len(read_orders()) == 3
    out, err = capsys.readouterr()
    assert "orders.csv written" in out
    assert "error: all is written, but the summary could not be printed" in err


def test_letters_that_the_terminal_lacks(monkeypatch):
    Path("sales.csv").write_text(SMALL, encoding="utf-8")
    Path("info.csv").write_text("sku,store\n00123,Köln\nNA,Köln\nb,Köln\n", encoding="utf-8")
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    limit = ["--limit", "9", "--groups", "store", "--info", "info.csv"]
    assert run_decide(*COSTS, *FAST, *limit) == 0
    assert b"limit of K\\xf6ln" in ascii_only.buffer.getvalue()


def test_a_closed_pipe_of_a_process(small):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    reader, writer = os.pipe()
    os.close(reader)
    given = ["decide", "sales.csv", *RECORDS, *COSTS, *FAST, "--out", "orders.csv"]
    done = subprocess.run(
        [sys.executable, "-m", "sklearn_pttf", *given],
        env={**os.environ, "PYTHONPATH": path},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    os.close(writer)
    assert done.returncode == 3
    assert "Exception ignored" not in done.stderr
    assert len(read_orders()) == 3


def test_a_backtest_writes_both_files_or_none(monkeypatch, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is optional: --html draws with it")
    lines = [f"{row},{day},{(7 * day + ord(row)) % 5}" for row in "abc" for day in range(1, 9)]
    Path("sales.csv").write_text("\n".join(["sku,date,units", *lines]))
    argv = ["backtest", "sales.csv", *RECORDS, *COSTS, "--origins", "1"]
    argv += ["--out", "cells.csv", "--html", "page.html"]

    def full(self, path, **settings):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as context:
        context.setattr(pd.DataFrame, "to_csv", full)
        assert __main__.main(argv) == 2
    assert os.listdir() == ["sales.csv"]
    assert "No space left on device" in capsys.readouterr().err
    assert __main__.main(argv) == 0
    assert sorted(os.listdir()) == ["cells.csv", "page.html", "sales.csv"]


# ---------------------------------------------------------------- formulas

DANGEROUS = ["=1+1", "+1", "-1", "@x", "=cmd|' /C calc'!A0"]


def test_labels_that_spreadsheets_would_run(capsys):
    lines = [f"{label},2026-03-0{day},{day}" for label in [*DANGEROUS, "a=b"] for day in (2, 3)]
    Path("sales.csv").write_text("\n".join(["sku,date,units", *lines]))
    assert run_decide(*COSTS, *FAST) == 0
    assert "note: 5 labels begin with = + - or @, which a spreadsheet" in capsys.readouterr().err
    plain = read_orders()
    assert set(plain.index) == {*DANGEROUS, "a=b"}
    assert run_decide(*COSTS, *FAST, "--defuse") == 0
    assert "labels begin with" not in capsys.readouterr().err
    defused = read_orders()
    assert set(defused.index) == {*(f"'{label}" for label in DANGEROUS), "a=b"}
    assert (defused.to_numpy() == plain.to_numpy()).all()


def test_numbers_and_names_of_columns_are_defused_too():
    frame = pd.DataFrame({"=sku": ["-a", "b"], "x": [-1.5, 2.0]})
    _files.write(Path("o.csv"), frame, _files.Style(defused=True))
    assert Path("o.csv").read_text() == "'=sku,x\n'-a,-1.5\nb,2\n"
    _files.write(Path("o.csv"), frame, _files.Style())
    assert Path("o.csv").read_text() == "=sku,x\n-a,-1.5\nb,2\n"


def test_status_is_said_in_help(capsys):
    for command in ("decide", "replenish", "backtest"):
        with pytest.raises(SystemExit):
            __main__.main([command, "--help"])
        assert "3 all is written, but the summary could" in capsys.readouterr().out


def test_a_wrong_output_is_refused_before_the_work(small, capsys):
    assert "extension is missing" in refused(capsys, *COSTS, out="orders")
