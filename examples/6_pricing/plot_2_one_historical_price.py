"""
What does a single historical price tell?
=========================================

Many a product has been sold at one price for as long as anyone remembers. Nothing in its own row
tells what another price would do. This script shows when other rows tell it, when they cannot, and
that it takes few trials of a second price to find out.
"""

# %%
# Two kinds of tables
# -------------------
# Three hundred rows of eight weeks, and every row has had one price. In the first kind of table the
# rows are *stores* which sell the same product at five different prices. In the second they are
# *products*, of which dear ones sell less than cheap ones, as is usual: they are other things. In
# the third kind they are products too, but thirty have been tried at a second price for four weeks,
# half of them dearer and half of them cheaper.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.baselines import PooledDemandCurve
from sklearn_pttf.problems import Pricing

N, WEEKS, TRIED = 300, 8, 30
PRICES = [f"price {k}" for k in range(1, WEEKS + 1)]
UNITS = [f"units {k}" for k in range(1, WEEKS + 1)]
KINDS = ("stores", "products", "thirty tried")


def draw(kind, elasticity, seed=0):
    """A table, and the function that gives true mean demand at a price a row."""
    rng = np.random.default_rng(seed)
    level = np.exp(rng.normal(3.5, 0.4, size=N))
    own = elasticity * np.exp(0.15 * rng.normal(size=N))
    if kind == "stores":
        usual = np.full(N, 5.0)
        prices = rng.choice([4.0, 4.5, 5.0, 5.5, 6.25], size=(N, 1)) * np.ones(WEEKS)
    else:
        usual = np.exp(rng.normal(1.6, 0.8, size=N)).round(2)
        prices = usual[:, None] * np.ones(WEEKS)
        level *= 5 / usual
    if kind == "thirty tried":
        prices[:TRIED, WEEKS // 2 :] *= np.tile([0.85, 1.2], TRIED // 2)[:, None]

    def demand(price):
        return level * (price / usual) ** -own

    good_weeks = rng.gamma(8.0, 1 / 8, size=(N, WEEKS))
    units = rng.poisson(good_weeks * np.stack([demand(price) for price in prices.T], axis=1))
    X = pd.DataFrame(np.hstack([prices, units]), columns=PRICES + UNITS)
    return X.assign(cost=usual / 2), demand


print(draw("stores", 2.0)[0].iloc[:3, [0, 1, 8, 9, 16]].round(2).to_string())

# %%
# What cannot be told
# -------------------
# Products whose demand hardly falls with price, and products whose demand falls steeply: at the one
# price that each has had they sell the same. The two tables are equal in every cell. Whatever
# method is asked, it must give the same answer for both, and it is wrong for one of them.

mild, steep = draw("products", 0.7)[0], draw("products", 4.5)[0]
print("products: tables of elasticity 0.7 and 4.5 are equal:", mild.equals(steep))
mild_stores, steep_stores = draw("stores", 0.7)[0], draw("stores", 4.5)[0]
print("stores:   tables of elasticity 0.7 and 4.5 are equal:", mild_stores.equals(steep_stores))

# %%
# What is found
# -------------
# For each kind of table and several true elasticities: the elasticity that a method finds (the
# median of rows, from expected demand a tenth below and above the old price), what its prices earn
# against the old ones, and for how many rows ``info`` says that the price *extrapolates*. This
# is so for prices that no row has had, and for those that are more than twice as far from
# the row's usual price as any row's. It is a question to the prices alone: among products the range
# of all prices is wide, and says nothing for any of them.

problem = Pricing(prices=PRICES, demands=UNITS, unit_cost="cost")
methods = {
    "network": PretrainedDecisionTransformer(problem, finetune=None),
    "pooled curve": PooledDemandCurve(problem),
}
TRUE = (0.7, 2.0, 4.5)
rows = []
for kind in KINDS:
    for true in TRUE:
        X, demand = draw(kind, true)
        old = X[PRICES[0]].to_numpy()
        for name, method in methods.items():
            price, info = method.fit(X).decide(X, return_info=True)
            below, above = (
                method.predict_distribution(X, price=old * f).mean() for f in (0.9, 1.1)
            )
            found = np.median(np.log(below / above) / np.log(1.1 / 0.9))
            new, before = ((p - X["cost"]) @ demand(p) for p in (price, old))
            rows.append([kind, name, true, found, new / before - 1, info.extrapolates.mean()])
columns = ["rows are", "method", "true", "found", "profit", "extrapolates"]
result = pd.DataFrame(rows, columns=columns)
shown = result.assign(profit=result["profit"].map("{:+.0%}".format))
print(shown.round(2).to_string(index=False))

# %%
# The pictures
# ------------
# Left: mean weekly sales of two chains of stores. In the steep one dear stores sell far less, and
# so all the stores together tell what none can tell by itself. Middle: products. There is one
# cloud, which is that of the mild and of the steep ones. It falls, as dear products sell less, and
# the pooled curve takes that for what a change of price would do. Right: the elasticity that is
# found. Among products nothing of the truth gets through, and the network answers with what is
# usual in its prior; with a second price for one row in ten it does. How far it believes the
# differences between stores, which may be there for other reasons, is a matter of its prior too.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13.5, 4.2), layout="constrained")
jitter = np.exp(0.015 * np.random.default_rng(1).normal(size=N))
for X, label, color in (
    (mild_stores, "elasticity 0.7", "C2"),
    (steep_stores, "elasticity 4.5", "C4"),
):
    left.loglog(X[PRICES[0]] * jitter, X[UNITS].mean(axis=1), ".", color=color, label=label)
left.set(xlabel="price", ylabel="mean sales a week", title="Stores: one product")
left.set_xticks([4, 5, 6], ["4", "5", "6"])
left.minorticks_off()
left.legend()
middle.loglog(steep[PRICES[0]], steep[UNITS].mean(axis=1), ".", color="0.4")
middle.set(xlabel="price", ylabel="mean sales a week", title="Products: elasticity 0.7, or 4.5")
for kind, color in zip(KINDS, ("C0", "C3", "C1"), strict=True):
    for method, style in (("network", "o-"), ("pooled curve", "x:")):
        of = result[(result["rows are"] == kind) & (result["method"] == method)]
        label = kind if method == "network" else None
        right.plot(of["true"], of["found"], style, color=color, label=label)
right.plot([], [], "x:", color="0.4", label="pooled curve")
right.axline((0, 0), slope=1, color="0.7", linewidth=1, zorder=0)
right.set(xlabel="true elasticity", ylabel="found", title="What a method makes of it")
right.set_xlim(0, 5)
right.set_ylim(0, None)
right.legend()
figure.savefig("one_historical_price.png", dpi=120)

# %%
# What to take home
# -----------------
# Where rows are alike but for their price, a portfolio of single prices is a history of many
# prices, as long as prices were not set by how well a store sells. Where rows are different things
# it is not, and a price that a method gives rests on what the prior takes for usual. Then do
# not change all prices at once: change a few, as a trial, and read the table again.
