"""
Who will bat well for the rest of the season?
=============================================

Early in the season of 1970 eighteen baseball players had come to bat 45 times each. Who guesses the
rest of the season by each player's own average so far is misled by luck; Efron and Morris told this
story in 1975, and it made James and Stein's estimator famous. The pretrained network is asked the
same question here. What eighteen rows can prove, and what they cannot, is at the end.
"""

# %%
# The table
# ---------
# One row a player: at-bats and hits so far, and what share of the at-bats were hits in the rest of
# the season, which nobody knew at the time. (Two of these later averages are not those that the
# paper prints; ``load_baseball().DESCR`` says which.)

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.baselines import JamesStein
from sklearn_pttf.datasets import load_baseball
from sklearn_pttf.problems import Estimation

season = load_baseball(as_frame=True)
at_bats, hits = season.data["at_bats"], season.data["hits"]
print(season.frame.head(3).to_string())

# %%
# A scale on which luck is the same for all
# -----------------------------------------
# How much luck there is in an average of 45 at-bats depends on the average itself, a little. On
# another scale, ``sqrt(45) * arcsin(2 * average - 1)``, it does not: there the standard error is
# 1, whatever the average. That is worth telling, since one number a player shows nothing of its
# own luck: ``standard_errors=1.0``.


def to_scale(average, n=45):
    """From averages to the scale on which their standard error is 1."""
    return np.sqrt(n) * np.arcsin(2 * average - 1)


def to_average(value, n=45):
    """And back."""
    return (np.sin(value / np.sqrt(n)) + 1) / 2


problem = Estimation(standard_errors=1.0)
own = hits / at_bats
X = to_scale(own).to_frame("so far")  # one observation a row

# %%
# Four guesses
# ------------
# Each player's own average, the same one for all, and two in between. James and Stein's estimator
# moves all players towards the common mean by the same share of their distance, which it takes
# from the table. The network was trained on synthetic portfolios of many shapes to find such a
# rule by itself. It has never seen a player.

pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
values, info = pdt.decide(X, return_info=True)
stein = JamesStein(problem).fit(X)
guesses = {
    "own average": X["so far"],
    "common mean": np.full(len(X), X["so far"].mean()),
    "James-Stein": stein.decide(X),
    "network": values,
}
table = pd.DataFrame({name: to_average(guess) for name, guess in guesses.items()}, index=X.index)
table["rest of the season"] = season.target
print(table.round(3).to_string())

# %%
# How far off were they? Squared errors are summed on the scale of above, where one unit is the
# luck of 45 at-bats. Even a guess by each player's true ability would have missed, since the rest
# of the season has luck of its own: about the last line.

later = to_scale(season.target)
for name, guess in guesses.items():
    print(f"{name:12} {np.sum((guess - later) ** 2):5.1f}")
print(f"{'luck alone':12} {np.sum(45 / season.remaining_at_bats):5.1f}")

# %%
# An interval for each
# --------------------
# ``info.lower`` and ``info.upper`` are for the player's *ability*, and are meant to cover it with a
# probability of 90 %. The average of a few hundred later at-bats strays from the ability, so it
# lies outside somewhat more often.

lower, upper = to_average(info.lower), to_average(info.upper)
inside = (lower <= season.target) & (season.target <= upper)
print(f"the rest of the season is inside for {inside.sum()} of {len(X)} players")

# %%
# What eighteen rows prove
# ------------------------
# Nothing. It is one table, and it became famous because it came out so well. So let us draw thirty
# others like it: true abilities around .265 with a standard deviation of .026, 45 at-bats, and a
# rest of the season as long as each player's was. And then count how often a method with the
# better reasons loses.

rng = np.random.default_rng(0)
rows = []
for _ in range(30):
    ability = rng.normal(0.265, 0.026, size=18)
    first = to_scale(rng.binomial(45, ability) / 45)[:, None]
    remaining = season.remaining_at_bats.astype(int)
    rest = to_scale(rng.binomial(remaining, ability) / remaining)
    means, drawn = pdt.fit(first).decide(first, return_info=True)
    errors = {
        "own average": np.sum((first[:, 0] - rest) ** 2),
        "common mean": np.sum((first.mean() - rest) ** 2),
        "James-Stein": np.sum((JamesStein(problem).fit(first).decide(first) - rest) ** 2),
        "network": np.sum((means - rest) ** 2),
    }
    true = to_scale(ability)
    rows.append({**errors, "covered": np.mean((drawn.lower <= true) & (true <= drawn.upper))})
others = pd.DataFrame(rows)
print(others.mean().round(2).to_string())
for name in ("own average", "common mean", "James-Stein"):
    lost = np.sum(others["network"] > others[name])
    print(f"the network is further off than {name} in {lost} of {len(others)} such tables")

# %%
# Nobody should go by each player's own average. Between the others a table as small as this one
# decides next to nothing: how they compare is a question for thousands of tables.
#
# The pictures
# ------------
# Left: from a player's own average (open) to the network's guess (arrow), and where the rest of the
# season came to lie (red). Middle: the intervals. Right: the thirty other tables; where a dot lies
# above the line, the common mean was better than the network. The star is the real table.

figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(14, 5.5), layout="constrained", width_ratios=(1.3, 1, 1)
)
place = np.arange(len(X))[::-1]
for at, before, after in zip(place, table["own average"], table["network"], strict=True):
    left.annotate(
        "", (after, at), (before, at), arrowprops={"arrowstyle": "->", "color": "C0", "lw": 1.5}
    )
left.plot(table["own average"], place, "o", color="0.3", mfc="white", label="first 45 at-bats")
left.plot(season.target, place, "o", color="C3", markersize=5, label="rest of the season")
left.plot([], [], color="C0", label="to the network's guess")
left.set_yticks(place, X.index)
left.set(xlabel="batting average", title="From luck to a guess")
left.set_ylim(-4, 18)
left.legend(loc="lower right", fontsize="small")

middle.hlines(place, lower, upper, color="C0", linewidth=4, alpha=0.4, label="90 % for the ability")
middle.plot(table["network"], place, "|", color="C0", markersize=10, label="network")
middle.plot(season.target, place, "o", color="C3", markersize=5, label="rest of the season")
middle.set_yticks([])
middle.set(xlabel="batting average", title="How sure it is")
middle.set_ylim(-4, 18)
middle.legend(loc="lower right", fontsize="small")

right.plot(others["common mean"], others["network"], ".", color="0.4", label="thirty others")
real = [np.sum((guesses[name] - later) ** 2) for name in ("common mean", "network")]
right.plot(*real, "*", color="C1", markersize=14, label="the real table")
ends = [0.8 * others["network"].min(), 1.1 * others["common mean"].max()]
right.plot(ends, ends, color="0.7", linewidth=1, zorder=0)
right.set(
    xlabel="squared error of the common mean", ylabel="of the network", title="Thirty-one tables"
)
right.legend(loc="lower right")
figure.savefig("baseball.png", dpi=120)
