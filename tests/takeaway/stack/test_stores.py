"""Every store of the template is in the list of what `lake forget` does, and the docs have that list."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumers.settings import ConsumerSettings
from takeaway.stack import deployment
from takeaway.stack.stores import BESIDE, DEPLOYED, STORES, Store, as_markdown

DOCS = Path(__file__).parents[3] / "docs" / "lake.md"
# Resources that hold no data: they say who may do what, and who hears what.
KEEP_NOTHING = {"AWS::SQS::QueuePolicy", "AWS::SNS::Subscription"}


def template() -> dict[str, Any]:
    """As YAML; CloudFormation's own tags are taken off."""
    read: dict[str, Any] = yaml.safe_load(re.sub(r"!\w+ ", "", deployment.template()))
    return read


def missing(resources: dict[str, Any], listed: tuple[Store, ...]) -> list[str]:
    """What is wrong between the template and the list."""
    stores = {name for name, resource in resources.items() if resource["Type"] not in KEEP_NOTHING}
    names = {store.name for store in listed}
    return [
        f"{name} ({resources[name]['Type']}) keeps data, and nothing says what becomes of a customer's in it. "
        "fix: have `takeaway lake forget` forget there too, or say in takeaway/stack/stores.py what it holds of "
        "a customer and after how long that goes"
        for name in sorted(stores - names)
    ] + [f"{name} is in the list and not in the template. fix: take it out" for name in sorted(names - stores)]


def test_every_store_of_the_template_is_listed() -> None:
    assert missing(template()["Resources"], DEPLOYED) == []


@pytest.mark.parametrize("kind", ["AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::New::Thing"])
def test_a_store_that_is_added_is_missed_with_what_to_do(kind: str) -> None:
    resources = template()["Resources"] | {"VoucherStore": {"Type": kind}}
    [told] = missing(resources, DEPLOYED)
    assert told.startswith(f"VoucherStore ({kind}) keeps data")
    assert "fix: " in told
    del resources["VoucherStore"], resources["AuditQueue"]
    assert missing(resources, DEPLOYED) == ["AuditQueue is in the list and not in the template. fix: take it out"]


def test_the_periods_are_those_of_the_template_and_the_settings() -> None:
    read, kept = template(), {store.name: store.kept for store in STORES}
    for name, resource in read["Resources"].items():
        if resource["Type"] == "AWS::SQS::Queue":
            assert kept[name] == timedelta(seconds=resource["Properties"]["MessageRetentionPeriod"]), name
    assert kept["Stream"] == timedelta(hours=read["Parameters"]["RetentionHours"]["Default"])
    assert read["Resources"]["OutcomesTable"]["Properties"]["TimeToLiveSpecification"]["Enabled"] is True
    assert kept["OutcomesTable"] == timedelta(days=ConsumerSettings.outcome_days)


def test_each_store_is_forgotten_or_empty_or_says_how_it_ends() -> None:
    assert [store.name for store in STORES if not (store.forgets or not store.holds or store.ends)] == []
    assert [store.name for store in STORES if store.forgets and store.ends] == []


def test_the_docs_have_the_list() -> None:
    table = as_markdown(STORES)
    assert table in DOCS.read_text(), f"docs/lake.md lacks this table:\n{table}"
    assert table.count("\n") == len(DEPLOYED) + len(BESIDE) + 1
