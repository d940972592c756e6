"""lake forget, lake resolve: the names and addresses behind the tokens, and how they become nobody's."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
import typer.core
from botocore.exceptions import BotoCoreError, ClientError

from foundation import aws
from foundation.clock import SYSTEM_CLOCK
from foundation.error_codes import error_code
from foundation.settings import setting, variable
from takeaway.commands.options import Json, confirm
from takeaway.errors import UserError
from takeaway.stack import HOME, STORES, Store, require_log, resolved
from takeaway.terminal import counted, say, waiting

FORGOTTEN = "no key for it, or no longer"


def forget(
    customer_id: Annotated[str, typer.Argument(help="As the column `customer_id` has it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, wherever the keys are.")] = False,
    as_json: Json = False,
) -> None:
    """Make a customer's name and address unreadable in the lake and in dead letters, for good, by dropping their keys.

    No data file is rewritten. Orders that are over go from the orders table too. What is read from the stream a minute
    later or more comes into the lake under a new key: run it again once the stream has trimmed it. What is left, and
    until when, is told. Broken off, it is run again.

    Example: takeaway lake forget customer-00042
    """
    from analytics.assembly import customer_keys
    from analytics.privacy import order_subject
    from consumers.assembly import forget_states
    from producers.assembly import orders_table, tracked_orders
    from producers.load.forgetting import forget_in_ledger

    environ = resolved()
    _confirm(environ, customer_id, yes)
    now = SYSTEM_CLOCK.now()
    table, tracked = orders_table(environ), tracked_orders(environ)
    with waiting("looking for the customer's orders") as tell:
        try:
            orders = list(table.of_customer(customer_id))
        except ClientError as error:
            raise _no_index(error) from error
        tell(f"{counted(len(orders), 'order')} in the table; now the lake")
        names = sorted({*_orders_in_lake(environ, customer_id), *(order.order_id for order in orders)})
    # The orders go last: broken off before, they are found again.
    with waiting(f"dropping the keys of {counted(len(names), 'order')}"):
        dropped = customer_keys(environ).objects.forget([customer_id, *map(order_subject, names)])
    places = sum(forget_in_ledger(folder, customer_id) for folder in HOME.glob("ledger*"))
    # guarantee: an order under way is not removed
    removed = [order.order_id for order in orders if order.is_over(now) and table.remove(order)]
    under_way = sorted({order.order_id for order in orders} - set(removed))
    # guarantee: a forgotten customer is in no list of the tracker
    untracked = tracked.forget_customer(customer_id, but=under_way)
    # guarantee: a forgotten customer is in no subscriber's state
    states = forget_states(environ, customer_id)
    told = {
        "customer_id": customer_id,
        "orders": len(names),
        "keys_dropped": dropped,
        "orders_removed": len(removed),
        "orders_untracked": untracked,
        "states_removed": states,
        "orders_under_way": under_way,
        "ledger_places": places,
        "left": [_left(store, environ, now) for store in STORES if store.is_left],
    }
    if as_json:
        say(json.dumps(told))
    else:
        say("\n".join(_in_words(told)))


class TakesTokens(typer.core.TyperCommand):
    """Its arguments may begin with a dash, even like an option: one token in 64 does, and some begin with -h."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        tokens = [word for word in args if word not in options and word != "--"]
        return super().parse_args(ctx, [*(word for word in args if word in options), "--", *tokens])


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
        say(json.dumps(texts))
    else:
        for token in tokens:
            text = texts[token]
            say(f"({FORGOTTEN})" if text is None else text)
    raise typer.Exit(0 if None not in texts.values() else 1)


def _orders_in_lake(environ: Mapping[str, str], customer_id: str) -> list[str]:
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
    return [str(order_id) for order_id in found.column("order_id").unique().to_pylist()]


def _left(store: Store, environ: Mapping[str, str], now: datetime) -> dict[str, Any]:
    kept = _kept(store, environ)
    return {
        "store": store.name,
        "holds": store.holds,
        "ends": store.ends,
        "until": (now + kept).isoformat(timespec="minutes") if kept else None,
    }


def _kept(store: Store, environ: Mapping[str, str]) -> timedelta | None:
    """How long what is there now stays: as the stream and the settings say, which the list knows by default only."""
    if store.name == "OutcomesTable" and store.kept:
        return timedelta(days=setting("outcome_days", int, environ, default=store.kept.days))
    if store.name == "Stream":
        try:
            kinesis = aws.client("kinesis", environ)
            asked = kinesis.describe_stream_summary(StreamName=environ[variable("stream")])
        except (BotoCoreError, ClientError, KeyError):
            return None
        return timedelta(hours=asked["StreamDescriptionSummary"]["RetentionPeriodHours"])
    return store.kept


def _in_words(told: Mapping[str, Any]) -> list[str]:
    under_way = told["orders_under_way"]
    keys, orders = counted(told["keys_dropped"], "key"), counted(told["orders"], "order")
    lines = [
        f"{keys} dropped, of {told['customer_id']} and {orders}: unreadable in the lake and in dead letters",
        f"{counted(told['orders_removed'], 'order')} removed from the orders table",
        f"{counted(told['orders_untracked'], 'order')} removed from the tracker's",
        f"{counted(told['states_removed'], 'state')} of subscribers removed",
    ]
    if under_way:
        lines.append(
            f"{counted(len(under_way), 'order')} under way, kept until you forget again: {' '.join(under_way)}"
        )
    if told["ledger_places"]:
        lines.append(f"{counted(told['ledger_places'], 'place')} in ledgers written over")
    lines.append("left:")
    lines += [
        f"  {one['store']}: {one['holds']}{', until ' + one['until'] if one['until'] else ''}; {one['ends']}"
        for one in told["left"]
    ]
    return lines


def _no_index(error: ClientError) -> Exception:
    if error_code(error) == "ValidationException":
        return UserError(
            f"the orders table cannot be asked for a customer's orders: {error}",
            "`takeaway deploy`: a table of an earlier release lacks the index `customer_id`",
        )
    return error


def _confirm(environ: Mapping[str, str], customer_id: str, yes: bool) -> None:
    keys = f"the keys of {customer_id} in {environ.get(variable('customer_key_bucket'), 'the bucket of the keys')}"
    what = f"{keys}, and the orders that are over,"
    confirm(environ, f"Drop {what} for good?", yes=yes, otherwise=f"this would drop {what} for good")
