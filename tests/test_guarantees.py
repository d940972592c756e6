"""Each guarantee is taken out of a copy of the code: the test that is named here must then fail.

The code that keeps a guarantee carries its name in a marker (tests/support/mutations.py), and the test is found by its
name, so both may move. `make prove` runs the mutated copies; that the table, the markers and the tests fit together is
among the quick tests.
"""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.mutations import (
    Marker,
    Mutation,
    always,
    becomes,
    deleted,
    followed_by,
    markers,
    mutated,
    never,
    node_ids,
    places,
    preceded_by,
    product,
    replaced,
)

_BESIDE_THE_PRODUCT = ("tests", "localstack", "docs")
_HANGS_AFTER_SECONDS = 900
_FAILED = 1  # pytest's exit status: tests ran, and some failed


@dataclass(frozen=True)
class Guarantee:
    """What is promised, as its marker says; what is done to the code behind the marker; the test that must miss it."""

    name: str
    mutation: Mutation
    test: str

    def __str__(self) -> str:
        return self.name


GUARANTEES = (
    Guarantee(
        "only rejected entries are sent again",
        always,
        "test_only_the_rejected_lane_is_sent_again_and_the_others_go_on",
    ),
    Guarantee(
        "what was refused stays before what is behind it",
        followed_by("lane.waiting.rotate(-len(parcel.records))"),
        "test_order_holds_through_partial_failures",
    ),
    Guarantee(
        "an aggregate that landed beside its shard is not acknowledged",
        always,
        "test_what_lands_beside_its_shard_is_sent_again_and_the_children_open_after_it",
    ),
    Guarantee(
        "nothing of a lane goes while an aggregate of it is in doubt",
        replaced(" or lane.in_doubt", ""),
        "test_nothing_goes_while_the_shards_that_answered_are_unknown",
    ),
    Guarantee(
        "nothing is sent by the map of a stream that went away",
        replaced("self._is_map_stale = ", ""),
        "test_a_stream_that_is_made_anew_with_other_shards_gets_nothing_by_the_old_map",
    ),
    Guarantee(
        "nothing is sent by a map that was not asked for in a while",
        becomes("float('inf')"),
        "test_and_one_made_anew_while_there_was_nothing_to_send",
    ),
    Guarantee(
        "a proxy's page does not end the publisher",
        becomes("OSError"),
        "test_credentials_or_a_network_that_are_away_for_a_while_cost_nothing",
    ),
    Guarantee(
        "a record that Kinesis refuses fails alone",
        never,
        "test_what_kinesis_alone_finds_wrong_is_found_by_halving_and_fails_with_its_words",
    ),
    Guarantee(
        "a shard is asked for no more than its quota",
        deleted,
        "test_nearly_all_of_a_streams_quota_is_used_and_hardly_an_entry_is_throttled",
    ),
    Guarantee(
        "what is acknowledged was acknowledged by Kinesis",
        replaced(
            "[None] * (len(parcels) - len(results))",
            "[results[0] | {'ShardId': one.lane.shard.shard_id} for one in parcels[len(results) :]]",
        ),
        "test_fewer_results_than_entries_acknowledge_nothing_more",
    ),
    Guarantee(
        "a checkpoint follows its effect",
        preceded_by("if batch.records:\n    self._note(Progress(batch.records[-1].sequence_number))"),
        "test_a_checkpoint_is_never_written_before_its_effect",
    ),
    Guarantee(
        "progress waits for Kinesis' acknowledgement",
        never,
        "test_progress_never_runs_ahead_of_an_acknowledgement",
    ),
    Guarantee(
        "keys run side by side, and one key's records one after the other",
        replaced("one.key", "str(one.record.sequence_number)"),
        "test_a_key_is_never_handled_by_two_at_once_and_keeps_its_order",
    ),
    Guarantee(
        "a broken world makes no record a dead letter",
        always,
        "test_a_broken_world_is_no_attempt_however_long_it_lasts",
    ),
    Guarantee(
        "a poison record alone is set apart",
        never,
        "test_a_poison_record_inside_an_aggregate_alone_is_a_dead_letter",
    ),
    Guarantee(
        "what is done behind a failed record is not done again",
        replaced(" if _place(record) not in known", ""),
        "test_what_is_done_behind_the_prefix_is_not_done_again",
    ),
    Guarantee(
        "an outcome is remembered before it is told",
        becomes("follows.data"),
        "test_hearing_again_repeats_no_effect_and_publishes_the_very_same_event",
    ),
    Guarantee(
        "the rest of a half processed aggregate is still to come",
        replaced("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"),
        "test_polling_resumes_inside_an_aggregate",
    ),
    Guarantee(
        "an aggregate's checksum is checked",
        never,
        "test_what_is_no_whole_aggregate_stays_as_it_is_and_nothing_is_printed",
    ),
    Guarantee(
        "an aggregate whose keys are no text stays whole",
        never,
        "test_any_bytes_behind_the_magic_are_an_aggregate_with_keys_of_text_or_none",
    ),
    Guarantee(
        "a moment of an event is one in UTC",
        replaced("require_utc(self.ready_at, 'ready_at')", "self.ready_at"),
        "test_every_moment_of_every_event_is_read_in_utc",
    ),
    Guarantee(
        "what is nested too deep for a reader is kept as text",
        never,
        "test_a_field_that_is_nested_deep_is_kept_and_can_be_read_again",
    ),
    Guarantee(
        "a number beyond float is kept as text",
        becomes("number"),
        "test_an_unknown_field_is_kept_as_what_it_says",
    ),
    Guarantee(
        "unprocessed keys are not asked for without end",
        replaced("in_vain == _MAX_EMPTY_READS", "in_vain == 10 * _MAX_EMPTY_READS"),
        "test_a_table_that_answers_nothing_is_left_to_the_engine",
    ),
    Guarantee(
        "an outcome that names another order is none",
        always,
        "test_two_orders_under_one_event_id_have_an_effect_and_an_outcome_each",
    ),
    Guarantee(
        "the second order of an event id has an outcome of its own",
        always,
        "test_and_hearing_them_again_repeats_neither",
    ),
    Guarantee(
        "a record without a partition key is read",
        becomes("_AnyAnswer(_decoder.decode(body).records, 0)"),
        "test_a_record_without_a_partition_key_is_a_record",
    ),
    Guarantee(
        "records without a partition key keep their order's order, side by side with other orders",
        never,
        "test_orders_are_handled_side_by_side_and_told_each_in_order",
    ),
    Guarantee(
        "letters without a partition key are redriven in their order's order",
        becomes("letter.key"),
        "test_letters_of_records_without_a_partition_key_are_redriven_each_order_in_its_order",
    ),
    Guarantee(
        "a bad iterator is not asked with again and again",
        replaced(" and failures == 1", ""),
        "test_iterators_that_expire_at_once_are_no_busy_loop",
    ),
    Guarantee(
        "a shard that only seems to have ended is read to its end",
        replaced("polling.batches(self.position)", "()"),
        "test_a_closed_shard_whose_connection_breaks_early_is_still_read_to_its_end",
    ),
    Guarantee(
        "a lease is written only by the worker that saw its last counter",
        becomes("condition.replace('leaseCounter = :seen', ':seen = :seen')"),
        "test_a_lease_that_was_taken_can_neither_be_renewed_nor_checkpointed",
    ),
    Guarantee(
        "rebalancing repeats no effect",
        followed_by("take += ask_for\nask_for = []"),
        "test_rebalancing_hands_over_and_repeats_no_effect",
    ),
    Guarantee(
        "the log is compared before a commit",
        never,
        "test_a_zombie_that_sleeps_at_any_call_through_its_successors_life",
    ),
    Guarantee(
        "a commit that may be in flight is fenced",
        never,
        "test_a_zombie_that_wakes_between_its_successors_opening_and_its_commit",
    ),
    Guarantee(
        "a dead letter is claimed before it is given again",
        becomes("replace(stored, letter=claimed)"),
        "test_two_at_once_repeat_no_effect",
    ),
    Guarantee(
        "a dead letter is removed after its effect",
        preceded_by("for one, _ in claimed:\n    self._letters.remove(one.letter.key)"),
        "test_killed_at_any_call_the_next_redrive_ends_it",
    ),
    Guarantee(
        "no letter is redriven after a canary that failed",
        never,
        "test_one_canary_that_fails_keeps_the_rest_as_they_are",
    ),
    Guarantee(
        "an order's letters are redriven one after the other",
        replaced(" in self._failed_keys", " in ()"),
        "test_what_lies_behind_a_failed_letter_of_its_order_is_held_back",
    ),
    Guarantee(
        "a late row comes with a transaction of its own",
        replaced("entries", "{}"),
        "test_two_at_once_add_each_row_once",
    ),
    Guarantee(
        "a reader sees every event once, before its day is compacted too",
        always,
        "test_every_event_is_read_once_by_every_route",
    ),
    Guarantee(
        "a repeat of a compacted day is found, however far the day",
        becomes("frozenset(self._fresh)"),
        "test_a_repeat_past_midnight_is_found_beside_a_compacted_day",
    ),
    Guarantee(
        "a repeat changes no order",
        becomes("'records'"),
        "test_a_repeated_event_counts_once_and_the_first_to_arrive_is_the_one",
    ),
    Guarantee(
        "two orders under one event id are two events",
        becomes("event_id"),
        "test_two_orders_under_one_event_id_are_two_events",
    ),
    Guarantee(
        "no event is in two compacted files",
        never,
        "test_a_kill_between_two_days_of_a_compaction_leaves_the_answer",
    ),
    Guarantee(
        "of two compactions at once, of whatever days, the log takes one",
        replaced(", COMPACTIONS: turn", ""),
        "test_of_two_compactions_at_once_neither_leaves_a_copy_beside_the_other",
    ),
    Guarantee(
        "a time without a zone is refused",
        never,
        "test_a_time_that_names_no_moment_is_refused_with_the_fix",
    ),
    Guarantee(
        "a window opens the files of its days only",
        replaced("first <= file.day <= last", "first <= last"),
        "test_other_days_files_are_not_opened",
    ),
    Guarantee(
        "a compaction replaces what it has read, and nothing newer",
        replaced("snapshot", "log.snapshot()"),
        "test_whoever_writes_at_any_moment_of_a_compaction_loses_nothing",
    ),
    Guarantee(
        "a commit does not look through the whole log",
        deleted,
        "test_a_commit_leaves_old_commits_to_the_keeper",
    ),
    Guarantee(
        "a checkpoint goes only while a newer one is there",
        never,
        "test_while_the_newest_is_in_doubt_all_stay",
    ),
    Guarantee(
        "a day that cannot be compacted stops no other care",
        becomes("LookupError"),
        "test_a_day_that_cannot_be_compacted_stops_no_other_care",
    ),
    Guarantee(
        "vacuum keeps what it says, or says that it cannot",
        never,
        "test_a_retention_that_the_log_cannot_tell_is_refused",
    ),
    Guarantee(
        "a backfill brings no event that the lake has",
        replaced("pc.invert(pc.is_in(ids, value_set=there))", "pc.is_valid(ids)"),
        "test_what_the_archiver_brought_is_left_out",
    ),
    Guarantee(
        "a record that an archiver may still bring is no late row",
        never,
        "test_an_archiver_that_brings_the_very_record_meanwhile",
    ),
    Guarantee(
        "a record that an archiver has brought is no late row",
        replaced(" if late.where not in there", ""),
        "test_a_record_that_the_archiver_has_brought_itself_is_not_added",
    ),
    Guarantee(
        "a simulated restaurant that died gives the same answer again",
        replaced(" + 1)", " + max(0.0, self._free_at[0] - at))"),
        "test_the_answer_to_a_ticket_is_the_same_whenever_it_is_taken",
    ),
    Guarantee(
        "no injected fault loses an event",
        becomes("[made, *others]"),
        "test_all_at_once_lose_nothing_and_come_in_order_of_time",
    ),
    Guarantee(
        "another restaurant moves no order between the others",
        replaced("places[", "np.arange(len(places), 0, -1).astype(np.uint64)["),
        "test_another_restaurant_gets_orders_from_all_and_moves_none_between_them",
    ),
    Guarantee(
        "a history is audited event by event",
        never,
        "test_a_line_that_is_missing_is_lost",
    ),
    Guarantee(
        "a token's signature is checked",
        never,
        "test_a_token_of_another_key_is_401",
    ),
    Guarantee(
        "a restaurant touches only its own orders",
        never,
        "test_another_restaurant_cannot_touch_an_order",
    ),
    Guarantee(
        "a commit outlasts the lost races that Delta gives up after",
        deleted,
        "test_a_commit_outlasts_twenty_lost_races",
    ),
    Guarantee(
        "a fleet that makes the lake's table makes it once, and goes on",
        deleted,
        "test_who_makes_the_table_an_instant_after_another_finds_that_ones",
    ),
    Guarantee(
        "processes that start together do not commit together",
        becomes("self._policy"),
        "test_processes_that_start_together_commit_one_by_one",
    ),
    Guarantee(
        "no name and no address reaches the lake",
        becomes("self.prefix + text"),
        "test_names_and_addresses_are_nowhere_in_the_file",
    ),
    Guarantee(
        "no text of an unknown field reaches the lake in plain",
        replaced("lambda text: ", "lambda text: text or "),
        "test_no_object_has_a_customers_name_or_address",
    ),
    Guarantee(
        "a dead letter is sealed",
        becomes("msgspec.json.encode(_written(letter, letter.error))"),
        "test_no_object_has_a_customers_name_or_address",
    ),
    Guarantee(
        "keys are safe before rows with their tokens are seen",
        deleted,
        "test_keys_that_cannot_be_saved_keep_the_rows_out_of_sight",
    ),
    Guarantee(
        "a forgotten customer is forgotten in all pages",
        replaced("self._bucket.keys(PAGES_PREFIX)", "list(self._bucket.keys(PAGES_PREFIX))[:1]"),
        "test_whoever_is_forgotten_is_forgotten_in_all_pages_and_nobody_else",
    ),
    Guarantee(
        "an archiver that takes a shard over knows the events before",
        never,
        "test_who_takes_over_knows_what_its_predecessor_wrote",
    ),
    Guarantee(
        "a record that is dropped is accounted for",
        deleted,
        "test_every_record_is_a_row_or_dropped_or_set_apart_wherever_the_archiver_crashes",
    ),
    Guarantee(
        "Arrow is believed only where each check says yes",
        replaced("all(", "any("),
        "test_a_bad_one_is_set_apart_and_its_neighbours_are_kept",
    ),
    Guarantee(
        "a large file is whole or not there",
        becomes("self._upload_id is not None or error is None"),
        "test_an_error_on_the_way_leaves_no_object_and_no_parts",
    ),
    Guarantee(
        "what kclpy would swallow and report as done ends the daemon",
        deleted,
        "test_what_kclpy_would_swallow_ends_the_daemon",
    ),
    Guarantee(
        "under the KCL nothing is taken behind a batch that was cut short",
        deleted,
        "test_a_call_that_the_stop_cut_short_checkpoints_what_is_done_and_nothing_more_is_taken",
    ),
    Guarantee(
        "the KCL is told of no record that it has not delivered",
        becomes("position"),
        "test_a_processor_ahead_of_the_checkpoint_is_checkpointed_as_records_are_delivered",
    ),
    Guarantee(
        "nothing but the protocol reaches the KCL's daemon",
        deleted,
        "test_nothing_but_the_protocol_reaches_the_daemon",
    ),
    Guarantee(
        "Lambda is told the first record that is not done",
        replaced("undone[0]", "undone[-1]"),
        "test_a_world_broken_for_an_hour_costs_nothing",
    ),
    Guarantee(
        "an invocation answers for what it has flushed, no more",
        becomes("_behind(done, batch.records[:0])"),
        "test_a_lake_away_for_an_hour_loses_nothing",
    ),
    Guarantee(
        "an invocation flushes before it answers",
        deleted,
        "test_a_flush_that_fails_is_tried_again",
    ),
    Guarantee(
        "Lambda filters nothing where it cannot look into aggregates",
        becomes("heard is not None"),
        "test_where_lambda_cannot_look_into_aggregates_it_filters_nothing",
    ),
)


@pytest.fixture(scope="module")
def marked() -> Mapping[str, Marker]:
    return places((guarantee.name for guarantee in GUARANTEES), markers(ROOT))


def test_every_guarantee_has_its_marker_and_every_marker_its_guarantee(marked: Mapping[str, Marker]) -> None:
    assert marked.keys() == {guarantee.name for guarantee in GUARANTEES}
    assert len(marked) == len(GUARANTEES)


@pytest.mark.parametrize("guarantee", GUARANTEES, ids=str)
def test_the_mutation_fits_its_code(guarantee: Guarantee, marked: Mapping[str, Marker]) -> None:
    marker = marked[guarantee.name]
    compile(mutated((ROOT / marker.file).read_text(), marker, guarantee.mutation), str(marker), "exec")


def test_every_named_test_stands_once() -> None:
    node_ids({guarantee.test for guarantee in GUARANTEES}, ROOT)


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree once more, one for each worker of pytest-xdist."""
    to = tmp_path_factory.mktemp("copy")
    for name in (*product(ROOT), *_BESIDE_THE_PRODUCT):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, to / name)
    return to


@pytest.fixture
def without(copy: Path, guarantee: Guarantee) -> Iterator[Path]:
    """The copy without what keeps a guarantee; whole again behind the test."""
    marker = places((one.name for one in GUARANTEES), markers(copy))[guarantee.name]
    module = copy / marker.file
    source = module.read_text()
    _write(module, ast.unparse(mutated(source, marker, guarantee.mutation)))
    yield copy
    _write(module, source)


def _write(module: Path, source: str) -> None:
    """What was compiled of it goes: Python finds out by size and time, and the time has seconds only."""
    module.write_text(source)
    Path(cache_from_source(str(module))).unlink(missing_ok=True)


@pytest.mark.prove
@pytest.mark.timeout(_HANGS_AFTER_SECONDS + 60)
def test_with_their_code_none_is_missed(copy: Path) -> None:
    done = _run_tests(copy, {guarantee.test for guarantee in GUARANTEES})
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.prove
@pytest.mark.timeout(_HANGS_AFTER_SECONDS + 60)
@pytest.mark.parametrize("guarantee", GUARANTEES, ids=str)
def test_without_its_code_a_guarantee_is_missed(guarantee: Guarantee, without: Path) -> None:
    done = _run_tests(without, {guarantee.test})
    assert done.returncode == _FAILED, f"{guarantee.test} does not miss it:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
    assert "FAILED" in done.stdout, done.stdout


def _run_tests(copy: Path, names: set[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own arguments
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
            *node_ids(names, copy),
        ],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        timeout=_HANGS_AFTER_SECONDS,
        check=False,
    )
