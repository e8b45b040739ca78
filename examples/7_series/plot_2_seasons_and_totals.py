"""
How much to order for the weekend?
==================================

A bakery's shops are supplied on Friday for three days and on Monday for four. An order must last
for the days that come, and these have seasons of their own: a weekend is not three usual days.
"""

# %%
# The shops
# ---------
# 150 shops, eight weeks of days. Demand is highest on Saturdays, and all shops share the weather of
# a day. The last day that was seen is a Thursday.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.datasets import from_long
from sklearn_pttf.inspection import SeriesDisplay
from sklearn_pttf.problems import Newsvendor

rng = np.random.default_rng(0)
n_shops, n_days, ahead = 150, 56, 7
days = pd.date_range("2026-01-02", periods=n_days + ahead)  # a Friday
of_weekday = np.log([0.8, 0.8, 0.9, 1.0, 1.2, 1.6, 0.9])  # Monday to Sunday
common = of_weekday[days.day_of_week] + 0.08 * rng.standard_normal(n_days + ahead)
demand = rng.poisson(rng.gamma(4.0, 8.0, (n_shops, 1)) * np.exp(common))
lines = pd.DataFrame(
    {
        "shop": np.repeat([f"shop {k:03d}" for k in range(n_shops)], n_days),
        "day": np.tile(days[:n_days], n_shops),
        "loaves": demand[:, :n_days].ravel(),
    }
)
print(days[n_days - 1].day_name(), "was the last day")

# %%
# Orders for three days, and for a week
# -------------------------------------
# ``seasons=7`` says that what comes back does so after seven periods; ``horizon`` is the number
# of coming periods that an order must last for. Without ``ordered=True`` all days are alike.

total = {}
for horizon in (1, 3, 7):
    X, roles = from_long(
        lines,
        instance="shop",
        value="loaves",
        time="day",
        calendar="D",
        horizon=horizon,
        return_roles=True,
    )
    alike = Newsvendor(4.0, 1.0, observations=roles["observations"], horizon=horizon)
    for name, problem in {
        "alike": alike,
        "in time": Newsvendor(4.0, 1.0, seasons=7, **roles),
    }.items():
        pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
        order = pdt.decide(X)
        came = demand[:, n_days : n_days + horizon].sum(axis=1)
        total[horizon, name] = order.sum(), came.sum(), problem.cost(order, came).mean()
table = pd.DataFrame(total, index=["ordered", "sold", "cost a shop"]).T
table.index.names = ["days", "periods are"]
print(table.round(1))

# %%
# Over the weekend the season decides. Over a whole week it matters less, as all weekdays are in it;
# what is left is the level, and the weather that shops share.
#
# The season
# ----------
# The curve begins with the first coming day, the Friday. The factor goes on with a band; what is in
# the band is the coming days' weather, which more shops would not make narrower.

figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
SeriesDisplay.from_estimator(pdt, ax=axes[:2])
cost = table["cost a shop"].unstack()
cost.plot.bar(ax=axes[2], rot=0, color=["0.6", "C0"])
axes[2].set(ylabel="cost a shop", title="The days that came")
figure.savefig("weekend.png", dpi=120)
