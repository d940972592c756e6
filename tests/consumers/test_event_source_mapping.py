"""A mapping's settings: what AWS takes, what the choreography says, and nothing that Lambda would drop."""

import json
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from consumers.event_source_mapping import event_source_mapping
from consumers.specs import CONSUMERS, Beginning, readers
from events.choreography import CHOREOGRAPHY
from events.wire import encode
from tests.support import ROOT
from tests.support.builders import an_envelope, an_order_accepted, an_order_completed

STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
FAN_OUT = f"{STREAM}/consumer/notifier:1726000000"


def mapping(consumer: str, source: str = STREAM) -> dict[str, Any]:
    return event_source_mapping(consumer, source=source, function="takeaway")


@pytest.mark.parametrize("consumer", readers())
@pytest.mark.parametrize("source", [STREAM, FAN_OUT])
def test_aws_takes_the_settings_of_every_consumer(consumer: str, source: str) -> None:
    model = ServiceModel(Loader().load_service_model("lambda", "service-2"), "lambda")
    shape = model.operation_model("CreateEventSourceMapping").input_shape
    assert shape is not None
    report = ParamValidator().validate(mapping(consumer, source), shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize("consumer", readers())
def test_nothing_is_dropped_and_a_shard_has_one_batch_at_a_time(consumer: str) -> None:
    settings = mapping(consumer)
    assert settings["StartingPosition"] == ("LATEST" if CONSUMERS[consumer].begins is Beginning.NOW else "TRIM_HORIZON")
    assert settings["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert (settings["MaximumRetryAttempts"], settings["MaximumRecordAgeInSeconds"]) == (-1, -1)
    assert settings["BisectBatchOnFunctionError"] is False
    assert settings["ParallelizationFactor"] == 1
    assert "TumblingWindowInSeconds" not in settings


@pytest.mark.parametrize("consumer", readers())
def test_where_lambda_cannot_look_into_aggregates_it_filters_nothing(consumer: str) -> None:
    assert "FilterCriteria" not in mapping(consumer, STREAM)


def test_the_archiver_hears_everything() -> None:
    assert "FilterCriteria" not in mapping("archiver", FAN_OUT)


@pytest.mark.parametrize("actor", ["restaurant_notifier", "user_notifier"])
def test_a_notifier_is_woken_for_what_its_steps_listen_to_alone(actor: str) -> None:
    listens_to = {step.listens_to for step in CHOREOGRAPHY if step.actor == actor}
    (heard,) = mapping(actor, FAN_OUT)["FilterCriteria"]["Filters"]
    ((field, wanted),) = json.loads(heard["Pattern"])["data"].items()
    for event in (None, an_order_accepted(), an_order_completed()):
        envelope = an_envelope(event)
        passes = json.loads(encode(envelope))[field] in wanted
        assert passes == (type(envelope.event) in listens_to)


def test_an_unknown_consumer_is_refused() -> None:
    with pytest.raises(ValueError, match="fix: name one of restaurant_notifier"):
        mapping("chef")


def test_the_documentation_shows_one_as_it_is() -> None:
    shown = (ROOT / "docs" / "engines.md").read_text().partition("```json\n")[2].partition("```")[0]
    example = json.loads(shown)
    made = event_source_mapping(
        "restaurant_notifier", source=example["EventSourceArn"], function=example["FunctionName"]
    )
    assert example == made
