"""demo, up, down, deploy, env: the whole system, on this machine or on an endpoint."""

import json
import os
import shlex
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, cast

import typer

from foundation.clock import SYSTEM_CLOCK
from foundation.settings import variable
from takeaway.commands import completing
from takeaway.commands.options import MAX_RATE, MAX_SPEED, Json, Seed, Speed, at_a_terminal, chosen, port
from takeaway.errors import UserError
from takeaway.local import BACKENDS, EMBEDDED, backend_named
from takeaway.stack import HOME, NONE, OTHERS, SIMULATED, endpoint, resolved, signing
from takeaway.terminal import Interrupted, PlainConsole, say, typed, waiting

if TYPE_CHECKING:
    from producers.orders import Role

BackendName = Annotated[
    str,
    typer.Option(
        "--backend",
        envvar=variable("backend"),
        help=f"The local AWS: {', '.join(BACKENDS)}.",
        autocompletion=completing.backends,
    ),
]


class Simulated(StrEnum):
    """Which restaurants are simulated."""

    ALL = SIMULATED
    OTHERS = OTHERS
    NONE = NONE


def demo(
    orders: Annotated[int | None, typer.Option(min=1, show_default="what the back end can carry, 600 or 200")] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.1, max=MAX_RATE, help="Orders a second.", show_default="25 or 10"),
    ] = None,
    speed: Speed = 400,
    seed: Seed = None,
    backend: BackendName = EMBEDDED.name,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything up afterwards, to look around.")] = False,
) -> None:
    """Run the whole flow on a local AWS of its own for about a minute, and prove that nothing was lost or doubled.

    Example: takeaway demo --orders 1000 --rate 40 --seed 7
    """
    from takeaway.demo import DemoPlan, demo

    home = HOME / "demos" / f"{SYSTEM_CLOCK.now():%Y%m%d-%H%M%S}-{os.getpid()}"
    chosen_backend = backend_named(backend)
    plan = DemoPlan(
        backend=chosen_backend,
        orders=orders or chosen_backend.orders,
        rate=rate or chosen_backend.rate,
        speed=speed,
        seed=chosen(seed),
    )
    raise typer.Exit(demo(plan, home=home, keep=keep, console=PlainConsole(highlight=False)))


def up(
    aws_only: Annotated[bool, typer.Option("--aws-only", help="Only the local AWS with the stack on it.")] = False,
    speed: Annotated[
        float | None,
        typer.Option(min=1, max=MAX_SPEED, help="How many times as fast as real kitchens.", show_default="60"),
    ] = None,
    backend: BackendName = EMBEDDED.name,
    restaurants: Annotated[
        Simulated | None,
        typer.Option(
            help="Which are simulated; others: but for those whose page a person has open.", show_default="simulated"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Start the local AWS, the API, every consumer and simulated restaurants, and leave them running.

    To run a restaurant yourself: takeaway up --restaurants others. An order then waits ten minutes for its answer.

    Example: takeaway up, then paste the curl it prints. Ports: TAKEAWAY_AWS_PORT (4566), TAKEAWAY_API_PORT (8080).
    """
    from takeaway.stack import API, existing, first_order, up

    was_up = {one.pid for one in existing(HOME).running}
    api_port, aws_port = port("api_port"), port("aws_port")
    chosen_backend = backend_named(backend)
    if was_up:
        ending = f"ends at once, and what is up stays up: `{typed()} down` ends it"
    else:
        ending = "waits until what was started has finished what it does, and has ended"
    with Interrupted(ending, at_once=True).watching(), waiting("starting what is not up") as tell:
        stack = up(
            HOME,
            backend=chosen_backend,
            aws_port=aws_port,
            api_port=api_port,
            aws_only=aws_only,
            speed=speed,
            tell=tell,
            restaurants=restaurants.value if restaurants else None,
        )
    environ = resolved()
    if as_json:
        facts = {
            "processes": [{"name": one.name, "pid": one.pid, "log": one.log} for one in stack.running],
            "endpoint": environ["AWS_ENDPOINT_URL"],
            "api": stack.api if stack.runs(API) else None,
        }
        say(json.dumps(facts))
        return
    for one in stack.running:
        say(f"{one.name:20} pid {one.pid:<8} log {one.log}{'   was up' if one.pid in was_up else ''}")
    program = typed()
    say(f"\nAWS_ENDPOINT_URL={environ['AWS_ENDPOINT_URL']}")
    say(f'For notebooks, scripts and the aws command:   eval "$({program} env)"')
    if stack.runs(API):
        say(f"API  {stack.api}   (OpenAPI: {stack.api}/schema/openapi.json)")
        say(f"\nSign in to the pages, with links that work once and for fifteen minutes:\n\n{_links(stack.api)}")
        say(f"\nPlace an order, and follow it:\n\n{first_order(stack.api, signing(environ)[variable('token_key')])}\n")
        say("See it in the lake:  ", program, "lake sql 'select event_type, occurred_at from events order by 2'")
    say(f"Stop everything:      {program} down")


def down(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, whatever the lake holds.")] = False,
    as_json: Json = False,
) -> None:
    """Stop what `takeaway up` started: consumers drain first, the local AWS goes last, and its lake with it.

    On a terminal it asks before it discards a lake with rows. Without one it goes on, and says what went.
    """
    from takeaway.stack import existing, lake_at_stake

    homes = [HOME, *(path.parent for path in sorted(HOME.glob("demos/*/services.json")))]
    stacks = [existing(home) for home in homes]
    discarded = [lake for stack in stacks if (lake := lake_at_stake(stack))]
    if discarded and not yes and at_a_terminal():
        typer.confirm(f"This discards {' and '.join(discarded)}. Go on?", abort=True)
    stopped = sum(len(stack.running) for stack in stacks)
    ending = "waits for the processes to finish what they have"
    with Interrupted(ending).watching(), waiting("stopping") as tell:
        for stack in stacks:
            stack.stop(tell)
    if as_json:
        say(json.dumps({"stopped": stopped}))
    else:
        for lake in discarded:
            say(f"discarded {lake}")
        say(f"stopped {stopped} process{'' if stopped == 1 else 'es'}" if stopped else "nothing was up")


def deploy(
    shards: Annotated[int | None, typer.Option(min=1, help="Shards of the stream.")] = None, as_json: Json = False
) -> None:
    """Create or update the stack on the endpoint in use, and print its settings.

    Example: AWS_ENDPOINT_URL=http://127.0.0.1:4566 takeaway deploy
    """
    from takeaway.stack import deploy as deploy_stack

    with waiting("deploying the stack; on AWS it takes some minutes"):
        settings = deploy_stack(endpoint(), shards=shards)
    if as_json:
        say(json.dumps(settings))
        return
    for name, value in settings.items():
        say(f"{name}={value}")


def env() -> None:
    """Print this stack's variables for a shell, so that scripts and notebooks find the lake and the stream.

    With what deltalake, polars and DuckDB need for a lake on plain HTTP; on a terminal also how to use it.

    Example: eval "$(takeaway env)"
    """
    from takeaway.stack import reader_notes, reader_variables

    environ = resolved()
    for name, value in sorted((environ | reader_variables(environ)).items()):
        if os.environ.get(name) != value:
            say(f"export {name}={shlex.quote(value)}")
    # A shell that is asked to run them may not know comments: an interactive zsh does not.
    for note in reader_notes() if sys.stdout.isatty() else ():
        say(f"# {note}")


def token(
    subject: Annotated[str, typer.Argument(help="A customer's or a restaurant's id.")],
    role: Annotated[
        str, typer.Option(help="customer, restaurant or operator.", autocompletion=completing.roles)
    ] = "customer",
    link: Annotated[
        bool, typer.Option("--link", help="A sign-in link for the pages, good once and for fifteen minutes.")
    ] = False,
) -> None:
    """Print a bearer token of the orders API, good for a day; or a link that signs a browser in to its pages, once.

    Example: takeaway token restaurant-01 --role restaurant --link

    Or: curl -s $API/orders/$ORDER -H "Authorization: Bearer $(takeaway token you --role operator)"
    """
    from typing import get_args

    from producers.orders import Role
    from takeaway.stack import existing, sign_in_link, token

    if role not in get_args(Role):
        raise UserError(f"no role is called {role!r}", f"one of: {', '.join(get_args(Role))}")
    key, as_role = signing(resolved())[variable("token_key")], cast("Role", role)
    say(sign_in_link(existing(HOME).api, key, subject, as_role) if link else token(key, subject, as_role))


def _links(api: str) -> str:
    """One for each page, for the customer of the curl and the restaurant that it orders from."""
    from takeaway.stack import sign_in_link

    key = signing(resolved())[variable("token_key")]
    people: tuple[tuple[str, Role], ...] = (
        ("customer-you", "customer"),
        ("restaurant-01", "restaurant"),
        ("operator-you", "operator"),
    )
    return "\n".join(f"{role:12}{sign_in_link(api, key, subject, role)}" for subject, role in people)
