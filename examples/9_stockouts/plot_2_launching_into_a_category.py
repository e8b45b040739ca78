"""
Launching into a category
=========================

What is ordered for a product that nobody has sold yet? Something like what products like it sold
when *they* were new. Two things make that a table: rows that begin with each product's first week,
and attributes.
"""

# %%
# The file
# --------
# A line for each product and week in which something was sold, forty weeks. The shop had 120
# products when the file begins; 150 more came over the year. A new product sells 40 % of its later
# level in its first week, and three quarters in its fourth. Five categories are far apart and of
# different sizes, and six brands matter in all of them.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.datasets import from_long
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.problems import Newsvendor

rng = np.random.default_rng(0)
n_old, n_launched, n_weeks = 120, 150, 40
n = n_old + n_launched
categories = {"pens": 60.0, "notebooks": 30.0, "posters": 15.0, "backpacks": 9.0, "lamps": 4.0}
brands = {"Alba": 2.0, "Brio": 1.4, "Cora": 1.1, "Dado": 0.8, "Ecke": 0.6, "Fino": 0.4}
products = pd.DataFrame(
    {
        "category": rng.choice(list(categories), n, p=[0.35, 0.3, 0.2, 0.1, 0.05]),
        "brand": rng.choice(list(brands), n),
    },
    index=[f"SKU-{k:03d}" for k in range(n)],
)


def units_of(products, age):
    """Units of products at their ages in weeks, of the shape of these."""
    level = products["category"].map(categories) * products["brand"].map(brands)
    usual = level.to_numpy() * rng.lognormal(-0.08, 0.4, len(products))
    rise = 1 - 0.6 * np.exp(-np.maximum(age, 0) / 4)
    return rng.poisson(usual[:, None] * rise * rng.gamma(5.0, 0.2, age.shape))


first_week = np.append(np.full(n_old, -100), rng.integers(2, n_weeks, n_launched))
age = np.arange(n_weeks) - first_week[:, None]
units = units_of(products, age)
row, week = np.nonzero((age >= 0) & (units > 0))
mondays = pd.date_range("2026-01-05", periods=n_weeks, freq="W-MON")
sales = pd.DataFrame({"sku": products.index[row], "week": mondays[week], "units": units[row, week]})
print(sales.head(3).to_string(index=False))

# %%
# Rows by age
# -----------
# With ``align="start"`` a column is an age and not a date, and ``width=4`` keeps the first four
# weeks. A week without a sale is 0; one that has not come yet is missing. Products that sold in the
# first week of the file are older than it, nobody knows by how much: ``unknown_age="drop"`` leaves
# them out. (A slow one that sold nothing in that week slips through.)

told = {"instance": "sku", "value": "units", "time": "week", "calendar": "W-MON"}
first_weeks = from_long(sales, **told, align="start", width=4, unknown_age="drop")
ages = list(first_weeks.columns)
X = first_weeks.join(products)
print(X.tail(4).to_string())
print(f"{len(X)} rows, {X[ages].isna().any(axis=1).sum()} of them younger than four weeks")

# %%
# The orders
# ----------
# Next week each brand launches a product in each category. Each is a row without any observation:
# all that is known are its attributes. A missed sale costs 3, a unit left over 1, in a week of the
# first four.

launches = pd.MultiIndex.from_product([categories, brands], names=["category", "brand"])
launches = launches.to_frame(index=False)
about = ["category", "brand"]


def orders_of(problem, X):
    pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
    return pdt.decide(launches.reindex(columns=X.columns))


decided = {
    "category and brand": orders_of(Newsvendor(3.0, 1.0, observations=ages, attributes=about), X),
    "category": orders_of(Newsvendor(3.0, 1.0, observations=ages, attributes=["category"]), X),
    "one for all": orders_of(Newsvendor(3.0, 1.0, observations=ages), X),
}

# %%
# Two rivals. The usual table, by date, knows both attributes as well, but most of its weeks are
# those of established products. And one may take the plain quantile of what launches of the same
# category and brand sold, or of the category where there were none: most pairs had a handful.

by_date, roles = from_long(sales, **told, return_roles=True)
problem = Newsvendor(3.0, 1.0, attributes=about, **roles)
decided["of all weeks"] = orders_of(problem, by_date.join(products))


def plain_quantile(launch):
    alike = X[X["category"] == launch["category"]]
    own = alike[alike["brand"] == launch["brand"]]
    return np.nanquantile((own if len(own) else alike)[ages], 0.75)


decided["plain quantile"] = [plain_quantile(launch) for _, launch in launches.iterrows()]

# %%
# What they cost
# --------------
# As products are made here, a thousand launches of each kind can be drawn, each with its first four
# weeks. The last line is somebody who knows the law of each kind.

many = launches.loc[launches.index.repeat(1000)]
came = units_of(many, np.tile(np.arange(4), (len(many), 1))).reshape(len(launches), -1)
decided["knows the laws"] = np.quantile(came, 0.75, axis=1, method="inverted_cdf")
costs = pd.DataFrame(
    {
        name: decision_cost(came, np.asarray(order), problem=Newsvendor(3.0, 1.0), per_row=True)
        for name, order in decided.items()
    }
)
table = costs.groupby(launches["category"], sort=False).sum().T
table["all"] = table.sum(axis=1)
print(table.round(1).to_string())

# %%
# One order for all is far too much for a lamp and too little for pens. Launches are like the first
# weeks of products like them: orders that rest on all weeks are too high. A plain quantile needs
# many launches of just that kind; effects of category and brand are found from all of them, and
# shrunk where few say so.

figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.6), layout="constrained")
best = decided["knows the laws"]
marks = {"category and brand": "C0o", "one for all": "C1s", "of all weeks": "C2^"}
for name, mark in marks.items():
    left.loglog(best, decided[name], mark, alpha=0.7, label=name)
left.axline((1, 1), (100, 100), color="k", linestyle=":")
left.set(xlabel="order of who knows the law", ylabel="order", title="30 launches")
left.legend()
names = [name for name in decided if name != "knows the laws"]
above = 100 * (table.loc[names, "all"] / table.loc["knows the laws", "all"] - 1)
bars = right.barh(names, above, color=["C0", "C0", "C1", "C2", "0.6"])
right.bar_label(bars, fmt="%.0f %%", padding=3)
right.invert_yaxis()
right.margins(x=0.15)
right.set(xlabel="cost above who knows the laws, %", title="What launches cost")
figure.savefig("launches.png", dpi=120)
