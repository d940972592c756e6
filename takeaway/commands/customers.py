"""lake forget, lake resolve: the names and addresses behind the tokens, and how they become nobody's."""

import json
from collections.abc import Mapping
from typing import Annotated

import typer

from foundation.settings import variable
from takeaway.commands.options import Json, confirm
from takeaway.stack import require_log, resolved
from takeaway.terminal import counted

FORGOTTEN = "no key for it, or no longer"


def forget(
    customer_id: Annotated[str, typer.Argument(help="As the column `customer_id` has it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, wherever the keys are.")] = False,
    as_json: Json = False,
) -> None:
    """Make a customer's name and address unreadable in the lake and in dead letters, for good, by dropping their keys.

    No data file is rewritten. What still lies on the stream, or waits for a file, is not covered: it comes into the
    lake under a new key. Run it again once the stream has trimmed it.

    Example: takeaway lake forget customer-00042
    """
    from analytics.assembly import customer_keys
    from analytics.privacy import order_subject

    environ = resolved()
    _confirm(environ, customer_id, yes)
    orders = _orders_of(environ, customer_id)
    dropped = customer_keys(environ).objects.forget([customer_id, *map(order_subject, orders)])
    if as_json:
        print(json.dumps({"customer_id": customer_id, "orders": len(orders), "keys_dropped": dropped}))
    else:
        print(f"{counted(dropped, 'key')} dropped, of {customer_id} and {counted(len(orders), 'order')}")


def resolve(
    tokens: Annotated[list[str], typer.Argument(help="From `customer_name_token`, `customer_email_token`, `_extra`.")],
    as_json: Json = False,
) -> None:
    """Show what tokens of the lake stand for. Takes who may read the bucket of the keys. Exit 1 when one has no key.

    Example: takeaway lake resolve "$(takeaway lake sql 'select any_value(customer_name_token) from events' | tail -1)"
    """
    from analytics.assembly import customer_keys

    texts = customer_keys(resolved()).objects.texts(tokens)
    if as_json:
        print(json.dumps(texts))
    else:
        for token in tokens:
            text = texts[token]
            print(f"({FORGOTTEN})" if text is None else text)
    raise typer.Exit(0 if None not in texts.values() else 1)


def _orders_of(environ: Mapping[str, str], customer_id: str) -> list[str]:
    """What names an order and no customer is sealed under the order's own key."""
    import pyarrow.dataset as ds

    from analytics.lake import Lake, NoLake

    try:
        rows = Lake.from_environment(environ).dataset()
    except NoLake:
        # With its log gone, a lake has orders, and nothing tells which.
        require_log(environ)
        return []
    found = rows.to_table(columns=["order_id"], filter=ds.field("customer_id") == customer_id)
    return sorted({str(order_id) for order_id in found.column("order_id").to_pylist()})


def _confirm(environ: Mapping[str, str], customer_id: str, yes: bool) -> None:
    keys = f"the keys of {customer_id} in {environ.get(variable('customer_key_bucket'), 'the bucket of the keys')}"
    confirm(environ, f"Drop {keys} for good?", yes=yes, otherwise=f"this would drop {keys} for good")
