"""
How much caution, and for whom?
===============================

The order with the least *mean* cost is now and then a very dear one. ``risk`` asks for something
else: the least mean of the worst tenth of cases, or the least cost that is exceeded in one case of
ten. This script shows what such caution orders, what it costs and what it spares. It is about each
row by itself, not about the total of the portfolio: over many rows good and bad luck even out, and
caution for each of them can be dear even in the worst weeks of all together.
"""

# %%
# Three attitudes
# ---------------
# 300 products, eight weeks each. A missing unit costs three times as much as one that is left over.
# Five hundred later weeks, in ``y``, charge the orders.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.problems import Newsvendor

X, y = make_demand_portfolio(300, 8, n_outcomes=500, noise=0.6, random_state=0)
pdt = PretrainedDecisionTransformer(finetune=None).fit(X)
attitudes = {
    "mean": "mean",
    "worst tenth": ("cvar", 0.9),
    "90 % quantile": ("quantile", 0.9),
}
orders, costs = {}, {}
for name, risk in attitudes.items():
    problem = Newsvendor(underage=3.0, overage=1.0, risk=risk)
    orders[name] = pdt.decide(X, problem=problem)
    costs[name] = problem.cost(orders[name][:, None], y)  # (300, 500), a week each

# %%
# One row at a time
# -----------------
# Three figures of each row's five hundred costs, averaged over rows. Each attitude is the cheapest
# by what it asked for, and pays for that by the others.


def worst_tenth(cost):
    """Mean of the highest tenth along the last axis."""
    return np.sort(cost, axis=-1)[..., -cost.shape[-1] // 10 :].mean(axis=-1)


table = pd.DataFrame(
    {
        "order": {name: order.mean() for name, order in orders.items()},
        "mean cost": {name: cost.mean() for name, cost in costs.items()},
        "worst tenth": {name: worst_tenth(cost).mean() for name, cost in costs.items()},
        "90 % quantile": {
            name: np.quantile(cost, 0.9, axis=1).mean() for name, cost in costs.items()
        },
    }
)
print(table.round(1).to_string())

# %%
# All rows together
# -----------------
# Now the cost of a week is the sum over a portfolio of 1, 3, 10, ... products. In its worst tenth
# of weeks a single product costs a multiple of its mean, and all 300 together little more than
# theirs. So in a large portfolio the most cautious orders are the dearest even in the worst weeks.

sizes = (1, 3, 10, 30, 100, 300)
worst = {
    name: [worst_tenth(cost.reshape(-1, size, 500).mean(axis=1)).mean() for size in sizes]
    for name, cost in costs.items()
}
above = pd.DataFrame(worst, index=pd.Index(sizes, name="products"))
print("worst tenth of weeks, cost a product:")
print(above.round(1).to_string())
print("above the mean:")
print((above / table["mean cost"] - 1).map("{:.0%}".format).to_string())

# %%
# The pictures
# ------------
# Left: the orders, beside expected demand in grey. Middle: the table of single rows. Right: the
# worst tenth of weeks, a product; the dotted lines are the means, whatever the number of products.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
colors = dict(zip(attitudes, ("C0", "C3", "C1"), strict=True))
mean = pdt.predict(X)
measures = ["mean cost", "worst tenth", "90 % quantile"]
for k, (name, color) in enumerate(colors.items()):
    left.plot(mean, orders[name], ".", color=color, alpha=0.6, label=name)
    place = np.arange(3) + 0.27 * (k - 1)
    bars = middle.bar(place, table.loc[name, measures], width=0.25, color=color, label=name)
    middle.bar_label(bars, fmt="%.0f", padding=2)
    right.semilogx(sizes, worst[name], "o-", color=color, label=name)
    right.axhline(table.loc[name, "mean cost"], color=color, linewidth=1, linestyle=":")
left.plot([0, mean.max()], [0, mean.max()], color="0.7")
left.set(xlabel="expected demand", ylabel="order", title="What each attitude orders")
left.legend(title="least")
middle.set_xticks(range(3), measures)
middle.margins(y=0.15)
middle.set(ylabel="cost a week", title="One row at a time")
right.set_xticks(sizes, sizes)
right.minorticks_off()
right.set_ylim(bottom=0)
right.set(xlabel="products", ylabel="cost a product", title="Worst tenth of weeks, all together")
figure.savefig("attitudes_to_risk.png", dpi=120)

# %%
# What to take home
# -----------------
# Use ``risk`` for rows on which something hangs by themselves: a spare part that stops a plant, a
# kiosk that pays its own bills. For the sum of many rows use the mean. One thing is assumed here,
# that the weeks of different products are independent. A strike or a heat wave that hits all of
# them alike does not even out.
