"""Pretraining: the same seed gives the same weights, however often the run is interrupted."""

import inspect
import json
import math
from dataclasses import asdict
from fnmatch import fnmatch
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sklearn_pttf import Checkpoint, SyntheticPrior, __version__, pretrain
from sklearn_pttf._kinds.head import NetworkOutput
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._training.callbacks import Schedule
from sklearn_pttf._training.loss import PortfolioLoss
from sklearn_pttf._training.run import HIDDEN
from sklearn_pttf._training.settings import TrainingSettings
from sklearn_pttf._training.stream import PortfolioStream
from sklearn_pttf.problems import Newsvendor

TINY = NetworkConfig(width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8)
PRIOR = SyntheticPrior(level=(1.0, 20.0), noise_families=("poisson",))
SMALL = {"network": TINY, "rows": 50, "verbose": 0}
ROUNDS = {**SMALL, "n_steps": 11, "round_steps": 4}  # the last round is shorter


def _equal(a, b):
    return a.weights.keys() == b.weights.keys() and all(
        np.array_equal(a.weights[name], b.weights[name]) for name in a.weights
    )


@pytest.fixture(scope="module")
def whole_run():
    return pretrain(PRIOR, **ROUNDS)


# ---------------------------------------------------------------- the stream of batches


def _stream(**changes):
    arguments = {"steps": (), "rows": 60, "n_outcomes": 3, "seed": 5, "device": "cpu", **changes}
    return PortfolioStream(PRIOR, **arguments)


def _assert_same_batch(a, b):
    assert a[0].keys() == b[0].keys()
    tensors = ([*inputs.values(), *targets.values()] for inputs, targets in (a, b))
    for left, right in zip(*tensors, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0, equal_nan=True)


def test_a_batch_depends_on_seed_and_step_alone():
    in_order = list(_stream(steps=range(4)))
    backwards = list(_stream(steps=[3, 1]))
    _assert_same_batch(in_order[3], backwards[0])
    _assert_same_batch(in_order[1], backwards[1])
    torch.manual_seed(99)
    _assert_same_batch(in_order[2], _stream(steps=[100]).batch(2))


def test_batches_differ_by_step_and_seed():
    one, other_step, other_seed = (
        stream.batch(step)
        for stream, step in ((_stream(), 0), (_stream(), 1), (_stream(seed=6), 0))
    )
    for other in (other_step, other_seed):
        left, right = one[1]["outcomes"], other[1]["outcomes"]
        assert left.shape != right.shape or not torch.equal(left, right)


def test_shapes_of_batches():
    for inputs, targets in _stream(steps=range(30)):
        size, rows, cells = inputs["observations"].shape
        assert targets["outcomes"].shape == (size, rows, 3)
        assert targets["means"].shape == (size, rows)
        assert inputs["whole"].shape == (size,)
        assert size == max(1, 60 // rows)
        assert 2 <= rows <= 500
        assert 1 <= cells <= 30
        in_context = inputs["in_context"]
        assert in_context.shape == (size, rows)
        assert in_context[:, 0].all()
        assert (in_context == in_context.sort(dim=1, descending=True).values).all()


def test_some_batches_have_later_rows():
    shares = [bool(inputs["in_context"].all()) for inputs, _ in _stream(steps=range(200))]
    # 0.3 of the batches, less those that leave out no row
    assert 0.6 < np.mean(shares) < 0.9


# ---------------------------------------------------------------- loss and learning rate


THIRDS = (1 / 6, 1 / 2, 5 / 6)  # levels that stand for a third of the law each
WEIGHTS = np.array([(5 / 36) ** -0.6, (1 / 4) ** -0.6, (5 / 36) ** -0.6])
# atoms 1, 2 and 3 of a third each: pinball losses of the orders 1, 2 and 3 are, on average,
# (0 + 1 + 2) / 6 / 3, (1 + 0 + 1) / 2 / 3 and (2 + 1 + 0) / 6 / 3
OWN = np.mean(WEIGHTS * [1 / 6, 1 / 3, 1 / 6])


def _output(quantiles, *, scale=10.0, grain=0.0, typical=0.5, zero_width=0.0):
    """Output for one portfolio with quantiles ``(N, K)``."""
    quantiles = torch.tensor([quantiles], dtype=torch.float64)
    by_row = torch.ones_like(quantiles[..., 0])
    return NetworkOutput(
        quantiles,
        torch.zeros((1, 1), dtype=torch.float64),
        torch.full((1, 1), scale, dtype=torch.float64),
        torch.full((1, 1), grain, dtype=torch.float64),
        typical * by_row,
        zero_width * by_row,
    )


def _loss(levels=THIRDS):
    loss = PortfolioLoss(Newsvendor(), levels)
    loss.levels = torch.tensor(levels, dtype=torch.float64)
    return loss


def _outcomes(*rows):
    return {"outcomes": torch.tensor([rows], dtype=torch.float64)}


def test_loss_by_hand():
    # 4 units of 10, above 1, 2 and 3
    by_row = np.mean(WEIGHTS * [1 / 6 * 3, 1 / 2 * 2, 5 / 6 * 1])
    value = _loss()(_output([[1.0, 2.0, 3.0]]), _outcomes([40.0]))
    assert value.item() == pytest.approx(by_row / OWN)
    # in float32, as in training
    single = NetworkOutput(*(part.float() for part in _output([[1.0, 2.0, 3.0]])[:6]))
    outcomes = {"outcomes": torch.tensor([[[40.0]]])}
    value = PortfolioLoss(Newsvendor(), THIRDS)(single, outcomes)
    assert value.item() == pytest.approx(by_row / OWN, rel=1e-5)


def test_loss_of_two_rows_by_hand():
    """Half of a row's loss counts relative to the row, half relative to the portfolio."""
    quiet = np.mean(WEIGHTS * [1 / 6 * 3, 1 / 2 * 2, 5 / 6 * 1])  # 4 above 1, 2 and 3
    noisy = np.mean(WEIGHTS * [5 / 6 * 1, 1 / 2 * 3, 1 / 6 * 5])  # 1 below 2, 4 and 6
    common = 1.5 * OWN  # of rows that expect OWN and 2 * OWN
    expected = quiet * (1 / OWN + 1 / common) / 4 + noisy * (1 / (2 * OWN) + 1 / common) / 4
    output = _output([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])
    assert _loss()(output, _outcomes([40.0], [10.0])).item() == pytest.approx(expected)


def test_expected_loss_is_that_of_the_atoms():
    """Where levels are the middles of equal shares, quantiles are equally likely atoms."""
    levels = (np.arange(9) + 0.5) / 9
    weights = (levels * (1 - levels)) ** -0.6
    atoms = np.sort(np.random.RandomState(0).gamma(0.5, size=(4, 9)), axis=1)
    direct = [
        np.mean(
            [
                weight * np.mean(np.where(y > q, level * (y - q), (1 - level) * (q - y)))
                for q, level, weight in zip(y, levels, weights, strict=True)
            ]
        )
        for y in atoms
    ]
    own = _loss(tuple(levels))._expected(torch.tensor(atoms), torch.tensor(weights))
    np.testing.assert_allclose(own, direct, rtol=1e-12)


def test_expected_loss_of_a_logistic_law():
    # the pinball loss of the quantile at r of a logistic law of scale s is s H(r) on average
    levels = np.array(NetworkConfig().levels)
    entropy = -levels * np.log(levels) - (1 - levels) * np.log(1 - levels)
    quantiles = 7 + 3 * np.log(levels / (1 - levels))
    weights = (levels * (1 - levels)) ** -0.6
    own = _loss(tuple(levels))._expected(torch.tensor(quantiles), torch.tensor(weights))
    assert own.item() == pytest.approx(np.mean(weights * 3 * entropy), rel=0.004)
    away = _loss(tuple(levels))._expected(torch.tensor(quantiles + 50), torch.tensor(weights))
    assert away.item() == pytest.approx(own.item())  # where a law lies does not matter


@pytest.mark.parametrize(("typical", "own"), [(100.0, 10.0), (0.01, 0.1), (OWN, OWN)])
def test_expected_loss_is_held_near_the_typical_one(typical, own):
    """Between a tenth and ten times of what the evidence says."""
    by_row = np.mean(WEIGHTS * [5 / 6 * 0.75, 1 / 2 * 1.75, 1 / 6 * 2.75])  # 1/4 below 1, 2, 3
    output = _output([[1.0, 2.0, 3.0]], typical=typical)
    assert _loss()(output, _outcomes([2.5])).item() == pytest.approx(by_row / own)


def test_expected_loss_is_no_part_of_the_gradient():
    """Else a row could lower its loss by expecting a larger one."""
    output = _output([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])
    quantiles = output.quantiles.requires_grad_()
    _loss()(output, _outcomes([40.0], [30.0])).backward()
    common = 1.5 * OWN
    # cdf minus level: 0 - r where the order is below the outcome, 1 - r where above
    slopes = WEIGHTS * [[-1 / 6, -1 / 2, -5 / 6], [-1 / 6, 1 / 2, 1 / 6]] / 3
    slopes[0] *= (1 / OWN + 1 / common) / 4
    slopes[1] *= (1 / (2 * OWN) + 1 / common) / 4
    np.testing.assert_allclose(quantiles.grad[0], slopes, rtol=1e-12)


@pytest.mark.parametrize("factor", [1e-3, 7.0])
@pytest.mark.parametrize("grain", [0.0, 0.3])
def test_loss_has_no_unit(factor, grain):
    """Multiplying all of one portfolio leaves the loss of both as it is."""
    rng = np.random.RandomState(0)
    quantiles = np.sort(rng.gamma(2.0, size=(2, 4, 9)) - 0.5, axis=-1)
    outcomes = rng.gamma(2.0, 10.0, size=(2, 4, 6)) * (rng.uniform(size=(2, 4, 6)) > 0.3)
    typical = rng.uniform(0.3, 0.6, size=(2, 4))
    scale = np.array([[10.0], [3.0]])
    levels = NetworkConfig(n_knots=9).levels

    def loss(of_quantiles, of_scale):
        """The loss of what is multiplied in the first portfolio; outcomes by both."""
        by, unit = (np.array([[x], [1.0]]) for x in (of_quantiles, of_scale))
        output = NetworkOutput(
            quantiles=torch.tensor(quantiles * by[..., None]),
            location=torch.zeros(2, 1, dtype=torch.float64),
            scale=torch.tensor(scale * unit),
            grain=torch.tensor(grain * by),
            typical=torch.tensor(typical * by),
            zero_width=torch.tensor((grain or 0.4) * by * np.ones((2, 4))),
        )
        later = {"outcomes": torch.tensor(outcomes * (by * unit)[..., None])}
        return _loss(levels)(output, later).item()

    assert loss(factor, 1.0) == pytest.approx(loss(1.0, 1.0), rel=1e-9)
    assert loss(1.0, factor) == pytest.approx(loss(1.0, 1.0), rel=1e-9)


def test_far_outcomes_pull_alike():
    values, gradients = [], []
    for outcome in (251.0, 1e9):  # beyond 50 times the typical size, 0.5 units of 10
        output = _output([[1.0, 2.0, 3.0]])
        quantiles = output.quantiles.requires_grad_()
        value = _loss()(output, _outcomes([outcome]))
        values.append(value.item())
        gradients.append(torch.autograd.grad(value, quantiles)[0])
    # 25 units, at distances 24, 23 and 22 from the quantiles
    by_row = np.mean(WEIGHTS * [1 / 6 * 24, 1 / 2 * 23, 5 / 6 * 22])
    assert values == pytest.approx([by_row / OWN] * 2)
    torch.testing.assert_close(*gradients)
    assert (gradients[0] < 0).all()


def test_gradients_of_odd_portfolios_are_finite():
    nan = math.nan
    observations = [
        [[0.0, 0.0], [0.0, nan], [nan, nan]],
        [[nan, nan], [nan, nan], [nan, nan]],
        [[3.0, 3.0], [3.0, 3.0], [3.0, 3.0]],
        [[0.0, 1e8], [1e-3, nan], [0.0, 0.0]],
        [[2.0, nan], [0.0, nan], [nan, nan]],
    ]
    torch.manual_seed(0)
    network = DecisionNetwork(TINY)
    loss = PortfolioLoss(Newsvendor(), TINY.levels)
    for whole in (0.0, 1.0):
        output = network(torch.tensor(observations), torch.full((5,), whole))
        value = loss(output, {"outcomes": torch.tensor([0.0, 2.0, 1e9]).expand(5, 3, 3)})
        network.zero_grad()
        value.backward()
        assert value.isfinite()
        for name, parameter in network.named_parameters():
            assert parameter.grad.isfinite().all(), name


def test_matrices_of_hidden_layers_are_told_from_the_others():
    matrices = {name for name, p in DecisionNetwork(TINY).named_parameters() if p.ndim == 2}
    hidden = {name for name in matrices for pattern in HIDDEN if fnmatch(name, pattern)}
    assert matrices - hidden == {
        "tokens",
        "portfolio.weight",
        "encoder.cell.0.weight",
        "head.mlp.2.weight",
    }


def test_first_step_of_muon_and_of_adamw():
    """AdamW moves by the learning rate, Muon by a matrix of which 0.2 of it is the size."""
    constant = {"warmup": 0.0, "cooldown": 0.0, "weight_decay": 0.0}
    moved = pretrain(PRIOR, n_steps=1, lr=1e-2, **constant, **SMALL)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = Checkpoint.from_network(DecisionNetwork(TINY), {})
    steps = {name: moved.weights[name] - value for name, value in fresh.weights.items()}
    for name in ("head.mlp.2.weight", "tokens", "encoder.mix.0.bias"):
        assert np.median(np.abs(steps[name])) == pytest.approx(1e-2, rel=0.01)
    for name in ("layers.0.read.queries.weight", "encoder.mix.2.weight", "head.mlp.0.weight"):
        largest = np.linalg.norm(steps[name], ord=2)
        rows_or_columns = max(steps[name].shape)
        assert 0.6 < largest / (1e-2 * 0.2 * math.sqrt(rows_or_columns)) < 1.3, name


def _rates(n_steps, warmup, cooldown, first=0):
    schedule = Schedule(0.5, n_steps, warmup, cooldown, first)
    net = SimpleNamespace(optimizer_=SimpleNamespace(param_groups=[{"lr": None}, {"lr": None}]))
    rates = []
    for _ in range(first, n_steps):
        schedule.on_batch_begin(net, training=True)
        schedule.on_batch_begin(net, training=False)  # validation does not count
        assert net.optimizer_.param_groups[0] == net.optimizer_.param_groups[1]
        rates.append(net.optimizer_.param_groups[0]["lr"])
    return np.array(rates)


def test_learning_rate_rises_stays_and_falls():
    rates = _rates(100, warmup=0.1, cooldown=0.5)
    np.testing.assert_allclose(rates[:10], 0.5 * np.arange(1, 11) / 10)
    np.testing.assert_array_equal(rates[9:51], 0.5)
    np.testing.assert_allclose(rates[50:], 0.5 * np.arange(50, 0, -1) / 50)
    assert rates[-1] == 0.5 / 50
    assert _rates(10_000, 0.02, 0.5)[-1] == 0.5 / 5000


def test_learning_rate_goes_on_where_it_was():
    np.testing.assert_array_equal(_rates(100, 0.1, 0.5, first=37), _rates(100, 0.1, 0.5)[37:])


def test_learning_rate_may_be_constant():
    np.testing.assert_array_equal(_rates(20, 0.0, 0.0), 0.5)


def test_the_schedule_is_used():
    """A step at a rate of next to nothing changes next to nothing."""
    start = pretrain(PRIOR, n_steps=1, lr=1e-9, **SMALL)
    moved = pretrain(PRIOR, n_steps=1, lr=1e-2, **SMALL)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = Checkpoint.from_network(DecisionNetwork(TINY), {})
    for name, value in fresh.weights.items():
        np.testing.assert_allclose(start.weights[name], value, rtol=0, atol=1e-7)
    assert max(np.abs(moved.weights[k] - fresh.weights[k]).max() for k in fresh.weights) > 1e-3


# ---------------------------------------------------------------- what a run gives


def test_checkpoint_and_card(whole_run, tmp_path):
    assert isinstance(whole_run, Checkpoint)
    card = whole_run.card
    assert card["name"] == "own"
    assert card["problem"] == "Newsvendor"
    assert card["prior"] == PRIOR.describe()
    assert card["network"] == TINY.to_dict()
    expected = {"n_steps": 11, "rows": 50, "round_steps": 4, "lr": 1e-3, "random_state": 0}
    assert expected.items() <= card["training"].items()
    assert card["training"]["start"] is None
    assert card["made_with"]["sklearn_pttf"] == __version__
    assert card["made_with"]["torch"] == torch.__version__
    assert card["made_with"]["numpy"] == np.__version__
    assert len(card["history"]) == 3
    assert card["quality"]["validation_loss"] == card["history"][-1]["valid_loss"]
    assert 0 < card["quality"]["validation_loss"] < 10
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert _equal(Checkpoint.load(whole_run.save(tmp_path / "own")), whole_run)
    assert all(np.isfinite(value).all() for value in whole_run.weights.values())


def test_defaults_of_prior_and_problem():
    card = pretrain(n_steps=1, name="plain", **SMALL).card
    assert card["name"] == "plain"
    assert card["prior"] == SyntheticPrior().describe()
    assert card["problem"] == "Newsvendor"
    assert card["training"]["rows"] == 50


def test_validation_loss_can_be_recomputed(whole_run):
    """The mean over the rows of 40 fixed batches of other seeds than those of training."""
    network = whole_run.build_network()
    loss = PortfolioLoss(Newsvendor(), TINY.levels)
    batches = list(PortfolioStream(PRIOR, range(40), 50, 8, 1_000_003, "cpu"))
    with torch.no_grad():
        losses = [loss(network(**inputs), targets).item() for inputs, targets in batches]
    sizes = [len(targets["outcomes"]) for _, targets in batches]
    expected = np.average(losses, weights=sizes)
    assert whole_run.card["quality"]["validation_loss"] == pytest.approx(expected, rel=1e-4)


def test_equal_seeds_give_equal_weights(whole_run):
    torch.manual_seed(123)
    again = pretrain(PRIOR, **ROUNDS)
    assert _equal(again, whole_run)
    assert again.card["history"] == whole_run.card["history"]
    assert again.card["training"] == whole_run.card["training"]
    assert not _equal(pretrain(PRIOR, **ROUNDS, random_state=1), whole_run)


def test_another_prior_gives_other_weights(whole_run):
    other = SyntheticPrior(level=(1.0, 21.0), noise_families=("poisson",))
    assert not _equal(pretrain(other, **ROUNDS), whole_run)


def test_what_the_prior_was_fitted_to_does_not_count(whole_run):
    fitted = SyntheticPrior(**PRIOR.get_params(deep=False)).set_params(n_simulations=100)
    fitted.fit(np.array([[3.0, 4.0], [9.0, 1.0]]))
    assert _equal(pretrain(fitted, **ROUNDS), whole_run)


def test_rounds_do_not_change_the_weights(whole_run):
    assert _equal(pretrain(PRIOR, **{**ROUNDS, "round_steps": 500}), whole_run)


def test_global_randomness_is_left_alone():
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    pretrain(PRIOR, n_steps=1, **SMALL)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_training_lowers_the_loss():
    first, last = (
        pretrain(PRIOR, n_steps=n, lr=1e-2, **SMALL).card["quality"]["validation_loss"]
        for n in (1, 60)
    )
    assert last < 0.95 * first


def test_numpy_numbers_are_numbers(tmp_path):
    settings = {"n_steps": np.int64(1), "lr": np.float32(0.5), "random_state": np.int32(3)}
    checkpoint = pretrain(PRIOR, **settings, **SMALL)
    checkpoint.save(tmp_path / "x")
    assert _equal(checkpoint, pretrain(PRIOR, n_steps=1, lr=0.5, random_state=3, **SMALL))


# ---------------------------------------------------------------- going on from weights


def test_goes_on_from_a_checkpoint(whole_run, tmp_path):
    settings = {"rows": 50, "verbose": 0, "n_steps": 1, "lr": 1e-9}
    further = pretrain(PRIOR, checkpoint=whole_run, **settings)
    assert further.card["network"] == TINY.to_dict()  # not the default size
    assert further.card["training"]["start"] == whole_run.fingerprint()
    for name, value in whole_run.weights.items():
        np.testing.assert_allclose(further.weights[name], value, rtol=0, atol=1e-7)
    path = whole_run.save(tmp_path / "start")
    assert _equal(pretrain(PRIOR, checkpoint=path, **settings), further)
    assert _equal(pretrain(PRIOR, checkpoint=str(path), **settings), further)


# ---------------------------------------------------------------- interruption


def _interrupt_at(monkeypatch, step, seed=0):
    """Raise KeyboardInterrupt when a batch of training is drawn."""
    batch = PortfolioStream.batch

    def interrupted(self, k):
        if self.seed == seed and k == step:
            raise KeyboardInterrupt
        return batch(self, k)

    monkeypatch.setattr(PortfolioStream, "batch", interrupted)


@pytest.mark.parametrize("step", [1, 4, 6, 10])
def test_resumed_run_gives_the_same_weights(step, whole_run, tmp_path, monkeypatch):
    state = tmp_path / "run.state"
    with monkeypatch.context() as context:
        _interrupt_at(context, step)
        with pytest.raises(KeyboardInterrupt):
            pretrain(PRIOR, **ROUNDS, resume=state)
    assert state.exists() == (step >= 4)  # there is a state after the first round
    drawn = []
    with monkeypatch.context() as context:
        batch = PortfolioStream.batch
        context.setattr(
            PortfolioStream,
            "batch",
            lambda self, k: (drawn.append(k) if self.seed == 0 else None, batch(self, k))[1],
        )
        resumed = pretrain(PRIOR, **ROUNDS, resume=state)
    assert drawn == list(range(4 * (step // 4), 11))
    assert _equal(resumed, whole_run)
    assert resumed.card["history"] == whole_run.card["history"]
    assert resumed.card["quality"] == whole_run.card["quality"]
    assert [path.name for path in tmp_path.iterdir()] == ["run.state"]


def test_interrupted_again_and_again(whole_run, tmp_path, monkeypatch):
    state = str(tmp_path / "run.state")
    for step in (5, 9):
        with monkeypatch.context() as context:
            _interrupt_at(context, step)
            with pytest.raises(KeyboardInterrupt):
                pretrain(PRIOR, **ROUNDS, resume=state)
    resumed = pretrain(PRIOR, **ROUNDS, resume=state)
    assert _equal(resumed, whole_run)
    finished = pretrain(PRIOR, **ROUNDS, resume=state)  # nothing is left to do
    assert _equal(finished, whole_run)
    assert finished.card["history"] == whole_run.card["history"]


def test_interrupted_run_restores_the_global_generator(monkeypatch):
    before = torch.get_rng_state()
    _interrupt_at(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt):
        pretrain(PRIOR, **ROUNDS)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture(scope="module")
def state_content(tmp_path_factory):
    path = tmp_path_factory.mktemp("states") / "run.state"
    pretrain(PRIOR, n_steps=2, resume=path, **SMALL)
    return path.read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"n_steps": 3},
        {"lr": 1e-4},
        {"rows": 51},
        {"random_state": 1},
        {"network": NetworkConfig(width=16, n_layers=2, n_tokens=4, n_heads=2)},
        {"prior": SyntheticPrior(level=(1.0, 21.0), noise_families=("poisson",))},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_resume_refuses_other_settings(changes, state_content, tmp_path):
    state = tmp_path / "run.state"
    state.write_bytes(state_content)
    with pytest.raises(ValueError, match=r"resume='.*run\.state' was saved by a run with other"):
        pretrain(**{"prior": PRIOR, "n_steps": 2, "resume": state, **SMALL, **changes})
    assert state.read_bytes() == state_content


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no state",
        lambda content: content[:-100],
        lambda content: content[: len(content) // 2],
    ],
    ids=["empty", "text", "truncated", "half"],
)
def test_resume_refuses_a_damaged_state(damage, state_content, tmp_path):
    state = tmp_path / "run.state"
    state.write_bytes(damage(state_content))
    with pytest.raises(ValueError, match=r"resume='.*run\.state' is no saved state of pretraining"):
        pretrain(PRIOR, n_steps=2, resume=state, **SMALL)


def test_resume_refuses_a_flipped_bit(state_content, tmp_path):
    state = tmp_path / "run.state"
    state.write_bytes(state_content)
    tokens = torch.load(state, weights_only=True)["module"]["tokens"].numpy().tobytes()
    content = bytearray(state_content)
    content[state_content.index(tokens) + len(tokens) // 2] ^= 1
    state.write_bytes(content)
    with pytest.raises(ValueError, match=r"is no saved state of pretraining: .* is damaged"):
        pretrain(PRIOR, n_steps=2, resume=state, **SMALL)


class _Trap:
    def __reduce__(self):
        return print, ("sprung",)


@pytest.mark.parametrize("content", [{"key": _Trap()}, {"weights": torch.ones(2)}, 5])
def test_resume_runs_no_foreign_code(content, tmp_path, capsys):
    state = tmp_path / "run.state"
    torch.save(content, state)
    with pytest.raises(ValueError, match="is no saved state of pretraining"):
        pretrain(PRIOR, n_steps=2, resume=state, **SMALL)
    assert capsys.readouterr().out == ""


# ---------------------------------------------------------------- what it says and refuses


def test_silent(capfd):
    pretrain(PRIOR, n_steps=2, **SMALL)
    assert capfd.readouterr() == ("", "")


def test_progress(capfd):
    pretrain(PRIOR, **{**ROUNDS, "verbose": 1})
    out, err = capfd.readouterr()
    assert "11/11" in err
    assert "rows/s" in err
    assert "loss " in err
    assert (out + err).count("validation loss") == 3  # one line a round


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("n_steps", 0),
        ("n_steps", 1.5),
        ("n_steps", True),
        ("n_steps", None),
        ("rows", 1.5),
        ("rows", 0),
        ("n_outcomes", 0),
        ("lr", -1),
        ("lr", 0),
        ("lr", math.nan),
        ("lr", "fast"),
        ("weight_decay", -0.1),
        ("warmup", 1.1),
        ("cooldown", -0.1),
        ("clip", 0),
        ("round_steps", 0),
        ("random_state", None),
        ("random_state", -1),
        ("random_state", np.random.RandomState(0)),
        ("prior", "x"),
        ("problem", "newsvendor"),
        ("network", "large"),
        ("checkpoint", 5),
        ("checkpoint", "no such checkpoint"),
        ("device", "abc"),
        ("device", "cuda:99"),
    ],
)
def test_bad_settings(setting, value, tmp_path):
    state = tmp_path / "run.state"
    with pytest.raises(ValueError, match=rf"{setting}(=| must be)"):
        pretrain(**{"prior": PRIOR, "n_steps": 1, "resume": state, **SMALL, setting: value})
    assert not state.exists()


def test_bad_prior():
    with pytest.raises(ValueError, match=r"level must be .*reversed range \(5\.0, 1\.0\)"):
        pretrain(SyntheticPrior(level=(5.0, 1.0)), n_steps=1, **SMALL)


def test_bad_settings_name_value_and_bounds():
    with pytest.raises(ValueError, match=r"n_steps must be .* \[1, 1000000000\]; got 0"):
        pretrain(PRIOR, n_steps=0)
    with pytest.raises(ValueError, match=r"lr must be a number in \[1e-09, 1\]; got -1"):
        pretrain(PRIOR, lr=-1)


def test_a_diverged_run_stops_and_leaves_its_last_good_state(tmp_path, monkeypatch):
    state = tmp_path / "run.state"
    draw = PortfolioStream.batch

    def broken(self, step):
        inputs, targets = draw(self, step)
        broken = float("nan") if self.steps == range(2, 4) else 1.0
        return inputs, {name: value * broken for name, value in targets.items()}

    monkeypatch.setattr(PortfolioStream, "batch", broken)
    with pytest.raises(ValueError, match="training diverged before step 4"):
        pretrain(PRIOR, n_steps=4, resume=state, **{**SMALL, "round_steps": 2})
    saved = torch.load(state, weights_only=True)
    assert len(json.loads(saved["rounds"])) == 1
    assert all(value.isfinite().all() for value in saved["module"].values())


def test_settings_have_the_defaults_of_pretrain():
    parameters = inspect.signature(pretrain).parameters
    assert asdict(TrainingSettings()) == {
        name: parameters[name].default for name in TrainingSettings.names()
    }


def test_only_prices_have_a_weight_of_decisions_on_the_card():
    settings = TrainingSettings(n_steps=3)
    entry = settings.entry(start=None, priced=True)
    assert entry == {**asdict(settings), "start": None}
    del entry["decision_weight"]
    assert settings.entry(start=None, priced=False) == entry
