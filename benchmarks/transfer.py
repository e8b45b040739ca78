"""Transfer: what finetuning adds to pretraining, under right and under wrong priors.

::

    python benchmarks/transfer.py --jobs 2                                # 3 hours of one core
    python benchmarks/transfer.py --methods bayes pretrained auto         # 1 hour: no scratch
    python benchmarks/transfer.py --part real TABLE.csv [TABLE.csv ...]   # 1 hour
    python benchmarks/transfer.py --part other-levels                     # 1 hour
    python benchmarks/transfer.py --part cost                             # 20 minutes
    python benchmarks/transfer.py --part grid                             # 3 minutes

``favourable``: portfolios of known laws, decided at tau = 0.9. A case is two files in
``benchmarks/transfer``: a recipe, by which a small network is pretrained once, and a truth that
the prior is right or wrong about. Methods: ``pretrained`` (the network as it is); ``scratch``
(the same network from random weights on these rows only: the best of three learning rates, up
to 200 epochs with early stopping, no guard); ``auto`` (``finetune="auto"`` without baselines
in the guard); ``auto+baselines``; ``bayes`` (the exact decision, which knows the truth). It asks
whether auto is hardly dearer than the better of pretrained and scratch, whether its gain grows
with the rows, and what it removes of the excess over Bayes.

``real``: the shipped checkpoint on real tables, as in ``real_tables.py``, zero-shot and
finetuned at each ratio. ``other-levels``: it is finetuned at 0.9 and charged at other
ratios; ``unguarded`` is all weights trained, and used whatever comes of it. ``cost``:
seconds and peak memory of fit and decide, in fresh processes. ``grid``: a grid search.

Costs are exact under the law, or on outcomes that were not seen. ``+-`` is the half width of a
95 % interval over paired draws: for ratios of mean costs by the delta method and Student's t.
Every fit is a line of ``CACHE/transfer-PART.jsonl``, and is not repeated while it stands there, so
that a run may be interrupted, or begun with ``--seeds 2``. Other weights, laws or sizes of the
network are noticed, other ways of finetuning are not: ``--redo auto auto+baselines``. Fits from
scratch, the longest, know nothing of priors: lines of them are in ``transfer/scratch.jsonl``, which
``--redo scratch`` passes over.
"""

import copy
import hashlib
import json
import resource
import sys
import time
import tomllib
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import joblib
import numpy as np
from common import (
    LAWS,
    LognormalRows,
    add_table_options,
    costs_by_ratio,
    draw_rows,
    make_parser,
    network,
    ratio_of_few,
    read_table,
    verdict,
    write_csv,
)
from scipy import stats
from sklearn.model_selection import GridSearchCV
from tqdm import tqdm

from sklearn_pttf import Checkpoint, PretrainedDecisionTransformer
from sklearn_pttf._network import checkpoint as _checkpoint
from sklearn_pttf._network.network import NetworkConfig
from sklearn_pttf._training.pretrain import pretrain
from sklearn_pttf.finetune import AutoFinetune, FullFinetune, HeadFinetune, LoRAFinetune, _guard
from sklearn_pttf.finetune._choice import choose
from sklearn_pttf.finetune._scratch import train_from_scratch
from sklearn_pttf.pretraining import load_recipe
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import GammaPoisson, PortfolioLaw

HERE = Path(__file__).parent
SCRATCH = HERE / "transfer" / "scratch.jsonl"
CASES = ("right", "wrong-noise", "wrong-level")
TAU = 0.9
CHARGED = (0.5, 0.75, 0.9, 0.95)  # ratios that every fit is charged at
SIZES, WIDTHS = (30, 100, 300, 1000, 3000), (3, 10)
DRAWS = {30: 10, 100: 10, 300: 10}  # 5 with more rows
ALLOWED = {30: 1.05, 100: 1.03}  # cost over the more favourable's; 1.01 with more rows
OTHER_LEVELS_MOST, REAL_MOST = 0.5, 0.3  # percent above zero-shot
METHODS = {
    "favourable": ("bayes", "pretrained", "auto", "auto+baselines", "scratch"),
    "real": ("pretrained", "auto", "auto+baselines"),
    "other-levels": ("pretrained", "auto", "unguarded"),
}
BY_PRETRAINING = ("pretrained", "auto", "auto+baselines", "unguarded")


def auto_without_baselines():
    """What ``finetune="auto"`` stands for, without baselines in the guard."""
    return AutoFinetune(baselines=False)


def read_truth(case):
    """The law of a case."""
    truth = tomllib.loads((HERE / "transfer" / f"{case}-truth.toml").read_text(encoding="utf-8"))
    return {"lognormal": LognormalRows, "counts": GammaPoisson}[truth.pop("law")](**truth)


def pretrained_checkpoint(case, options):
    """The small network of a case, pretrained or, if it was before, read."""
    path = HERE / "transfer" / f"{case}-prior.toml"
    recipe = load_recipe(path)
    if options.steps:
        recipe["n_steps"] = options.steps
    text = path.read_text(encoding="utf-8") + str(options.steps or "")
    name = f"{case}-{hashlib.sha256(text.encode()).hexdigest()[:10]}.safetensors"
    if not (options.cache / name).exists():
        print(f"pretraining {name}", flush=True)
        pretrain(**recipe, device="cpu", verbose=1).save(options.cache / name)
    return Checkpoint.load(options.cache / name)


# ------------------------------------------------------------------ one fit


class Cell(NamedTuple):
    """What is fitted, and to which draw."""

    case: str
    N: int
    n: int
    tau: float
    seed: int
    method: str


def draw(source, cell):
    """Observations of a law or of a table, what decisions are charged on, exact Bayes."""
    if isinstance(source, PortfolioLaw):
        portfolio = source.sample(cell.N, cell.n, random_state=cell.seed)
        charge = {"truth": source.truth(portfolio)}
        return portfolio.observations, charge, source.predictive(portfolio)
    outcomes = draw_rows(source, cell.N, cell.seed)
    return outcomes[:, : cell.n], {"y": outcomes[:, cell.n :]}, None


def choose_finetuned(*compared):
    """In place of the guard's choice: the finetuned weights, whatever they cost."""
    _, report = choose(*compared)
    return "finetuned", report


def law_and_choice(cell, X, checkpoint):
    """Predictive laws of the rows by a method, and what it chose to use."""
    problem = Newsvendor.from_service_level(cell.tau)
    if cell.method == "scratch":
        config = NetworkConfig(**checkpoint.card["network"])
        checkpoint = train_from_scratch(
            problem, problem.read(X), network=config, random_state=cell.seed
        )
    finetune = {
        "auto": auto_without_baselines(),
        "auto+baselines": "auto",
        "unguarded": FullFinetune(baselines=False),
    }.get(cell.method)
    estimator = PretrainedDecisionTransformer(
        problem, checkpoint=checkpoint, finetune=finetune, device="cpu", random_state=cell.seed
    )
    unguarded = cell.method == "unguarded"
    with patch.object(_guard, "choose", choose_finetuned if unguarded else choose):
        estimator.fit(X)
    if not cell.method.startswith("auto"):
        return estimator.predict_distribution(X), ""
    report = estimator.finetune_report_
    chosen = "not tried" if "reason" in report else str(report["candidate"][report["chosen"]][0])
    if chosen == "baseline":
        chosen = type(estimator.baseline_).__name__
    return estimator.predict_distribution(X), chosen


def training_once():
    """In place of the guard's training: later fits to the same rows have what the first trained."""
    train, trained = _guard.train_folds, []

    def train_folds(*args):
        if not trained:
            trained.extend(train(*args))
        return copy.deepcopy(trained)

    return train_folds


def fit_and_charge(keys, source, checkpoint):
    """Lines of the file of results: methods that share a draw and what they train on it."""
    lines = []
    with patch.object(_guard, "train_folds", training_once()):
        for cell, stamp in keys:
            X, charge, bayes = draw(source, cell)
            began, is_bayes = time.process_time(), cell.method == "bayes"
            law, chosen = (bayes, "") if is_bayes else law_and_choice(cell, X, checkpoint)
            seconds = time.process_time() - began
            costs = costs_by_ratio([law], X, CHARGED, **charge)[:, 0].tolist()
            results = {"stamp": stamp, "costs": costs, "chosen": chosen, "seconds": seconds}
            lines.append({**cell._asdict(), **results})
    return lines


def shared_draws(keys):
    """Keys in lists of those that are fitted together; fewest rows first."""
    groups = defaultdict(list)
    for cell, stamp in sorted(keys, key=lambda key: key[0].N):
        together = "auto" if cell.method.startswith("auto") else cell.method
        groups[cell._replace(method=together)].append((cell, stamp))
    return list(groups.values())


# ------------------------------------------------------------------ all fits, kept in a file


def read_lines(text):
    """Records of a file of results; a line that an interrupted run has cut off does not count."""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def read_results(path, redo):
    """Lines of a file of results by cell and stamp; those of methods to fit again are deleted."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    records = read_lines(text)
    if redo:
        records = [record for record in records if record["method"] not in redo]
        text = "".join(json.dumps(record) + "\n" for record in records)
        path.write_text(text, encoding="utf-8")
    if text and not text.endswith("\n"):
        path.write_text(text + "\n", encoding="utf-8")
    kept = [] if "scratch" in redo else read_lines(SCRATCH.read_text(encoding="utf-8"))
    return {_key(record): record for record in [*kept, *records]}


def _key(record):
    return Cell(*(record[name] for name in Cell._fields)), record["stamp"]


def stamp_of(method, source, checkpoint):
    """Changes with whatever else a result depends on."""
    by_pretraining = method in BY_PRETRAINING
    weights = checkpoint.fingerprint() if by_pretraining else str(checkpoint.card["network"])
    law = repr(source) if isinstance(source, PortfolioLaw) else ""
    return hashlib.sha256((weights + law).encode()).hexdigest()[:10]


def run(cells, sources, checkpoints, options):
    """Results by case, N, n and tau, then by method and seed; fits what is not there yet."""
    options.cache.mkdir(parents=True, exist_ok=True)
    path = options.cache / f"transfer-{options.part}.jsonl"
    records = read_results(path, options.redo)
    given = {case: (source, checkpoints[case]) for case, source in sources.items()}
    stamps = {
        (case, method): stamp_of(method, *given[case])
        for case, method in product(given, METHODS[options.part])
    }
    keys = [(cell, stamps[cell.case, cell.method]) for cell in cells]
    missing = shared_draws(key for key in keys if key not in records)
    tasks = (joblib.delayed(fit_and_charge)(group, *given[group[0][0].case]) for group in missing)
    done = joblib.Parallel(options.jobs, return_as="generator_unordered")(tasks)
    for lines in tqdm(done, total=len(missing), unit="draw", disable=not missing):
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        records.update((_key(line), line) for line in lines)
    results = defaultdict(lambda: defaultdict(dict))
    for key in keys:
        cell = key[0]
        results[cell[:4]][cell.method][cell.seed] = records[key]
    return results


# ------------------------------------------------------------------ statistics


def costs_of(by_method, method, tau=None):
    """Costs of a method, one a draw; at the ratio it was fitted at if no other is given."""
    records = [record for _, record in sorted(by_method[method].items())]
    return np.array([record["costs"][CHARGED.index(tau or record["tau"])] for record in records])


def above(costs, reference):
    """How much costs are above others on average, in percent, with half the interval."""
    value, half = ratio_of_few(costs, reference)
    return 100 * (value - 1), 100 * half


def choices(records):
    """How often the guard chose what."""
    chosen = [record["chosen"] for record in records.values()]
    return ", ".join(f"{name} {chosen.count(name)}" for name in sorted(set(chosen)) if name)


# ------------------------------------------------------------------ whichever is more favourable


def favourable(options):
    """Cases with laws that are known; tables, CSV and figure."""
    sources = {case: read_truth(case) for case in options.cases}
    checkpoints = {case: pretrained_checkpoint(case, options) for case in options.cases}
    methods = options.methods or METHODS["favourable"]
    cells = [
        Cell(case, N, n, TAU, seed, method)
        for case, N, n in product(options.cases, options.sizes or SIZES, options.widths)
        for seed in seeds_of(DRAWS.get(N, 5), options)
        for method in methods
    ]
    results = run(cells, sources, checkpoints, options)
    for method in ("auto", "auto+baselines"):
        if {"bayes", "pretrained", "scratch", method} <= set(methods):
            print_dominance(results, method)
    if {"auto", "pretrained", "bayes"} <= set(methods):
        print_economies(results)
        print_other_levels(results, "auto")
    if options.figure:
        draw_curves(options.figure, results)
    return results


def print_dominance(results, method):
    """Cost over the smaller of pretrained and scratch, and what the guard chose."""
    print(f"\n{method}: cost above exact Bayes, %, and over the better of pretrained and scratch")
    titles = ("pretrained", "scratch", method)
    print(f"{'':26}" + "".join(f"{title:>16}" for title in titles) + f"{'over better':>18}  chosen")
    largest = defaultdict(float)
    for (case, N, n, _), by_method in results.items():
        costs = {name: costs_of(by_method, name) for name in ("bayes", *titles)}
        better = min((costs["pretrained"], costs["scratch"]), key=np.mean)
        value, half = ratio_of_few(costs[method], better)
        largest[N] = max(largest[N], value)
        excess = [above(costs[name], costs["bayes"]) for name in titles]
        row = "".join(f"{mean:8.2f} +- {width:4.2f}" for mean, width in excess)
        flag = " " if value <= ALLOWED.get(N, 1.01) else "!"
        print(
            f"{case:12} N={N:<5} n={n:<3} {row} {value:8.4f} +- {half:.4f}{flag} "
            f"{choices(by_method[method])}"
        )
    for N, value in largest.items():
        most = ALLOWED.get(N, 1.01)
        verdict(f"N={N}: largest ratio {value:.4f}, at most {most:g} asked", value <= most)


def print_economies(results):
    """Gain over the frozen network against log N, the most there is to gain, and the share."""
    print("\neconomies of scale (auto, without baselines): gain over pretrained, %")
    for case, n in dict.fromkeys((case, n) for case, _, n, _ in results):
        if case == "right":
            continue
        sizes = [N for other, N, m, _ in results if (other, m) == (case, n)]
        costs = {
            N: [costs_of(results[case, N, n, TAU], m) for m in ("pretrained", "auto", "bayes")]
            for N in sizes
        }
        gains = {N: 100 - 100 * tuned / frozen for N, (frozen, tuned, _) in costs.items()}
        most = {N: 100 - 100 * bayes / frozen for N, (frozen, _, bayes) in costs.items()}
        slope, half = print_against_size(f"{case} n={n}:", gains)
        if len(sizes) > 1:
            verdict("  slope above 0 asked", slope - half > 0)
        print_against_size("  exact Bayes':", most)
        print_against_size("  % of that:", {N: 100 * gains[N] / most[N] for N in sizes})
        print_removed(results[case, max(sizes), n, TAU], max(sizes))


def print_against_size(title, values):
    """Means of values of draws, one a size, and their slope in log N with its half width."""
    row = "".join(f"  N={N} {value.mean():.2f}" for N, value in values.items())
    slope = half = np.nan
    if len(values) > 1:
        slope, half = slope_of_few(np.log(list(values)), list(values.values()))
        row += f"  slope {slope:.2f} +- {half:.2f} a unit of log N"
    print(f"{title}{row}")
    return slope, half


def slope_of_few(x, groups):
    """Slope of groups' means on x, with half of its 95 % interval.

    Draws of one group have nothing to do with those of another, and there may be more of them
    (Welch and Satterthwaite's degrees of freedom).
    """
    away = x - x.mean()
    weights = away / (away**2).sum()
    parts = weights**2 * [values.var(ddof=1) / len(values) for values in groups]
    freedom = [len(values) - 1 for values in groups]
    freedom = parts.sum() ** 2 / (parts**2 / freedom).sum()
    slope = weights @ [values.mean() for values in groups]
    return slope, stats.t.ppf(0.975, freedom) * np.sqrt(parts.sum())


def print_removed(by_method, N):
    """Share of the frozen network's excess over exact Bayes that finetuning removes."""
    frozen, tuned, bayes = (costs_of(by_method, m) for m in ("pretrained", "auto", "bayes"))
    share, half = ratio_of_few(frozen - tuned, frozen - bayes)
    text = f"  N={N}: {share:.2f} +- {half:.2f} of the excess removed, at least 0.5 at N=3000 asked"
    verdict(text, share >= 0.5)


def draw_curves(path, results):
    """Save a figure: cost above exact Bayes against N; a row of panels an n, a column a case."""
    import matplotlib.pyplot as plt

    cases = list(dict.fromkeys(case for case, *_ in results))
    widths = list(dict.fromkeys(n for _, _, n, _ in results))
    size = (1 + 3.2 * len(cases), 0.8 + 2.6 * len(widths))
    figure, axes = plt.subplots(len(widths), len(cases), figsize=size, sharex=True, squeeze=False)
    for (row, n), (column, case) in product(enumerate(widths), enumerate(cases)):
        ax = axes[row, column]
        sizes = [N for other, N, m, _ in results if (other, m) == (case, n)]
        for method in [
            m for m in METHODS["favourable"][1:] if m in results[cases[0], sizes[0], n, TAU]
        ]:
            groups = [results[case, N, n, TAU] for N in sizes]
            points = [above(costs_of(g, method), costs_of(g, "bayes")) for g in groups]
            values, half = np.transpose(points)
            ax.errorbar(sizes, values, yerr=half, marker="o", ms=4, capsize=2, label=method)
        ax.axhline(0, color="black", linewidth=0.8)
        ax.set(xscale="log", title=f"{case}, n={n}")
        ax.set_xticks(sizes, sizes)
        ax.minorticks_off()
        ax.grid(alpha=0.3)
    axes[0, 0].legend(fontsize=8)
    figure.supxlabel("rows, N")
    figure.supylabel("cost above exact Bayes, %")
    figure.tight_layout()
    figure.savefig(path, dpi=150)


# ------------------------------------------------------------------ the shipped checkpoint


def real(options):
    """Real tables at N = 500."""
    sources = {Path(path).name: read_table(path, options) for path in options.tables}
    checkpoints = dict.fromkeys(sources, Checkpoint.load(options.checkpoint))
    seeds, methods = seeds_of(options.draws, options), METHODS["real"]
    cells = [
        Cell(*cell)
        for cell in product(
            sources, options.sizes or (500,), (3, 5, 10), (0.5, 0.9, 0.95), seeds, methods
        )
    ]
    results = run(cells, sources, checkpoints, options)
    for method in methods[1:]:
        print(f"\n{method}: cost above zero-shot, %")
        values = []
        for (case, _, n, tau), by_method in results.items():
            value, half = above(costs_of(by_method, method), costs_of(by_method, "pretrained"))
            values.append(value)
            chosen = choices(by_method[method])
            print(f"{case} n={n:<3} tau={tau:<5g} {value:7.2f} +- {half:.2f}  {chosen}")
        text = f"largest {max(values):+.2f} %, at most {REAL_MOST} asked"
        verdict(text, max(values) <= REAL_MOST)
        verdict(f"mean {np.mean(values):+.2f} %, below 0 asked", np.mean(values) < 0)
        print_other_levels({k: v for k, v in results.items() if k[3] == TAU}, method)
    return results


def other_levels(options):
    """Finetuned at 0.9, charged at other ratios; laws of decision_quality.py at N = 1000."""
    sources = {repr(law): law for law in [*LAWS, *map(read_truth, CASES[1:])]}
    checkpoints = dict.fromkeys(sources, Checkpoint.load(options.checkpoint))
    methods = METHODS["other-levels"]
    seeds = seeds_of(3, options)
    sizes = options.sizes or (1000,)
    cells = [Cell(*c) for c in product(sources, sizes, options.widths, (TAU,), seeds, methods)]
    results = run(cells, sources, checkpoints, options)
    for method in methods[1:]:
        print_other_levels(results, method)
    return results


def print_other_levels(results, method):
    """Cost at ratios that were not finetuned at above that of pretrained."""
    print(f"\n{method}, finetuned at {TAU}: cost above zero-shot, %, at other ratios")
    print(" " * 56 + "".join(f"{f'tau={tau:g}':>16}" for tau in CHARGED))
    largest = defaultdict(lambda: -np.inf)
    for (case, N, n, _), by_method in results.items():
        row = ""
        for tau in CHARGED:
            frozen = costs_of(by_method, "pretrained", tau)
            value, half = above(costs_of(by_method, method, tau), frozen)
            largest[tau] = max(largest[tau], value)
            row += f"{value:8.2f} +- {half:4.2f}"
        print(f"{case:38} N={N:<5} n={n:<3} {row}  {choices(by_method[method])}")
    for tau, value in largest.items():
        if tau == TAU:
            continue
        text = f"tau={tau:g}: largest {value:+.2f} %, at most {OTHER_LEVELS_MOST} asked"
        verdict(text, value <= OTHER_LEVELS_MOST)


# ------------------------------------------------------------------ time, memory, grid search


def timed_fit(case, N, checkpoint):
    """Seconds of fit and decide, by the clock and of CPU, peak memory in GB, what was chosen."""
    X = read_truth(case).sample(N, 10, random_state=0).observations
    estimator = network(checkpoint).set_params(
        problem=Newsvendor.from_service_level(TAU), finetune="auto", random_state=0
    )
    clocks = (time.perf_counter, time.process_time)
    began = [clock() for clock in clocks]
    estimator.fit(X).decide(X)
    seconds, cpu = (clock() - start for clock, start in zip(clocks, began, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    report = estimator.finetune_report_
    return seconds, cpu, peak, str(report["candidate"][report["chosen"]][0])


def cost(options):
    """Seconds and peak memory, each in a fresh process."""
    limits = {200: (10, "s"), 1000: (30, "s"), 100_000: (2, "GB")}
    for N, case in product(options.sizes or limits, CASES[1:]):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            done = fresh.submit(timed_fit, case, N, options.checkpoint)
            seconds, cpu, peak, chosen = done.result()
        most, unit = limits[N]
        text = f"{case} N={N:,} n=10: {seconds:.1f} s ({cpu:.1f} s of CPU), peak {peak:.2f} GB"
        met = (seconds if unit == "s" else peak) < most
        verdict(f"{text}, {chosen}; under {most} {unit} asked", met)


def grid(options):
    """A grid of 6 settings and 3 folds at N = 300: minutes, and how often weights are read."""
    X = read_truth("wrong-noise").sample(300, 10, random_state=0).observations
    strategies = [HeadFinetune(), LoRAFinetune(), FullFinetune()]
    settings = {"finetune": strategies, "finetune__lr": [3e-4, 1e-3]}
    began = time.perf_counter()
    with patch.object(_checkpoint, "load", wraps=_checkpoint.load) as reads:
        estimator = network(options.checkpoint).set_params(
            problem=Newsvendor.from_service_level(TAU), random_state=0
        )
        search = GridSearchCV(estimator, settings, cv=3, n_jobs=options.jobs, error_score="raise")
        search.fit(X)
    minutes = (time.perf_counter() - began) / 60
    print(f"best {search.best_params_}: saving over SAA {search.best_score_:.1%}")
    verdict(f"weights read {reads.call_count} times, once asked", reads.call_count == 1)
    verdict(f"{minutes:.1f} minutes, under 5 asked", minutes < 5)


# ------------------------------------------------------------------ the command


def seeds_of(n_seeds, options):
    """Seeds of a cell."""
    n_seeds = min(n_seeds, options.seeds or n_seeds)
    return range(options.first_seed, options.first_seed + n_seeds)


def csv_lines(results):
    """A line for every cell, ratio charged and method."""
    for key, by_method in results.items():
        cell = dict(zip(("case", "N", "n", "tau"), key, strict=True))
        for method, charged in product(by_method, CHARGED):
            costs = costs_of(by_method, method, charged)
            value, half = above(costs, costs_of(by_method, "pretrained", charged))
            yield cell | {
                "charged_at": charged,
                "method": method,
                "draws": len(costs),
                "mean_cost": f"{costs.mean():.6g}",
                "above_pretrained_percent": f"{value:.3f}",
                "half_width": f"{half:.3f}",
                "chosen": choices(by_method[method]),
            }


def main():
    parts = {f.__name__.replace("_", "-"): f for f in (favourable, real, other_levels, cost, grid)}
    parser = make_parser(__doc__.splitlines()[0])
    add_table_options(parser, "*")
    parser.set_defaults(draws=5)
    parser.add_argument("--part", choices=parts, default="favourable")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--sizes", nargs="+", type=int, help="N, other than the part's")
    parser.add_argument("--widths", nargs="+", type=int, default=WIDTHS, help="n")
    parser.add_argument("--seeds", type=int, help="most draws of a cell")
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS["favourable"], help="of favourable; default: all"
    )
    parser.add_argument("--steps", type=int, help="of pretraining, other than the recipes'")
    parser.add_argument("--cache", type=Path, default=HERE / ".cache", help="directory")
    parser.add_argument("--redo", nargs="+", default=(), help="methods to fit again")
    options = parser.parse_args()
    if (options.part == "real") != bool(options.tables):
        parser.error("--part real needs tables, and nothing else takes any")
    results = parts[options.part](options)
    if results:
        records = [r for g in results.values() for by_seed in g.values() for r in by_seed.values()]
        minutes = sum(record["seconds"] for record in records) / 60
        print(f"\n{len(records)} fits, {minutes:.0f} minutes of one core in all")
        if options.csv:
            write_csv(options.csv, list(csv_lines(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
