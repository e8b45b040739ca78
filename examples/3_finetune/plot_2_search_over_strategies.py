"""
Which finetuning strategy suits my portfolio?
=============================================

All weights, the head only, a few directions of every layer, or nothing at all: a strategy is a
parameter of the estimator, so a grid search can choose it. This one searches a whole pipeline,
and scores it by what its decisions cost on products that were not trained on.
"""

# %%
# A table with text and margins
# -----------------------------
# 160 kiosks beside halls, as in the first example: one day in four there is a concert and six
# times as many sandwiches are sold. Each row has a name, its own margin, and six days. ``y``
# holds the four days that followed; a hundred still later ones are kept for the end.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.finetune import HeadFinetune, LoRAFinetune
from sklearn_pttf.metrics import decision_cost, make_decision_scorer
from sklearn_pttf.pipeline import make_decision_pipeline
from sklearn_pttf.problems import Newsvendor

rng = np.random.default_rng(1)
usual = 20 * np.exp(0.7 * rng.standard_normal((160, 1)))
concert = rng.uniform(size=(160, 110)) < 0.25
demand = rng.poisson(usual * np.where(concert, 6.0, 1.0)).astype(float)
days = [f"day {k}" for k in range(1, 7)]
X = pd.DataFrame(demand[:, :6], columns=days)
X.insert(0, "margin", rng.uniform(4.0, 12.0, size=160).round(2))
X.insert(0, "kiosk", [f"K-{k:03d}" for k in range(160)])
y, later = demand[:, 6:10], demand[:, 10:]
print(X.head(3).to_string(index=False))

# %%
# The pipeline
# ------------
# Its first step drops the text and keeps the names of the other columns, which the problem asks
# for: what a missing sandwich costs is a column. `make_decision_pipeline` is scikit-learn's
# ``make_pipeline`` with ``decide``.

numbers = make_column_transformer(
    ("passthrough", ["margin", *days]), verbose_feature_names_out=False
).set_output(transform="pandas")
problem = Newsvendor(underage="margin", overage=1.0)
pipeline = make_decision_pipeline(
    numbers, PretrainedDecisionTransformer(problem, finetune=None, random_state=0)
)

# %%
# The grid
# --------
# A list of dicts, one a strategy, as each has parameters of its own. None, the pretrained
# network as it is, belongs in every such grid. With ``y`` the network is trained on the later
# days; in each fold the rows that are scored are none of those that it was trained on. Training
# is short here: three epochs, and two folds of its own.

step = "pretraineddecisiontransformer__finetune"
short = {"max_epochs": 3, "validation_fraction": 0.5, "baselines": False}
grid = [
    {step: [None]},
    {step: [HeadFinetune(**short)], f"{step}__lr": [1e-3, 1e-2]},
    {step: [LoRAFinetune(**short)], f"{step}__rank": [2, 8]},
]
search = GridSearchCV(pipeline, grid, scoring=make_decision_scorer("cost"), cv=3)
search.fit(X, y)

# %%
# The results
# -----------
# Scores are costs with a minus sign. Some folds hold larger kiosks than others, which makes
# every strategy dear in them, so strategies are compared fold by fold: the saving over None in
# the same fold.

results = pd.DataFrame(search.cv_results_)
names = [
    "None"
    if each[step] is None
    else f"{type(each[step]).__name__}, "
    + ", ".join(f"{key.split('__')[-1]}={value}" for key, value in each.items() if key != step)
    for each in results["params"]
]
cost = -results[[f"split{k}_test_score" for k in range(3)]].to_numpy()
saving = 1 - cost / cost[0]
error = saving.std(axis=1, ddof=1) / np.sqrt(3)
table = pd.DataFrame({"cost": cost.mean(axis=1), "saving": saving.mean(axis=1), "+-": error}, names)
print(table.round(3).to_string())

# %%
# A dot is a fold, a bar one standard error to either side of the mean. With three folds these
# are rough: strategies whose bars overlap are equally good as far as one can tell.

figure, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
place = np.arange(len(names))
axis.plot(100 * saving, place, "o", color="0.7", markersize=5)
axis.errorbar(100 * saving.mean(axis=1), place, xerr=100 * error, fmt="oC1", capsize=4)
axis.axvline(0.0, color="0.5", linewidth=1, linestyle=":")
axis.set_yticks(place, names)
axis.invert_yaxis()
axis.set(xlabel="saving over the pretrained network as it is, %", title="Kiosks not trained on")
figure.savefig("search_over_strategies.png", dpi=120)

# %%
# Deciding
# --------
# ``best_estimator_`` has been fitted again on all rows, and is a pipeline that decides. The
# later days tell what its orders cost beside those of the network as it is.

best = search.best_estimator_
plain = pipeline.fit(X)
print("best:", names[search.best_index_])
for name, orders in {"as it is": plain.decide(X), "best": best.decide(X)}.items():
    print(f"{name:9} {decision_cost(later, orders, problem=problem, X=X):7.2f} a kiosk and day")
