"""
What a day of lead time costs
=============================

One supplier delivers overnight and is dear, another takes six days. The invoice says what the first
one costs more. What the second one costs more is nowhere written: a longer lead time has to be
bridged by stock, and where demand is uncertain, sales are lost all the same. This script puts a
price on a day.
"""

# %%
# The shop
# --------
# 50 products, eight weeks of days. A lost sale costs 3, a unit that is left overnight 0.1.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import Column, PretrainedDecisionTransformer
from sklearn_pttf.problems import Replenishment
from sklearn_pttf.testing import simulate_stock

rng = np.random.default_rng(0)
n_skus, n_days, n_played = 50, 56, 24
usual = rng.gamma(2.0, 4.0, (n_skus, 1))
demand = rng.poisson(usual * rng.gamma(4.0, 0.25, (n_skus, n_days + n_played)))
known, played = demand[:, :n_days], demand[:, n_days:]

# %%
# Seven shops that differ in nothing but the lead time
# ----------------------------------------------------
# ``lead_time`` may be a column, so all are decided in one call: each product is there seven times,
# once for each lead time from 0 to 6 days. What is under way has as many columns as the longest
# lead time has days.

lead_times = np.arange(7)
lead_time = np.repeat(lead_times, n_skus)
problem = Replenishment(
    shortage=3.0,
    holding=0.1,
    lead_time=Column(n_days),
    on_hand=Column(n_days + 1),
    on_order=list(range(n_days + 2, n_days + 2 + lead_times.max())),
    observations=list(range(n_days)),
)


def table_of(state):
    stock = np.column_stack([lead_time, state.on_hand, state.on_order])
    return np.column_stack([np.tile(known, (len(lead_times), 1)), stock])


# %%
# The network reads the 50 products once. What it knows of them stays, and only the stock moves on:
# each morning the policy decides from what is on hand and on its way, and notes what it expects the
# order to cost.

pdt, promised = PretrainedDecisionTransformer(problem, finetune=None), []


def order(state):
    X = table_of(state)
    if state.period == 0:
        pdt.fit(X[:n_skus])
    orders, info = pdt.decide(X, return_info=True)
    promised.append(pd.DataFrame(dict(info))[["expected_cost", "fill_rate", "stock_at_arrival"]])
    return orders


usual_day = np.tile(known.mean(axis=1).round(), len(lead_times))
under_way = np.arange(lead_times.max()) < lead_time[:, None]
record = simulate_stock(
    np.tile(played, (len(lead_times), 1)),
    order,
    lead_time=lead_time,
    on_hand=2 * usual_day,
    on_order=under_way * usual_day[:, None],
    shortage=3.0,
    holding=0.1,
)

# %%
# The price of a day
# ------------------
# The first days are still about the stock at the start. Of the others: what a product costs a day,
# as it was expected when ordering and as it came.

warm_up = 10
expected = pd.concat(promised[warm_up:]).groupby(level=0).mean().groupby(lead_time).mean()
charged = slice(warm_up, None)
came = {
    "cost": record.cost_of(charged, by_row=True) / (n_played - warm_up),
    "fill rate": record.fill_rate(charged, by_row=True),
    "stock": record.average_stock(charged, by_row=True),
}
table = pd.DataFrame(came).groupby(lead_time).mean().join(expected, rsuffix="")
table.index.name = "lead time"
print(table.round(3))

slope = np.polyfit(lead_times, table["expected_cost"], 1)[0]
print(f"a day of lead time costs {slope:.3f} a product and day, {365 * n_skus * slope:,.0f} a year")
sold = played.mean()
print(f"a supplier that is a day faster may ask {slope / sold:.3f} a unit more")

# %%
# The first days are the dearest: without any lead time an order answers to yesterday's sales, and
# each further day adds less, as good and bad days even out.

figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
axes[0].plot(lead_times, table["cost"], "ko", label="as it came")
axes[0].plot(lead_times, table["expected_cost"], "C0", label="expected when ordering")
axes[0].set(ylabel="cost a product and day", title="Cost", ylim=(0, None))
axes[0].legend()
axes[1].plot(lead_times, 100 * table["fill rate"], "ko")
axes[1].plot(lead_times, 100 * table["fill_rate"], "C0")
axes[1].set(ylabel="served from stock, %", title="Fill rate")
axes[2].plot(lead_times, table["stock"], "ko-")
axes[2].set(ylabel="units a product, overnight", title="Stock", ylim=(0, None))
for ax in axes:
    ax.set_xlabel("lead time, days")
figure.savefig("lead_time.png", dpi=120)
