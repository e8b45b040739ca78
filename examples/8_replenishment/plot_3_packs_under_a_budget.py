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
# 120 chilled products, 26 weeks of sales. Orders arrive after a week. Packs have 6, 12 or 24 units,
# and no order may be under 12 units. A lost sale costs the margin, 40 % of the price, and a unit
# that is left for a week 10 % of it.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.problems import Replenishment, order_quantity

rng = np.random.default_rng(0)
n_skus, n_weeks = 120, 26
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
# ``pack`` and ``minimum`` are part of the problem: it asks of the last pack whether it is likelier
# to be sold or to lie around. Other problems with the same columns are decided without a refit.

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
law = pdt.predict_distribution(table)


def expected(orders):
    return decision_cost(None, orders, problem=in_packs, X=table, truth=law, per_row=True)


units = pdt.decide(table, problem=Replenishment(**told))
ways = {
    "in units": units,
    "rounded up": order_quantity(units, pack=table["pack"], minimum=12).to_numpy(),
    "cheapest packs": pdt.decide(table, problem=Replenishment(**told, **supplier)),
}
