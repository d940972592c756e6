"""What the KCL's daemon is told, and how it is started."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from consumers.engines.kcl import daemon as kcl_daemon
from consumers.engines.kcl.daemon import DaemonSettings
from foundation.kinesis.records import Sentinel


def settings(**changes: object) -> DaemonSettings:
    values: dict[str, object] = {
        "application": "takeaway-archiver",
        "stream": "orders",
        "child": ("consumers.entrypoints.kcl", "archiver"),
        "region": "eu-west-1",
        "endpoints": {},
        "failover_seconds": 10.0,
        "reads_per_second": 0.5,
    }
    return DaemonSettings(**{**values, **changes})  # type: ignore[arg-type]


def test_the_lease_table_is_the_workers() -> None:
    assert settings().properties()["applicationName"] == "takeaway-archiver"


def test_a_stop_is_graceful_and_a_broken_world_is_waited_for() -> None:
    told = settings().properties()
    assert int(told["shutdownGraceMillis"]) > 0
    assert "timeoutInSeconds" not in told


def test_time_passes_for_a_processor_on_idle_reads() -> None:
    told = settings().properties()
    assert told["callProcessRecordsEvenForEmptyRecordList"] == "true"
    assert told["idleTimeBetweenReadsInMillis"] == "2000"


def test_it_begins_where_the_worker_would() -> None:
    assert settings().properties()["initialPositionInStream"] == "TRIM_HORIZON"
    assert settings(start=Sentinel.LATEST).properties()["initialPositionInStream"] == "LATEST"


def test_a_moment_is_told_by_the_second_before_it() -> None:
    moment = datetime(2026, 3, 14, 12, 0, 0, 900_000, UTC)
    told = settings(start=Sentinel.AT_TIMESTAMP, start_at=moment).properties()
    assert told["initialPositionInStreamExtended"] == "1773489600"
    assert "initialPositionInStream" not in told


def test_records_are_pushed_where_the_worker_would_have_them_pushed() -> None:
    assert settings(retrieval="fan_out").properties()["retrievalMode"] == "FANOUT"


def test_aws_itself_has_no_endpoint_of_ours() -> None:
    assert not {"kinesisEndpoint", "dynamoDBEndpoint"} & settings().properties().keys()


def test_an_endpoint_of_one_service_goes_before_that_of_all() -> None:
    environ = {"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_DYNAMODB": "http://tables"}
    told = settings(endpoints=kcl_daemon.endpoints(environ)).properties()
    assert (told["kinesisEndpoint"], told["dynamoDBEndpoint"]) == ("http://all", "http://tables")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("orders", "orders"),
        ("a\\b", "a\\\\b"),
        ("one\ntwo", "one\\ntwo"),
        ("caf\u00e9", "caf\\u00e9"),
        ("\U0001f355", "\\ud83c\\udf55"),
    ],
)
def test_properties_survive_javas_reading(value: str, written: str) -> None:
    assert kcl_daemon.properties_text({"streamName": value}) == f"streamName = {written}\n"


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_292"', 8),
        ('openjdk version "21" 2023-09-19', 21),
        ("command not found", None),
    ],
)
def test_the_version_of_java(told: str, version: int | None) -> None:
    assert kcl_daemon.java_version(told) == version


def test_the_command_names_jars_that_are_there() -> None:
    java, flag, jars, main, *_ = kcl_daemon.command("java", Path("kcl.properties"), Path("logback.xml"))
    assert (java, flag) == ("java", "-cp")
    assert main.endswith("MultiLangDaemon")
    assert list(Path(jars).parent.glob("amazon-kinesis-client-multilang-*.jar"))


def test_without_the_jars_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kcl_daemon, "find_spec", lambda _: None)
    with pytest.raises(LookupError, match="fix: "):
        kcl_daemon.command("java", Path("kcl.properties"), Path("logback.xml"))


def test_the_daemon_finds_this_python_by_its_name_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/opt/my tools/bin/python3.11")
    assert settings().properties()["executableName"] == "python3.11 -m consumers.entrypoints.kcl archiver"
    assert kcl_daemon.with_this_python({"PATH": "/bin"})["PATH"] == "/opt/my tools/bin:/bin"
