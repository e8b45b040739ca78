"""
Why does a larger portfolio decide better?
==========================================

A firm that supplies mountain huts wonders whether to decide for each region on its own, or for
all huts together. More huts help in two ways. They show more clearly what huts have in common,
and the pretrained network reads that without any training: a richer *context*. And they are
more examples to train on: *finetuning*. A transfer curve tells the two apart.
"""

# %%
# The huts
# --------
# 400 huts of different size. In good weather a hut is nearly full, in bad weather nearly empty,
# and the weather is seldom in between. Two weekends were seen. A hundred later ones charge the
# decisions. A meal that is missing costs nine times as much as one that is left over.

import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.finetune import FullFinetune
from sklearn_pttf.inspection import TransferCurveDisplay
from sklearn_pttf.model_selection import transfer_curve
from sklearn_pttf.problems import Newsvendor

rng = np.random.default_rng(0)
beds = 40 * np.exp(0.7 * rng.standard_normal((400, 1)))
filled = rng.beta(0.4, 0.4, size=(400, 102))
demand = rng.poisson(beds * filled).astype(float)
X, y = demand[:, :2], demand[:, 2:]

# %%
# Portfolios of 20, 60 and 180 huts
# ---------------------------------
# In each of four draws the small portfolio is part of the larger ones, and its twenty huts are
# charged in all of them. So the same decisions are compared, made with ever more company.
#
# The strategy is spelled out to keep this script short: no more than 12 epochs, and no
# classical method in place of the network. ``finetune="auto"`` would take longer and train the
# small portfolios only where the pretrained law is visibly wrong.

estimator = PretrainedDecisionTransformer(
    Newsvendor(underage=9.0, overage=1.0),
    finetune=FullFinetune(max_epochs=12, baselines=False),
    random_state=0,
)
curve = transfer_curve(
    estimator,
    X,
    y,
    n_instances=[20, 60, 180],
    cv=4,
    methods=["pretrained", "finetuned", "saa"],
    random_state=0,
)

# %%
# Where the fall in cost comes from
# ---------------------------------
# Both gains are shares of what the pretrained network costs at 20 huts, so they add up. The
# context needs no training: its gain is that of the pretrained network from more company. The
# gain of finetuning is what training saves beyond that, at the same number of huts. The last
# column says what was in use in each draw: the guard keeps the pretrained weights where
# training did not clearly pay.

table = pd.DataFrame(
    {
        "richer context": curve.context_gain,
        "+-": curve.context_gain_half_width,
        "finetuning": curve.finetune_gain,
        "+- ": curve.finetune_gain_half_width,
    },
    index=pd.Index(curve.n_instances, name="huts"),
)
table = table.map("{:.1%}".format)
table["in use"] = [", ".join(draws) for draws in curve.chosen]
print(table.to_string())

# %%
# The picture
# -----------
# On the left the cost of both networks, in percent of SAA's on the same huts, which decides
# every hut on its own and so learns nothing from the others. On the right the two gains. The
# bands are wide with four draws of twenty huts: read directions here, and give ``cv`` a larger
# number for figures.

display = TransferCurveDisplay.from_result(curve).plot()
display.figure_.savefig("economies_of_scale.png", dpi=120)
