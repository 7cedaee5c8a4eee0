"""The checks that a contract names, by Great Expectations."""

import gc
import logging
import os
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from include.contracts import Check, Contract
from include.errors import BadInput
from include.publication import Batch
from include.quality.results import Result

#: Observed values of these kinds are numbers of a whole table; others could hold values of rows.
_SAFE_OBSERVATIONS = (int, float)


#: A share of fewer rows than this says little: such a check only warns, however severe it is.
LEAST_ROWS = 50


@cache
def _library() -> Any:
    """Great Expectations, imported where it is first needed: it takes seconds."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    # While it is imported, it tells of every method that it registers.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations

    # Some 300,000 objects that stay as long as the process: without this the collector walks over all of
    # them again and again, a quarter of a second each time.
    gc.collect()
    gc.freeze()
    return great_expectations


def check(batch: Batch, tables: Sequence[Contract], address: str) -> list[Result]:
    """The checks of the contracts on the batch's staged tables.

    Parameters
    ----------
    address
        Of the warehouse, as `warehouse.url` gives it.
    """
    gx = _library()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    address = address.replace("postgresql://", "postgresql+psycopg2://")
    joint = "&" if "?" in address else "?"
    address = f"{address}{joint}options=-csearch_path%3D{batch.schema}"
    source = context.data_sources.add_postgres("warehouse", connection_string=address)
    results = []
    for contract in tables:
        asset = source.add_table_asset(contract.name, table_name=contract.table)
        suite = gx.ExpectationSuite(
            name=contract.name,
            expectations=[_expectation(contract, check) for check in contract.checks],
        )
        # By the batch itself: definitions of it and of its validation would be stored, as YAML, for nobody.
        outcome = asset.get_batch(asset.build_batch_request()).validate(
            suite, result_format={"result_format": "BASIC", "partial_unexpected_count": 0}
        )
        # Results come grouped by column; the expectation in each says which check it is.
        results += [_result(contract, item) for item in outcome.results]
    source.get_execution_engine().engine.dispose()  # its pool would keep connections open
    return results


def _expectation(contract: Contract, check: Check) -> Any:
    import great_expectations.expectations as gxe

    name = "Expect" + "".join(part.capitalize() for part in check.expect.split("_"))
    kind = getattr(gxe, name, None)
    if kind is None:
        raise BadInput(
            f"Expected a Great Expectations name in {contract.path.name}, found '{check.expect}': "
            "write it as in its documentation, without expect_."
        )
    try:
        return kind(**check.arguments, severity=check.severity)
    except Exception as error:  # the library's own validation errors have no common class
        raise BadInput(f"{contract.path.name}: {check.expect}: {error}") from None


def _kind_of(fault: str) -> str:
    """What kind of error the library or the server tells of; the rest may quote a value of a row."""
    kind = re.match(r"\((psycopg2\.[\w.]+)\) |(\w+(?:Error|Exception)): ", fault)
    return (kind[1] or kind[2]) if kind else "an error of the library"


def _result(contract: Contract, item: Any) -> Result:
    settings = item.expectation_config
    arguments = {
        key: value
        for key, value in settings.kwargs.items()
        if key not in ("batch_id", "column") and value not in (None, False)
    }
    column = settings.kwargs.get("column")
    inside = ", ".join(
        filter(None, [column, *(f"{key}={value}" for key, value in sorted(arguments.items()))])
    )
    name = f"{settings.type.removeprefix('expect_')}({inside})"
    found = item.result or {}
    observed = found.get("observed_value")
    unexpected = found.get("unexpected_count")
    fault = (item.exception_info or {}).get("exception_message")
    if fault is None:
        nested = next(iter((item.exception_info or {}).values()), None)
        fault = nested.get("exception_message") if isinstance(nested, dict) else None
    if fault:
        seen = f"the check could not run ({_kind_of(str(fault))})"
    elif unexpected is not None:
        seen = f"{unexpected} of {found.get('element_count')} rows that break it"
    else:
        seen = str(observed) if isinstance(observed, _SAFE_OBSERVATIONS) else "something else"
    severity = str(getattr(settings.severity, "value", settings.severity))
    looked_at = found.get("element_count")
    if settings.kwargs.get("mostly", 1) < 1 and looked_at is not None and looked_at < LEAST_ROWS:
        severity = "warning"
    return Result(
        table_name=contract.name,
        check_name=name,
        severity=severity,
        passed=bool(item.success),
        observed=str(observed) if isinstance(observed, _SAFE_OBSERVATIONS) else None,
        unexpected_count=unexpected,
        element_count=found.get("element_count"),
        message=f"Expected {name} in {contract.name}, found {seen}.",
    )
