"""The benches load, their floors are honest, and the page says what the last full run gave."""

from pathlib import Path

import orjson
import pytest

from benches import chart, harness, report, workload
from benches.families import FAMILIES, load
from benches.floors import WorkFloor, parse
from session_store import blocking, new_session_id
from session_store.codec import encode_body

PAGE = report.PAGE.read_text("utf-8")
RESULTS = orjson.loads(report.RESULTS.read_bytes())


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_of_benches_loads_without_peers(name: str) -> None:
    assert callable(load(name))


def test_the_page_and_its_chart_are_what_the_results_say() -> None:
    """`python -m benches.report` writes them; nobody else does."""
    assert PAGE == report.with_tables(PAGE, RESULTS)
    assert report.CHART.read_text("utf-8") == chart.chart(RESULTS["rows"])


def test_the_last_full_run_has_every_family_in_the_order_of_the_table() -> None:
    assert list(FAMILIES) == list(dict.fromkeys(row["bench"] for row in RESULTS["rows"]))


def test_what_the_work_floor_writes_is_a_log_that_holds(tmp_path: Path) -> None:
    """It leaves nothing out that the format asks for, alone or in a batch."""
    session_id = new_session_id()
    with blocking.open_store(tmp_path) as store:
        path = Path(store.path(session_id))
        path.parent.mkdir(parents=True)
        floor = WorkFloor(path, session_id)
        floor.append(("session_start", {"format": 1, "session_id": session_id}))
        floor.append_all([("run_started", {"trigger": "user"}), ("turn_end", {"turn_count": 1})])
        floor.close()
        parse(path)

        assert "INTACT" == blocking.verify(store, session_id).level
        assert 3 == blocking.restore(store, session_id).entries_count


def test_a_log_of_the_workload_restores(tmp_path: Path) -> None:
    """Written without a store, so that the benches need not wait for theirs."""
    session_id = new_session_id()
    with blocking.open_store(tmp_path) as store:
        head = workload.write_log(Path(store.path(session_id)), session_id, 200)

        assert head.position == store.head(session_id)
        assert head.seq + 1 == blocking.restore(store, session_id).entries_count


def test_the_workload_follows_from_its_seed_and_has_entries_of_about_a_kilobyte() -> None:
    entries = workload.entries(2000)
    sizes = [len(encode_body(entry)) for entry in entries]

    assert entries == workload.entries(2000)
    assert entries != workload.entries(2000, seed=1)
    assert 900 < sum(sizes) / len(sizes) < 1100


def turns(*costs: float) -> harness.Way:
    left = iter([harness.Turn(cost, [cost]) for cost in costs])
    return lambda: next(left)


GOALS = {
    "cost": (harness.Goal("", "floor", most=2), 2.0, True),
    "cost, too much": (harness.Goal("", "floor", most=1.9), 2.0, False),
    "speed": (harness.Goal("", "floor", least=0.5, by="speed"), 0.5, True),
    "speed, too little": (harness.Goal("", "floor", least=0.6, by="speed"), 0.5, False),
    "shown": (harness.Goal("", "floor"), 2.0, None),
    "the best of some": (harness.Goal("", ("slow", "floor", "gone"), most=2), 2.0, True),
    "not installed": (harness.Goal("", "gone", most=2), None, None),
}


@pytest.mark.parametrize(("goal", "value", "met"), GOALS.values(), ids=GOALS)
def test_a_ratio_compares_turns_of_the_same_round(
    goal: harness.Goal, value: float | None, met: bool | None
) -> None:
    """A machine that is twice as slow in the second round changes nothing."""
    ways = {"ours": turns(2, 4, 2), "floor": turns(1, 2, 1), "slow": turns(9, 9, 9)}
    (row,) = harness.measure(harness.Contest([goal], ways, rounds=3), "test")

    assert (value, met) == (row.value, row.met)


def test_rounds_begin_with_another_way_each_time() -> None:
    order: list[str] = []

    def way(name: str) -> harness.Way:
        return lambda: order.append(name) or harness.Turn(1, [1])

    harness.take_turns({name: way(name) for name in "abc"}, rounds=3)

    assert "abcbcacab" == "".join(order)


def test_a_bar_shows_how_much_of_its_allowance_a_row_takes() -> None:
    assert 0.5 == chart.taken({"goal": "≤ 1.8 × time of work floor", "value": 0.9})
    assert 2 == chart.taken({"goal": "≥ 4 × speed of one task", "value": 2})
