# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A tour of the lake
#
# **How did the orders go: how many came, how far did they get, and where did they wait?**
#
# Everything below is read from the lake that the environment names. Start Jupyter from a shell that ran
# `eval "$(takeaway env)"`. The numbers shown here are those of a made-up week: some 2,900 orders of
# `takeaway load history --seed 7`, with a kitchen meltdown at dinner on the fourth day.

# %%
from datetime import UTC, datetime, timedelta

from analytics.lake import Lake
from analytics.report import plots, questions
from analytics.report.showing import Drawing, ask, frame, in_words

# %% [markdown]
# ## The answer

# %%
lake = Lake.from_environment()
glance = ask(lake, questions.OVERVIEW)
print(in_words(glance, "Of {orders:,} orders {completed:,} were completed, {rejected:,} rejected; {open:,} are open."))
print(in_words(glance, "Half were accepted within {median_seconds_to_accepted:.0f} s of being placed."))

# %% [markdown]
# ## What is there
#
# Three tables: `records` has every record of the stream exactly once, `events` every event once, `orders` a row an
# order.

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
# ## Orders come in two waves a day
#
# Each bar is six hours, in UTC.

# %%
bar = timedelta(hours=6)
Drawing(plots.orders_over_time(ask(lake, questions.orders_over_time(bar)), bar))

# %% [markdown]
# ## Most of those that are lost are turned down by the restaurant

# %%
Drawing(plots.funnel(ask(lake, questions.FUNNEL)))

# %%
frame(ask(lake, questions.DROP_OUTS)).head(8)

# %% [markdown]
# ## People are slower than programs, and both are nearly always in time
#
# From p50 over p95 to p99; the orange mark is the choreography's deadline.

# %%
latency = ask(lake, questions.STEP_LATENCY)
Drawing(plots.step_latency(latency))

# %%
frame(latency.select(["step", "orders", "p50", "p95", "p99", "deadline_seconds", "late"]))

# %% [markdown]
# ## Reading only what you need
#
# A window names days, and so files: those of other days are not opened.

# %%
dinner = datetime(2026, 6, 4, 16, tzinfo=UTC), datetime(2026, 6, 4, 22, tzinfo=UTC)
at_dinner = lake.sql("SELECT state, count(*) AS orders FROM orders WHERE placed_at IS NOT NULL GROUP BY 1", *dinner)
frame(at_dinner.sort_by([("orders", "descending")]))

# %% [markdown]
# ## Where to go on
#
# [docs/lake.md](../../docs/lake.md) has cells for pandas, pyarrow, DuckDB and polars; `analytics.report.questions` has
# more questions, each one SQL statement: `print(questions.FUNNEL.sql())`; `takeaway report` asks them all.
