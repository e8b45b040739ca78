"""
A sold-out season
=================

A shelf that is empty on Friday sells nothing on Saturday, and the books say that nobody asked. Who
orders by such books orders too little, sells out again, and the new sales seem to prove the order
right. This script plays one season three times: with sales taken for demand, with sold-out weeks
left out, and with ``stock=``.
"""

# %%
# The shop
# --------
# 150 products and nine weeks. Stock is delivered on Monday, and what is left on Saturday goes. A
# missed sale costs 4, a unit left over 1. For the first four weeks the buyer guessed, a little low
# and often far off. The demand of all weeks is known here, as it is simulated.

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.exceptions import DriftWarning
from sklearn_pttf.problems import Newsvendor

rng = np.random.default_rng(0)
n_products, n_guessed, n_played = 150, 4, 5
n_weeks = n_guessed + n_played
usual = rng.gamma(2.0, 6.0, (n_products, 1))
demand = rng.poisson(usual * rng.gamma(4.0, 0.25, (n_products, n_weeks)))
guess = np.rint(0.9 * usual * rng.lognormal(0.0, 0.4, (n_products, 1)))
first_stock = np.repeat(guess, n_guessed, axis=1)
sold_out = demand[:, :n_guessed] >= first_stock
print(f"sold out in the first four weeks: {sold_out.mean():.0%} of all shelves")

# %%
# Three ways to read the books
# ----------------------------
# On each Monday a way sees its own sales and stock, fits anew, and orders. With ``stock`` a sale of
# all there was is *at least* the demand. All ways decide by the same network, zero-shot, and for
# the same demand. What is left by leaving out falls from week to week, of which `fit` warns, with
# good reason; that is silenced here.

warnings.simplefilter("ignore", DriftWarning)


def as_sold(sales, stock):
    return sales, {}


def leave_out(sales, stock):
    return np.where(sales >= stock, np.nan, sales), {}


def with_stock(sales, stock):
    n = sales.shape[1]
    return np.hstack([sales, stock]), {"stock": list(range(n, 2 * n))}


def play(read):
    stock, identified = first_stock, []
    for week in range(n_guessed, n_weeks):
        X, roles = read(np.minimum(demand[:, :week], stock), stock)
        problem = Newsvendor(4.0, 1.0, observations=list(range(week)), **roles)
        pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
        orders, info = pdt.decide(X, return_info=True)
        stock = np.column_stack([stock, orders])
        identified.append(info["identified"].mean() if roles else np.nan)
    return stock, identified


ways = {"as sold": as_sold, "leave out": leave_out, "stock": with_stock}
found = {name: play(read) for name, read in ways.items()}
stocks = {name: stock for name, (stock, _) in found.items()}

# %%
# Somebody who knows the law of each product, though not the coming week, is the measure.

futures = rng.poisson(usual * rng.gamma(4.0, 0.25, (n_products, 2000)))
best = np.quantile(futures, 0.8, axis=1, method="inverted_cdf")[:, None]
stocks["knows the laws"] = np.hstack([first_stock, np.repeat(best, n_played, axis=1)])

# %%
# What the season cost
# --------------------
# In hindsight, with demand that no shop sees. The books of a shop have only the first column: by
# them the two ways that lose most are the thriftiest of all.

played = slice(n_guessed, None)
short = {name: np.maximum(demand - stock, 0)[:, played] for name, stock in stocks.items()}
left = {name: np.maximum(stock - demand, 0)[:, played] for name, stock in stocks.items()}
table = pd.DataFrame(
    {
        name: {
            "left over": left[name].sum(),
            "missed": 4.0 * short[name].sum(),
            "cost": left[name].sum() + 4.0 * short[name].sum(),
            "cost, last 3 weeks": left[name][:, -3:].sum() + 4.0 * short[name][:, -3:].sum(),
            "sold out, %": 100 * (short[name] > 0).mean(),
        }
        for name in stocks
    }
).T
print(table.round(0).astype(int).to_string())

# %%
# Taken as sold, orders stay where the guess was: what was not on the shelf is never learned. Left
# out, they fall from week to week, since it is the good weeks that sell out, and each order makes
# the next one lower.
#
# With ``stock`` the first orders are too high, by a quarter. Hardly a row is *identified* then: the
# guess never let one see as much as these orders are for, and the network can only say what is
# likely beyond it. But such orders show what was hidden, and come down from week to week. That has
# its price: somebody who knew the laws would have had the season for a fifth less. Five weeks
# are few, too: with other seeds it was 13 to 27 % cheaper than as sold.

print("identified rows, week by week:", [f"{share:.0%}" for share in found["stock"][1]])

figure, axes = plt.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
colors = {"as sold": "C1", "leave out": "C3", "stock": "C0", "knows the laws": "k"}
weeks = np.arange(1, n_weeks + 1)
for name, color in colors.items():
    axes[0].plot(weeks, stocks[name].sum(axis=0), color=color, label=name)
    weekly = (left[name] + 4.0 * short[name]).sum(axis=0)
    axes[1].plot(weeks[played], weekly.cumsum(), color=color)
axes[0].axvspan(0.5, n_guessed + 0.5, color="0.93")
axes[0].set(xlabel="week", ylabel="units", title="Stock, all products (grey: guessed)")
axes[0].set_ylim(bottom=0)
axes[0].legend()
axes[1].set(xlabel="week", ylabel="money", title="Cost so far, in hindsight", ylim=(0, None))
axes[1].set_xticks(weeks[played])
axes[2].barh(list(stocks), table["left over"], color="C0", label="left over: in the books")
axes[2].barh(list(stocks), table["missed"], left=table["left over"], color="C1", label="missed")
axes[2].invert_yaxis()
axes[2].set(xlabel="money", title="What the books show", xlim=(0, 1.4 * table["cost"].max()))
axes[2].legend(loc="lower right")
figure.savefig("sold_out_season.png", dpi=120)
