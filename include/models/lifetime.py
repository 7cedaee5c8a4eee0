"""How many orders, and how much an order: the buy-till-you-die models of Fader and Hardie.

The words have their meaning in that literature, which is not marketing's:

* `frequency`: repeat purchases, so 0 for a customer who bought once;
* `recency`: time from the first purchase to the last, so 0 for a customer who bought once, and a *large*
  recency is a good sign;
* `T`: time from the first purchase to the day of observation;
* `monetary_value`: mean value of the repeat purchases.

All times are in one unit of the caller's choice (weeks here); `t` is in the same unit.
"""

from collections.abc import Callable
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, special

from include.errors import BadInput
from include.features.arrays import Floats

Objective = Callable[[Floats], tuple[float, Floats]]

#: Codes of rows are counted anew beyond this many, long before they could overflow.
_CODES = 2**40

#: From so many different rows on, a part of them finds where to start.
_LARGE = 20_000

#: A weak pull of the parameters toward their starting point keeps a sparse sample from running off;
#: 0 gives the maximum of the likelihood.
NO_PENALTY = 0.0


class BetaGeo:
    """BG/NBD: purchases come at a rate, and after each the customer may be gone for good.

    "Counting Your Customers" the Easy Way: Fader, Hardie and Lee (2005), Marketing Science 24(2).
    A customer's rate is Gamma(r, alpha), the chance to drop out after a purchase is Beta(a, b).

    Parameters
    ----------
    penalizer
        Weight of the squared log-parameters, per customer.

    Attributes
    ----------
    r_, alpha_, a_, b_
        The parameters; alpha_ in the unit of time.
    log_likelihood_
        Sum over customers at those parameters.
    """

    def __init__(self, penalizer: float = NO_PENALTY) -> None:
        self.penalizer = penalizer

    def fit(self, frequency: npt.ArrayLike, recency: npt.ArrayLike, T: npt.ArrayLike) -> Self:
        """Maximise the likelihood. Work grows with the number of different rows, not with customers.

        Parameters
        ----------
        frequency, recency, T : array-like of shape (n_customers,)

        Raises
        ------
        BadInput
            When the arrays differ in length, hold NaN, infinity or negative values, or contradict each
            other, or when nobody bought again.
        """
        x, t_x, age = _checked(frequency, recency, T)
        if not x.any():
            raise BadInput(
                "Expected customers with repeat purchases to learn from, found none: use a longer history."
            )
        # In units of the longest age, so that one starting point serves days and weeks alike.
        unit = float(age.max()) / 10 or 1.0
        rows, weight = _distinct(x, t_x / unit, age / unit)
        start = np.zeros(4)
        if len(weight) > _LARGE:
            # A part of the rows finds nearly the same place at a tenth of the price of a step.
            part = slice(None, None, 10)
            start = _minimise(self._objective(rows[:, part], weight[part]), start).x
        found = _minimise(self._objective(rows, weight), start)
        self.r_, scaled_alpha, self.a_, self.b_ = (float(v) for v in np.exp(found.x))
        self.alpha_ = scaled_alpha * unit
        self.log_likelihood_ = float(
            self.log_likelihood(rows[0], unit * rows[1], unit * rows[2]) @ weight
        )
        return self

    def _objective(self, rows: Floats, weight: Floats) -> Objective:
        """Mean negative log-likelihood over weighted rows, and its gradient, in log-parameters."""
        x, x_of = np.unique(rows[0], return_inverse=True)
        t_x, t_of = np.unique(rows[1], return_inverse=True)
        age, age_of = np.unique(rows[2], return_inverse=True)
        total = weight.sum()
        per_x = np.bincount(x_of, weights=weight)
        per_age = np.bincount(age_of, weights=weight)
        frequency = rows[0]
        repeat = frequency > 0
        # Positions of the repeaters' values, so that the heavy part skips everybody else.
        x_rep, t_rep, age_rep = frequency[repeat], t_of[repeat], age_of[repeat]
        x_rep_of, weight_rep = x_of[repeat], weight[repeat]
        sum_x_by_age = np.bincount(age_of, weights=weight * frequency)

        def evaluate(log_parameters: Floats) -> tuple[float, Floats]:
            r, alpha, a, b = np.exp(log_parameters)
            log_age, log_t = np.log(alpha + age), np.log(alpha + t_x)
            a_1 = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha)
            a_2 = (
                special.gammaln(a + b)
                + special.gammaln(b + x)
                - special.gammaln(b)
                - special.gammaln(a + b + x)
            )
            tail = b + x - 1
            with np.errstate(divide="ignore", invalid="ignore"):
                log_odds = np.where(x > 0, np.log(a) - np.log(np.where(x > 0, tail, 1.0)), 0.0)
            # log(exp(A3) + exp(A4)) = A3 + log1p(exp(A4 - A3)); a customer who bought once has no A4.
            spread = log_age[age_rep] - log_t[t_rep]
            gap = log_odds[x_rep_of] + (r + x_rep) * spread
            small = np.exp(-np.abs(gap))
            value = (
                per_x @ (a_1 + a_2)
                - r * (per_age @ log_age)
                - sum_x_by_age @ log_age
                + weight_rep @ (np.maximum(gap, 0.0) + np.log1p(small))
            )
            # Weight of "gone" among repeaters.
            share = weight_rep * np.where(gap > 0, 1.0, small) / (1 + small)
            share_x = np.bincount(x_rep_of, weights=share, minlength=len(x))
            d_r = (
                per_x @ (special.digamma(r + x) - special.digamma(r) + np.log(alpha))
                - per_age @ log_age
                + share @ spread
            )
            d_alpha = (
                total * r / alpha
                - ((r * per_age + sum_x_by_age) / (alpha + age)).sum()
                + (
                    share * (r + x_rep) * (1 / (alpha + age)[age_rep] - 1 / (alpha + t_x)[t_rep])
                ).sum()
            )
            both = special.digamma(a + b) - special.digamma(a + b + x)
            d_a = per_x @ both + share.sum() / a
            d_b = (
                per_x @ (both + special.digamma(b + x) - special.digamma(b))
                - (share_x[x > 0] / tail[x > 0]).sum()
            )
            gradient = np.array([d_r * r, d_alpha * alpha, d_a * a, d_b * b])
            penalty = self.penalizer * float(log_parameters @ log_parameters)
            return (
                -float(value) / total + penalty,
                -gradient / total + 2 * self.penalizer * log_parameters,
            )

        return evaluate

    def log_likelihood(
        self, frequency: npt.ArrayLike, recency: npt.ArrayLike, T: npt.ArrayLike
    ) -> Floats:
        """Each customer's log-likelihood at the parameters (equation 6), shape (n_customers,)."""
        x, t_x, age = _checked(frequency, recency, T)
        r, alpha, a, b = self.r_, self.alpha_, self.a_, self.b_
        return np.asarray(
            special.gammaln(r + x)
            - special.gammaln(r)
            + r * np.log(alpha)
            + special.betaln(a, b + x)
            - special.betaln(a, b)
            - (r + x) * np.log(alpha + age)
            - self._log_alive(x, t_x, age)
        )

    def _log_alive(self, x: Floats, t_x: Floats, age: Floats) -> Floats:
        """Logarithm of P(alive) of each customer."""
        r, alpha, a, b = self.r_, self.alpha_, self.a_, self.b_
        again = x > 0
        gap = np.log(a) - np.log(np.where(again, b + x - 1, 1.0))
        gap = gap + (r + x) * (np.log(alpha + age) - np.log(alpha + t_x))
        return np.where(again, -np.logaddexp(0.0, gap), 0.0)

    def probability_alive(
        self, frequency: npt.ArrayLike, recency: npt.ArrayLike, T: npt.ArrayLike
    ) -> Floats:
        """P(a customer has not dropped out by T); 1 for a customer who bought once, by construction.

        Returns
        -------
        array of shape (n_customers,)
        """
        x, t_x, age = _checked(frequency, recency, T)
        return np.exp(self._log_alive(x, t_x, age))

    def expected_purchases(
        self,
        t: float,
        frequency: npt.ArrayLike,
        recency: npt.ArrayLike,
        T: npt.ArrayLike,
    ) -> Floats:
        """Purchases expected in the next `t` units of time (equation 10 of the paper).

        The hypergeometric function is taken after Euler's transformation, where its first two
        arguments do not grow with the number of purchases, so ten thousand purchases do not overflow.

        Returns
        -------
        array of shape (n_customers,)
        """
        x, t_x, age = _checked(frequency, recency, T)
        (x_d, age_d), place = _distinct_of(x, age)
        r, alpha, b = self.r_, self.alpha_, self.b_
        # The formula is continuous at a = 1 but written with a division by a - 1.
        a = self.a_ if abs(self.a_ - 1) > 1e-6 else 1 + 1e-6
        z = t / (alpha + age_d + t)
        c = a + b + x_d - 1
        inner = special.hyp2f1(c - (r + x_d), c - (b + x_d), c, z)
        if_alive = c / (a - 1) * (1 - (1 - z) ** (a - 1) * inner)
        return np.asarray(np.maximum(if_alive[place], 0.0) * np.exp(self._log_alive(x, t_x, age)))


class GammaGamma:
    """Mean value of a purchase: Fader and Hardie (2013), "The Gamma-Gamma Model of Monetary Value".

    The value of a purchase is Gamma(p, nu), a customer's nu is Gamma(q, v).

    Parameters
    ----------
    penalizer
        Weight of the squared log-parameters, per customer.

    Attributes
    ----------
    p_, q_, v_
        The parameters; v_ in the unit of money.
    log_likelihood_
        Sum over customers at those parameters.
    """

    def __init__(self, penalizer: float = NO_PENALTY) -> None:
        self.penalizer = penalizer

    def fit(self, frequency: npt.ArrayLike, monetary_value: npt.ArrayLike) -> Self:
        """Maximise the likelihood over customers with repeat purchases of a positive value.

        Parameters
        ----------
        frequency, monetary_value : array-like of shape (n_customers,)

        Raises
        ------
        BadInput
            When the arrays differ in length, hold NaN, infinity or negative values, or when fewer than
            two customers qualify.
        """
        x, m = _same_shape(frequency=frequency, monetary_value=monetary_value)
        known = (x > 0) & (m > 0)
        if known.sum() < 2:
            raise BadInput(
                "Expected at least 2 customers with repeat purchases of a positive value, found "
                f"{int(known.sum())}: use a longer history."
            )
        x, m = x[known], m[known]
        self.mean_ = float(np.average(m, weights=x))
        unit = float(np.median(m))
        (x_d, m_d), place = _distinct_of(x, m / unit)
        weight = np.bincount(place).astype(np.float64)
        found = _minimise(self._objective(x_d, m_d, weight), np.log([2.0, 3.0, 2.0]))
        self.p_, self.q_, scaled_v = (float(v) for v in np.exp(found.x))
        self.v_ = scaled_v * unit
        self.log_likelihood_ = float(self._log_likelihood(x, m).sum())
        return self

    def _objective(self, x: Floats, m: Floats, weight: Floats) -> Objective:
        """Mean negative log-likelihood over weighted rows, and its gradient, in log-parameters."""
        log_m, log_x, total = np.log(m), np.log(x), weight.sum()

        def evaluate(log_parameters: Floats) -> tuple[float, Floats]:
            p, q, v = np.exp(log_parameters)
            px, log_sum = p * x, np.log(x * m + v)
            value = (
                special.gammaln(px + q)
                - special.gammaln(px)
                - special.gammaln(q)
                + q * np.log(v)
                + (px - 1) * log_m
                + px * log_x
                - (px + q) * log_sum
            )
            d_p = x * (special.digamma(px + q) - special.digamma(px) + log_m + log_x - log_sum)
            d_q = special.digamma(px + q) - special.digamma(q) + np.log(v) - log_sum
            d_v = q / v - (px + q) / (x * m + v)
            gradient = np.array([weight @ d_p * p, weight @ d_q * q, weight @ d_v * v])
            penalty = self.penalizer * float(log_parameters @ log_parameters)
            return (
                -float(weight @ value) / total + penalty,
                -gradient / total + 2 * self.penalizer * log_parameters,
            )

        return evaluate

    def _log_likelihood(self, x: Floats, m: Floats) -> Floats:
        p, q, v = self.p_, self.q_, self.v_
        return np.asarray(
            special.gammaln(p * x + q)
            - special.gammaln(p * x)
            - special.gammaln(q)
            + q * np.log(v)
            + (p * x - 1) * np.log(m)
            + p * x * np.log(x)
            - (p * x + q) * np.log(x * m + v)
        )

    def expected_value(self, frequency: npt.ArrayLike, monetary_value: npt.ArrayLike) -> Floats:
        """Expected mean value of a customer's purchases (equation 5 of the paper).

        A customer without repeat purchases gets the population's mean; where the fitted distribution
        has none (q <= 1), the mean of the purchases seen in fitting.

        Returns
        -------
        array of shape (n_customers,)
        """
        x, m = _same_shape(frequency=frequency, monetary_value=monetary_value)
        spread = self.p_ * x + self.q_ - 1
        known = spread > 0
        expected = self.p_ * (self.v_ + x * m) / np.where(known, spread, 1.0)
        return np.where(known, expected, self.mean_)


def _minimise(objective: Objective, start: Floats) -> optimize.OptimizeResult:
    """L-BFGS-B with the analytic gradient; the bounds only keep exp() finite."""
    found = optimize.minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-15.0, 15.0)] * len(start),
        options={"maxiter": 2000, "ftol": 1e-14, "gtol": 1e-8},
    )
    if not np.isfinite(found.fun):
        raise BadInput(
            "Expected a likelihood with a maximum, found none: check the purchase histories for "
            "constant or contradicting values."
        )
    return found


def _same_shape(**arrays: npt.ArrayLike) -> list[Floats]:
    shaped = {name: np.asarray(values, dtype=np.float64).ravel() for name, values in arrays.items()}
    sizes = {name: len(values) for name, values in shaped.items()}
    if len(set(sizes.values())) > 1:
        raise BadInput(f"Expected arrays of one length, found {sizes}.")
    for name, values in shaped.items():
        if not np.isfinite(values).all() or (values < 0).any():
            raise BadInput(
                f"Expected {name} to hold finite numbers of 0 or more, found others: leave such "
                "customers out."
            )
    return list(shaped.values())


def _checked(
    frequency: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike
) -> tuple[Floats, Floats, Floats]:
    x, t_x, age_ = _same_shape(frequency=frequency, recency=recency, T=age)
    if (t_x > age_).any():
        raise BadInput(
            "Expected recency (first to last purchase) to be at most T (first purchase to the day of "
            "observation), found customers where it is more."
        )
    return x, t_x, age_


def _distinct(x: Floats, t_x: Floats, age: Floats) -> tuple[Floats, Floats]:
    """Different rows as an array of shape (3, n_rows), and how many customers stand on each."""
    values, place = _distinct_of(x, t_x, age)
    return np.stack(values), np.bincount(place).astype(np.float64)


def _distinct_of(*columns: Floats) -> tuple[list[Floats], npt.NDArray[np.intp]]:
    """Different rows of several columns, and the row that each customer stands on.

    Each column is coded by its own values, and the codes are joined into one whole number: counting such
    numbers is many times faster than sorting rows of floats.
    """
    code = np.zeros(len(columns[0]), dtype=np.int64)
    size = 1
    for column in columns:
        position, values = pd.factorize(column)
        code = code * len(values) + position
        size *= len(values)
        if size > _CODES:
            code, distinct = pd.factorize(code)
            size = len(distinct)
    place, found = pd.factorize(code)
    first = np.empty(len(found), dtype=np.intp)
    first[place[::-1]] = np.arange(len(code) - 1, -1, -1)
    return [column[first] for column in columns], place
