"""
How far are rows shrunk towards each other?
===========================================

A row's own mean is a noisy guess of its level. How much to believe it depends on how
much the rows of a portfolio truly differ. The network finds that out from the rows
themselves: where they hardly differ it orders nearly the same for all; where they differ
much it follows each row.
"""

# %%
# Two portfolios
# --------------
# 300 products with five observations each. Both have the same noise; in the first the
# products' true means differ by about 5 %, in the second by about 80 %.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.problems import Newsvendor

problem = Newsvendor(underage=4.0, overage=1.0)
portfolios = {
    f"spread of the true means: {spread:.0%}": make_demand_portfolio(
        300, 5, family="gamma", spread=spread, noise=0.5, level=100.0, random_state=0
    )
    for spread in (0.05, 0.8)
}

# %%
# Orders against own means
# ------------------------
# On the left the rows' means differ by chance, and SAA orders as if they meant something.
# On the right they do mean something, and the network follows them, less so where a
# row's mean is extreme.

figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for axis, (title, X) in zip(axes, portfolios.items(), strict=True):
    mean = X.mean(axis=1)
    for name, decider in {
        "SAA": SampleAverage(problem),
        "pretrained": PretrainedDecisionTransformer(problem, finetune=None),
    }.items():
        orders = decider.fit(X).decide(X)
        slope = np.polyfit(np.log(mean), np.log(orders), 1)[0]
        axis.loglog(mean, orders, ".", alpha=0.6, label=f"{name} (slope {slope:.2f})")
    axis.set(title=title, xlabel="mean of the row's five observations", ylabel="order")
    axis.legend()
figure.savefig("shrinkage.png", dpi=120)
