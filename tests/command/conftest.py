"""An empty folder for every test, and files of sales in it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.command import DAYS, SMALL, TABLE


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where files are, and nothing else."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small():
    Path("sales.csv").write_text(SMALL)
    return pd.DataFrame.from_dict(TABLE, orient="index", dtype=float)


@pytest.fixture
def sales():
    """Forty products over four days, and what is known of them."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.poisson(rng.gamma(2, 4, (40, 1)), (40, 4)), columns=DAYS)
    X.index = pd.Index([f"{k:03d}" for k in range(40)], name="sku")
    long = X.stack().rename("units").rename_axis(["sku", "date"]).reset_index()
    long[long["units"] > 0].to_csv("sales.csv", index=False)
    info = pd.DataFrame(
        {
            "sku": X.index,
            "margin": rng.uniform(1, 9, 40).round(2),
            "loss": rng.uniform(0.5, 2, 40).round(2),
            "price": rng.uniform(2, 20, 40).round(2),
            "stock": rng.integers(0, 15, 40),
            "coming": rng.integers(0, 4, 40),
            "packs": rng.choice([1, 6, 12], 40),
            "most": np.where(rng.random(40) < 0.5, np.nan, 9),
            "store": rng.choice(["north", "south"], 40),
        }
    )
    info["budget"] = info["store"].map({"north": 300.0, "south": 150.0})
    info.sample(frac=1, random_state=0).to_csv("products.csv", index=False)
    X.columns = [f"lag_{k}" for k in range(4, 0, -1)]
    return X.astype(float), info.set_index("sku")
