"""
What if my cost is no newsvendor's?
===================================

A workshop stocks spare parts. The wholesaler takes back a few that are left over, and the others
are scrapped. A few that are missing can be had next door, and the others have to be flown in.
Some parts must not run out, whatever it costs. This script shows that a class with one method,
``cost``, is enough to decide by that, and how its orders differ from a newsvendor's.
"""

# %%
# The parts
# ---------
# 300 parts with six weeks each; a hundred later weeks, in ``y``, charge the orders. The last column
# is a bound that orders must not fall below. It is empty for now: where a bound is missing there
# is none.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.problems import DecisionProblem, Newsvendor

demand, y = make_demand_portfolio(
    300, 6, n_outcomes=100, level=8.0, spread=1.1, noise=0.4, random_state=0
)
X = pd.DataFrame(demand, columns=[f"week {k}" for k in range(1, 7)])
X["floor"] = np.nan

# %%
# The cost
# --------
# ``decision`` and ``outcome`` are arrays that broadcast together, and a cost for each outcome is to
# come back. Everything else is inherited: bounds, whole numbers, the search for the cheapest
# order. The network predicts laws, whatever they are used for, so it need not be trained for a new
# cost.


class SpareParts(DecisionProblem):
    """Five missing parts are borrowed, others flown in; five left over go back."""

    def __init__(self, nearby=5, taken_back=5, lower=None):
        self.nearby = nearby
        self.taken_back = taken_back
        self.lower = lower

    def cost(self, decision, outcome):
        missing = np.maximum(outcome - decision, 0)
        borrowed = np.minimum(missing, self.nearby)
        left_over = np.maximum(decision - outcome, 0)
        sent_back = np.minimum(left_over, self.taken_back)
        shortage = 3.0 * borrowed + 60.0 * (missing - borrowed)
        return shortage + 3.0 * sent_back + 10.0 * (left_over - sent_back)


problem = SpareParts(lower="floor")
pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)

# %%
# Beside two newsvendors
# ----------------------
# One newsvendor knows what the first units cost, 3 and 3, and the other what it costs when things
# go wrong, 60 and 10. All orders are charged with the true cost on the later weeks, a third of the
# parts at a time, by expected demand. For small parts the shop next door is often enough, and for
# large ones it hardly matters, so neither newsvendor is right for both.

problems = {
    "own cost": problem,
    "newsvendor 3, 3": Newsvendor(underage=3.0, overage=3.0),
    "newsvendor 60, 10": Newsvendor(underage=60.0, overage=10.0),
}
orders = {name: pdt.decide(X, problem=each) for name, each in problems.items()}
mean = pdt.predict(X)
third = pd.qcut(mean, 3, labels=["small", "middle", "large"])
paid = {
    name: decision_cost(y, order, problem=problem, X=X, per_row=True)
    for name, order in orders.items()
}
print(pd.DataFrame(paid).groupby(third, observed=True).mean().round(2).to_string())

# %%
# Parts that must not run out
# ---------------------------
# The stock of every fifth part is to be enough in 95 weeks of 100, so its floor is the 95 %
# quantile of its demand. Other parts order as before. Six weeks do not tell a quantile exactly: the
# promise is about kept on average over such parts, and some of them fall short of it.

critical = np.arange(300) % 5 == 0
X.loc[critical, "floor"] = pdt.predict_quantiles(X[critical], 0.95)[:, 0]
with_floor = pdt.decide(X)
enough = {
    "own cost": (y <= orders["own cost"].to_numpy()[:, None]).mean(axis=1)[critical],
    "with a floor": (y <= with_floor.to_numpy()[:, None]).mean(axis=1)[critical],
}
for (name, share), order in zip(enough.items(), (orders["own cost"], with_floor), strict=True):
    cost = decision_cost(y[critical], order[critical], problem=problem, X=X[critical])
    print(f"critical parts, {name:12} enough in {share.mean():.1%} of the weeks, cost {cost:.2f}")
print("other parts that order otherwise:", np.sum((with_floor != orders["own cost"])[~critical]))

# %%
# The pictures
# ------------
# Left: one part, and what every order is expected to cost. ``predict_distribution`` gives the law,
# and ``expected`` the mean of any cost under it. Middle: the larger the part, the closer its order
# is to that of the newsvendor who fears the worst. Right: how often the order of each critical part
# was enough.

part = int(np.argsort(mean)[200])
law = pdt.predict_distribution(X.iloc[[part]])
tried = np.arange(0.3 * mean[part], 2.5 * mean[part]).round()
curve = [law.expected(lambda units, q=q: problem.cost(q, units))[0] for q in tried]

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
colors = dict(zip(problems, ("C0", "C1", "C3"), strict=True))
left.plot(tried, curve, color="0.5")
for name, color in colors.items():
    order = orders[name][part]
    left.plot(order, np.interp(order, tried, curve), "o", color=color, markersize=9, label=name)
left.set(xlabel="order", ylabel="expected cost", title="One part")
left.set_ylim(0, 3 * min(curve))
left.legend(loc="lower right")

for name in ("own cost", "newsvendor 3, 3"):
    ratio = orders[name] / np.maximum(orders["newsvendor 60, 10"], 1.0)
    middle.semilogx(mean, 100 * ratio, ".", color=colors[name], alpha=0.7, label=name)
middle.axhline(100.0, color="C3", label="newsvendor 60, 10")
middle.set(xlabel="expected demand", ylabel="order, % of newsvendor 60, 10", title="All parts")
middle.set_xticks([1, 3, 10, 30, 100], [1, 3, 10, 30, 100])
middle.minorticks_off()
middle.set_ylim(-5, 110)
middle.legend(loc="lower right")

place = np.argsort(enough["own cost"])
for (name, share), color in zip(enough.items(), ("C0", "C2"), strict=True):
    right.plot(100 * share[place], ".", color=color, label=name)
right.axhline(95.0, color="0.5", linewidth=1, linestyle=":")
right.set(xlabel="critical parts", ylabel="enough in so many weeks, %", title="A floor for service")
right.legend(loc="lower right")
figure.savefig("a_cost_of_your_own.png", dpi=120)
