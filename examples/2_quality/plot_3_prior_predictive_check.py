"""
Does my table look like what the prior makes?
=============================================

The shipped network was pretrained on portfolios of a prior. It is at its best on tables
like these, so rows that the prior would hardly make deserve a look before anything is decided.
Some are no strange products but slips.

Here is such a slip. Somebody added up the deaths by horse kick in fourteen Prussian army corps,
and left the line with the total in the table.
"""

# %%
# The table, with its slip
# ------------------------

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import SyntheticPrior
from sklearn_pttf.datasets import load_horse_kicks

kicks = load_horse_kicks(as_frame=True).data
table = kicks.copy()
table.loc["total"] = kicks.sum()
print(table.iloc[-3:, :10].astype(int).to_string())

# %%
# Row by row
# ----------
# ``fit`` narrows the prior's ranges to portfolios that look like the table. ``transform`` then
# says which share of the rows of such a prior, with as many observations, has a smaller mean, a
# smaller dispersion, fewer zeros, a smaller peak: a rank from 0 to 1. It is the total's level
# that is out of place. Under the original, wide ranges nothing is wrong with it: ten a year is a
# fine demand, only not in this table.

prior = SyntheticPrior(random_state=0).fit(table)
ranks = pd.DataFrame(prior.transform(table), table.index, prior.get_feature_names_out())
print(ranks.iloc[-3:, [0, 1, 2, 3, 4]].round(2).to_string())

# %%
# The table as a whole
# --------------------
# ``sample_like`` draws twins of the table: as many rows and years, from the calibrated prior.
# Hardly any of them has a row that stands out like the total.

twins = [prior.sample_like(table, random_state=seed) for seed in range(200)]
levels = np.array([np.sort(twin.mean(axis=1)) for twin in twins])
share = (levels[:, -1] >= table.mean(axis=1).max()).mean()
print(f"twins with a row as large as the total: {share:.1%}")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
rng = np.random.default_rng(0)
names = ["level", "dispersion", "zero share", "peak"]
for row, rank in zip(table.index, ranks.to_numpy()[:, :4], strict=True):
    total = row == "total"
    place = np.arange(4) + (0 if total else rng.uniform(-0.15, 0.15))
    left.plot(place, rank, "X" if total else "o", color="C3" if total else "C0", alpha=0.8)
left.set_xticks(range(4), names)
left.set(ylim=(-0.05, 1.05), ylabel="rank in the prior", title="Every row, placed in the prior")

place = np.arange(1, len(table) + 1)
low, middle, high = np.quantile(levels, [0.025, 0.5, 0.975], axis=0)
right.fill_between(place, low, high, color="0.85", label="95 % of the twins")
right.plot(place, middle, color="0.5", label="their median")
right.plot(place[:-1], np.sort(kicks.mean(axis=1)), "oC0", label="corps")
right.plot(place[-1], table.loc["total"].mean(), "XC3", label="total")
right.set(xlabel="rows, smallest first", ylabel="mean a year", title="The table beside its twins")
right.legend()
figure.savefig("prior_predictive_check.png", dpi=120)

# %%
# Without the total
# -----------------
# The fourteen corps alone look like what the prior makes: no rank is near 0 or 1.

alone = SyntheticPrior(random_state=0).fit(kicks).transform(kicks)[:, :4]
print(f"ranks of the corps: from {alone.min():.2f} to {alone.max():.2f}")
