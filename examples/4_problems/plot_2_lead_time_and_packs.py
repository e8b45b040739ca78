"""
How much to order when the delivery takes weeks?
================================================

What is ordered today arrives in three weeks, and the next order is a week later: stock has to
last for four weeks. There are two tempting ways to get there from the law of one week, and both
are wrong. This script shows by how much, in a simulation whose truth is known, and then goes from
the level that is to be stocked to an order in whole packs.
"""

# %%
# The truth
# ---------
# 200 products, three weeks each. Demand is Poisson, around a level that differs from product to
# product by a gamma law. What three weeks say of a level is then known exactly: it is gamma again.
# From that we draw 500 futures of eight weeks for every product. All weeks of a future have the
# same level; how high it is, nobody knows today.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.problems import Newsvendor, order_quantity
from sklearn_pttf.testing import GammaPoisson

X = GammaPoisson(2.0, 0.1).sample(200, 3, random_state=0).observations
shape, rate = 2.0 + X.sum(axis=1), 0.1 + 3
rng = np.random.default_rng(0)
level = rng.gamma(shape, 1 / rate, size=(500, 200)).T
y = rng.poisson(np.repeat(level, 8, axis=1))
print(X[:3].astype(int))

# %%
# Four ways
# ---------
# At costs of 9 and 1 the order is the 90 % quantile of demand over the weeks that it covers.
#
# - *times H*: H times the quantile of a week. It takes every week for a bad one, though good and
#   bad weeks even out.
# - *independent*: the quantile of the sum of H independent weeks. It forgets that a product whose
#   level is higher than it looks sells more in all of them.
# - *horizon*: ``Newsvendor(horizon=H)``.
# - *exact*: the best that can be done, known only in a simulation.

pdt = PretrainedDecisionTransformer(finetune=None).fit(X)
week = pdt.predict_distribution(X)
rows = []
for H in (1, 2, 4, 8):
    problem = Newsvendor(underage=9.0, overage=1.0, horizon=H)
    sums = sum(week.quantile(rng.uniform(size=(200, 1000))) for _ in range(H))
    orders = {
        "times H": H * week.quantile(0.9),
        "independent": np.quantile(sums, 0.9, axis=1, method="inverted_cdf"),
        "horizon": pdt.decide(X, problem=problem),
        "exact": stats.nbinom.ppf(0.9, shape, rate / (rate + H)),
    }
    totals = y.reshape(200, -1, H).sum(axis=2)
    for name, order in orders.items():
        # columns of y are weeks; the problem adds up H of them
        cost = decision_cost(y, order, problem=problem)
        rows.append([H, name, order.mean(), (totals <= order[:, None]).mean(), cost])
table = pd.DataFrame(rows, columns=["H", "way", "order", "covered", "cost"])
least = table[table["way"] == "exact"].set_index("H")["cost"]
table["above exact"] = table["cost"] / table["H"].map(least) - 1
print(table.round(3).to_string(index=False))

# %%
# The longer the time, the more both are off: *times H* stocks what is hardly ever needed, and
# *independent* is short clearly more often than in one future of ten. ``horizon`` stays close to
# the exact orders. It asks the network what a second week would be like after a first one of this
# or that size, and so learns how far weeks hang together.
#
# From level to order
# -------------------
# ``decide`` gives the stock to reach. `order_quantity` takes off what is there and what is under
# way, and rounds up to whole packs, at least to the supplier's minimum. It keeps the index.

skus = pd.Index([f"SKU-{k:03d}" for k in range(200)], name="sku")
stock = pd.DataFrame(index=skus)
stock["level"] = pdt.decide(X, problem=Newsvendor(underage=9.0, overage=1.0, horizon=4))
stock["on_hand"] = rng.integers(0, 80, size=200)
stock["on_order"] = rng.choice([0, 24], size=200)
stock["pack"] = rng.choice([1, 12, 24], size=200)
stock["minimum"] = rng.choice([0, 36], size=200)
stock["order"] = order_quantity(
    stock["level"],
    stock["on_hand"],
    stock["on_order"],
    pack=stock["pack"],
    minimum=stock["minimum"],
)
print(stock.head(8).astype(int).to_string())

# %%
# The pictures
# ------------
# On the right a bar that stops at its mark meets the level exactly. Packs and minima lead beyond
# it, and so does stock that is too high already.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
ways = {"times H": "C3", "independent": "C1", "horizon": "C0"}
for name, color in ways.items():
    own = table[table["way"] == name]
    left.plot(own["H"], 100 * own["above exact"], "o-", color=color, label=name)
    middle.plot(own["H"], 100 * own["covered"], "o-", color=color, label=name)
own = table[table["way"] == "exact"]
middle.plot(own["H"], 100 * own["covered"], "k--", linewidth=1, label="exact")
for axis in (left, middle):
    axis.set_xscale("log")
    axis.set_xticks([1, 2, 4, 8], [1, 2, 4, 8])
    axis.minorticks_off()
    axis.set_xlabel("weeks that an order covers")
    axis.legend()
left.set(ylabel="cost above the exact orders', %", title="What it costs")
middle.set(ylabel="futures without a shortage, %", title="How often it is enough")

shown = stock.iloc[:10]
start = np.zeros(len(shown))
for column, color in {"on_hand": "0.75", "on_order": "0.55", "order": "C0"}.items():
    label = column.replace("_", " ")
    right.barh(shown.index, shown[column], left=start, color=color, label=label)
    start += shown[column]
right.plot(shown["level"], shown.index, "k|", markersize=14, markeredgewidth=2, label="level")
right.invert_yaxis()
right.set(xlabel="units", title="From level to order, ten products")
right.legend(loc="lower right")
figure.savefig("lead_time.png", dpi=120)
