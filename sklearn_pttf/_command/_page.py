"""A backtest as one page of HTML, with its pictures in it."""

import base64
import io
from html import escape

from sklearn_pttf.inspection import BacktestDisplay
from sklearn_pttf.model_selection._backtest_result import (
    LABELS,
    as_money,
    columns_of_summary,
)

TITLE = "What orders would have cost"
STYLE = """\
body { font: 16px/1.5 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: #222 }
img { max-width: 100% }
table { border-collapse: collapse; margin: 1em 0 }
th, td { padding: .25em .8em; border-bottom: 1px solid #ccc; text-align: right }
th:first-child, td:first-child { text-align: left }
.wide { overflow-x: auto }
"""
DPI = 110
EXPLAINED = {
    "Money": "in the unit of the costs that were given, over all instances and periods.",
    "SAA": "sample average approximation, which decides for each instance from its own past alone.",
    "smoothing": "exponential smoothing of each instance, with what the errors of all tell.",
    "promised": "what a method expected its decisions to cost when it made them. "
    "achieved/promised is what they did cost over that: above 1, the method promised too much.",
    "service": "share of periods in which nothing was short.",
    "fill rate": "share of demand that was in stock when it was asked for.",
    "stock": "units of an instance left at the end of a period that is charged.",
    "bias": "what was forecast less what came, as a share of it.",
    "Intervals": "of 95 %. Those of savings, and those in the picture of totals, are of the "
    "difference from one method at the same times, so what a good week does to all does not count.",
}


def page(result, lines, summary, instances, settings):
    """The text of the page.

    Parameters
    ----------
    result : BacktestResult

    lines : list of str
        What was found.

    summary : BacktestSummary

    instances : tuple of two data frames
        Those that gain most, and those that lose most.

    settings : dict of str to str
        Options of the command.

    Returns
    -------
    str
    """
    titles = [title for title, _ in columns_of_summary(summary)]
    named = [line | {"method": LABELS.get(line["method"], line["method"])} for line in summary]
    cells = [[show(line) for _, show in columns_of_summary(summary)] for line in named]
    gain, lose = instances
    parts = [
        *(f"<p>{escape(line)}</p>" for line in lines),
        _picture(result, "both", (10.0, 4.2), "Costs over time, and what they are made of"),
        _picture(result, "saving", (7.0, 3.2), "Savings, with intervals"),
        "<h2>Methods</h2>",
        _table(titles, cells),
        f"<p>{escape(summary.note())}</p>",
        *(f"<p><strong>{name}</strong>: {escape(text)}</p>" for name, text in EXPLAINED.items()),
        *_of_instances("Instances that gain most", gain),
        *_of_instances("Instances that lose most", lose),
        "<h2>How this was computed</h2>",
        _table(["option", "value"], settings.items()),
    ]
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{TITLE}</title>\n<style>\n{STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{TITLE}</h1>\n{body}\n</body>\n</html>\n"
    )


def _of_instances(title, frame):
    if frame.empty:
        return []
    cells = [[str(label), *map(as_money, rest)] for label, *rest in frame.itertuples(index=False)]
    return [f"<h2>{title}</h2>", _table(frame.columns, cells)]


def _table(titles, cells):
    def line(tag, texts):
        return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)

    rows = [line("th", titles), *(line("td", texts) for texts in cells)]
    lines = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wide"><table>\n{lines}\n</table></div>'


def _picture(result, kind, size, what):
    """A picture that needs no other file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")  # of no window, whatever the backend
    axes = figure.subplots(1, 2 if kind == "both" else 1)
    BacktestDisplay.from_result(result, kind=kind, ax=axes)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    code = base64.b64encode(file.getvalue()).decode("ascii")
    return f'<p><img alt="{what}" src="data:image/png;base64,{code}"></p>'
