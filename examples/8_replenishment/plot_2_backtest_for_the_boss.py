"""
The backtest for the boss
=========================

"What would this have saved us, against what we do now?" A table of past weeks holds the answer:
decide as of each of the last six weeks, only from what was known then, carry the stock over,
and charge everything in money. Today's rule is played on the same weeks.
"""

# %%
# The table
# ---------
# 30 products of a wholesaler, 47 weeks, with a quarter's season and a level that all products share
# and that wanders. A lost sale costs 6, a unit kept for a week 0.5. Goods come a week later.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.inspection import BacktestDisplay
from sklearn_pttf.model_selection import backtest
from sklearn_pttf.problems import Replenishment

rng = np.random.default_rng(0)
n_skus, n_weeks, n_origins = 30, 47, 6
week = np.arange(n_weeks)
common = 0.3 * np.sin(2 * np.pi * week / 13) + 0.05 * rng.standard_normal(n_weeks).cumsum()
usual = rng.gamma(2.0, 8.0, (n_skus, 1))
X = rng.poisson(usual * np.exp(common) * rng.gamma(10.0, 0.1, (n_skus, n_weeks)))

# %%
# Today's rule
# ------------
# The rule of the house fits into a cell of a spreadsheet: the mean of the last four weeks, times
# the two weeks that an order has to cover, plus a third for safety; less what is there and what is
# on its way.


def rule_of_the_house(history, state, origin):
    level = 1.33 * 2 * history[:, -4:].mean(axis=1)
    return np.ceil(np.maximum(level - state.position, 0.0))


# %%
# Six weeks anew
# --------------
# `backtest` fits and decides at every origin. Two baselines are played unasked: sample average
# approximation (SAA), which decides each product on its own, and exponential smoothing. SAA gets
# the same problem, so the same season. After most of a year a product tells much by itself, and SAA
# is hard to beat. The rule of the house is another matter.

problem = Replenishment(shortage=6.0, holding=0.5, lead_time=1, ordered=True, seasons=(13,))
result = backtest(
    PretrainedDecisionTransformer(problem, finetune=None),
    X,
    origins=n_origins,
    policy=rule_of_the_house,
)
summary = result.summary()
print(summary)

# %%
# In one sentence
# ---------------
# The interval is over weeks, and each week's costs are paired, so a week that was dear for everyone
# does not widen it. `BacktestResult.saving` has the numbers, as shares or in money. Without a name,
# the sentence is about the cheapest other method: the boss will ask.

print(result.verdict("policy"))
print(result.verdict())
# %%
# Two questions come next. *Can the promise be trusted?* The column achieved/promised compares costs
# with what was expected when ordering: near 1 it can. *Who is worse off?* Some products always are,
# as six weeks of a single product are mostly luck.

line = summary[result.methods.index("estimator")]
print(f"cost over what was promised: {line['achieved_over_promised']:.2f}")
print(f"products that would have cost more: {line['worse_than_policy']:.0%}")

# %%
# The picture
# -----------
# Red is what was missed, blue what was held.

figure, axes = plt.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
BacktestDisplay.from_result(result, ax=axes[:2])
BacktestDisplay.from_result(result, kind="saving", ax=axes[2])
figure.savefig("backtest.png", dpi=120)
