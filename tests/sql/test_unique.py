"""What must be there once: a second one stops the batch, an empty one is not a second."""

import pytest

from include import contracts, publication, warehouse
from include.quality import checks
from tests.sql.planted import DAY, fill, person


@pytest.mark.parametrize(("codes", "extra"), [((None, None, "A"), 0), (("A", None, "A"), 1)])
def test_an_offer_without_a_coupon_is_no_second_of_another(request, codes, extra):
    request.getfixturevalue("warehouse")
    contract = contracts.load("marketing", "coupon_triggers")
    run = {"as_of": DAY, "since": DAY, "run_id": "run"}
    with publication.new_batch("decisions", run) as (conn, batch):
        table = publication.stage(conn, batch, contract)
        triggers = [{"trigger_id": person(n), "customer_id": person(n)} for n in range(len(codes))]
        fill(conn, contract.name, triggers)
        warehouse.execute(conn, f"INSERT INTO {table} SELECT * FROM {contract.name}")
        for number, code in enumerate(codes):
            warehouse.execute(
                conn,
                f"UPDATE {table} SET coupon_code = %(code)s WHERE customer_id = %(id)s",
                {"code": code, "id": person(number)},
            )
        found = {result.check_name: result for result in checks._own_checks(conn, batch, contract)}
        conn.rollback()
    assert found["unique(coupon_code)"].unexpected_count == extra
    assert found["unique(coupon_code)"].passed is (extra == 0)
    assert found["unique(customer_id, campaign, period)"].passed
