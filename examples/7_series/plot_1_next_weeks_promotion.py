"""
What to order for next week's promotion?
========================================

A planner knows more than last weeks' sales: what will be on promotion next week, and at which
price. How much these change demand no single product tells, since it had two promotions or none;
all products together tell it well.
"""

# %%
# The files
# ---------
# A file of sales with a line for every product and week, sixteen weeks of 300 products, and a plan
# of the week that comes. A promotion sells half as much again, and its price is a fifth lower,
# which does the rest: the elasticity is -2. All products share a level that wanders.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.baselines import ExponentialSmoothing, SampleAverage
from sklearn_pttf.datasets import from_long
from sklearn_pttf.inspection import SeriesDisplay
from sklearn_pttf.problems import Newsvendor

rng = np.random.default_rng(0)
n_skus, n_weeks = 300, 16
usual = rng.gamma(2.0, 10.0, (n_skus, 1))
promotion = rng.uniform(size=(n_skus, n_weeks + 1)) < 0.15
log_price = np.log(3.0) + np.where(promotion, np.log(0.8), 0.0)
log_price = log_price + 0.05 * rng.standard_normal(log_price.shape)
level = 0.08 * rng.standard_normal(n_weeks + 1).cumsum()
mean = usual * np.exp(level + np.log(1.5) * promotion - 2.0 * (log_price - np.log(3.0)))
noise = rng.gamma(8.0, 1 / 8.0, mean.shape)

weeks = pd.date_range("2026-01-05", periods=n_weeks + 1, freq="W-MON")
lines = pd.DataFrame(
    {
        "sku": np.repeat([f"SKU-{k:03d}" for k in range(n_skus)], n_weeks + 1),
        "week": np.tile(weeks, n_skus),
        "units": rng.poisson(mean * noise).ravel(),
        "promotion": promotion.ravel(),
        "log_price": log_price.ravel(),
    }
)
coming = lines["week"] == weeks[-1]
sales, plan = lines[~coming], lines[coming].drop(columns="units")
print(sales.head(3).to_string(index=False))

# %%
# From files to orders
# --------------------
# `from_long` makes one row of a product, with its sales, oldest first, and its drivers, past and
# planned. ``roles`` says which column is what. A lost sale costs 4, a unit left over 1. Without
# ``finetune=None`` `fit` may train on the rows first, which takes longer.

X, roles = from_long(
    sales,
    instance="sku",
    value="units",
    time="week",
    calendar="W-MON",
    drivers=["promotion", "log_price"],
    future=plan,
    return_roles=True,
)
problem = Newsvendor(underage=4.0, overage=1.0, **roles)
pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
orders, info = pdt.decide(X, return_info=True)
decided = {"order": orders.astype(int), "expected_cost": info.expected_cost.round(1)}
print(pd.DataFrame(decided, index=X.index).head().to_string())

# %%
# What was found
# --------------
# ``shared_effects_`` has it in numbers, and `SeriesDisplay` draws it below. The effect of a
# promotion is that beside its price.

shared = pdt.shared_effects_
for name, effect, error in zip(shared.drivers, shared.effects, shared.standard_errors, strict=True):
    print(f"{name:10} {effect:6.2f} +- {1.96 * error:.2f}")
print(f"the truth: {np.log(1.5):.2f} and -2.00")

# %%
# Was it worth it?
# ----------------
# The week came. Sample average approximation (SAA) decides every product by its own sixteen weeks;
# exponential smoothing follows the level of each, with the errors of all. Neither knows the plan.
# One week is one draw of what all products share: to compare methods, roll over several, as in the
# third example.

history = {"observations": roles["observations"]}
deciders = {
    "SAA": SampleAverage(Newsvendor(4.0, 1.0, **history)),
    "smoothing": ExponentialSmoothing(Newsvendor(4.0, 1.0, ordered=True, **history)),
}
decisions = {name: decider.fit(X).decide(X) for name, decider in deciders.items()}
decisions["pretrained"] = orders
outcome = lines.loc[coming, "units"].to_numpy()
on = lines.loc[coming, "promotion"].to_numpy()
costs = pd.DataFrame(
    {name: Newsvendor(4.0, 1.0).cost(order, outcome) for name, order in decisions.items()}
)
table = pd.DataFrame({"promoted": costs[on].mean(), "others": costs[~on].mean()})
table["all"] = costs.mean()
print(table.round(1))

figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
SeriesDisplay.from_estimator(pdt, ax=axes[:2])
table[["promoted", "others"]].plot.bar(ax=axes[2], rot=0, color=["C1", "C0"])
axes[2].set(ylabel="cost a product", title="The week that came")
figure.savefig("promotion.png", dpi=120)
