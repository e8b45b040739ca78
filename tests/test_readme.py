"""The README's ten lines of use run as they stand."""

import re
from pathlib import Path

import pandas as pd

README = Path(__file__).parents[1] / "README.md"


def test_lines_of_use(tmp_path, monkeypatch, capsys):
    sales = pd.DataFrame(
        {
            "sku": ["a", "a", "b", "b", "b", "c"],
            "date": [f"2026-03-0{day}" for day in (2, 4, 2, 3, 4, 3)],
            "units": [3, 5, 1, 2, 1, 8],
        }
    )
    sales.to_csv(tmp_path / "sales.csv", index=False)
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(code, names)
    assert len(names["orders"]) == 3
    assert (names["orders"] >= 1).all()
    assert (names["info"].expected_cost > 0).all()
    assert float(capsys.readouterr().out) <= 1
