"""Gallery scripts run as a user would run them, but in one process, which has imported torch."""

import runpy
import tempfile
import warnings
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("Agg")

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "examples").rglob("plot_*.py"))
QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


@pytest.mark.usefixtures("no_figure_stays")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_runs_and_saves_a_figure(script, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with warnings.catch_warnings(record=True) as found, matplotlib.rc_context():
        warnings.resetwarnings()
        for category in QUIET:  # as Python does
            warnings.simplefilter("ignore", category)
        runpy.run_path(str(script), run_name="__main__")
    assert [str(each.message) for each in found] == []
    assert "Warning" not in capfd.readouterr().err
    figures = list(tmp_path.glob("*.png"))
    assert [figure for figure in figures if figure.stat().st_size > 5_000]


def test_there_are_scripts():
    assert len(SCRIPTS) >= 3
