"""The README's lines of use run as they stand."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

README = Path(__file__).parents[1] / "README.md"


def test_lines_of_use(tmp_path, monkeypatch, capsys):
    sales = pd.DataFrame(
        {
            "sku": ["a", "a", "b", "b", "b", "c"],
            "date": [f"2026-03-0{day}" for day in (2, 4, 2, 3, 4, 3)],
            "units": [3, 5, 1, 2, 1, 8],
            "price": [5.0, 4.0, 6.0, 5.0, 6.0, 3.5],
            "promo": [0, 1, 0, 0, 0, 1],
        }
    )
    sales.to_csv(tmp_path / "sales.csv", index=False)
    coming = {"sku": list("aabbcc"), "date": ["2026-03-05", "2026-03-06"] * 3, "promo": 0}
    pd.DataFrame(coming).to_csv(tmp_path / "plan.csv", index=False)
    monkeypatch.chdir(tmp_path)
    in_time, code, picks, pricing, more = re.findall(
        r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL
    )
    names = {}
    exec(in_time, names)
    assert names["problem"].ordered
    assert list(names["problem"].drivers) == ["promo"]
    assert names["orders"].shape == (3,)
    assert (names["orders"] >= 0).all()
    assert (names["info"].expected_cost > 0).all()
    assert float(capsys.readouterr().out) <= 1
    assert names["pdt"].shared_effects_.drivers == ("promo",)
    exec(code, names)
    assert (names["orders"] >= 1).all()
    assert float(capsys.readouterr().out) <= 1
    week = names["orders"].sum()
    products = {"margin": 4.0, "loss": 1.0, "price": [1.0, 2.0, 5.0], "stock": 3.0}
    names["X"] = names["X"].assign(**products)
    names["pdt"] = names["pdt"].set_params(
        problem=names["Newsvendor"](observations=list(names["X"].columns[:-4]))
    )
    names["pdt"].fit(names["X"])
    exec(more, names)
    assert names["info"].shadow_price == 0  # 20,000 is more than enough
    assert names["pdt"].decide(names["X"], problem=names["month"]).sum() > 2 * week
    assert (names["quantities"] % 12 == 0).all()

    measured = pd.DataFrame(
        np.random.default_rng(0).normal(size=(40, 3)), columns=["mon", "tue", "wed"]
    )
    names["measured"] = measured.assign(price=100.0, error=1.0, name="ad")
    exec(picks, names)
    assert 0 < names["picks"].sum() <= 9
    assert (names["info"].lower < names["means"]).all()
    assert (names["means"] < names["info"].upper).all()

    exec(pricing, names)
    assert ((names["prices"] >= 3) & (names["prices"] <= 8)).all()
    assert (names["info"].expected_profit > 0).all()
    assert names["risky"].dtype == bool
