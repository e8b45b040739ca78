"""
What is one more euro of budget worth?
======================================

Orders for a whole shop share one budget. This script shows how the expected cost falls as the
budget grows, what the first euros buy, and that the *shadow price* that ``decide`` gives is the
slope of that curve: what one more euro would save. Cutting all orders by the same percentage keeps
to the budget too, and costs more.
"""

# %%
# The shop
# --------
# 240 products of three departments, six weeks each. What a unit costs to buy, what is lost when
# one is missing and what when one is left over are columns of the table. A hundred later weeks, in
# ``y``, charge some of the orders below.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.problems import Newsvendor, PerRow

rng = np.random.default_rng(0)
demand, y = make_demand_portfolio(240, 6, n_outcomes=100, level=8.0, spread=0.8, random_state=0)
X = pd.DataFrame(demand, columns=[f"week {k}" for k in range(1, 7)])
X.insert(0, "price", np.exp(rng.normal(2.0, 0.7, size=240)).round(2))
X.insert(1, "margin", (X["price"] * rng.uniform(0.1, 1.2, size=240)).round(2))
X.insert(2, "loss", (X["price"] * rng.uniform(0.05, 0.2, size=240)).round(2))
X.insert(3, "department", rng.choice(["tools", "paint", "garden"], p=[0.5, 0.3, 0.2], size=240))
print(X.head(3).to_string(index=False))

# %%
# Without a budget
# ----------------
# The problem that `fit` sees names every column that is no observation, the departments' too,
# which come last here. Other problems are then decided without a refit: first the one that has
# money for everything.

costs = {"underage": "margin", "overage": "loss"}
by_department = Newsvendor(**costs, limit=PerRow(50.0), limit_weights="price", groups="department")
pdt = PretrainedDecisionTransformer(by_department, finetune=None).fit(X)
free = pdt.decide(X, problem=Newsvendor(**costs))
spent = (free * X["price"]).sum()
print(f"orders without a budget cost {spent:,.0f} euros")

# %%
# The budget grows
# ----------------
# ``limit`` is what all orders together may use, ``limit_weights`` what a unit of a row uses of it.
# For every budget: the best orders, and the free ones, all cut by the same percentage. These may
# be fractions of a unit, which favours them.

law = pdt.predict_distribution(X)
shares = np.linspace(0.0, 1.1, 34)
rows = []
for share in shares:
    problem = Newsvendor(**costs, limit=share * spent, limit_weights="price")
    orders, info = pdt.decide(X, problem=problem, return_info=True)
    cut = min(share, 1.0) * free
    cut = decision_cost(None, cut, problem=problem, X=X, truth=law, per_row=True).sum()
    rows.append([share * spent, info.expected_cost.sum(), cut, info.shadow_price])
curve = pd.DataFrame(rows, columns=["budget", "best", "cut alike", "shadow price"])
print(curve.iloc[::3].round(2).to_string(index=False))
saved = curve["best"].iloc[0] - curve["best"]
print(f"the first tenth of the money brings {saved[3] / saved.max():.0%} of the whole saving,")
print(f"the last tenth {1 - saved[27] / saved.max():.1%}")

# %%
# What the first euros buy
# ------------------------
# Three of these budgets. A product whose margin is small beside its price gets nothing while
# money is short: the first unit of it would save less than the shadow price for each euro that it
# takes. The lines below also tell what a product and week cost on the hundred later weeks, with the
# best orders and with all cut alike.

bought = {}
for share in (0.1, 0.3, 0.7):
    problem = Newsvendor(**costs, limit=share * spent, limit_weights="price")
    orders, info = pdt.decide(X, problem=problem, return_info=True)
    bought[share] = orders, info.shadow_price
    paid = decision_cost(y, orders, problem=problem, X=X)
    paid_alike = decision_cost(y, share * free, problem=problem, X=X)
    print(
        f"{share:.0%} of the money buys {np.mean(orders > 0):.0%} of the products; "
        f"cost {paid:.2f}, cut alike {paid_alike:.2f}"
    )

# %%
# The pictures
# ------------
# Left: the tangent's slope is the shadow price. Middle: the dots are slopes of the left curve from
# one budget to the next. Right: each dot is a product, and the dotted line is the shadow price;
# left of it nothing is bought, but for what small change still pays for.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
left.plot(curve["budget"], curve["cut alike"], color="C1", label="all orders cut alike")
left.plot(curve["budget"], curve["best"], color="C0", label="best orders")
at = curve.iloc[9]
run = np.array([-0.2, 0.2]) * spent
left.plot(at["budget"] + run, at["best"] - at["shadow price"] * run, "k--", linewidth=1)
left.plot(at["budget"], at["best"], "ko")
left.set(xlabel="budget, euros", ylabel="expected cost, euros a week", title="The cost curve")
left.legend()

slope = -np.diff(curve["best"]) / np.diff(curve["budget"])
between = (curve["budget"][1:].to_numpy() + curve["budget"][:-1].to_numpy()) / 2
middle.plot(curve["budget"], curve["shadow price"], color="C0", label="shadow price")
middle.plot(between, slope, "o", color="0.4", markersize=4, label="slope of the cost curve")
middle.set(xlabel="budget, euros", ylabel="saved by one more euro", title="The shadow price")
middle.legend()

for color, (share, (orders, price)) in zip(("C3", "C2", "C0"), bought.items(), strict=True):
    part = orders / np.maximum(free, 1.0)
    right.plot(X["margin"] / X["price"], part, ".", color=color, label=f"{share:.0%} of the money")
    right.axvline(price, color=color, linewidth=1, linestyle=":")
right.set(xlabel="margin, a euro of price", ylabel="share of the free order", title="Who gets it")
right.set_ylim(-0.05, 1.3)
right.legend(loc="upper left")
figure.savefig("one_budget.png", dpi=120)

# %%
# A budget for each department
# ----------------------------
# With ``groups`` every department has a limit and a shadow price of its own; ``PerRow(50)`` allows
# it 50 euros for each of its products. Where prices differ, a euro moved from the lowest to the
# highest saves the difference. One budget of the same size evens them out.

_, apart = pdt.decide(X, return_info=True)
together = Newsvendor(**costs, limit=PerRow(50.0), limit_weights="price")
orders, one = pdt.decide(X, problem=together, return_info=True)
table = pd.DataFrame({name: apart[name] for name in ("limit", "used", "shadow_price")})
table["used of one budget"] = (orders * X["price"]).groupby(X["department"]).sum()
print(table.round(2).to_string())
print(f"shadow price of one budget: {one.shadow_price:.2f}")
print(f"expected cost, {apart.expected_cost.sum():.0f} apart, {one.expected_cost.sum():.0f} in one")

# %%
# ``PerRow`` grows with the rows that are decided together. So half of the shop, or a fold of a
# cross-validation, gets half of the money; a plain number would give it all.

_, half = pdt.decide(X[:120], problem=together, return_info=True)
print(f"limit of 240 products: {one.limit:,.0f} euros, of 120: {half.limit:,.0f}")
