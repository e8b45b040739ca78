"""
What does a known standard error change?
========================================

A web shop has tried 250 small changes, each on one to three groups of visitors. Every reading of an
effect comes with a standard error, since it is known how many visitors it rests on: a thousand or a
million. This script estimates the effects from the same rows twice, with and without the column of
standard errors, and then with some of them lost.
"""

# %%
# The experiments
# ---------------
# Most changes do next to nothing, and a few do something. ``error`` is the standard error of *one*
# reading: of two readings the mean has an error smaller by ``sqrt(2)``, which ``Estimation`` works
# out by itself. This is a simulation, so the true effects are known.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.problems import Estimation

N_TESTS = 250
READINGS = ["group 1", "group 2", "group 3"]


def draw_tests(rng):
    """Readings with their standard errors, and the true effects."""
    works = rng.uniform(size=N_TESTS) < 0.2
    truth = np.where(works, rng.normal(1.0, 1.5, size=N_TESTS), rng.normal(0.0, 0.3, size=N_TESTS))
    error = np.exp(rng.normal(0.0, 0.9, size=N_TESTS))
    readings = truth[:, None] + error[:, None] * rng.normal(size=(N_TESTS, 3))
    readings[np.arange(3) >= rng.integers(1, 4, size=N_TESTS)[:, None]] = np.nan
    tests = pd.DataFrame(readings, columns=READINGS)
    tests["error"] = error
    return tests, truth


tests, truth = draw_tests(np.random.default_rng(0))
print(tests.head(4).round(2).to_string())

# %%
# With and without
# ----------------
# Without ``standard_errors`` the network has to read the noise from how readings of a row differ. A
# row with one reading says nothing of it, and one with three next to nothing. It is given
# what is usual in the table.

without = Estimation(observations=READINGS)
given = Estimation(standard_errors="error")
ways = {"without errors": (without, tests), "with errors": (given, tests)}
found = {}
for name, (problem, table) in ways.items():
    pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(table)
    found[name] = pdt.decide(table, return_info=True)

# %%
# The two differ most where readings are very good or very bad. For three experiments whose
# readings are far off the middle:

own = tests[READINGS].mean(axis=1)
shown = pd.DataFrame({"own mean": own, "error": tests["error"], "truth": truth})
for name, (effects, info) in found.items():
    shown[name] = effects
    shown[f"90 % {name}"] = [
        f"{low:5.1f} to {high:4.1f}" for low, high in zip(info.lower, info.upper, strict=True)
    ]
far = own.abs() > own.abs().quantile(0.8)
at = tests.loc[far, "error"].sort_values().index[[0, far.sum() // 2, -1]]
print(shown.loc[at].round(2).to_string())

# %%
# Some are lost
# -------------
# A missing standard error is an empty cell. Here one in five is, and for these rows the noise has
# to be guessed from the others again.

rng = np.random.default_rng(1)
lost = rng.uniform(size=N_TESTS) < 0.2
partly = tests.assign(error=tests["error"].mask(lost))
pdt = PretrainedDecisionTransformer(given, finetune=None).fit(partly)
found["one in five lost"] = pdt.decide(partly, return_info=True)

# %%
# How good are they?
# ------------------
# Ten such tables: the mean squared error, the share of true effects inside the intervals of 90 %,
# and how wide these are; all rows, then a third of the rows at a time, by their standard error.

rows = []
for seed in range(10):
    table, true = draw_tests(np.random.default_rng(100 + seed))
    gone = np.random.default_rng(200 + seed).uniform(size=N_TESTS) < 0.2
    third = pd.qcut(table["error"], 3, labels=["small", "middle", "large"])
    tables = {
        "without errors": (without, table),
        "with errors": (given, table),
        "one in five lost": (given, table.assign(error=table["error"].mask(gone))),
    }
    mean = table[READINGS].mean(axis=1)
    guesses = {"own mean": (mean, np.nan, np.nan)}
    for name, (problem, each) in tables.items():
        pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(each)
        effects, info = pdt.decide(each, return_info=True)
        inside = np.where((info.lower <= true) & (true <= info.upper), 1.0, 0.0)
        guesses[name] = effects, inside, info.upper - info.lower
    for name, (effects, inside, width) in guesses.items():
        one = {"way": name, "error": third, "squared error": (effects - true) ** 2}
        rows.append(pd.DataFrame({**one, "inside": inside, "width": width}))
result = pd.concat(rows)
by_third = result.groupby(["way", "error"], observed=True, sort=False).mean().unstack()
order = ["own mean", "without errors", "one in five lost", "with errors"]
print(result.drop(columns="error").groupby("way").mean().loc[order].round(2).to_string())
for measure in ("squared error", "inside", "width"):
    print(f"\n{measure}, by standard error:")
    print(by_third[measure].loc[order, ["small", "middle", "large"]].round(2).to_string())

# %%
# The pictures
# ------------
# Each dot is an experiment: left and middle, what becomes of its own mean. On the diagonal it is
# believed as it is. Without standard errors good readings (dark) are hardly believed more than bad
# ones (bright) of the same size; with them good readings are taken nearly as they are, and bad ones
# are not. Right: the width of an interval follows from how much its row's readings say, and that is
# known only with the standard errors. (A few experiments lie outside of the axes.)

figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.4), layout="constrained")
left, middle, right = axes
for axis, name in zip((left, middle), ways, strict=True):
    effects = found[name][0]
    dots = axis.scatter(
        own, effects, c=np.log10(tests["error"]), s=14, cmap="plasma", vmin=-0.8, vmax=0.8
    )
    axis.axline((0, 0), slope=1, color="0.7", linewidth=1, zorder=0)
    axis.set(xlabel="own mean", ylabel="estimated effect", title=name.capitalize())
    axis.set_xlim(-6, 6)
    axis.set_ylim(-3, 6)
bar = figure.colorbar(dots, ax=middle, label="standard error of one reading")
bar.set_ticks(np.log10([0.2, 0.5, 1, 2, 5]), labels=["0.2", "0.5", "1", "2", "5"])
for name, color in (("without errors", "C1"), ("with errors", "C0")):
    info = found[name][1]
    right.semilogx(tests["error"], info.upper - info.lower, ".", color=color, alpha=0.7, label=name)
right.set(xlabel="standard error of one reading", ylabel="width of the interval")
right.set_title("How sure it is")
right.set_ylim(bottom=0)
right.legend(loc="upper left")
figure.savefig("known_standard_errors.png", dpi=120)

# %%
# What to take home
# -----------------
# If a standard error is known, give it: with few observations a row it is worth a lot. It is that
# of one observation. Where a row holds a mean that was worked out elsewhere, that mean is its one
# observation, and the standard error is that of the mean.
