"""
What did finetuning do, and did it help?
========================================

Three hundred kiosks stand beside halls. On most days a kiosk sells its usual number of
sandwiches; about one day in four there is a concert next door and it sells six times as many.
Nobody has told the network about concerts, and portfolios with such days are rare in the prior
that it was pretrained on. Finetuning trains it on the kiosks themselves.
"""

# %%
# The kiosks
# ----------
# Each has its own usual number, and six days were observed. A hundred later days, in ``y``, are
# there to charge the decisions in the end; neither the network nor its training sees them. A
# customer who leaves without a sandwich costs nine times as much as a sandwich that is left
# over.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.metrics import decision_cost, regret
from sklearn_pttf.problems import Newsvendor

rng = np.random.default_rng(0)
usual = 20 * np.exp(0.7 * rng.standard_normal((300, 1)))
concert = rng.uniform(size=(300, 106)) < 0.25
demand = rng.poisson(usual * np.where(concert, 6.0, 1.0)).astype(float)
X, y = demand[:, :6], demand[:, 6:]
print(X[:3].astype(int))

# %%
# Before and after
# ----------------
# ``finetune="auto"``, the default, trains all weights on a table of this size. ``verbose=1``
# says in one line what came of it.

problem = Newsvendor(underage=9.0, overage=1.0)
before = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
after = PretrainedDecisionTransformer(problem, random_state=0, verbose=1).fit(X)

# %%
# The report
# ----------
# Training can also do harm, so nothing is taken on trust. The rows are split into three folds,
# and a network is trained three times, each time without one of the folds. Every kiosk is then
# charged by the network that has not met it, on days that were taken out of its row before the
# decision.
#
# The candidates are the pretrained network, the finetuned one, a blend of both, and the best
# classical method. ``gain`` is what a candidate saves against the pretrained network. One that
# does not save clearly more than its standard error is not used, however good it looks.

report = after.finetune_report_
print(f"p-value of the pretrained law on held-out days: {report['prior_conflict']:.1e}")
candidates = {name: values for name, values in report.items() if np.ndim(values)}
print(pd.DataFrame(candidates).round(2).to_string(index=False))

# %%
# The p-value says beforehand that something is to be learned here: the days that were held out
# do not look like draws from the law that the pretrained network gives them.

# %%
# The epochs
# ----------
# The rows that a fold leaves out also say which epoch is best; epoch 0 is the pretrained
# network. Lest they choose what they are charged on, one half of them is charged on the epoch
# that the other half found best. ``n_iter_`` is the mean of the three epochs, and ``history_``
# holds the losses. Training stops some epochs after the loss has last fallen.

history = pd.DataFrame(after.history_)
print(f"n_iter_ = {after.n_iter_:.1f}")
print(history.groupby("fold")["valid_loss"].agg(["first", "min"]).round(3).to_string())

# %%
# What it was worth
# -----------------
# Now the hundred later days. The dashed line is the least that is possible: its orders know the
# law of every kiosk, though not the coming day.

deciders = {"SAA": SampleAverage(problem).fit(X), "pretrained": before, "finetuned": after}
orders = {name: decider.decide(X) for name, decider in deciders.items()}
costs = {name: decision_cost(y, order, problem=problem) for name, order in orders.items()}
least = costs["SAA"] - regret(y, orders["SAA"], floor="law", problem=problem)
for name, cost in costs.items():
    print(f"{name:11} {cost:6.2f} a kiosk and day, {cost / least - 1:.0%} above the least")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for fold, epochs in history.groupby("fold"):
    loss = epochs["valid_loss"] / epochs["valid_loss"].iloc[0]
    (line,) = left.plot(epochs["epoch"], loss, label=f"fold {fold + 1}")
    left.plot(epochs["epoch"][loss.idxmin()], loss.min(), "o", color=line.get_color())
left.axhline(1.0, color="0.5", linewidth=1, linestyle=":")
left.set(xlabel="epoch", ylabel="validation loss, of pretrained", title="The dot is what is kept")
left.legend()
right.bar(list(costs), list(costs.values()), color=["0.6", "C0", "C1"])
right.axhline(least, color="k", linestyle="--", label="knows every kiosk's law")
right.set(ylabel="cost a kiosk and day", title="A hundred later days")
right.margins(y=0.25)
right.legend(loc="upper right")
figure.savefig("finetune_report.png", dpi=120)
