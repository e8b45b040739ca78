"""
What a day of lead time costs
=============================

One supplier delivers overnight and is dear, another takes six days. By how much the first one is
dearer is on the invoice. What the second one costs is written nowhere: the longer an order takes,
the less is known of what will be left when it comes, so more has to be kept, and more is missed all
the same. This script puts a price on a day.
"""

# %%
# The shop
# --------
# 60 products, eight weeks of days. A lost sale costs 2, a unit that is left overnight 0.2.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import Column, PretrainedDecisionTransformer
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.problems import Replenishment

rng = np.random.default_rng(0)
n_skus, n_days, lead_times = 60, 56, np.arange(7)
usual = rng.gamma(2.0, 4.0, (n_skus, 1))
sales = rng.poisson(usual * rng.gamma(4.0, 0.25, (n_skus, n_days)))

# %%
# Seven suppliers in one table
# ----------------------------
# ``lead_time`` may be a column, so all are decided in one call: each product is there seven times,
# once for each lead time from 0 to 6 days. In all of them a usual day's sales are on hand, and as
# much comes on each day until an order of today is there. What is under way has a column for each
# day of the longest lead time.

lead_time = np.repeat(lead_times, n_skus)
usual_day = np.tile(sales.mean(axis=1).round(), len(lead_times))
comes = np.where(np.arange(lead_times.max()) < lead_time[:, None], usual_day[:, None], 0.0)
table = np.column_stack([np.tile(sales, (len(lead_times), 1)), lead_time, usual_day, comes])
problem = Replenishment(
    shortage=2.0,
    holding=0.2,
    lead_time=Column(n_days),
    on_hand=Column(n_days + 1),
    on_order=list(range(n_days + 2, table.shape[1])),
    observations=list(range(n_days)),
)

# %%
# `fit` reads each product once. ``info`` says what an order is expected to come to on the day that
# it is for.

pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(table[:n_skus])
orders, info = pdt.decide(table, return_info=True)

# %%
# Does it come true?
# ------------------
# As sales are made here, the coming week can be drawn, 300 times. `decision_cost` plays the stock
# of each row through each of them, seven days of sales, and charges the day that the order is for.
# What is expected is a little low, most for long lead times: how wide demand is is a guess as well.

weeks = rng.poisson(usual[:, None] * rng.gamma(4.0, 0.25, (n_skus, 300, 7))).reshape(n_skus, -1)
weeks = np.tile(weeks, (len(lead_times), 1))
came = decision_cost(weeks, orders, problem=problem, X=table, per_row=True)

by_day = (
    pd.DataFrame(
        {
            "expected cost": info.expected_cost,
            "cost that came": came,
            "fill rate, %": 100 * info.fill_rate,
            "stock in the morning": info.stock_at_arrival + orders,
        }
    )
    .groupby(lead_time)
    .mean()
    .rename_axis("lead time")
)
print(by_day.round(2))

# %%
# The price of a day
# ------------------
# What each lead time costs more than delivery overnight, for each unit that is sold: so much dearer
# the fast supplier may be. Single days are less sure than their sum, as what is expected is worked
# out on some hundred drawn paths.

sold = sales.mean()
cost = by_day["expected cost"]
dearer = by_day[["expected cost", "cost that came"]].sub(by_day.loc[0]).dropna(axis=1) / sold
print(dearer.round(3))
a_year = 365 * n_skus * sold * dearer.loc[6, "expected cost"]
print(f"six days cost {a_year:,.0f} a year more than overnight, for {n_skus} products")

# %%
# The first days are the dearest. Good and bad days even out the more, the more of them lie between
# an order and its arrival: what is unknown grows with the root of their number.

figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
axes[0].plot(cost, "C0", label="expected when ordering")
axes[0].plot(by_day["cost that came"], "ko", label="on 300 weeks that came")
axes[0].set(ylabel="cost a product and day", title="Cost", ylim=(0, None))
axes[0].legend()
axes[1].plot(by_day["fill rate, %"], "C0.-")
axes[1].set(ylabel="served from stock, %", title="Fill rate", ylim=(90, 100))
axes[2].plot(by_day["stock in the morning"], "C0.-")
axes[2].axhline(sold, color="k", linestyle=":", label="sold in a day")
axes[2].set(ylabel="units a product", title="Stock when an order has come", ylim=(0, None))
axes[2].legend()
for ax in axes:
    ax.set_xlabel("lead time, days")
figure.savefig("lead_time.png", dpi=120)
