"""
Whole packs under a budget
==========================

Suppliers sell in packs and ask for a least order, and this week's money is fixed. The usual way is
to compute orders in units, round them up, and cross out lines until the sum fits. It is cheaper to
decide packs and budget together.
"""

# %%
# The order book
# --------------
# 80 chilled products, 26 weeks of sales. Orders arrive after a week. Packs have 6, 12 or 24 units,
# and no order may be under 12 units. A lost sale costs the margin, 40 % of the price, and a unit
# that is left for a week 10 % of it.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.problems import Replenishment, order_quantity

rng = np.random.default_rng(0)
n_skus, n_weeks = 80, 26
usual = rng.gamma(1.5, 6.0, (n_skus, 1))
demand = rng.poisson(usual * rng.gamma(6.0, 1 / 6.0, (n_skus, n_weeks)))
weeks = [f"week {k + 1}" for k in range(n_weeks)]
table = pd.DataFrame(demand, columns=weeks)
table["price"] = rng.uniform(2.0, 20.0, n_skus).round(2)
table["margin"], table["keeping"] = 0.4 * table["price"], 0.1 * table["price"]
table["pack"] = rng.choice([6, 12, 24], n_skus)
table["on hand"], table["arrives"] = rng.poisson(np.hstack([usual, 0.5 * usual])).T

# %%
# Rounding up, or the cheapest packs
# ----------------------------------
# ``pack`` and ``minimum`` are part of the problem: it weighs what the last pack would sell against
# what of it would lie around. Whoever rounds up buys a pack of 24 for two missing units. Other
# problems with the same columns are decided without a refit.

told = {
    "shortage": "margin",
    "holding": "keeping",
    "lead_time": 1,
    "on_hand": "on hand",
    "on_order": ["arrives"],
    "observations": weeks,
}
supplier = {"pack": "pack", "minimum": 12}
money = {"limit_weights": "price"}
in_packs = Replenishment(**told, **supplier, **money, limit=2000.0)
pdt = PretrainedDecisionTransformer(in_packs, finetune=None).fit(table)
units = pdt.decide(table, problem=Replenishment(**told))
ways = {
    "in units": units,
    "rounded up": order_quantity(units, pack=table["pack"], minimum=12).to_numpy(),
    "cheapest packs": pdt.decide(table, problem=Replenishment(**told, **supplier)),
}

# %%
# As the table is made here, its future can be drawn, two hundred times: this week, in which the
# order is on its way, and the next one, which it is for. Orders "in units" nobody can place; they
# are the floor.

futures = rng.poisson(usual * rng.gamma(6.0, 1 / 6.0, (n_skus, 400)))


def paid(orders):
    cost = decision_cost(futures, orders, problem=Replenishment(**told), X=table, per_row=True)
    return cost.sum()


for name, orders in ways.items():
    spent = (orders * table["price"]).sum()
    print(f"{name:15} {orders.sum():6.0f} units for {spent:6,.0f}, costs {paid(orders):5,.0f}")

# %%
# The money is fixed
# ------------------
# The usual way crosses out lines of the rounded list until the sum fits, those with the least to
# lose first: lines whose margin on what they are expected to sell is least for the money. With
# ``limit`` all are weighed against each other, and a product may get one pack in place of two.
# ``shadow_price`` is what one more euro would save.

mean_sales = table[weeks].mean(axis=1)
full = (ways["rounded up"] * table["price"]).sum()
money_needed = (ways["rounded up"] * table["price"]).clip(lower=1.0)
worth = (table["margin"] * mean_sales / money_needed).to_numpy()
rows = []
for share in np.linspace(0.1, 1.0, 7):
    budget = share * full
    crossed = np.zeros(n_skus)
    for k in np.argsort(-worth):
        crossed[k] = ways["rounded up"][k]
        if (crossed * table["price"]).sum() > budget:
            crossed[k] = 0.0
    problem = Replenishment(**told, **supplier, **money, limit=budget)
    orders, info = pdt.decide(table, problem=problem, return_info=True)
    rows.append([budget, paid(crossed), paid(orders), info.used, info.shadow_price])
curve = pd.DataFrame(rows, columns=["budget", "crossed out", "together", "used", "shadow price"])
print(curve.round(2).to_string(index=False))

# %%
# The shadow price says when to ask for more money: while it is above what money costs the firm, the
# budget is too small. It falls to 0 where the cheapest packs are all bought, though the rounded
# list would still spend.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
left.plot(curve["budget"], curve["crossed out"], "C1.-", label="rounded up, lines crossed out")
left.plot(curve["budget"], curve["together"], "C0.-", label="packs and budget together")
left.axhline(paid(units), color="k", linestyle=":", label="single units, no budget")
left.set(xlabel="budget, euros", ylabel="cost of the week, euros", title="The cost of a budget")
left.legend()
right.plot(curve["budget"], curve["shadow price"], "C0.-")
right.set(xlabel="budget, euros", ylabel="saved by one more euro", title="The shadow price")
figure.savefig("packs.png", dpi=120)
