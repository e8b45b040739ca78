"""
Which prices for three hundred products?
========================================

A shop has changed the prices of its products a few times and kept a file of its sales. Each product
alone says little about how its demand falls with its price: ten weeks at three prices, and noise.
This script goes from the file to a price for every product, and looks at what the prices promise
and what they keep; beside it those of a regression for each product on its own.
"""

# %%
# The sales file
# --------------
# One line for each product and week in which something was sold, with its price. This is a
# simulation, so how demand really falls with price is known: at the usual price by one to four per
# cent for one per cent of price, which differs between products.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.baselines import PerRowDemandCurve
from sklearn_pttf.datasets import from_long
from sklearn_pttf.problems import Pricing

N, WEEKS = 300, 10
rng = np.random.default_rng(0)
names = np.array([f"SKU-{k:03d}" for k in range(N)])
cost = np.exp(rng.normal(1.5, 0.6, size=N)).round(2)
usual = (cost * rng.uniform(1.3, 2.5, size=N)).round(2)
level = np.exp(rng.normal(2.0, 0.8, size=N))
elasticity = 2.2 * np.exp(0.3 * rng.normal(size=N))


def true_demand(prices):
    """Mean units a week at prices of shape (N, k)."""
    change = prices / usual[:, None] - 1
    return level[:, None] * np.exp(-elasticity[:, None] * change)


steps = rng.choice([0.85, 0.9, 1.0, 1.1, 1.2], size=(N, 3))
steps = np.take_along_axis(steps, rng.integers(3, size=(N, WEEKS)), axis=1)
prices = (usual[:, None] * steps).round(2)
units = rng.negative_binomial(5, 5 / (5 + true_demand(prices)))
row, week = np.nonzero(units)  # no product is without a sale
sales = pd.DataFrame(
    {"sku": names[row], "week": week, "units": units[row, week], "price": prices[row, week]}
)
print(sales.head(3).to_string(index=False))
print(f"... {len(sales):,} lines")

# %%
# One row a product
# -----------------
# With ``price=`` a column of prices comes beside every column of units. A week in which nothing was
# sold is not in the file, so nobody knows its price for sure: it gets the last one before. Costs
# and the prices that are allowed come from elsewhere.

X = from_long(
    sales, instance="sku", value="units", price="price", time="week", calendar=range(WEEKS)
)
products = pd.DataFrame({"cost": cost, "low": 0.7 * usual, "high": 1.4 * usual}, index=names)
X = X.join(products.round(2))
print(X[["lag_2", "lag_1", "price_2", "price_1", "cost", "low", "high"]].head(3).to_string())

# %%
# Prices
# ------
# ``decide`` gives the price that is expected to earn most, ``info`` what it is expected to earn, by
# how many per cent demand changes there with one per cent of price, and whether the price lies far
# from those that were seen.

problem = Pricing(
    prices=[c for c in X if c.startswith("price_")],
    demands=[c for c in X if c.startswith("lag_")],
    unit_cost="cost",
    bounds=("low", "high"),
)
pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X).set_output(decide="numpy")
price, info = pdt.decide(X, return_info=True)
old = X["price_1"].to_numpy()
as_before = (old - X["cost"]) * pdt.predict_distribution(X, price=old).mean()
table = pd.DataFrame(
    {
        "old price": old,
        "price": price,
        "elasticity": info.elasticity,
        "profit as before": as_before,
        "profit": info.expected_profit,
        "extrapolates": info.extrapolates,
    },
    index=X.index,
)
print(table.head(6).round(2).to_string())

# %%
# Promised and kept
# -----------------
# What all prices together are expected to earn a week, and what they truly earn on average. A
# regression for each product on its own finds many products whose demand seems hardly to fall, as
# it happened to be high in the dear weeks, and prices them as high as it may. It promises the most,
# and keeps the least.

alone = PerRowDemandCurve(problem).fit(X).set_output(decide="numpy")
alone_price, alone_info = alone.decide(X, return_info=True)
allowed = np.linspace(X["low"], X["high"], 200, axis=1)


def true_profit(prices):
    """Mean profit a week at prices of shape (N, k)."""
    return (prices - cost[:, None]) * true_demand(prices)


true_curves = true_profit(allowed)
best = allowed[np.arange(N), true_curves.argmax(axis=1)]
rows = {
    "old prices": [as_before.sum(), true_profit(old[:, None]).sum()],
    "each on its own": [alone_info.expected_profit.sum(), true_profit(alone_price[:, None]).sum()],
    "network": [info.expected_profit.sum(), true_profit(price[:, None]).sum()],
    "who knows the truth": [true_curves.max(axis=1).sum()] * 2,
}
earned = pd.DataFrame(rows, index=["promised", "kept"]).T
earned["kept, of the best"] = (earned["kept"] / earned["kept"].iloc[-1]).map("{:.1%}".format)
print(earned.round(0).to_string())

# %%
# The pictures
# ------------
# Expected profit against price, for four products: those on which the two ways differ more and
# more. ``info.prices`` and ``info.profits`` hold the curves. A dot is the price that is chosen, and
# the dashed line the old price. Between prices that lie on a flat top there is little to choose.

gap = np.abs(np.log(price / alone_price))
shown = np.argsort(gap)[[30, 120, 210, 285]]
figure, axes = plt.subplots(1, 4, figsize=(14, 3.8), layout="constrained")
for axis, k in zip(axes, shown, strict=True):
    axis.plot(allowed[k], true_curves[k], color="0.3", label="truth")
    for label, found, chosen, color in (
        ("network", info, price, "C0"),
        ("on its own", alone_info, alone_price, "C3"),
    ):
        axis.plot(found.prices[k], found.profits[k], color=color, label=label)
        at = np.interp(chosen[k], found.prices[k], found.profits[k])
        axis.plot(chosen[k], at, "o", color=color)
    axis.plot(best[k], true_curves[k].max(), "o", color="0.3")
    axis.axvline(old[k], color="0.6", linewidth=1, linestyle="--")
    axis.set(xlabel="price", title=X.index[k])
    axis.set_ylim(bottom=min(0.0, true_curves[k].min()))
axes[0].set_ylabel("profit a week")
axes[0].legend()
figure.savefig("prices_for_a_portfolio.png", dpi=120)

# %%
# What to take home
# -----------------
# A history of prices is read best beside those of other products. It is worth something only if
# prices did change, and not because demand did: a price that was raised whenever demand was high
# looks as if nobody minded. The next example is about prices that have never changed.
