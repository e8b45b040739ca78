"""
A season of orders, week by week
================================

A campus shop orders every Monday, and the goods come two weeks later. When the term gets under
way that is too late for whoever waits until sales rise, and when it ends, what was ordered at its
height is still on its way. This script plays one term, week by week, with three ways of ordering.
"""

# %%
# The shop
# --------
# 30 products that share a season of ten weeks, a term and its break: at its height they sell four
# times as much as in the break. Three terms are known. A unit that is missing at the end of a week
# loses its margin of 4, a unit that is left costs 0.5.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import Column, PretrainedDecisionTransformer
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.problems import Replenishment
from sklearn_pttf.testing import BaseStock, simulate_stock

rng = np.random.default_rng(0)
n_skus, n_known, n_played, lead_time = 30, 30, 10, 2
week = np.arange(n_known + n_played)
season = np.exp(0.7 * np.cos(2 * np.pi * (week - 5) / 10) + 0.05 * rng.standard_normal(len(week)))
usual = rng.gamma(3.0, 4.0, (n_skus, 1))
demand = rng.poisson(usual * season * rng.gamma(12.0, 1 / 12.0, (n_skus, len(week))))
known, played = demand[:, :n_known], demand[:, n_known:]

# %%
# Ordering every Monday
# ---------------------
# A policy of `simulate_stock` is a function of what is known on a Monday: demand so far, what is on
# hand, and what arrives this week and the next. Here it makes a table of these, fits anew, and
# decides. `Replenishment` is told which column is what.


def refit_and_order(estimator, **how):
    def policy(state):
        X = np.column_stack([known, state.demand_so_far, state.on_hand, state.on_order])
        n_weeks = n_known + state.period
        problem = Replenishment(
            shortage=4.0,
            holding=0.5,
            lead_time=lead_time,
            on_hand=Column(n_weeks),
            on_order=[n_weeks + 1, n_weeks + 2],
            observations=list(range(n_weeks)),
            **how,
        )
        return estimator.set_params(problem=problem).fit(X).decide(X)

    return policy


# %%
# Two rivals know less. Sample average approximation (SAA) takes each product's past weeks as what
# may come, whatever the time of the term. The base-stock rule of the shop orders up to a level: the
# 90 % quantile of three weeks' sales in the past, since a week of review and two of lead time have
# to be covered.

three_weeks = np.lib.stride_tricks.sliding_window_view(known, 3, axis=1).sum(axis=2)
policies = {
    "base stock": BaseStock(np.quantile(three_weeks, 0.9, axis=1)),
    "SAA": refit_and_order(SampleAverage()),
    "pretrained": refit_and_order(
        PretrainedDecisionTransformer(finetune=None), ordered=True, seasons=10
    ),
}
told = {"lead_time": lead_time, "shortage": 4.0, "holding": 0.5}
recent = known[:, -4:].mean(axis=1).round()
start = {"on_hand": 2 * recent, "on_order": np.column_stack([recent, recent])}
records = {name: simulate_stock(played, way, **told, **start) for name, way in policies.items()}

# %%
# What the term cost
# ------------------
# The first two weeks are settled before any order of the term arrives, so they are not charged.

charged = slice(lead_time, None)
table = pd.DataFrame(
    {
        name: {
            "cost": record.cost_of(charged),
            "lost units": record.short[:, charged].sum(),
            "fill rate, %": 100 * record.fill_rate(charged),
            "stock a product": record.average_stock(charged),
        }
        for name, record in records.items()
    }
).T
print(table.round(1))

# %%
# The picture
# -----------
# Pretrained orders rise two weeks before sales do, and fall two weeks before. A level that does not
# move is too high in the break and too low at the height of the term.

figure, axes = plt.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
weeks = np.arange(n_played)
for (name, record), color in zip(records.items(), ["0.5", "C1", "C0"], strict=True):
    axes[0].plot(weeks, record.orders.sum(axis=0), color=color, label=name)
    axes[1].plot(weeks, record.stock.sum(axis=0), color=color, label=name)
    axes[2].plot(weeks, record.cost.sum(axis=0).cumsum(), color=color, label=name)
axes[0].plot(weeks, played.sum(axis=0), "k:", label="demand")
titles = ["Orders, all products", "Stock at the end of a week", "Cost so far"]
for ax, title, unit in zip(axes, titles, ["units", "units", "money"], strict=True):
    ax.set(xlabel="week of the term", ylabel=unit, title=title)
    ax.set_ylim(bottom=0)
axes[0].legend()
figure.savefig("season.png", dpi=120)
