"""
What does each method cost on a portfolio of your own making?
=============================================================

Six ways to order for every product of a portfolio whose truth is known: sample average
approximation (each row on its own), four classical ways to learn from the other rows, and the
pretrained network. Change the portfolio in the first block, and see who wins then: every
classical method is good where its assumption holds and bad somewhere else.
"""

# %%
# A portfolio
# -----------
# 200 products that sell now and then: each has its own level, in a third of the periods there is
# no demand at all, and what sells varies more than Poisson demand does. Four periods are
# observed. A hundred later ones charge the decisions, which have not seen them.

import matplotlib.pyplot as plt

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.baselines import (
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    PooledRatio,
    SampleAverage,
    ShrunkenSampleAverage,
)
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.metrics import prescriptiveness
from sklearn_pttf.problems import Newsvendor

X, y = make_demand_portfolio(
    200,
    4,
    n_outcomes=100,
    level=12.0,
    spread=0.7,
    family="negative_binomial",
    noise=0.4,
    zero_rate=0.3,
    random_state=0,
)

# %%
# Six methods, three cost ratios
# ------------------------------
# Prescriptiveness is 0 for sample average approximation and 1 for decisions that know the law of
# every row: here the law of the row's own hundred later periods.

methods = {
    "pretrained": PretrainedDecisionTransformer(finetune=None),
    "nonparametric Bayes": NonparametricEmpiricalBayes(),
    "parametric Bayes": ParametricEmpiricalBayes(),
    "pooled ratios": PooledRatio(),
    "shrunken SAA": ShrunkenSampleAverage(),
    "SAA": SampleAverage(),
}
ratios = (0.5, 0.8, 0.95)
reached = {}
for name, method in methods.items():
    for ratio in ratios:
        problem = Newsvendor.from_service_level(ratio)
        orders = method.set_params(problem=problem).fit(X).decide(X)
        reached[name, ratio] = prescriptiveness(y, orders, X=X, problem=problem)
print(f"{'ratio':22}" + "".join(f"{ratio:8.2f}" for ratio in ratios))
for name in methods:
    print(f"{name:22}" + "".join(f"{reached[name, ratio]:8.2f}" for ratio in ratios))

# %%
# How far each gets
# -----------------
# Below 0 a method costs more than deciding every row on its own.

figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
for place, ratio in enumerate(ratios):
    axis.plot(
        [reached[name, ratio] for name in methods],
        [k + 0.18 * (place - 1) for k in range(len(methods))],
        "o",
        label=f"critical ratio {ratio}",
    )
axis.axvline(0.0, color="0.5", linewidth=1)
axis.axvline(1.0, color="0.5", linewidth=1, linestyle="--")
axis.set_yticks(range(len(methods)), list(methods))
axis.set(xlabel="prescriptiveness (0: as SAA, 1: knows every row's law)")
axis.legend()
figure.savefig("against_the_baselines.png", dpi=120)
