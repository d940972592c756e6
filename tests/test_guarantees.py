"""Each guarantee is deleted from a copy of the code: the test that is named here must then fail.

`pytest tests/test_guarantees.py -v` is the table. A guarantee whose code has moved fails too, until it is found again.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import ROOT

COPIED = ("analytics", "consumers", "events", "foundation", "producers", "takeaway", "tests", "localstack", "docs")


pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Guarantee:
    """What is promised, the code that keeps the promise, that code without it, and the test that must miss it."""

    name: str
    file: str
    code: str
    without: str
    test: str

    def __str__(self) -> str:
        return self.name


GUARANTEES = (
    Guarantee(
        "only rejected entries are sent again",
        "producers/publishing/sender.py",
        "            if result is None or not _taken(result):\n",
        "            if not all(_taken(each) for each in results) or result is None:\n",
        "tests/producers/publishing/test_sender.py::test_only_the_rejected_lane_is_sent_again_and_the_others_go_on",
    ),
    Guarantee(
        "what was refused stays before what is behind it",
        "producers/publishing/sender.py",
        "        _note_failure(parcel, _reason(result))\n",
        "        _note_failure(parcel, _reason(result))\n        lane.waiting.rotate(-len(parcel.records))\n",
        "tests/producers/publishing/test_sender.py::test_order_holds_through_partial_failures",
    ),
    Guarantee(
        "an aggregate that landed beside its shard is not acknowledged",
        "producers/publishing/sender.py",
        "        if parcel.explicit_hash_key is None:\n",
        "        if parcel:\n",
        "tests/producers/publishing/test_sender.py::test_what_lands_beside_its_shard_is_sent_again_and_the_children_open_after_it",
    ),
    Guarantee(
        "nothing of a lane goes while an aggregate of it is in doubt",
        "producers/publishing/lanes.py",
        "            if not lane.waiting or lane.in_doubt or lane.starts_at(now) > now:\n",
        "            if not lane.waiting or lane.starts_at(now) > now:\n",
        "tests/producers/publishing/test_sender.py::test_nothing_goes_while_the_shards_that_answered_are_unknown",
    ),
    Guarantee(
        "nothing is sent by the map of a stream that went away",
        "producers/publishing/sender.py",
        "        self._needs_map = self._is_map_stale = True\n",
        "        self._needs_map = True\n",
        "tests/producers/publishing/test_sender.py::test_a_stream_that_is_made_anew_with_other_shards_gets_nothing_by_the_old_map",
    ),
    Guarantee(
        "nor by one that nobody has asked for in a while",
        "producers/publishing/sender.py",
        "_STALE_AFTER = 10.0\n",
        '_STALE_AFTER = float("inf")\n',
        "tests/producers/publishing/test_sender.py::test_and_one_made_anew_while_there_was_nothing_to_send",
    ),
    Guarantee(
        "a proxy's page does not end the publisher",
        "producers/publishing/sender.py",
        "        except Exception as error:  # noqa: BLE001 - what botocore did not expect, it passes on\n",
        "        except OSError as error:\n",
        "tests/producers/publishing/test_sender.py::test_credentials_or_a_network_that_are_away_for_a_while_cost_nothing",
    ),
    Guarantee(
        "a record that Kinesis refuses fails alone",
        "producers/publishing/sender.py",
        '            if error.response.get("Error", {}).get("Code") in _REFUSALS:\n',
        '            if error.response.get("Error", {}).get("Code") in ():\n',
        "tests/producers/publishing/test_sender.py"
        "::test_what_kinesis_alone_finds_wrong_is_found_by_halving_and_fails_with_its_words",
    ),
    Guarantee(
        "a shard is asked for no more than its quota",
        "producers/publishing/quota.py",
        "        self._spent.append((counted_at, size))\n",
        "        self._spent.append((counted_at - 0.5, size))\n",
        "tests/producers/publishing/test_sender.py::test_nearly_all_of_a_streams_quota_is_used_and_hardly_an_entry_is_throttled",
    ),
    Guarantee(
        "what is acknowledged was acknowledged by Kinesis",
        "producers/publishing/put_records.py",
        "results + [None] * (len(parcels) - len(results))",
        'results + [results[0] | {"ShardId": one.lane.shard.shard_id} for one in parcels[len(results) :]]',
        "tests/producers/publishing/test_sender.py::test_fewer_results_than_entries_acknowledge_nothing_more",
    ),
    Guarantee(
        "a checkpoint follows its effect",
        "consumers/engines/feeding.py",
        "                progress = self._processor.process(batch)\n",
        "                if batch.records:\n"
        "                    self._note(Progress(batch.records[-1].sequence_number))\n"
        "                progress = self._processor.process(batch)\n",
        "tests/consumers/engines/worker/test_worker.py::test_a_checkpoint_is_never_written_before_its_effect",
    ),
    Guarantee(
        "progress waits for Kinesis' acknowledgement",
        "consumers/batching/processor.py",
        "                if one.promise is not None:\n                    one.promise.result()\n",
        "                pass\n",
        "tests/consumers/steps/test_step.py::test_progress_never_runs_ahead_of_an_acknowledgement",
    ),
    Guarantee(
        "keys run side by side, and one key's records one after the other",
        "consumers/batching/processor.py",
        "            chains.setdefault(one.record.partition_key, []).append(one)\n",
        "            chains.setdefault(str(one.record.sequence_number), []).append(one)\n",
        "tests/consumers/batching/test_processor.py::test_a_key_is_never_handled_by_two_at_once_and_keeps_its_order",
    ),
    Guarantee(
        "a broken world makes no record a dead letter",
        "consumers/batching/attempt.py",
        "        if fault in {Fault.RECORD, Fault.HANDLER}:\n",
        "        if fault in Fault:\n",
        "tests/consumers/batching/test_processor.py::test_a_broken_world_is_no_attempt_however_long_it_lasts",
    ),
    Guarantee(
        "a poison record alone is set apart",
        "consumers/batching/attempt.py",
        "if len(blamed) > 1 and self._rules.bisect_batch_on_error:",
        "if False:",
        "tests/consumers/batching/test_blocked_handlers.py::"
        "test_a_poison_record_inside_an_aggregate_alone_is_a_dead_letter",
    ),
    Guarantee(
        "what is done behind a failed record is not done again",
        "consumers/batching/processor.py",
        " if _place(record) not in known]",
        " if known]",
        "tests/consumers/batching/test_processor.py::test_what_is_done_behind_the_prefix_is_not_done_again",
    ),
    Guarantee(
        "an outcome is remembered before it is told",
        "consumers/steps/step.py",
        "return self._outcomes.remember(heard.event_id, encode(follows))",
        "return encode(follows)",
        "tests/consumers/steps/test_step.py::test_hearing_again_repeats_no_effect_and_publishes_the_very_same_event",
    ),
    Guarantee(
        "the rest of a half processed aggregate is still to come",
        "consumers/engines/worker/reading/cursor.py",
        'return Start("AT_SEQUENCE_NUMBER", number=place.number)',
        'return Start("AFTER_SEQUENCE_NUMBER", number=place.number)',
        "tests/consumers/engines/worker/reading/test_polling.py::test_it_resumes_inside_an_aggregate",
    ),
    Guarantee(
        "an aggregate's checksum is checked",
        "foundation/kinesis/deaggregation.py",
        "    if _digest(message) != data[-DIGEST_SIZE:]:\n",
        "    if len(data) < DIGEST_SIZE:\n",
        "tests/foundation/kinesis/test_deaggregation.py::test_what_is_no_whole_aggregate_stays_as_it_is_and_nothing_is_printed",
    ),
    Guarantee(
        "a bad iterator is not asked with again and again",
        "consumers/engines/worker/reading/polling.py",
        "                if not (code == _EXPIRED and failures == 1) and self._pause(code, error, failures):\n",
        "                if code != _EXPIRED and self._pause(code, error, failures):\n",
        "tests/consumers/engines/worker/reading/test_polling.py::test_iterators_that_expire_at_once_are_no_busy_loop",
    ),
    Guarantee(
        "a shard that only seems to have ended is read to its end",
        "consumers/engines/worker/reading/fan_out.py",
        "        yield from polling.batches(self.position)\n        self.end = polling.end\n",
        "        yield from ()\n        self.end = polling.end or EndOfShard()\n",
        "tests/consumers/engines/worker/reading/test_fan_out.py"
        "::test_a_closed_shard_whose_connection_breaks_early_is_still_read_to_its_end",
    ),
    Guarantee(
        "a lease is written only by who saw its last counter",
        "consumers/engines/worker/leases/table.py",
        "                ConditionExpression=condition,\n",
        "                ConditionExpression=condition.replace('leaseCounter = :seen', ':seen = :seen'),\n",
        "tests/contracts/test_leases.py::test_a_lease_that_was_taken_can_neither_be_renewed_nor_checkpointed",
    ),
    Guarantee(
        "rebalancing repeats no effect",
        "consumers/engines/worker/leases/fair_share.py",
        "    ask_for = [lease for lease in mine if lease.shard_id not in free]\n",
        "    take += [lease for lease in mine if lease.shard_id not in free]\n    ask_for: list[Lease] = []\n",
        "tests/consumers/engines/worker/test_worker.py::test_rebalancing_hands_over_and_repeats_no_effect",
    ),
    Guarantee(
        "the log is compared before a commit",
        "analytics/archiving/sink.py",
        "if version != n - 1:",
        "if version < 0:",
        "tests/analytics/archiving/test_exactly_once.py::test_a_zombie_that_sleeps_at_any_call_through_its_successors_life",
    ),
    Guarantee(
        "a commit that may be in flight is fenced",
        "analytics/archiving/holder.py",
        "                self._fence(snapshot, offsets, pending)\n",
        "                unfenced = msgspec.structs.replace(offsets, pending=None)\n"
        "                self._held = self._object.replace(self.held, unfenced)\n"
        "                return Verdict.CLEAN\n",
        "tests/analytics/archiving/test_exactly_once.py::test_a_zombie_that_wakes_between_its_successors_opening_and_its_commit",
    ),
    Guarantee(
        "a dead letter is claimed before it is given again",
        "consumers/redrive/redrive.py",
        "            return self._letters.replace(stored, claimed)\n",
        "            return replace(stored, letter=claimed)\n",
        "tests/consumers/redrive/test_redrive.py::test_two_at_once_repeat_no_effect",
    ),
    Guarantee(
        "a dead letter is removed after its effect",
        "consumers/redrive/redrive.py",
        "            given = self._give([one.letter for one, _ in claimed])\n",
        "            for one, _ in claimed:\n"
        "                self._letters.remove(one.letter.key)\n"
        "            given = self._give([one.letter for one, _ in claimed])\n",
        "tests/consumers/redrive/test_redrive.py::test_killed_at_any_call_the_next_redrive_ends_it",
    ),
    Guarantee(
        "no letter is redriven after a canary that failed",
        "consumers/redrive/redrive.py",
        "if at_once == CANARIES and (given.failed or given.held_back):",
        "if at_once < CANARIES and (given.failed or given.held_back):",
        "tests/consumers/redrive/test_redrive.py::test_one_canary_that_fails_keeps_the_rest_as_they_are",
    ),
    Guarantee(
        "an order's letters are redriven one after the other",
        "consumers/redrive/steps.py",
        "for letter in wave if letter.partition_key in self._failed_keys}",
        "for letter in wave if letter.partition_key in ()}",
        "tests/consumers/redrive/test_redrive.py::test_what_lies_behind_a_failed_letter_of_its_order_is_held_back",
    ),
    Guarantee(
        "a late row comes with a transaction of its own",
        "analytics/maintenance/late.py",
        "late.application: LogEntry(",
        "late.application + batch_id: LogEntry(",
        "tests/analytics/maintenance/test_late.py::test_two_at_once_add_each_row_once",
    ),
    Guarantee(
        "a reader sees every event once, before its day is compacted too",
        "analytics/lake.py",
        "        if not doubted:\n            return _NONE\n",
        "        return _NONE\n",
        "tests/analytics/reading/test_reading.py::test_every_event_is_read_once_by_every_route",
    ),
    Guarantee(
        "a repeat past midnight is found",
        "analytics/reading/repeats.py",
        "if fresh & _neighbourhood(file.day)]",
        "if file.day in fresh]",
        "tests/analytics/reading/test_reading.py::test_a_repeat_past_midnight_is_found_beside_a_compacted_day",
    ),
    Guarantee(
        "a window opens the files of its days only",
        "analytics/reading/live_files.py",
        "[file for file in self.all if first <= file.day <= last]",
        "[file for file in self.all if first <= last]",
        "tests/analytics/reading/test_reading.py::test_other_days_files_are_not_opened",
    ),
    Guarantee(
        "a compaction replaces what it has read, and nothing newer",
        "analytics/maintenance/commit_once.py",
        "            snapshot.commit(",
        "            log.snapshot().commit(",
        "tests/analytics/maintenance/test_compaction.py::test_whoever_writes_at_any_moment_of_a_compaction_loses_nothing",
    ),
    Guarantee(
        "a backfill brings no event that the lake has",
        "analytics/maintenance/backfill.py",
        "pc.and_(_is_first(ids), pc.invert(pc.is_in(ids, value_set=there)))",
        "pc.and_(_is_first(ids), pc.is_valid(ids))",
        "tests/analytics/maintenance/test_backfill.py::test_what_the_archiver_brought_is_left_out",
    ),
    Guarantee(
        "a record that an archiver may still bring is no late row",
        "analytics/maintenance/late.py",
        "elif hi is None or late.place > hi:",
        "elif hi is None:",
        "tests/analytics/maintenance/test_late.py::test_an_archiver_that_brings_the_very_record_meanwhile",
    ),
    Guarantee(
        "a record that an archiver has brought is no late row",
        "analytics/maintenance/late.py",
        "if late.where not in there}",
        "if late.where}",
        "tests/analytics/maintenance/test_late.py::test_a_record_that_the_archiver_has_brought_itself_is_not_added",
    ),
    Guarantee(
        "a simulated restaurant that died gives the same answer again",
        "producers/load/market/kitchen.py",
        "promise = _in_fives(dice.gauss(1, 0.15) * self._of.mean_cooking + 1)",
        "promise = _in_fives(dice.gauss(1, 0.15) * self._of.mean_cooking + max(0.0, self._free_at[0] - at))",
        "tests/producers/load/market/test_kitchen.py::test_the_answer_to_a_ticket_is_the_same_whenever_it_is_taken",
    ),
    Guarantee(
        "no injected fault loses an event",
        "producers/load/history/faults.py",
        'return [made, *others] if verdict == "kept" else [event, *others, made]',
        "return [made, *others]",
        "tests/producers/load/history/test_faults.py::test_all_at_once_lose_nothing_and_come_in_order_of_time",
    ),
    Guarantee(
        "another restaurant moves no order between the others",
        "producers/load/market/orders.py",
        "bits = _mixed(marks[:, None] ^ places[None, :])",
        "bits = _mixed(marks[:, None] ^ np.arange(len(places), 0, -1).astype(np.uint64)[None, :])",
        "tests/producers/load/market/test_orders.py::test_another_restaurant_gets_orders_from_all_and_moves_none_between_them",
    ),
    Guarantee(
        "a history is audited event by event",
        "takeaway/audit/history.py",
        "        if times < allowed:\n",
        "        if times < 0:\n",
        "tests/takeaway/audit/test_history.py::test_a_line_that_is_missing_is_lost",
    ),
    Guarantee(
        "a token's signature is checked",
        "producers/orders/tokens.py",
        "if not hmac.compare_digest(signature.encode(), self._signature(claims).encode()):",
        "if not signature:",
        "tests/producers/orders/test_api.py::test_a_token_of_another_key_is_401",
    ),
    Guarantee(
        "a restaurant touches only its own orders",
        "producers/orders/commands.py",
        "if order.placed.restaurant_id != restaurant_id:",
        "if not restaurant_id:",
        "tests/producers/orders/test_api.py::test_another_restaurant_cannot_touch_an_order",
    ),
    Guarantee(
        "a commit outlasts the lost races that Delta gives up after",
        "analytics/table/log.py",
        "            max_commit_retries=_COMMIT_RETRIES,\n",
        "",
        "tests/analytics/archiving/test_fleet.py::test_a_commit_outlasts_twenty_lost_races",
    ),
    Guarantee(
        "a fleet that makes the lake's table makes it once, and goes on",
        "analytics/table/log.py",
        "commit_properties=CommitProperties(max_commit_retries=0),",
        "",
        "tests/analytics/archiving/test_fleet.py::test_who_makes_the_table_an_instant_after_another_finds_that_ones",
    ),
    Guarantee(
        "processes that start together do not commit together",
        "analytics/archiving/sink.py",
        "policy = self._first or self._policy",
        "policy = self._policy",
        "tests/analytics/archiving/test_fleet.py::test_processes_that_start_together_commit_one_by_one",
    ),
    Guarantee(
        "no name and no address reaches the lake",
        "analytics/privacy/customer_keys.py",
        'token = self.prefix + b2a_base64(count + sealed, newline=False).translate(_URL_SAFE, b"=").decode()',
        "token = self.prefix + text",
        "tests/analytics/archiving/test_decode.py::test_names_and_addresses_are_nowhere_in_the_file",
    ),
    Guarantee(
        "no text of an unknown field reaches the lake in plain",
        "analytics/archiving/decode.py",
        "sealed = sealed_texts(unknown, lambda text: keys.token(subject, text))",
        "sealed = sealed_texts(unknown, lambda text: text or keys.token(subject, text))",
        "tests/consumers/dead_letters/test_customer_data.py::test_no_object_has_a_customers_name_or_address",
    ),
    Guarantee(
        "a dead letter is sealed",
        "consumers/dead_letters/letters.py",
        "_written(letter, self._seal(letter))",
        "_written(letter, self._seal(letter) and letter.error)",
        "tests/consumers/dead_letters/test_customer_data.py::test_no_object_has_a_customers_name_or_address",
    ),
    Guarantee(
        "keys are safe before rows with their tokens are seen",
        "analytics/archiving/sink.py",
        "            self._keys.save()\n",
        "",
        "tests/consumers/dead_letters/test_customer_data.py::test_keys_that_cannot_be_saved_keep_the_rows_out_of_sight",
    ),
    Guarantee(
        "whoever is forgotten is forgotten in all pages",
        "analytics/privacy/customer_keys.py",
        "for key in self._bucket.keys(PAGES_PREFIX))",
        "for key in list(self._bucket.keys(PAGES_PREFIX))[:1])",
        "tests/analytics/privacy/test_customer_keys.py::test_whoever_is_forgotten_is_forgotten_in_all_pages_and_nobody_else",
    ),
    Guarantee(
        "whoever takes a shard over knows the events before",
        "analytics/archiving/shard_sink.py",
        "            if not self._is_recalled or (",
        "            if self._is_recalled and (",
        "tests/analytics/archiving/test_recent_ids.py::test_who_takes_over_knows_what_its_predecessor_wrote",
    ),
    Guarantee(
        "a record that is dropped is accounted for",
        "analytics/archiving/holder.py",
        "            dropped=pending.dropped,\n",
        "",
        "tests/consumers/test_archiver.py::"
        "test_every_record_is_a_row_or_dropped_or_set_apart_wherever_the_archiver_crashes",
    ),
    Guarantee(
        "Arrow is believed only where each check says yes",
        "analytics/archiving/columnar.py",
        "if not all(check(columns[name]) for name, check in _CHECKS.items()):",
        "if not any(check(columns[name]) for name, check in _CHECKS.items()):",
        "tests/analytics/archiving/test_decode.py::test_a_bad_one_is_set_apart_and_its_neighbours_are_kept",
    ),
    Guarantee(
        "a large file is whole or not there",
        "analytics/files/multipart.py",
        "        if error is None:\n            self._finish()\n",
        "        if self._upload_id is not None or error is None:\n            self._finish()\n",
        "tests/analytics/files/test_multipart.py::test_an_error_on_the_way_leaves_no_object_and_no_parts",
    ),
    Guarantee(
        "what kclpy would swallow and report as done ends the daemon",
        "consumers/engines/kcl/processor.py",
        "            self._emit(ShardFailed(self._shard_id, error, 0))\n            raise SystemExit(1) from error\n",
        "            self._emit(ShardFailed(self._shard_id, error, 0))\n",
        "tests/consumers/engines/kcl/test_processor.py::test_what_kclpy_would_swallow_ends_the_daemon",
    ),
    Guarantee(
        "under the KCL nothing is taken behind a batch that was cut short",
        "consumers/engines/kcl/processor.py",
        "            if not self._feeder.feed(batch):\n                self._end()\n",
        "            self._feeder.feed(batch)\n",
        "tests/consumers/engines/kcl/test_processor.py::"
        "test_a_call_that_the_stop_cut_short_checkpoints_what_is_done_and_nothing_more_is_taken",
    ),
    Guarantee(
        "the KCL is told of no record that it has not delivered",
        "consumers/engines/kcl/processor.py",
        "upto = min(position, self._delivered, key=position_key)",
        "upto = position",
        "tests/consumers/engines/kcl/test_processor.py::"
        "test_a_processor_ahead_of_the_checkpoint_is_checkpointed_as_records_are_delivered",
    ),
    Guarantee(
        "nothing but the protocol reaches the KCL's daemon",
        "consumers/engines/kcl/child.py",
        "        os.dup2(2, 1)\n",
        "",
        "tests/consumers/engines/kcl/test_child.py::test_nothing_but_the_protocol_reaches_the_daemon",
    ),
    Guarantee(
        "Lambda is told the first record that is not done",
        "consumers/engines/aws_lambda/function.py",
        'return {"batchItemFailures": [{"itemIdentifier": undone[0].number}]}',
        'return {"batchItemFailures": [{"itemIdentifier": undone[-1].number}]}',
        "tests/conformance/test_outages.py::test_a_world_broken_for_an_hour_costs_nothing",
    ),
    Guarantee(
        "an invocation answers for what it has flushed, no more",
        "consumers/engines/aws_lambda/function.py",
        "        undone = _behind(done, batch.records)\n",
        "        undone = _behind(done, batch.records[:0])\n",
        "tests/conformance/test_waiting_rows.py::test_a_lake_away_for_an_hour_loses_nothing",
    ),
    Guarantee(
        "an invocation flushes before it answers",
        "consumers/engines/aws_lambda/function.py",
        "                feeder.finish()\n",
        "                pass\n",
        "tests/conformance/test_waiting_rows.py::test_a_flush_that_fails_is_tried_again",
    ),
    Guarantee(
        "Lambda filters nothing where it cannot look into aggregates",
        "consumers/entrypoints/event_source_mapping.py",
        "if heard is not None and _FAN_OUT_CONSUMER in source:",
        "if heard is not None:",
        "tests/consumers/entrypoints/test_event_source_mapping.py::test_where_lambda_cannot_look_into_aggregates_it_filters_nothing",
    ),
)


def copied(to: Path) -> Path:
    for name in COPIED:
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, to / name)
    return to


def run_tests(copy: Path, *tests: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", *tests],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_with_their_code_none_is_missed(tmp_path: Path) -> None:
    done = run_tests(copied(tmp_path), *(guarantee.test for guarantee in GUARANTEES))
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("guarantee", GUARANTEES, ids=str)
def test_without_its_code_a_guarantee_is_missed(guarantee: Guarantee, tmp_path: Path) -> None:
    mutated = copied(tmp_path) / guarantee.file
    source = mutated.read_text()
    assert source.count(guarantee.code) == 1, f"{guarantee.file} no longer has the code of: {guarantee.name}"
    mutated.write_text(source.replace(guarantee.code, guarantee.without))

    done = run_tests(tmp_path, guarantee.test)
    assert done.returncode == 1, f"{guarantee.test} does not miss it:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
    assert "FAILED" in done.stdout, done.stdout
