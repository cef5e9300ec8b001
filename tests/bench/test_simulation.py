"""The simulation of bad days: each rule of its model, on days of some seconds."""

from dataclasses import fields, replace

import pytest

from bench.simulation import __main__ as program
from bench.simulation.cases import CASES
from bench.simulation.limits import Limits
from bench.simulation.model import HOUR, Case, Pipeline
from bench.simulation.prices import MILLION, PRICES, QUEUE_REQUESTS, archived_dollars
from functions.runtime import ATTEMPTS, READ_SECONDS
from infra.settings import Reconciliation, stage_settings

PROD = stage_settings("prod")
# Straight to one function, whose idle environments look again at once.
STAGE = PROD.model_copy(update={"batching_window_seconds": 0})
BURST = Case(name="burst", events=10_000, functions=1, origin="corrections")
OUTAGE = Case(name="outage", events=100, functions=1, origin="corrections", bad_hour={"table": 0})


def simulated(case, stage=STAGE, **settings):
    return Pipeline(case, stage.model_copy(update=settings)).run()


@pytest.mark.parametrize("concurrency", [2, 5, 10])
def test_undisturbed_functions_take_the_time_of_their_batches(concurrency):
    # WHEN a burst meets nothing but the concurrency of its function
    day = simulated(BURST, function_concurrency=concurrency)

    # THEN it takes its batches' time, and every event is received once
    assert day.right_seconds == pytest.approx(10_000 / (concurrency * 10) * 0.055, abs=0.1)
    assert (day.applied, day.dead_letters, day.most_receives) == (10_000, 0, 1)


def test_what_canvas_sends_waits_for_the_relay():
    from_canvas = replace(BURST, origin="Canvas")

    assert simulated(from_canvas, relay_concurrency=2).right_seconds == pytest.approx(10_000 / 20 * 0.05, abs=0.2)
    assert simulated(from_canvas, relay_concurrency=4).right_seconds == pytest.approx(10_000 / 40 * 0.05, abs=0.2)


def test_the_table_and_one_course_take_their_write_units_a_second():
    # GIVEN a little more concurrency than each can take
    even = simulated(replace(BURST, events=40_000), function_concurrency=25)
    hot = simulated(replace(BURST, one_course=True), function_concurrency=7)

    # THEN 4,000 and 1,000 are written each second, after what the first second has in store
    assert even.right_seconds == pytest.approx(40_000 / 4_000 - 1, abs=1.5)
    assert hot.right_seconds == pytest.approx(10_000 / 1_000 - 1, abs=1.5)


def test_the_sdk_retries_only_while_it_has_tokens():
    # GIVEN throttled writes: as deployed, without tokens, and without further attempts
    deployed, without_tokens, once = (
        simulated(replace(BURST, events=60_000, one_course=True, limits=limits), function_concurrency=10)
        for limits in (Limits(), Limits(retry_quota=0), Limits(attempts=1))
    )

    # THEN successes return enough tokens to spare every second receive, and without tokens there is no retry
    assert deployed.most_receives == 1
    assert without_tokens.most_receives > 1
    assert without_tokens.backlog == once.backlog


def test_requests_without_an_answer_hold_a_batch_until_the_tokens_are_used_up():
    # GIVEN one batch, one environment with tokens for 50 retries of timeouts, and an outage of 15 receives
    one_batch = replace(OUTAGE, events=10, limits=Limits(backoff_seconds=0))

    day = simulated(one_batch, PROD, function_concurrency=1)

    # THEN 20, 20 and 10 requests are retried, a second each time, before every receive is one second
    assert day._seconds == pytest.approx(3 + 3 + 2 + 12 * 1 + 15 * 0.015 + 0.055)


def test_failed_messages_come_before_those_that_wait():
    busy = replace(OUTAGE, events=30 * HOUR, rate=30)

    assert simulated(busy, PROD, function_concurrency=2).most_receives == -(-HOUR // PROD.visibility_seconds) + 1


def test_a_failed_message_is_hidden_for_its_visibility_timeout():
    day = simulated(OUTAGE, PROD, function_concurrency=10)

    # THEN it is written at the first multiple of that time after the outage
    first = -(-HOUR // PROD.visibility_seconds)
    assert day.most_receives == first + 1
    assert day.right_seconds == pytest.approx(first * PROD.visibility_seconds, abs=10)


def test_a_message_received_too_often_is_a_dead_letter():
    # GIVEN retries that end with the outage, and retries that outlast it by a receive
    receives = -(-HOUR // PROD.visibility_seconds)
    ends = simulated(OUTAGE, PROD, retry_hours=1, function_concurrency=10)
    lasts = simulated(OUTAGE, PROD, retry_hours=2, function_concurrency=10)

    # THEN only the first loses messages, all of them, after all receives that they have
    assert (ends.applied, ends.dead_letters, ends.most_receives) == (0, 100, receives)
    assert (lasts.applied, lasts.dead_letters) == (100, 0)


def test_the_bus_delivers_late_what_is_over_its_invocations():
    slow_bus = replace(BURST, limits=Limits(invocations=100), events=1_000)

    day = simulated(slow_bus)

    assert day.right_seconds == pytest.approx(1_000 / 100, abs=0.5)
    assert (day.applied, day.most_receives) == (1_000, 1)


def test_a_throttled_relay_delivers_later_and_loses_nothing():
    # GIVEN a bus that takes a request of ten events each second for an hour
    case = replace(BURST, origin="Canvas", events=20_000, rate=20, bad_hour={"bus": 1})

    day = simulated(case, PROD)

    # THEN publishing went on until the backlog of that hour was gone
    assert day.right_seconds > HOUR
    assert day.applied == day.published > 20 * HOUR
    assert day.dead_letters == 0


def test_functions_share_the_environments_of_the_account():
    two = replace(BURST, limits=Limits(environments=2))

    assert simulated(two).right_seconds == pytest.approx(
        simulated(BURST, function_concurrency=2).right_seconds, abs=0.2
    )


def test_no_more_messages_are_in_flight_than_sqs_allows():
    ten = replace(BURST, events=1_000, limits=Limits(in_flight=10))

    assert simulated(ten).right_seconds == pytest.approx(100 * 0.055, rel=0.5)


def test_an_event_is_billed_for_the_way_that_it_takes():
    events = BURST.events
    replayed, corrected, sent = (
        simulated(replace(BURST, origin=origin)).dollars for origin in ("archive", "corrections", "Canvas")
    )

    assert corrected - replayed == pytest.approx(archived_dollars(events))
    assert sent - corrected > events * QUEUE_REQUESTS.dollars / MILLION


def test_every_limit_has_a_source_and_ours_are_those_of_the_functions():
    assert all(limit.metadata["source"] for limit in fields(Limits))
    assert (Limits().attempts, Limits().timeout_seconds) == (ATTEMPTS, READ_SECONDS)
    (default,) = (case.rate for case in CASES if case.name == "first backfill, 300 a second")
    assert default == Reconciliation.model_fields["corrections_per_second"].default


def test_the_document_has_every_case_without_a_dead_letter():
    section = program.SCALE.read_text().partition("<!-- bad days -->")[2].partition("<!-- end of bad days -->")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| ")][1:]

    assert {name.strip(): int(dead) for name, dead in rows} == {case.name: 0 for case in CASES}


def test_the_prices_of_the_document_are_those_of_the_simulation():
    section = program.COST.read_text().partition("<!-- prices -->")[2].partition("<!-- end of prices -->")[0]
    assert [line for line in section.splitlines() if "https://" in line] == list(map(program._row, PRICES))


def test_only_what_stands_between_the_comments_is_replaced(tmp_path):
    document = tmp_path / "scale.md"
    document.write_text("before\n<!-- x -->\nold\n<!-- end of x -->\nafter\n<!-- y -->\n<!-- end of y -->\n")

    program.rewrite(document, "x", "new")

    assert "old" not in document.read_text()
    assert document.read_text().startswith("before\n<!-- x -->\nOn ")
    assert document.read_text().endswith("\n\nnew\n\n<!-- end of x -->\nafter\n<!-- y -->\n<!-- end of y -->\n")
