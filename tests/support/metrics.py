"""Problems and a hand table for metrics and scorers."""

import numpy as np

from sklearn_pttf.problems import DecisionProblem, Newsvendor

DEAR = Newsvendor(underage=4.0, overage=1.0)


class Profit(DecisionProblem):
    """The newsvendor in profits: buy at ``cost``, sell at ``price``; costs below zero."""

    cost_parameters = ("price", "unit_cost")

    def __init__(self, price, unit_cost):
        self.price = price
        self.unit_cost = unit_cost

    def cost(self, decision, outcome, price, unit_cost):
        return unit_cost * decision - price * np.minimum(decision, outcome)

    def solve(self, law, portfolio):
        return law.quantile(1 - portfolio.costs["unit_cost"] / portfolio.costs["price"])

    def expected_cost(self, decision, law, portfolio):
        sold = law.mean() - law.excess(decision)
        return portfolio.costs["unit_cost"] * decision - portfolio.costs["price"] * sold


# At equal costs SAA orders the lower medians 2 and 6, at 2 a row; best are 3 and 8, at 1 and 0.
X_SAA = np.array([[2.0, 4.0], [6.0, 10.0]])
Y_SAA = np.array([[3.0, 5.0], [8.0, 8.0]])
