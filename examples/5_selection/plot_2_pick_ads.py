"""
Which ads deserve the budget?
=============================

Three hundred ads have been tried on a few days each, and the best are to be booked for good, as
far as the budget goes. Whoever picks those of the best trial days picks the lucky ones too: they
promise much and keep little. This is the *winner's curse*. The script shows how large it is, what
``Selection`` does about it, and what one more euro of budget is worth.
"""

# %%
# The trial
# ---------
# Booking an ad takes ``price`` euros of the budget. What it earns a day beyond its price has been
# measured on one to six days, and a day says little: less still of an ad that many people see,
# whose days swing more. This is a simulation, so ``truth`` holds what every ad really earns on
# average: most next to nothing, some a lot, some lose.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.problems import Selection

N_ADS = 300


def draw_ads(rng):
    """Ads with prices and trial days, and what they truly earn a day."""
    good = rng.uniform(size=N_ADS) < 0.15
    truth = np.where(good, rng.gamma(4.0, 5.0, size=N_ADS), rng.normal(-2.0, 4.0, size=N_ADS))
    swing = 25.0 * np.exp(rng.normal(0.0, 0.7, size=(N_ADS, 1)))
    days = truth[:, None] + swing * rng.normal(size=(N_ADS, 6))
    tried = rng.integers(1, 7, size=N_ADS)
    days[np.arange(6) >= tried[:, None]] = np.nan
    ads = pd.DataFrame(days.round(1), columns=[f"day {k}" for k in range(1, 7)])
    ads.insert(0, "price", np.exp(rng.normal(4.0, 0.6, size=N_ADS)).round())
    return ads, truth


ads, truth = draw_ads(np.random.default_rng(0))
print(ads.head(4).to_string())

# %%
# Two ways to pick
# ----------------
# The budget is a tenth of what all ads would take. ``SampleAverage`` ranks ads by the mean of
# their trial days for each euro of price. The network reads from the three hundred rows how noisy
# days are and how ads differ, and ranks by what each may be expected to earn. Of the last ad that
# fits both pick a fraction.

budget = 0.1 * ads["price"].sum()
problem = Selection(capacity=budget, weights="price")
ways = {
    "trial means": SampleAverage(problem).fit(ads),
    "network": PretrainedDecisionTransformer(problem, finetune=None).fit(ads),
}
for name, way in ways.items():
    picks, info = way.decide(ads, return_info=True)
    promised, kept = -info.expected_cost.sum(), (picks * truth).sum()
    print(
        f"{name:11} picks {np.sum(picks > 0):3} ads for {info.used:,.0f} euros: "
        f"{promised:,.0f} a day promised, {kept:,.0f} kept"
    )

# %%
# Was that luck? Twenty such shops, with the same two ways and a third that knows the truth: the
# mean of what is promised and kept, a day.

rows = []
for seed in range(1, 21):
    other, true = draw_ads(np.random.default_rng(seed))
    shared = Selection(capacity=0.1 * other["price"].sum(), weights="price")
    known = pd.DataFrame({"price": other["price"], "truth": true})
    tables = {"trial means": other, "network": other, "who knows the truth": known}
    for name, table in tables.items():
        if name == "network":
            way = PretrainedDecisionTransformer(shared, finetune=None).fit(table)
        else:
            way = SampleAverage(shared).fit(table)
        picks, info = way.decide(table, return_info=True)
        rows.append([name, -info.expected_cost.sum(), (picks * true).sum()])
shops = pd.DataFrame(rows, columns=["ranked by", "promised", "kept"]).groupby("ranked by")
print(shops.mean().round(0).to_string())

# %%
# Whole ads
# ---------
# Half an ad cannot be booked. ``integer=True`` picks whole ones, which is a knapsack problem: which
# ads fill the budget best. The solver HiGHS proves its answer to be the best for the expected
# values. No picks within the budget, fractions included, are worth more than ``info.bound``.

whole = Selection(capacity=budget, weights="price", integer=True)
booked, info = ways["network"].decide(ads, problem=whole, return_info=True)
print(f"{booked.sum():.0f} whole ads for {info.used:,.0f} of {info.capacity:,.0f} euros")
print(f"expected a day: {-info.expected_cost.sum():,.1f}, and at most {info.bound:,.1f}")

# %%
# How large should the budget be?
# -------------------------------
# The same fit decides any budget. ``shadow_price`` is what one more euro of it is expected to earn
# a day. With money for all ads it is 0: what is expected to lose is left alone even then.

shares = np.geomspace(0.01, 1.0, 25)
curves = []
for share in shares:
    capacity = Selection(capacity=share * ads["price"].sum(), weights="price")
    for name, way in ways.items():
        picks, info = way.decide(ads, problem=capacity, return_info=True)
        promised, kept = -info.expected_cost.sum(), (picks * truth).sum()
        curves.append([name, info.capacity, promised, kept, info.used, info.shadow_price])
columns = ["ranked by", "budget", "promised", "kept", "used", "shadow price"]
curves = pd.DataFrame(curves, columns=columns)
print(curves[curves["ranked by"] == "network"].iloc[::4, 1:].round(2).to_string(index=False))

# %%
# The pictures
# ------------
# Left: what a budget promises (dashed) and keeps. By trial means the promise is several times what
# is kept; the network's is of the right size. Middle: what one more euro is worth. By trial means
# it seems to pay to spend on and on. Right: each dot is an ad. Those with few days are pulled most
# towards what ads earn in general; the picks of the first budget are ringed. (A few ads lie outside
# of the axes.)

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13.5, 4.4), layout="constrained")
colors = {"trial means": "C3", "network": "C0"}
for name, color in colors.items():
    own = curves[curves["ranked by"] == name]
    left.semilogx(own["budget"], own["promised"], "--", color=color)
    left.semilogx(own["budget"], own["kept"], color=color, label=name)
    middle.semilogx(own["budget"], own["shadow price"], color=color, label=name)
left.plot([], [], "--", color="0.4", label="promised")
left.axvline(budget, color="0.7", linewidth=1, linestyle=":")
left.set(xlabel="budget, euros", ylabel="earned a day, euros", title="Promised and kept")
left.legend(loc="upper left")
middle.set(xlabel="budget, euros", ylabel="euros a day", title="What one more euro is worth")
middle.legend()

own_mean, tried = ads.iloc[:, 1:].mean(axis=1), ads.iloc[:, 1:].count(axis=1)
picks, info = ways["network"].decide(ads, return_info=True)
dots = right.scatter(own_mean, info.mean, c=tried, s=12, cmap="viridis")
ringed = {"s": 45, "facecolors": "none", "edgecolors": "C1", "linewidths": 0.8}
right.scatter(own_mean[picks > 0], info.mean[picks > 0], label="picked", **ringed)
right.axline((0, 0), slope=1, color="0.7", linewidth=1, zorder=0)
right.set(xlabel="mean of the trial days", ylabel="expected, euros a day", title="Each ad")
right.set_xlim(-100, 100)
right.set_ylim(-20, 1.1 * info.mean.max())
right.legend(loc="upper left")
figure.colorbar(dots, ax=right, label="trial days")
figure.savefig("pick_ads.png", dpi=120)

# %%
# What to take home
# -----------------
# A promise that is made by the best of many is to be discounted, the more, the fewer days it rests
# on. The discount is no matter of taste: it follows from how much the rows differ beyond chance.
# Two things are assumed: trial days are like later ones, and an ad earns the same whether or
# not others are booked.
