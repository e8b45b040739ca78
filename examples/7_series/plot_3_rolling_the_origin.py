"""
Which method would have been cheaper?
=====================================

In a table in time the newest period is the test, and it is one draw of all that products share. So
decide as of several past weeks, each from what was known before it: roll the origin. The same weeks
show what common shocks do to a total over all products.
"""

# %%
# The table
# ---------
# 150 products, 26 weeks, newest last. All share a level that wanders by a tenth a week.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.baselines import ExponentialSmoothing, SampleAverage
from sklearn_pttf.problems import Newsvendor

rng = np.random.default_rng(0)
n_skus, n_weeks, n_origins = 150, 26, 8
level = 0.1 * rng.standard_normal(n_weeks).cumsum()
usual = rng.gamma(3.0, 10.0, (n_skus, 1))
demand = rng.poisson(usual * np.exp(level) * rng.gamma(10.0, 0.1, (n_skus, n_weeks)))

# %%
# Eight origins
# -------------
# At every origin the table ends there; each method is fitted anew, decides, and is charged on the
# week that followed.

in_time, alike = Newsvendor(4.0, 1.0, ordered=True), Newsvendor(4.0, 1.0)
methods = {
    "SAA": SampleAverage(alike),
    "smoothing": ExponentialSmoothing(in_time),
    "pretrained": PretrainedDecisionTransformer(in_time, finetune=None),
}
costs, sums = {name: [] for name in methods}, []
for origin in range(n_weeks - n_origins, n_weeks):
    X, came = demand[:, :origin].astype(float), demand[:, origin]
    for name, method in methods.items():
        costs[name].append(alike.cost(method.fit(X).decide(X), came).mean())
    law = methods["pretrained"].predict_distribution(X)
    alone = law.quantile(rng.uniform(size=(n_skus, 1000))).sum(axis=0)
    error = methods["pretrained"].shared_effects_.coming_errors[0]
    shared = law.mean().sum() * np.exp(error * rng.standard_normal(1000))
    sums.append([came.sum(), *np.quantile(alone, [0.05, 0.95]), *np.quantile(shared, [0.05, 0.95])])

# %%
# In a week of a large shock all methods are dear, so they are compared week by week: the standard
# error is that of savings over origins.

costs = pd.DataFrame(costs)
saving = 1 - costs.div(costs["SAA"], axis=0)
error = saving.std(ddof=1) / np.sqrt(n_origins)
table = pd.DataFrame({"cost": costs.mean(), "saving": saving.mean(), "+-": error})
print(table.round(3))

# %%
# ``score`` rolls over up to eight origins too. What rows share is estimated anew at every origin,
# while what the network read of the rows stays that of `fit`.

print(f"score: {methods['pretrained'].fit(demand).score(demand):.1%}")

# %%
# Totals over all products
# ------------------------
# A truck or a warehouse holds the sum of all products. If rows were independent, their good and bad
# weeks would even out, and the sum would be known to a few percent. But they share the next step of
# the level, which does not even out, however many products there are.
# ``shared_effects_.coming_errors`` has its standard error, as a logarithm.

sums = np.array(sums)
for name, (low, high) in {"independent": sums[:, 1:3].T, "shared": sums[:, 3:].T}.items():
    print(
        f"{name:12} 90 % interval holds {np.mean((low <= sums[:, 0]) & (sums[:, 0] <= high)):.0%}"
    )

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
bars = table["saving"].drop("SAA")
left.bar(bars.index, 100 * bars, yerr=196 * error[bars.index], capsize=4, color=["0.6", "C0"])
left.set(ylabel="saving over SAA, %", title=f"{n_origins} origins")
weeks = np.arange(n_weeks - n_origins, n_weeks)
right.fill_between(weeks, *sums[:, 3:].T, alpha=0.3, label="rows share the next shock")
right.fill_between(weeks, *sums[:, 1:3].T, color="C3", alpha=0.5, label="rows are independent")
right.plot(weeks, sums[:, 0], "k.-", label="sold")
right.set(xlabel="week", ylabel="units, all products", title="Total: 90 % intervals")
right.legend()
figure.savefig("origins.png", dpi=120)
