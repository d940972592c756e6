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
        "an order whose item cannot be read is set apart and holds up no other",
        becomes("TimelineFull"),
        "test_an_order_whose_item_cannot_be_read_is_set_apart_and_the_others_go_on",
    ),
    Guarantee(
        "an item that is no order keeps no other order from being read",
        replaced("suppress(OrderUnreadable)", "suppress()"),
        "test_an_order_whose_item_cannot_be_read_is_set_apart_and_the_others_go_on",
    ),
    Guarantee(
        "what is kept of an effect's failure has no word of its message",
        becomes("f'{type(error).__name__}: {error}'"),
        "test_what_is_kept_of_a_failure_says_what_it_was_and_quotes_nothing",
    ),
    Guarantee(
        "a new consumer does not hear what follows from what it tells",
        never,
        "test_one_that_would_hear_what_follows_from_what_it_tells_is_refused",
    ),
    Guarantee(
        "a new consumer is in a checkout whole or not at all",
        deleted,
        "test_all_of_it_is_written_or_nothing",
    ),
    Guarantee(
        "an order's own accept_by is its deadline",
        replaced("_later(accept_by, more)", "_later(at, deadline / speed)"),
        "test_accept_by_is_a_deadline_at_any_speed",
    ),
    Guarantee(
        "an answer has until the order's accept_by, whatever the speed",
        becomes("str(deadline)"),
        "test_an_answer_has_until_the_orders_accept_by_whatever_the_speed",
    ),
    Guarantee(
        "only people's steps go by the speed",
        becomes("_later(at, deadline / speed)"),
        "test_people_have_less_time_at_speed_and_programs_do_not",
    ),
    Guarantee(
        "of an event's places the first counts, whichever is seen first",
        becomes("there is None"),
        "test_the_first_place_counts_whichever_is_seen_first",
    ),
    Guarantee(
        "a timeline is bounded",
        becomes("tuple(ordered)"),
        "test_what_is_dropped_of_a_long_timeline_is_counted_once",
    ),
    Guarantee(
        "an order is open until it has its end and waits for nothing",
        becomes("order.deadlines"),
        "test_an_order_is_open_until_it_has_its_end_and_every_step_of_it_has_come",
    ),
    Guarantee(
        "a person who is late is no problem of the system",
        never,
        "test_a_person_who_is_late_is_a_warning_and_so_is_what_nothing_tells_any_more",
    ),
    Guarantee(
        "only what waits for its restaurant, in time, is no failure of a load",
        never,
        "test_only_what_waits_for_its_restaurant_in_time_is_no_failure",
    ),
    Guarantee(
        "all open pages of a process share one look",
        always,
        "test_twenty_pages_that_ask_at_once_are_given_one_look",
    ),
    Guarantee(
        "what a look had no time for is unknown, and comes first at the next one",
        deleted,
        "test_what_a_look_has_no_time_for_is_unknown_and_comes_first_at_the_next",
    ),
    Guarantee(
        "an order is due while it waits for something by a deadline",
        becomes("order.deadlines and not timeline.accept_by"),
        "test_an_order_is_due_at_its_soonest_deadline_and_not_at_all_when_it_waits_for_nothing",
    ),
    Guarantee(
        "an order that is unanswered in time expires though nobody asks",
        becomes("TooEarly('', '')"),
        "test_an_order_that_is_unanswered_expires_once_though_nobody_asks",
    ),
    Guarantee(
        "what is due is seen to once",
        replaced("self._tracked.settle(order, tuple(told))", "told"),
        "test_a_step_is_told_overdue_once_whatever_starts_again_and_the_next_deadline_comes",
    ),
    Guarantee(
        "a step is judged by an order that is read behind how far the tracker was",
        deleted,
        "test_a_step_that_comes_while_it_is_asked_how_far_the_tracker_is_is_not_overdue",
    ),
    Guarantee(
        "no step is overdue before the tracker has read past its deadline",
        becomes("tuple(steps)"),
        "test_no_step_is_overdue_before_the_tracker_has_read_past_its_deadline",
    ),
    Guarantee(
        "of shards that were opened after the question nothing is said",
        becomes("read_until"),
        "test_nothing_is_said_of_what_came_after_the_shards_were_asked_for",
    ),
    Guarantee(
        "a shard that the tracker has not begun is not read",
        becomes("min(noted, default=None)"),
        "test_how_far_a_shard_is_read_only_grows_and_is_known_of_all_shards_or_of_none",
    ),
    Guarantee(
        "what was read of a shard only grows",
        becomes("'attribute_exists(order_id)'"),
        "test_a_new_holder_that_is_given_old_records_takes_nothing_back",
    ),
    Guarantee(
        "a shard is read no further than what of it is stored",
        never,
        "test_how_far_a_shard_is_read_is_noted_when_what_came_is_stored",
    ),
    Guarantee(
        "a batch says when it was asked for, and not when it came",
        replaced("asked.at", "self._clock.now()"),
        "test_a_batch_says_when_it_was_asked_for_however_long_the_answer_took",
    ),
    Guarantee(
        "what two trackers see of an order is joined",
        becomes("'attribute_exists(order_id)'"),
        "test_what_another_writes_in_between_is_joined",
    ),
    Guarantee(
        "what the contract calls personal is masked for those who look on",
        becomes("frozenset({'customer_email'})"),
        "test_what_is_personal_is_masked",
    ),
    Guarantee(
        "an order that is refused keeps no other one of its transaction from being stored",
        replaced("why == 'None'", "False"),
        "test_an_order_that_another_writes_meanwhile_keeps_no_other_of_its_transaction_from_being_stored",
    ),
    Guarantee(
        "a page ends where one of its parts was looked at no further",
        becomes("''"),
        "test_a_page_shows_nothing_behind_what_a_part_was_looked_at",
    ),
    Guarantee(
        "a page looks at a bounded number of orders",
        becomes("1000"),
        "test_a_page_looks_at_so_many_orders_and_no_more",
    ),
    Guarantee(
        "what is tracked is stored before the tracker's checkpoint",
        preceded_by("continue"),
        "test_progress_waits_for_the_write_and_other_orders_do_not",
    ),
    Guarantee(
        "the tracker leaves what is no event to those that set it apart",
        becomes("KeyError"),
        "test_what_is_no_event_is_left_to_those_that_set_it_apart",
    ),
    Guarantee(
        "an order is shown while the tracker's table cannot be asked",
        becomes("KeyError"),
        "test_an_order_is_shown_while_the_tracker_cannot_be_asked",
    ),
    Guarantee(
        "a client that comes back is told what it has missed",
        becomes("len(ids)"),
        "test_a_client_that_comes_back_is_told_what_it_has_missed",
    ),
    Guarantee(
        "a client has one stream, and the oldest makes room",
        deleted,
        "test_a_client_has_one_stream_and_the_oldest_makes_room",
    ),
    Guarantee(
        "streams are bounded in all",
        never,
        "test_streams_are_bounded_in_all_and_one_that_ends_makes_room",
    ),
    Guarantee(
        "a stream ends with its order, or when nothing comes of it for long",
        becomes("stream.why_over()"),
        "test_a_stream_ends_when_nothing_comes_for_long_and_is_not_there_for_ever",
    ),
    Guarantee(
        "what tells nothing is never awaited, missing or overdue",
        becomes("self.deadline"),
        "test_what_tells_nothing_is_not_waited_for",
    ),
    Guarantee(
        "a state that cannot be read is never begun anew",
        becomes("ZeroDivisionError"),
        "test_a_state_that_its_code_cannot_read_any_more_stays_as_it_is_and_is_no_records_fault",
    ),
    Guarantee(
        "a voucher's code follows from nothing that others know",
        becomes("'A2345672345A'"),
        "test_a_code_follows_neither_from_the_order_nor_from_its_events",
    ),
    Guarantee(
        "a page shows its own orders alone",
        becomes("order is None"),
        "test_a_page_shows_and_changes_the_orders_of_its_own_people_alone",
    ),
    Guarantee(
        "a page hears of its own orders alone",
        always,
        "test_a_page_hears_at_once_of_its_own_orders_alone",
    ),
    Guarantee(
        "a stream lasts no longer than its client is admitted for",
        becomes("self.limits.longest"),
        "test_a_stream_ends_with_its_session",
    ),
    Guarantee(
        "the tickets of a restaurant that a person runs are left to them",
        never,
        "test_the_tickets_of_a_restaurant_that_a_person_runs_are_left_until_they_have_gone",
    ),
    Guarantee(
        "every answer has the headers of safety",
        deleted,
        "test_every_answer_of_every_route_has_the_headers_of_safety",
    ),
    Guarantee(
        "what is signed for one purpose is good for no other",
        becomes("self"),
        "test_what_is_signed_for_one_purpose_is_good_for_no_other",
    ),
    Guarantee(
        "a sign-in link works once, whichever process it comes to",
        deleted,
        "test_of_many_that_redeem_one_link_at_once_one_is_the_first",
    ),
    Guarantee(
        "a write from a page needs the CSRF token of its session",
        never,
        "test_a_write_needs_the_token_of_its_session_and_a_page_of_this_site",
    ),
    Guarantee(
        "no page of another site writes here",
        never,
        "test_nobody_is_signed_in_by_a_page_of_another_site",
    ),
    Guarantee(
        "what people typed is text on a page, whatever it looks like",
        becomes("False"),
        "test_what_people_typed_is_text_on_a_page",
    ),
    Guarantee(
        "a stream ends with the token that opened it",
        becomes("streams.limits.longest"),
        "test_a_stream_lasts_no_longer_than_its_token",
    ),
    Guarantee(
        "those who follow orders are read for again, whatever a read fails with",
        becomes("OSError"),
        "test_whatever_a_read_fails_with_it_is_read_again",
    ),
    Guarantee(
        "a stream that ends is one less, however it ends",
        deleted,
        "test_more_streams_than_there_may_be_are_told_to_come_back_and_one_that_ends_makes_room",
    ),
    Guarantee(
        "a stream lasts as long as its client takes what comes",
        deleted,
        "test_a_stream_outlives_a_requests_time_as_long_as_its_client_takes_what_comes",
    ),
    Guarantee(
        "a stream makes room for a new connection",
        always,
        "test_a_stream_makes_room_for_an_honest_request",
    ),
    Guarantee(
        "no stream keeps its process from ending",
        never,
        "test_a_stream_does_not_keep_its_server_from_ending",
    ),
    Guarantee(
        "a forgotten customer is in no list of the tracker",
        becomes("0"),
        "test_a_forgotten_customer_is_unreadable_everywhere_and_the_others_are_not",
    ),
    Guarantee(
        "a forgotten customer is in no subscriber's state",
        becomes("0"),
        "test_a_forgotten_customer_is_unreadable_everywhere_and_the_others_are_not",
    ),
    Guarantee(
        "what this release cannot read of the past is counted",
        deleted,
        "test_what_this_release_cannot_read_of_the_past_is_counted",
    ),
    Guarantee(
        "a replay is over when all of it is done",
        never,
        "test_a_replay_that_is_not_flushed_is_not_done",
    ),
    Guarantee(
        "behind a replay a consumer goes on from the lake's places",
        deleted,
        "test_behind_a_replay_a_consumer_goes_on_from_the_lakes_places",
    ),
    Guarantee(
        "a lake whose log is gone is not taken for none by a replay",
        deleted,
        "test_a_lake_whose_log_is_gone_is_no_empty_history",
    ),
    Guarantee(
        "a consumer reads the stream once its history is done",
        deleted,
        "test_a_consumer_reads_the_stream_once_its_history_is_done",
    ),
    Guarantee(
        "a consumer that begins with history outlasts an AWS that goes away",
        becomes("0 * failures + [][failures]"),
        "test_what_fails_on_the_first_day_is_told_and_waited_out",
    ),
    Guarantee(
        "each event of an answer has an id of its own",
        replaced("position=position", "position=0"),
        "test_two_alike_have_two_ids",
    ),
    Guarantee(
        "progress waits for each event of an answer",
        deleted,
        "test_progress_waits_for_every_event_of_an_answer",
    ),
    Guarantee(
        "two events that meet at one state both count",
        replaced("MOST_TRIES + 1", "2"),
        "test_two_events_that_meet_at_one_state_both_count",
    ),
    Guarantee(
        "an event counts once in a state",
        replaced("'attribute_not_exists(outcome_id)'", "'attribute_not_exists(no_such_name)'"),
        "test_an_event_counts_once_whoever_hears_it_again",
    ),
    Guarantee(
        "a state moves on from the version that was read",
        becomes("'attribute_exists(version)'"),
        "test_a_state_that_moved_on_since_it_was_read_is_not_written_over",
    ),
    Guarantee(
        "processes that make a file at once agree on what it says",
        replaced("path.hardlink_to(beside)", "beside.replace(path)"),
        "test_what_several_make_at_once_is_what_the_first_made",
    ),
    Guarantee(
        "no page of explore asks anywhere but here",
        deleted,
        "test_a_browser_is_told_to_ask_nowhere_else",
    ),
    Guarantee(
        "an answer replaces no file unless told to",
        replaced("path.hardlink_to(beside)", "beside.replace(path)"),
        "test_a_file_that_is_there_or_comes_meanwhile_is_not_replaced",
    ),
    Guarantee(
        "a look at what was sent takes no message from the audit",
        deleted,
        "test_a_look_takes_no_message_from_the_audit",
    ),
    Guarantee(
        "a line of a log that was cut off is told when it is whole",
        replaced("self._rest + block", "block"),
        "test_a_line_that_is_cut_off_is_told_once_when_it_is_whole",
    ),
    Guarantee(
        "an order that is unanswered in time expires",
        replaced("at >= accept_by", "at > accept_by"),
        "test_what_comes_at_accept_by_or_later_makes_the_order_expire",
    ),
    Guarantee(
        "no word of an order is markup in a mail",
        replaced("['html']", "[]"),
        "test_no_word_of_an_order_is_markup_in_a_mail",
    ),
    Guarantee(
        "an event without an address is set apart",
        never,
        "test_a_rejection_of_an_older_release_is_set_apart_with_the_fix",
    ),
    Guarantee(
        "a restaurant does not answer a ticket that was withdrawn",
        never,
        "test_a_withdrawn_ticket_is_not_answered",
    ),
    Guarantee(
        "a machine has its seconds at any speed",
        becomes("ACCEPT_WITHIN / speed"),
        "test_an_answer_has_so_much_less_time_and_a_machine_its_seconds",
    ),
    Guarantee(
        "a request leaves what another one is publishing to that one",
        always,
        "test_what_won_is_published_by_who_won_and_not_by_who_is_told_so",
    ),
    Guarantee(
        "the event of a command that was refused is unexpected",
        never,
        "test_the_events_of_a_command_that_was_refused_are_not_in_it",
    ),
    Guarantee(
        "one event leads an order on, and none comes too late",
        becomes('"#state = :expected"'),
        "test_the_write_itself_judges_what_comes_too_late_and_too_early",
    ),
    Guarantee(
        "an order is placed with the mark that has it published",
        becomes("item"),
        "test_an_order_is_pending_from_its_placing_until_that_is_noted",
    ),
    Guarantee(
        "an event is stored with the mark that has it published",
        becomes(
            '"SET #state = :state, history = list_append(history, :performed), other_key = :key, other_since = :since"'
        ),
        "test_a_command_makes_its_order_pending_again",
    ),
    Guarantee(
        "an order is pending until all of it is acknowledged",
        becomes("f\"size(history) >= :events{''.join(noted)}\""),
        "test_a_note_leaves_pending_what_it_has_not_seen",
    ),
    Guarantee(
        "what nobody has noted keeps its order pending",
        becomes("[' AND attribute_exists(order_id)']"),
        "test_an_order_whose_earlier_event_nobody_noted_stays_pending",
    ),
    Guarantee(
        "an event goes when the one before it is acknowledged",
        deleted,
        "test_what_follows_an_event_that_was_given_up_is_not_published",
    ),
    Guarantee(
        "each API relays what others left behind",
        replaced(", relay.start", ""),
        "test_what_a_process_left_in_the_table_is_relayed_by_an_api_while_it_runs",
    ),
    Guarantee(
        "what is being published is left to its process",
        becomes("self._clock.now()"),
        "test_what_a_process_left_behind_is_published_seconds_later_and_not_before",
    ),
    Guarantee(
        "what is put off takes no other's place in a round",
        replaced(" + len(self._put_off)", ""),
        "test_as_many_that_cannot_be_relayed_as_a_look_takes_hold_up_no_other",
    ),
    Guarantee(
        "what comes to nothing is put off alone",
        deleted,
        "test_orders_that_cannot_be_relayed_hold_up_no_other",
    ),
    Guarantee(
        "the relay ends with its process' API",
        deleted,
        "test_the_thread_of_a_relay_ends_when_it_is_told_to",
    ),
    Guarantee(
        "an order that expires is nothing unexpected",
        becomes("[]"),
        "test_what_time_brings_about_is_in_no_ledger_and_expected",
    ),
    Guarantee(
        "of two answers to an order the earlier counts",
        replaced("min(", "max("),
        "test_what_contradicts_or_is_missing_is_judged_by_the_earliest_answer",
    ),
    Guarantee(
        "the lake's orders stand where their commands left them",
        replaced("least(", "greatest("),
        "test_whatever_is_there_of_an_order_sql_and_the_fold_agree",
    ),
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
        "the checkpoint of several consumers of a process is the least of theirs",
        replaced("min(", "max("),
        "test_the_least_says_how_far_they_are",
    ),
    Guarantee(
        "one of several consumers of a process that fails keeps no record from the others",
        preceded_by("if any((one.waits for one in self._members)):\n    break"),
        "test_one_that_fails_keeps_no_other_from_what_follows",
    ),
    Guarantee(
        "what waits for one of several consumers of a process is bounded",
        becomes("True"),
        "test_what_waits_for_one_is_bounded_and_nothing_is_given_twice",
    ),
    Guarantee(
        "of several consumers of a process each is given a record once",
        becomes("batch.records"),
        "test_reading_begins_where_the_least_is_and_each_is_given_what_is_behind_its_own_place",
    ),
    Guarantee(
        "a consumer that is opened after its host began to read misses nothing",
        never,
        "test_one_that_is_opened_late_and_lies_before_what_was_read_stops_the_shard_to_be_read_from_there",
    ),
    Guarantee(
        "what waited for a consumer is not given to it as the shard's tip",
        becomes("batch"),
        "test_what_waited_is_no_tip",
    ),
    Guarantee(
        "all of several consumers of a process are flushed, whichever fails",
        followed_by("if member._failure:\n    break"),
        "test_all_are_flushed_though_one_fails",
    ),
    Guarantee(
        "a shard that is gone ends when all consumers of a process put up with it",
        becomes("[]"),
        "test_a_shard_that_is_gone_waits_for_all_to_put_up_with_it",
    ),
    Guarantee(
        "who reads seldom may still read its share",
        becomes("_PAID_WITHIN_SECONDS"),
        "test_who_reads_seldom_may_still_read_its_share",
    ),
    Guarantee(
        "only observers share a process",
        never,
        "test_one_whose_host_does_not_fit_is_named",
    ),
    Guarantee(
        "together the consumers read a shard no more often than it allows",
        becomes("0"),
        "test_shares_that_a_shard_has_not_are_named",
    ),
    Guarantee(
        "what one of several fails on at the tip is no end of its trouble",
        replaced("and feeder.is_done", ""),
        "test_one_of_two_that_fails_keeps_nothing_from_the_other",
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
        "whatever a call raises is waited out",
        never,
        "test_a_broken_world_is_no_attempt_however_long_it_lasts",
    ),
    Guarantee(
        "what a call raises has a known name",
        becomes("ZeroDivisionError"),
        "test_whatever_answers_in_a_services_place_is_waited_out",
    ),
    Guarantee(
        "a write that a proxy has answered is not held to be stored",
        never,
        "test_a_page_in_dynamodbs_place_stores_nothing",
    ),
    Guarantee(
        "what passes by itself is never held against a record",
        never,
        "test_a_partial_outage_makes_no_letter_and_loses_nothing",
    ),
    Guarantee(
        "a transaction that was throttled is never held against a record",
        becomes("()"),
        "test_a_transaction_that_was_throttled_is_held_against_no_record",
    ),
    Guarantee(
        "a record is suspected only when the call works for others",
        becomes("of_content and self.failures > 0"),
        "test_a_refusal_of_everybody_makes_no_letter_and_the_shard_waits",
    ),
    Guarantee(
        "what keeps failing holds up nothing but itself",
        never,
        "test_one_that_always_breaks_the_service_is_no_letter_and_holds_up_nobody",
    ),
    Guarantee(
        "our own failures set nothing apart while no record works",
        becomes("self.ours >= rules.max_attempts"),
        "test_a_few_records_on_a_quiet_shard_are_a_bad_deployment_too",
    ),
    Guarantee(
        "a shard that stands tries one record at a time, each time another",
        becomes("in_order"),
        "test_a_bad_deployment_stands_still_tries_another_record_each_time_and_goes_on_by_itself",
    ),
    Guarantee(
        "the world, or a bad deployment, is asked for ten keys in a row at most",
        deleted,
        "test_a_broken_world_is_asked_for_ten_keys_and_for_others_after_each_pause",
    ),
    Guarantee(
        "letters go out side by side",
        replaced("min(LETTERS_AT_ONCE, len(bad))", "1"),
        "test_so_many_letters_go_out_at_once",
    ),
    Guarantee(
        "the archiver sets nothing apart that only its own code is to blame for",
        never,
        "test_an_archiver_whose_own_code_is_broken_stands_and_goes_on_when_it_works",
    ),
    Guarantee(
        "a process that cannot read its own golden bytes does not start",
        deleted,
        "test_no_consumer_starts_where_the_golden_bytes_cannot_be_read",
    ),
    Guarantee(
        "no new effect begins while outcomes cannot be stored",
        never,
        "test_nor_on_a_shard_that_is_in_the_middle_of_a_batch",
    ),
    Guarantee(
        "an effect is noted in the process before its outcome is stored",
        deleted,
        "test_each_customer_has_one_mail_while_outcomes_are_refused_for_ten_minutes",
    ),
    Guarantee(
        "a poison record alone is set apart",
        never,
        "test_a_poison_record_inside_an_aggregate_alone_is_a_dead_letter",
    ),
    Guarantee("what moves does not stand still", never, "test_verdicts"),
    Guarantee("a shard that waits for its parent is no problem of its own", never, "test_verdicts"),
    Guarantee(
        "an old checkpoint alone is no standstill",
        becomes("shard.standing_seconds or 0.0"),
        "test_verdicts",
    ),
    Guarantee(
        "what stands with records unread is told after its time",
        never,
        "test_one_that_stands_with_records_unread_is_told_after_its_time",
    ),
    Guarantee("what all readers drop is not unread", never, "test_a_stray_aggregate_at_the_tip_is_not_unread"),
    Guarantee(
        "what keeps a shard from getting on is noted",
        deleted,
        "test_one_that_fails_is_told_in_its_own_words_since_it_began",
    ),
    Guarantee(
        "that something is read ends no other trouble",
        always,
        "test_trouble_lasts_from_its_first_failure_until_the_shard_gets_on",
    ),
    Guarantee(
        "a variable that no setting reads is told",
        never,
        "test_a_variable_that_no_setting_reads_is_found_with_what_was_meant",
    ),
    Guarantee(
        "a letter that was dropped is no problem any more",
        replaced("f'{consumer}/'", "''"),
        "test_a_letter_that_was_dropped_waits_no_more",
    ),
    Guarantee(
        "dead letters are told however many there are",
        never,
        "test_of_more_than_there_is_time_for_some_are_counted_and_one_is_read",
    ),
    Guarantee(
        "what is no letter is not tried again and again",
        replaced("key not in self._none and ", ""),
        "test_one_of_a_customer_who_was_forgotten_is_tried_once",
    ),
    Guarantee(
        "a letter is held back by what failed in the same redrive alone",
        deleted,
        "test_a_letter_that_failed_holds_up_none_that_comes_later",
    ),
    Guarantee(
        "what is done behind a failed record is not done again",
        replaced(" if _place(record) not in known", ""),
        "test_what_is_done_behind_the_prefix_is_not_done_again",
    ),
    Guarantee(
        "an outcome is remembered before it is told",
        becomes("done.follows.data"),
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
        preceded_by("for one in claimed:\n    self._letters.remove(one.key)"),
        "test_killed_at_any_call_the_next_redrive_ends_it",
    ),
    Guarantee(
        "a dropped letter is written before the other is removed",
        preceded_by("self._bucket.delete(key)"),
        "test_killed_at_any_call_the_letter_is_in_one_place_and_the_next_drop_ends_it",
    ),
    Guarantee(
        "a letter that is given again is not dropped meanwhile",
        becomes("found"),
        "test_what_a_redrive_has_in_hand_is_not_dropped",
    ),
    Guarantee(
        "a record whose letter was dropped is accounted for",
        replaced("('', DROPPED)", "('',)"),
        "test_dropped_letters_count_and_what_is_no_letter_has_no_place",
    ),
    Guarantee(
        "one unreadable letter hides no other",
        becomes("msgspec.ValidationError"),
        "test_what_is_no_letter_hides_no_other_and_is_named_with_why_and_what_to_do",
    ),
    Guarantee(
        "a letter that may not be read hides no other",
        always,
        "test_one_that_may_not_be_read_hides_no_other",
    ),
    Guarantee(
        "what a later release wrote into a letter stays there",
        becomes("encoded"),
        "test_what_a_later_release_wrote_into_a_letter_stays_there_through_a_redrive_that_fails",
    ),
    Guarantee(
        "what a service answers with different codes are different causes",
        becomes("None"),
        "test_a_cause_is_the_class_the_services_code_and_where_it_was_raised",
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
        "what a consumer has not come to is not called lost",
        always,
        "test_what_a_consumer_has_not_come_to_is_waited_for_by_name",
    ),
    Guarantee(
        "a shard that has ended and lost its lease is not waited for",
        becomes("[]"),
        "test_a_shard_that_has_ended_is_known_by_its_children",
    ),
    Guarantee(
        "a bad record that is no letter is lost",
        becomes("End.PASSED_OVER"),
        "test_a_bad_record_is_the_letter_of_each_consumer_that_read_it",
    ),
    Guarantee(
        "what this release cannot read it does not give again",
        becomes("address is not None"),
        "test_a_process_that_does_not_know_it_leaves_it_alone",
    ),
    Guarantee(
        "a letter that changes its place is written before the other is removed",
        deleted,
        "test_one_that_is_bad_all_the_same_is_a_letter_like_any_other",
    ),
    Guarantee(
        "what is newer than we are is not broken",
        becomes("ZeroDivisionError"),
        "test_what_is_newer_is_a_row_of_its_envelope_and_says_the_rest_sealed",
    ),
    Guarantee(
        "a history is audited event by event",
        never,
        "test_a_line_that_is_missing_is_lost",
    ),
    Guarantee(
        "a slow connection makes room for a new one",
        becomes("None"),
        "test_an_honest_request_is_answered_while_many_slow_ones_are_open",
    ),
    Guarantee(
        "a connection ends when its time is up",
        replaced("self.transport.abort", "print"),
        "test_an_answered_connection_that_starts_another_request_slowly_is_given_up",
    ),
    Guarantee(
        "a body that is not whole in time is given up",
        always,
        "test_a_body_that_never_ends_is_told_so_and_given_up",
    ),
    Guarantee(
        "as many requests wait for the store as there are connections to it",
        deleted,
        "test_as_many_requests_wait_for_the_store_as_there_are_connections_to_it",
    ),
    Guarantee(
        "no web page reaches the local AWS",
        never,
        "test_no_page_opens_it_though_it_had_the_key",
    ),
    Guarantee(
        "the local AWS answers under a loopback name alone",
        never,
        "test_a_name_that_dns_could_lead_here_opens_nothing",
    ),
    Guarantee(
        "the local AWS asks for its key",
        never,
        "test_without_it_nothing_opens",
    ),
    Guarantee(
        "the local AWS deploys no other kind of resource than ours",
        deleted,
        "test_what_runs_code_is_no_resource_here_even_with_the_key",
    ),
    Guarantee(
        "no process is given the key of the tokens that makes and reads none",
        replaced(" if name in _WITH_TOKENS else self.environ", ""),
        "test_no_consumer_is_given_the_key_of_the_tokens",
    ),
    Guarantee(
        "no more of the lake is read ahead of a query than a part of it",
        never,
        "test_no_more_than_a_part_is_held_while_nothing_more_is_asked_for",
    ),
    Guarantee(
        "the report counts every event once",
        becomes('connection.execute("CREATE VIEW events AS SELECT * EXCLUDE is_repeat FROM taken")'),
        "test_duplicates_change_nothing_but_their_own_count",
    ),
    Guarantee(
        "a period that the calendar cannot hold is refused",
        never,
        "test_what_is_no_period_is_refused_with_a_fix",
    ),
    Guarantee(
        "a report's command to paste runs nothing of the data",
        always,
        "test_the_line_to_paste_is_one_command_that_asks_for_this_order",
    ),
    Guarantee(
        "no word of the data is a formula in a spreadsheet",
        becomes("value"),
        "test_no_word_of_the_data_is_a_formula_in_a_csv",
    ),
    Guarantee(
        "no terminal and no page obeys a character of the data",
        becomes("text"),
        "test_what_data_say_is_shown_and_not_obeyed",
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
        "what a snapshot tells of its commits is no newer than its files",
        becomes("0"),
        "test_what_a_snapshot_tells_of_the_log_is_no_newer_than_its_files",
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
        becomes("forms.body(letter, letter.error)"),
        "test_no_object_has_a_customers_name_or_address",
    ),
    Guarantee(
        "keys are safe before rows with their tokens are seen",
        deleted,
        "test_keys_that_cannot_be_saved_keep_the_rows_out_of_sight",
    ),
    Guarantee(
        "a forgotten customer is forgotten in all pages",
        replaced("self._bucket.keys(PAGES_PREFIX)", "iter(list(self._bucket.keys(PAGES_PREFIX))[:1])"),
        "test_whoever_is_forgotten_is_forgotten_in_all_pages_and_nobody_else",
    ),
    Guarantee(
        "to forget raises the generation before it drops a key",
        becomes("0 * raise_generation(self._bucket, (), self._clock.now()) + 1"),
        "test_what_waited_while_its_customer_was_forgotten_is_forgotten_with_it",
    ),
    Guarantee(
        "a personal field has a customer whose key seals it",
        never,
        "test_what_cannot_be_a_column_is_named",
    ),
    Guarantee(
        "an order that goes on is not removed",
        replaced("size(history) = :commands", "size(history) > :commands OR size(history) <= :commands"),
        "test_an_order_is_removed_as_it_was_read_and_a_second_time",
    ),
    Guarantee(
        "an order under way is not removed",
        replaced("order.is_over(now) and ", ""),
        "test_a_forgotten_customer_is_unreadable_everywhere_and_the_others_are_not",
    ),
    Guarantee(
        "a process asks for the generation again and again",
        becomes("self._asked is None"),
        "test_a_running_process_gives_a_forgotten_customer_a_new_key_within_a_minute",
    ),
    Guarantee(
        "a forgotten customer's key is used no more",
        deleted,
        "test_a_running_process_gives_a_forgotten_customer_a_new_key_within_a_minute",
    ),
    Guarantee(
        "what was forgotten while a page was saved is dropped before its tokens are shown",
        deleted,
        "test_what_waited_while_its_customer_was_forgotten_is_forgotten_with_it",
    ),
    Guarantee(
        "a key that was dropped from a page does not come back with its writer",
        deleted,
        "test_a_dropped_key_does_not_come_back_with_the_page_that_is_written_again",
    ),
    Guarantee(
        "a key that was made in the knowledge of a forgetting stays",
        becomes("[None if row and row.subject in gone else row for row in rows]"),
        "test_a_process_meets_a_forgetting_at_any_call_of_it",
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
    Guarantee(
        "a shard that is gone ends only when its processor puts up with the loss",
        never,
        "test_an_archiver_stops_at_a_shard_that_is_gone_with_unread_records",
    ),
    Guarantee(
        "a shard that is gone is a gap as well",
        deleted,
        "test_a_shard_that_is_gone_is_a_gap_unless_the_lake_has_all_of_it",
    ),
    Guarantee(
        "under the KCL a shard that is gone is told from one that was read to its end",
        always,
        "test_a_shard_that_is_gone_with_unread_records_is_told",
    ),
    Guarantee(
        "a shard that came and went unseen is missed",
        becomes("{}"),
        "test_a_shard_that_came_and_went_unseen_gets_a_lease_and_its_children_wait_for_it",
    ),
    Guarantee(
        "rows that are not ours are left alone",
        becomes("rows"),
        "test_rows_that_are_not_ours_are_left_alone_and_told_once",
    ),
    Guarantee(
        "nothing is published to a stream that spreads records unless that is allowed",
        never,
        "test_a_stream_that_spreads_records_is_refused_with_the_fix_and_gets_nothing",
    ),
    Guarantee(
        "a stream that spreads records is noticed by where they land",
        never,
        "test_what_was_not_told_shows_by_where_records_land",
    ),
    Guarantee(
        "a stream made anew is told from the one before",
        becomes("False"),
        "test_the_archiver_has_both_streams_whole_each_under_its_own_names",
    ),
    Guarantee(
        "a position is not asked of a stream that was made anew",
        becomes("[]"),
        "test_it_is_read_from_its_beginning_and_told",
    ),
    Guarantee(
        "an order under way deviates only when a deadline is over",
        becomes("'> 0'"),
        "test_an_order_under_way_deviates_when_its_deadline_is_over",
    ),
    Guarantee(
        "one clock that is ahead makes no order overdue",
        becomes("'SELECT epoch_us(max(occurred_at)) FROM events'"),
        "test_an_event_is_no_newer_than_it_arrived",
    ),
    Guarantee(
        "a command that is told to be pasted runs nothing of the data",
        always,
        "test_what_an_order_is_called_is_obeyed_by_no_terminal_no_shell_and_no_sql",
    ),
    Guarantee(
        "an event counts at the first place it arrived at",
        becomes("list(places.values())"),
        "test_an_event_counts_where_it_came_first_however_it_was_found",
    ),
    Guarantee(
        "an order is looked for on each shard that its key led to",
        replaced("key in shard.hash_keys", "(key in shard.hash_keys and (not shard.closed))"),
        "test_only_its_own_shard_and_those_before_it_are_read",
    ),
    Guarantee(
        "a trace opens the lake after it has asked how far the lake is",
        followed_by("archived = _archived(environ, [name_of(shard.shard_id) for shard in shards])"),
        "test_an_event_that_is_archived_while_one_looks_is_missed_by_none",
    ),
    Guarantee(
        "a trace ends in time",
        becomes("self._wait(seconds)"),
        "test_a_stream_that_never_ends_is_read_for_so_long_at_most",
    ),
    Guarantee(
        "a trace has no words of a dead letter",
        replaced("letter.kind", "letter.error"),
        "test_a_letter_tells_class_and_place_and_no_words",
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
