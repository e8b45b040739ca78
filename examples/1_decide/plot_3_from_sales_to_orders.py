"""
From a file of sales to a file of orders
========================================

A planner has a long file with a line for every product and day on which something was
sold, and wants a file with one order a product. This script writes such a sales file for
300 products, and then goes the planner's way. The products share a week: most is sold on
Saturdays.
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
from sklearn_pttf.datasets import from_long
from sklearn_pttf.inspection import DecisionDisplay
from sklearn_pttf.problems import Newsvendor

folder = Path(tempfile.mkdtemp())
n_skus, n_days = 300, 28
days = pd.date_range("2026-03-02", periods=n_days)  # a Monday
of_weekday = np.array([0.8, 0.8, 0.9, 1.0, 1.2, 1.5, 0.8])[np.arange(n_days + 1) % 7]
rng = np.random.default_rng(0)
usual = 3.0 * rng.lognormal(0.0, 0.8, (n_skus, 1))
demand = rng.poisson(usual * of_weekday * rng.gamma(3.0, 1 / 3.0, (n_skus, n_days + 1)))
demand, next_day = demand[:, :-1], demand[:, -1]
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
# be too high. ``roles`` says which columns are observations, and that they are in the order of
# time. What was planned for the coming day would be told here too, see the first example of
# tables in the order of time.

long = pd.read_csv(folder / "sales.csv")
X, roles = from_long(
    long,
    instance="sku",
    value="units",
    time="date",
    calendar="D",
    offered="all",
    return_roles=True,
)
print(X.shape)

# %%
# Orders
# ------
# A lost sale costs 4, a unit left over 1; what comes back does so after seven days. `decide`
# gives the orders and what they are expected to cost; `predict_quantiles` an interval for the
# next day's demand. With ``finetune=None`` nothing is trained on these rows.

problem = Newsvendor(underage=4.0, overage=1.0, seasons=7, **roles)
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
# Two figures: on the newest eight days of the products' own history, each decided from the days
# before it, and on the day that followed.

skus = np.unique(sku)  # products that never sold are not in the file
expected = pdt.score(X)
realised = pdt.score(X, next_day[skus])
print(f"saving over SAA: {expected:.1%} on the last days, {realised:.1%} on the next day")

saa = SampleAverage(problem).fit(X).decide(X)
figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
axis.plot([0, saa.max()], [0, saa.max()], color="0.7")
jitter = np.random.default_rng(0).uniform(-0.3, 0.3, size=(2, len(saa)))
axis.plot(saa + jitter[0], order + jitter[1], ".", alpha=0.4)
axis.set(xlabel="SAA's order", ylabel="the network's order", title="300 products, four weeks")
figure.savefig("orders.png", dpi=120)

# %%
# For the boss
# ------------
# Today the house orders the mean of the last week. `DecisionDisplay` shows the products on which
# most is at stake, and what all orders save: what is expected, by the network's own laws, and what
# was measured on the day that followed, apart.

last_week = np.ceil(X[roles["observations"][-7:]].mean(axis=1))
display = DecisionDisplay.from_estimator(pdt, X, y=next_day[skus], today=last_week)
print(display.verdict())
print(display.report(X).iloc[:4, :5].round(2).to_string())
display.figure_.savefig("worth.png", dpi=120)
