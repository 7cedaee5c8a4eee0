"""What a booster is told of each product and week ahead: levels, trends, prices, mailers, calendar.

Whatever counts units is a multiple of the product's level, so that slow and fast goods share what they
teach.
"""

import numpy as np
from numpy.typing import NDArray

from include.features.arrays import Floats, Ints
from include.features.demand_panel import HORIZON, IN_MAILER, WINDOW, Panel
from include.models.demand import smoothing


def features(panel: Panel, origin: int, rows: Ints) -> tuple[NDArray[np.float32], Floats]:
    """What is known at an origin of each product and of each week ahead.

    Returns
    -------
    table
        (len(rows) * HORIZON, features): the first week ahead of every product, then the second, ...
    level
        Units a week that predictions are multiples of, (len(rows),).
    """
    known = panel.units[rows, :origin]
    window = np.zeros((len(rows), WINDOW))
    have = min(WINDOW, origin)
    window[:, WINDOW - have :] = known[:, origin - have :]
    means = {weeks: known[:, -weeks:].mean(axis=1) for weeks in (2, 4, 8, 13, 26)}
    level = 0.3 * means[8] + 0.4 * means[13] + 0.3 * means[26] + 0.02
    kinds = panel.by_kind(panel.units[:, max(0, origin - 26) : origin])[panel.kind[rows]]
    kind_level = kinds[:, -WINDOW:].mean(axis=1) + 0.1
    per = 1.0 / level
    fixed = [
        *(window[:, -step] * per for step in (1, 2, 3, 4)),
        *(means[weeks] * per for weeks in (2, 4, 8, 13, 26)),
        known.mean(axis=1) * per,
        smoothing.smoothed(known, 0.2) * per,
        np.median(window, axis=1) * per,
        window.std(axis=1) * per,
        window.max(axis=1) * per,
        (window > 0).sum(axis=1),
        *_ages(known),
        level,
        level / kind_level,
        kinds[:, -4:].mean(axis=1) / kind_level,
        kinds.mean(axis=1) / kind_level,
        *_prices(panel, origin, rows),
        *_mailers_so_far(panel, origin, rows, level),
        panel.department[rows],
        panel.brand[rows],
    ]
    moving = _moving(panel, origin, rows, level, kind_level)
    table = np.empty((HORIZON, len(rows), len(fixed) + len(moving) + 2), dtype=np.float32)
    for place, column in enumerate(fixed):
        table[:, :, place] = column
    for place, columns in enumerate(moving, start=len(fixed)):
        table[:, :, place] = columns.T
    table[:, :, -2] = panel.holiday[origin : origin + HORIZON, None]
    table[:, :, -1] = np.arange(1, HORIZON + 1)[:, None]
    return table.reshape(HORIZON * len(rows), -1), level


def _ages(known: Floats) -> list[Floats]:
    """Weeks since the first sale and since the last one."""
    sold, weeks = known > 0, known.shape[1]
    ever = sold.any(axis=1)
    first = np.where(ever, weeks - sold.argmax(axis=1), 0)
    last = np.where(ever, sold[:, ::-1].argmax(axis=1), weeks)
    return [first.astype(np.float64), last.astype(np.float64)]


def _prices(panel: Panel, origin: int, rows: Ints) -> list[Floats]:
    """Price paid a piece, the newest price beside the window's, share of discount: 4 weeks and the window."""
    units = panel.units[rows, max(0, origin - WINDOW) : origin]
    sales = panel.sales[rows, max(0, origin - WINDOW) : origin]
    off = panel.discount[rows, max(0, origin - WINDOW) : origin]
    mean = sales.sum(axis=1) / np.maximum(units.sum(axis=1), 1e-9)
    newest = units.shape[1] - 1 - (units > 0)[:, ::-1].argmax(axis=1)
    at = np.arange(len(rows))
    price = sales[at, newest] / np.maximum(units[at, newest], 1e-9)
    shares = [
        off[:, -weeks:].sum(axis=1) / np.maximum((sales + off)[:, -weeks:].sum(axis=1), 0.01)
        for weeks in (4, WINDOW)
    ]
    return [mean, np.clip(price / np.maximum(mean, 0.01), 0, 5), *shares]


def _mailers_so_far(panel: Panel, origin: int, rows: Ints, level: Floats) -> list[Floats]:
    """How often the product was in the mailer, and how it sold with and without."""
    known, on = panel.units[rows, :origin], panel.mailer[rows, :origin] > IN_MAILER
    window = panel.mailer[rows, max(0, origin - WINDOW) : origin]
    weeks_on, weeks_off = on.sum(axis=1), (~on).sum(axis=1)
    with_ = (known * on).sum(axis=1)
    without = (known * ~on).sum(axis=1) / np.maximum(weeks_off, 1)
    newest_on = on[:, -WINDOW:]
    calm = (known[:, -WINDOW:] * ~newest_on).sum(axis=1) / np.maximum((~newest_on).sum(axis=1), 1)
    # Weeks with a mailer sell 1.8 times as much in the demo shop; two such weeks stand for what is unseen.
    lifted = (with_ + 2 * 1.8 * known.mean(axis=1)) / (weeks_on + 2)
    return [
        window[:, -1],
        window[:, -4:].mean(axis=1),
        window.mean(axis=1),
        weeks_on.astype(np.float64),
        with_ / np.maximum(weeks_on, 1) / level,
        calm / level,
        lifted / np.maximum(without, 0.05),
    ]


def _moving(
    panel: Panel, origin: int, rows: Ints, level: Floats, kind_level: Floats
) -> list[Floats]:
    """Mailers of the weeks ahead, each (len(rows), HORIZON); NaN where the plan is not known."""
    ahead = slice(origin, origin + HORIZON)
    unknown = np.arange(HORIZON) >= panel.planned
    plan, front = panel.mailer[:, ahead].copy(), panel.front[rows, ahead].copy()
    after = np.full_like(plan, np.nan)
    after[:, :-1] = plan[:, 1:]
    before = panel.mailer[rows, origin - 1 : origin + HORIZON - 1].copy()
    usual = panel.units[:, max(0, origin - WINDOW) : origin].mean(axis=1)
    others = panel.by_kind((plan > IN_MAILER) * usual[:, None])[panel.kind[rows]]
    own = (plan[rows] > IN_MAILER) * usual[rows, None]
    siblings = (others - own) / kind_level[:, None]
    found = [plan[rows], front, before, after[rows], siblings]
    for columns in found[:2] + found[4:]:
        columns[:, unknown] = np.nan
    found[2][:, 1:][:, unknown[:-1]] = np.nan
    found[3][:, :-1][:, unknown[1:]] = np.nan
    return found
