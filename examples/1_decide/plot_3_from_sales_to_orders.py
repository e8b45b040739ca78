"""
From a file of sales to a file of orders
========================================

A planner has a long file with a line for every product and day on which something was
sold, and wants a file with one order a product. This script writes such a sales file for
2,000 products, and then goes the planner's way.
"""

# %%
# The sales file
# --------------
# Like real ones it leaves out the days without a sale.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.datasets import from_long, make_demand_portfolio
from sklearn_pttf.problems import Newsvendor

folder = Path(tempfile.mkdtemp())
n_skus, n_days = 2_000, 21
demand, next_day = make_demand_portfolio(
    n_skus, n_days, n_outcomes=1, level=3.0, spread=0.9, noise=0.6, random_state=0
)
days = pd.date_range("2026-03-02", periods=n_days)
sku, day = np.nonzero(demand)
sales = pd.DataFrame(
    {"sku": [f"SKU-{k:04d}" for k in sku], "date": days[day], "units": demand[sku, day]}
)
sales.to_csv(folder / "sales.csv", index=False)
print(sales.head(3).to_string(index=False))
print(f"... {len(sales):,} lines")

# %%
# One row a product
# -----------------
# `from_long` puts the days without a sale back as zeros: without them every decision would
# be too high.

long = pd.read_csv(folder / "sales.csv")
X = from_long(long, instance="sku", value="units", time="date", calendar=list(days.astype(str)))
print(X.shape)

# %%
# Orders
# ------
# A lost sale costs 4, a unit left over 1. `decide` gives the orders and what they are
# expected to cost; `predict_quantiles` an interval for the next day's demand. Without
# ``finetune=None`` the network would be finetuned on these rows first, in about a minute.

problem = Newsvendor(underage=4.0, overage=1.0)
pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
order, info = pdt.decide(X, return_info=True)
low, high = pdt.predict_quantiles(X, [0.05, 0.95]).T
orders = pd.DataFrame(
    {
        "sku": X.index,
        "order": order.astype(int),
        "expected_cost": info.expected_cost.round(2),
        "demand_5_percent": low.astype(int),
        "demand_95_percent": high.astype(int),
    }
)
orders.to_csv(folder / "orders.csv", index=False)
print(orders.head().to_string(index=False))
print(f"{len(orders):,} orders written to {folder / 'orders.csv'}")

# %%
# Was it worth it?
# ----------------
# Leave-one-out on the products' own history, before anything is ordered, and the cost on the
# day that followed.

skus = np.unique(sku)  # products that never sold are not in the file
expected = pdt.score(X)
realised = pdt.score(X, next_day[skus])
print(f"saving over SAA: {expected:.1%} by leave-one-out, {realised:.1%} on the next day")

saa = SampleAverage(problem).fit(X).decide(X)
figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
axis.plot([0, saa.max()], [0, saa.max()], color="0.7")
jitter = np.random.default_rng(0).uniform(-0.3, 0.3, size=(2, len(saa)))
axis.plot(saa + jitter[0], order + jitter[1], ".", alpha=0.4)
axis.set(xlabel="SAA's order", ylabel="the network's order", title="2,000 products, three weeks")
figure.savefig("orders.png", dpi=120)
