"""
What does the predictive law of a row say, and is it right?
===========================================================

Behind every decision stands a law: how likely each demand of the next period is. It is
sharp for a product with a long history; of one that nobody has sold yet it knows only what such
products sell. A law can be wrong, and with later outcomes at hand one can see it.
"""

# %%
# A portfolio
# -----------
# 500 products, six weeks each, three cells in ten not observed. ``y`` holds a hundred later
# weeks that nothing below learns from.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.inspection import CalibrationDisplay, coverage_table

X, y = make_demand_portfolio(
    500, 6, n_outcomes=100, spread=0.7, noise=0.3, missing_rate=0.3, random_state=0
)
pdt = PretrainedDecisionTransformer(finetune=None).fit(X)

# %%
# One product, known ever less
# ----------------------------
# The first product three times: with its six weeks, with two of them, and as a cold start, of
# which the law knows only that it is one of these products. ``quantile`` answers "how much
# covers demand in nine weeks of ten?", ``cdf`` "how often are 80 enough?".

known = {"six weeks": 6, "two weeks": 2, "cold start": 0}
rows = np.array([[*X[0, :k], *[np.nan] * (6 - k)] for k in known.values()])
law = pdt.predict_distribution(rows)
table = pd.DataFrame(law.quantile(np.array([[0.1, 0.5, 0.9]])), index=list(known))
table.columns = ["10 % quantile", "median", "90 % quantile"]
table["chance that 80 are enough"] = law.cdf(80.0)
print("the six weeks:", *X[0].astype(int))
print(table.round(2).to_string())

# %%
# Is the law right?
# -----------------
# If it is, one later week in ten is at or below the law's 10 % quantile, half are at or below its
# median, and so on: the curve lies on the diagonal. Whole numbers jump over most levels, so
# `pit_values` draws at random within each jump. The band allows for weeks of one product being
# alike.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
demand = np.arange(151)
for label, chance in zip(known, law.cdf(demand[None]), strict=True):
    left.step(demand, chance, where="post", label=label)
share = (demand >= y[0][:, None]).mean(axis=0)
left.step(demand, share, "k:", where="post", label="the 100 later weeks")
left.set(xlabel="demand", ylabel="chance of at most so much", title="One product, known ever less")
left.legend()
display = CalibrationDisplay.from_estimator(
    pdt, X, y, levels=[0.01, *np.arange(1, 20) / 20, 0.99], random_state=0, ax=right
)
right.set_title("All products, all later weeks")
figure.savefig("reading_the_law.png", dpi=120)

# %%
# The same in numbers, at four levels. An order for a service of 90 % covers a little less than
# that here: the law's upper tail is slightly short.

print(pd.DataFrame(coverage_table(display.pit)).round(3).to_string(index=False))
