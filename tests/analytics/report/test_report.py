"""The report: one page that stands alone, says what the answers say, and cannot be made to run anything."""

import base64
import csv
import io
import json
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from analytics.reading.orders import Window
from analytics.report.data import as_csv, report_data
from analytics.report.page import render_report
from analytics.report.report import About, Report, Stamp, make_report
from analytics.report.words import change, duration, journey, moment, money, number, share
from tests.support.builders import NOON
from tests.support.lake_rows import GOOD, a_table, an_event, an_order, some_orders

pytestmark = pytest.mark.slow

NOTHING = "\N{EN DASH}"
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@dataclass
class Page(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and its visible words."""

    html: str
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag in tags]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).replace("\N{NO-BREAK SPACE}", " ").split())


def a_report(rows: Sequence[dict[str, Any]], **about: Any) -> Report:
    return make_report(a_table(rows), About(**{"made_at": NOON + timedelta(hours=3)} | about))


def a_page(rows: Sequence[dict[str, Any]], **about: Any) -> Page:
    return Page(render_report(a_report(rows, **about)))


@pytest.fixture(scope="module")
def report() -> Report:
    return a_report(some_orders(), window=Window(since=NOON), lake_version=17)


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(render_report(report))


FOUR_ORDERS = (
    *an_order(*GOOD, order_id="a", total=123_456, currency="EUR"),
    *an_order(*GOOD, order_id="b", total=5_000, currency="JPY"),
    *an_order("restaurant_notified", "order_rejected", order_id="c"),
    *an_order("restaurant_notified", order_id="d; rm -rf ~"),
)


@pytest.fixture(scope="module")
def page_of_four() -> Page:
    return a_page(FOUR_ORDERS)


def test_the_page_fetches_nothing_and_runs_nothing(page: Page) -> None:
    assert page.all("script", "iframe", "img", "object", "embed", "form", "base") == []
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in {"src", "href", "xlink:href", "action", "srcset"}:
                assert value.startswith(("#", "data:")), (tag, name, value)
    style = page.html[page.html.index("<style>") : page.html.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; ")
    assert len(page.html.encode()) < 1_000_000


def test_words_from_outside_are_shown_and_never_run() -> None:
    words = {
        where: EVIL.replace("1", str(place))
        for place, where in enumerate(["restaurant_id", "city", "currency", "order_id", "reason", "title", "receipt"])
    }
    placed: dict[str, Any] = {name: words[name] for name in ("restaurant_id", "city", "currency")}
    rows = [
        *an_order(*GOOD, order_id="completed", **placed),
        *an_order("restaurant_notified", order_id=words["order_id"], **placed),
        an_event("order_placed", order_id="rejected"),
        an_event("order_rejected", order_id="rejected", reason=words["reason"]),
    ]
    page = a_page(rows, title=words["title"], audit=Stamp(words["receipt"], ok=True))
    assert page.all("script", "img") == []
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    for place, where in enumerate(words):
        assert f"<script>alert({place})</script>" in page.text, where


def test_an_order_id_cannot_smuggle_a_command_into_the_line_to_paste(page_of_four: Page) -> None:
    assert f"{journey('d; rm -rf ~')} 40 s notified restaurant-1" in page_of_four.text


def test_a_plain_order_is_traced() -> None:
    assert journey("order-1") == "takeaway trace order-1"


@pytest.mark.parametrize(
    "order_id", ["--help", "d; rm -rf ~", "$(id)", "`id`", "it's", '"; id; "', "'; drop table events; --", "\\", "!x"]
)
def test_the_line_to_paste_is_one_command_that_asks_for_this_order(order_id: str) -> None:
    *command, query = shlex.split(journey(order_id))
    assert command == ["takeaway", "lake", "sql"]
    events = pa.table({"order_id": [order_id, "another"], "event_type": ["its", "no"], "occurred_at": [NOON, NOON]})
    with duckdb.connect() as connection:
        connection.register("events", events)
        assert connection.sql(query).to_arrow_table().column("event_type").to_pylist() == ["its"]


@pytest.mark.parametrize(
    ("audit", "says", "not_says"),
    [
        (None, "Not audited", "Audited"),
        (Stamp("600 orders · 0 lost", ok=True), "Audited 600 orders · 0 lost", "problem"),
        (Stamp("600 orders · 3 lost", ok=False), "The audit found a problem 600 orders · 3 lost", "Audited"),
    ],
)
def test_the_stamp_says_what_the_audit_said(audit: Stamp | None, says: str, not_says: str) -> None:
    page = a_page([], audit=audit)
    assert says in page.text
    assert not_says not in page.text


def test_the_page_says_what_it_is_about() -> None:
    window = Window(NOON - timedelta(hours=1), NOON + timedelta(hours=2))
    text = a_page([], window=window, lake_version=17, title="Lunch").text
    assert text.startswith("Lunch")
    assert "From 2026-03-14 11:00:00 To 2026-03-14 14:00:00 Made 2026-03-14 15:00:00 Lake version 17" in text


def test_without_a_window_the_page_names_the_first_and_the_last_event() -> None:
    text = a_page([an_event("order_accepted"), an_event("order_completed", after=40)]).text
    assert "From 2026-03-14 12:00:00 To 2026-03-14 12:00:40" in text
    assert "Lake version" not in text


def test_the_cards_say_the_answers(page_of_four: Page) -> None:
    for words in (
        "Orders 4 placed in the period",
        "Completed 2 50.0% of orders",
        "Rejected 1 25.0% of orders",
        "Open 1 25.0% of orders",
        "Median until accepted 20 s",
        "Median until completed 40 s",
        "Customers 1 who placed orders",
        "Returning customers 1 with 100.0% of orders",
        "Revenue EUR 1,234.56 JPY 5,000 of completed orders",
    ):
        assert words in page_of_four.text


def test_every_answer_has_its_sql_in_the_page(report: Report, page: Page) -> None:
    text = page.text
    for question in report.questions:
        assert " ".join(report.sql(question).split()) in text
        assert question.meaning in text


def test_the_page_can_be_read_without_seeing_it(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in page.elements if tag in {"h1", "h2", "h3", "h4"}]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(page.all("caption")) == len(page.all("table")) == 12
    assert all(figure["role"] == "img" and len(figure["aria-label"]) > 40 for figure in page.all("figure"))
    assert len(page.all("figure")) == 6
    assert all(cell.get("scope") in {"col", "row"} for cell in page.all("th"))
    ids = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert max(ids.values()) == 1
    labelled = {attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes}
    assert labelled <= set(ids)


def test_the_figures_labels_hold_their_numbers(page_of_four: Page) -> None:
    labels = [figure["aria-label"] for figure in page_of_four.all("figure")]
    assert "placed 4, notified 4, accepted 2, completed 2" in labels[0]
    plain = [label.replace("\N{NO-BREAK SPACE}", " ") for label in labels]
    assert "restaurant_notifier tells restaurant_notified after order_placed: 4 times, half within 10 s" in plain[1]
    assert "notify the restaurant 10 s to 10 s" in plain[2]
    assert "Slowest is prepare and complete" in plain[3]
    assert "at most 4 in 1 s" in plain[4]


def test_a_window_in_which_all_is_well_makes_a_page_too() -> None:
    text = a_page(an_order(*GOOD)).text
    assert "100.0% of orders are completed." in text
    assert "Every finished step met the choreography’s deadline." in text  # noqa: RUF001
    assert "Oldest open orders" not in text


@pytest.mark.parametrize("rows", [[], [an_event("order_completed")]], ids=["no events", "no placing"])
def test_a_window_without_orders_says_so(rows: list[dict[str, Any]]) -> None:
    page = a_page(rows)
    assert "No orders were placed in this period" in page.text
    assert page.all("figure") == []


def test_orders_to_which_nothing_happened_yet_make_a_page_too() -> None:
    assert "0.0% of orders are completed" in a_page(an_order()).text


FAR = ["0001-01-01", "1582-10-10", "1969-12-31", "2262-04-12", "9999-12-31"]
MANY = [row for number in range(30) for row in an_order(*GOOD, order_id=f"order-{number}", after=60 * number)]


def placed_on(day: str, order_id: str = "far <away>") -> dict[str, Any]:
    return an_event("order_placed", order_id=order_id, occurred_at=datetime.fromisoformat(f"{day}T23:59:59+00:00"))


@pytest.mark.parametrize("day", FAR)
def test_an_order_of_another_age_is_named_and_changes_nothing_else(day: str) -> None:
    report, usual = a_report([*MANY, placed_on(day)]), a_report(MANY)
    page = Page(render_report(report))
    assert f"far <away> order_placed {day} 23:59:59" in page.text
    assert "1 event of 1 order is dated far from all others, and in no number or figure below." in page.text
    left_out = {"order_id": "far <away>", "event_type": "order_placed", "occurred_at": f"{day}T23:59:59+00:00"}
    assert report_data(report)["left_out"] == {"events": 1, "orders": 1, "named": [left_out]}
    assert report.bucket == usual.bucket == timedelta(minutes=1)
    assert {name: report.rows(name) for name in report.answers} == {name: usual.rows(name) for name in usual.answers}


@pytest.mark.parametrize("day", FAR)
def test_an_event_of_another_age_makes_no_open_order_overdue(day: str) -> None:
    """They wait as long as the newest event tells."""
    rows = [*MANY, *an_order("restaurant_notified", order_id="open", after=1700)]
    waiting = [{"stage": "notified", "cause": "no answer from the restaurant, still in time", "orders": 1}]
    assert a_report(rows).rows("drop_outs") == waiting
    assert a_report([*rows, placed_on(day, "open") | {"event_type": "user_notified"}]).rows("drop_outs") == waiting


@pytest.mark.parametrize("day", FAR)
def test_orders_of_another_age_alone_make_a_page_of_it(day: str) -> None:
    page = a_page([placed_on(day), placed_on(day, "another")])
    assert "Left out" not in page.text
    assert f"At most 2 orders in 1 s, from {day} 23:59:59." in page.text


@pytest.mark.parametrize(("first", "last"), [("0001-01-01", "0001-11-30"), ("9999-01-01", "9999-12-31")])
def test_a_season_at_the_calendars_end_makes_a_page_too(first: str, last: str) -> None:
    page = a_page([placed_on(first), placed_on(last, "another")])
    assert "Left out" not in page.text
    assert f"From {first} 23:59:59 To {last} 23:59:59" in page.text
    assert "At most 1 order in" in page.text


def test_the_sql_of_a_report_that_leaves_events_out_gives_its_answers() -> None:
    rows = [*MANY, placed_on("0001-01-01"), placed_on("9999-12-31", "another")]
    report = a_report(rows)
    assert report.left_out.orders == 2
    with duckdb.connect(":memory:") as anyones:
        anyones.execute("SET TimeZone = 'UTC'")
        anyones.register("records", a_table(rows))
        anyones.register("events", a_table(rows))
        for question in report.questions:
            assert anyones.sql(report.sql(question)).to_arrow_table().to_pylist() == report.rows(question.name)


def test_the_same_events_make_the_same_page(page_of_four: Page) -> None:
    assert a_page(FOUR_ORDERS[::-1]).html == page_of_four.html


def test_the_data_is_plain_json_with_the_same_answers_and_their_sql() -> None:
    rows = some_orders()
    window = Window(NOON, NOON + timedelta(hours=2))
    report = a_report(rows, window=window, lake_version=3, audit=Stamp("fine", ok=True))
    data = json.loads(json.dumps(report_data(report)))
    assert data["before"]["since"] == (NOON - timedelta(hours=2)).isoformat()
    assert data["before"]["answers"]["overview"][0]["orders"] == 0
    assert {name: data[name] for name in data if name not in {"answers", "before"}} == {
        "title": "Orders",
        "made_at": "2026-03-14T15:00:00+00:00",
        "since": "2026-03-14T12:00:00+00:00",
        "until": "2026-03-14T14:00:00+00:00",
        "lake_version": 3,
        "audit": {"ok": True, "receipt": "fine"},
        "proof": None,
        "left_out": {"events": 0, "orders": 0, "named": []},
    }
    assert data["answers"]["overview"]["rows"][0]["orders"] == len(
        [row for row in rows if row["event_type"] == "order_placed" and row["occurred_at"] < window.until]
    )
    with duckdb.connect(":memory:") as anyones:
        anyones.register("records", a_table(rows))
        anyones.register("events", a_table(rows))
        for answer in data["answers"].values():
            assert anyones.sql(answer["sql"]).to_arrow_table().num_rows == len(answer["rows"])


def test_a_report_without_a_window_or_an_audit_says_null() -> None:
    data = report_data(a_report(an_order(*GOOD)))
    assert [data[name] for name in ("since", "until", "lake_version", "audit", "proof", "before")] == [None] * 6


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, NOTHING),
        (0, "0 ms"),
        (0.0304, "30 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1 s"),
        (1.74, "1.7 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (60, "1 min"),
        (151, "2 min 31 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h"),
        (7200, "2 h"),
        (3900, "1 h 5 min"),
        (86369, "23 h 59 min"),
        (86371, "1 d"),
        (273600, "3 d 4 h"),
        (-2.5, "\N{MINUS SIGN}2.5 s"),
    ],
)
def test_durations_read_well(seconds: float | None, words: str) -> None:
    assert duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == words


@pytest.mark.parametrize(
    ("minor_units", "currency", "words"),
    [
        (0, "EUR", "EUR 0.00"),
        (7, "EUR", "EUR 0.07"),
        (123_456_789, "EUR", "EUR 1,234,567.89"),
        (1234, "JPY", "JPY 1,234"),
        (12345, "KWD", "KWD 12.345"),
        (None, "EUR", NOTHING),
        (5, None, NOTHING),
    ],
)
def test_money_is_shown_in_its_currency(minor_units: int | None, currency: str | None, words: str) -> None:
    assert money(minor_units, currency).replace("\N{NO-BREAK SPACE}", " ") == words


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (1, 4, "25.0%"),
        (0, 4, "0.0%"),
        (4, 4, "100.0%"),
        (1, 20_000, "<0.1%"),
        (19_999, 20_000, ">99.9%"),
        (1, 0, NOTHING),
        (None, 1, NOTHING),
    ],
)
def test_a_share_is_never_rounded_to_nothing_or_all(part: float | None, whole: float, words: str) -> None:
    assert share(part, whole) == words


def test_counts_and_moments_read_well() -> None:
    assert (number(1_234_567), number(None)) == ("1,234,567", NOTHING)
    assert moment(datetime.fromisoformat("2026-03-14T13:00:00.9+01:00")) == "2026-03-14 12:00:00"
    assert moment(None) == NOTHING


def test_no_word_of_the_data_is_a_formula_in_a_csv() -> None:
    words = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "plain", 'a "quote", and a comma']
    text = as_csv(pa.table({"word": words, "number": list(range(-3, 4))}))
    assert list(csv.reader(io.StringIO(text))) == [
        ["word", "number"],
        *([f"'{word}", str(number)] for word, number in zip(words[:5], range(-3, 2), strict=True)),
        ["plain", "2"],
        ['a "quote", and a comma', "3"],
    ]


def test_each_answer_is_in_the_page_as_a_file(report: Report, page: Page) -> None:
    links = {link["download"]: link["href"] for link in page.all("a") if "download" in link}
    assert set(links) <= {f"{name}.csv" for name in report.answers}
    assert len(links) == len(report.answers) == len(report.questions)
    for name, answer in report.answers.items():
        held = base64.b64decode(links[f"{name}.csv"].removeprefix("data:text/csv;charset=utf-8;base64,"))
        assert held.decode("utf-8-sig") == as_csv(answer)


@pytest.mark.parametrize(
    ("now", "before", "words"),
    [
        (110, 100, "+10.0%"),
        (90, 100, "\N{MINUS SIGN}10.0%"),
        (350, 100, "+250%"),
        (100, 100, "as before"),
        (100_001, 100_000, "nearly as before"),
        (5, 0, "none before"),
        (0, 0, "as before"),
        (None, 5, NOTHING),
    ],
)
def test_a_change_is_told_in_parts_of_what_was(now: float | None, before: float, words: str) -> None:
    assert change(now, before) == words


def test_the_cards_tell_the_change_against_the_period_before() -> None:
    rows = [
        *[row for number in range(4) for row in an_order(*GOOD, order_id=f"before {number}", after=-3600)],
        *[row for number in range(5) for row in an_order(*GOOD, order_id=f"now {number}", after=60)],
    ]
    text = a_page(rows, window=Window(NOON, NOON + timedelta(hours=2))).text
    assert "Changes are against the period before, 2026-03-14 10:00:00 to 2026-03-14 12:00:00." in text
    assert "Orders 5 placed in the period +25.0% from 4" in text
    assert "Revenue EUR 95.00 of completed orders +25.0% from EUR 76.00" in text
    assert "does not go back" not in text


def test_a_lake_that_begins_within_the_period_before_is_told() -> None:
    text = a_page(an_order(*GOOD), window=Window(NOON, NOON + 2 * timedelta(days=1))).text
    assert "The lake does not go back that far: its first day is 2026-03-14" in text


def test_a_period_in_the_future_names_the_days_that_there_are() -> None:
    page = a_page(an_order(*GOOD), window=Window(since=NOON + timedelta(days=900)))
    assert "No orders were placed in this period" in page.text
    assert "The lake has events from 2026-03-14 to 2026-03-14." in page.text


def test_a_missing_day_is_a_gap_and_no_error() -> None:
    days = [0, 1, 3]
    rows = [row for day in days for row in an_order(*GOOD, order_id=f"{day}", after=86400.0 * day)]
    report = a_report(rows, made_at=NOON + timedelta(days=5))
    assert [row["placed_from"].day for row in report.rows("revenue_over_time")] == [14, 15, 17]
    assert "Revenue by day" in Page(render_report(report)).text


def test_an_order_that_waits_too_long_is_listed_with_the_command_that_tells_why() -> None:
    rows = [*an_order(order_id="order-1"), *an_order(order_id="newest", after=3600)]
    assert "takeaway trace order-1 59 min restaurant_notified restaurant-1" in a_page(rows).text
