# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A tour of the lake
#
# **How did the orders go: how many came, how far did they get, and where did they wait?**
#
# All numbers are computed from the lake that the environment names. As committed that is a made-up week in which one
# kitchen melts down at a dinner; `make notebook` opens this on your own lake.

# %%
from datetime import timedelta

from analytics import questions
from analytics.lake import Lake
from analytics.showing import ask, bar_width, bars, columns, frame, say, spans

# %% [markdown]
# ## The answer

# %%
lake = Lake.from_environment()
answer = "Of {orders:order} {completed} were completed and {rejected} rejected; {open} are still open. "
median = "Half of the accepted ones had their answer within {median_seconds_to_accepted:duration} of being placed."
say(ask(lake, questions.OVERVIEW), answer + median, "No order of this lake has been placed and accepted yet.")

# %% [markdown]
# ## What is there
#
# Three tables: `records` has every record of the stream exactly once, `events` every event once, `orders` a row an
# order.

# %%
lake

# %%
frame(lake.sql("SELECT event_type, count(*) AS events FROM events GROUP BY ALL ORDER BY events DESC, event_type"))

# %%
frame(lake.sql("SELECT state, count(*) AS orders FROM orders GROUP BY ALL ORDER BY orders DESC, state"))

# %% [markdown]
# One order, from its first event to its last. Customers have tokens here; their names and addresses stayed outside.

# %%
longest = lake.sql("SELECT order_id FROM orders ORDER BY complete_seconds DESC NULLS LAST, order_id LIMIT 1")
journey = lake.order(longest["order_id"][0].as_py())
frame(journey.select(["event_type", "occurred_at", "producer", "reason"]))

# %% [markdown]
# ## When do orders come?

# %%
bar = bar_width(lake)
over_time = ask(lake, questions.orders_over_time(bar))
busiest = over_time.sort_by([("orders", "descending"), ("placed_from", "ascending")])
most = say(busiest, "The highest bar, {orders:order}, begins on {placed_from:%A %-d %B at %H:%M} UTC")
columns(over_time, "placed_from", over_time.column_names[2:], bar, claim=most)

# %% [markdown]
# ## How far do they get?

# %%
completed = say(ask(lake, questions.FUNNEL).slice(3), "{orders:order} were completed, {share:share} of all")
bars(ask(lake, questions.FUNNEL), "stage", "orders", share="share", claim=completed)

# %%
frame(ask(lake, questions.DROP_OUTS), most=8)

# %% [markdown]
# ## How long does each step take?
#
# From p50 over p95 to p99; the orange mark is the choreography's deadline.

# %%
latency = ask(lake, questions.STEP_LATENCY)
slowest = latency.sort_by([("p95", "descending")])
claim = say(slowest, "The longest step is to {step}: 95 of 100 take {p95:duration} at most")
spans(latency, "step", deadline="deadline_seconds", claim=claim)

# %%
frame(latency.select(["step", "orders", "p50", "p95", "p99", "deadline_seconds", "late"]))

# %% [markdown]
# ## Reading only what you need
#
# A window names days, and so files: those of other days are not opened.

# %%
day = lake.contents.last_day
newest = lake.sql("SELECT state, count(*) AS orders FROM orders GROUP BY 1", day, day + timedelta(days=1))
frame(newest.sort_by([("orders", "descending"), ("state", "ascending")]))

# %% [markdown]
# ## Where to go on
#
# The notebooks beside this one: [funnel and service levels](funnel_and_service_levels.ipynb), [demand and
# restaurants](demand_and_restaurants.ipynb), [the flow as it ran](the_flow_as_it_ran.ipynb), [find the
# incident](find_the_incident.ipynb). docs/lake.md has cells for pandas, pyarrow, DuckDB and polars;
# `analytics.questions` has more questions, each one SQL statement: `print(questions.FUNNEL.sql())`.
