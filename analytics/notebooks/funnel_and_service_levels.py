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
# # Funnel and service levels
#
# **How many orders come to a good end, where are the others lost, and does each step keep its deadline?**
#
# All numbers are computed from the lake that the environment names. As committed that is a made-up week in which one
# kitchen melts down at a dinner; `make notebook` opens this on your own lake.

# %%
from analytics.lake import Lake
from analytics.questions import DROP_OUTS, FUNNEL, OVERVIEW, STEP_LATENCY
from analytics.showing import ask, bars, frame, say, spans
from analytics.showing.questions import LATE_STEPS, MISSED_BY_RESTAURANT, SERVICE_BY_DAY

# %% [markdown]
# ## The answer

# %%
lake = Lake.from_environment()
say(ask(lake, OVERVIEW), "{completed} of {orders:order} were completed.")

# %%
late = "Of {steps:step} {late} took longer than the choreography allows; {in_time_share:share} were in time."
say(ask(lake, LATE_STEPS), late, "No order has taken a step yet, so none is in time or late.")

# %% [markdown]
# ## Where are orders lost?
#
# An order counts for a stage when it reached that stage or a later one.

# %%
stages = ask(lake, FUNNEL)
claim = say(stages.slice(2), "{share:share} of the orders were accepted", "No order was placed in this lake")
bars(stages, "stage", "orders", share="share", claim=claim)

# %% [markdown]
# The stage that they had reached, and why they stopped. Overdue is what waits longer than the choreography allows.

# %%
frame(ask(lake, DROP_OUTS))

# %% [markdown]
# ## Does each step keep its deadline?
#
# From p50 over p95 to p99, on a logarithmic scale; the orange mark is the deadline.

# %%
steps = ask(lake, STEP_LATENCY)
worst = steps.sort_by([("late", "descending"), ("p95", "descending")])
claim = say(worst, "The step that is late most often is: {step}, {late} times of {orders}")
spans(steps, "step", deadline="deadline_seconds", claim=claim)

# %%
frame(steps.select(["step", "orders", "p50", "p95", "p99", "longest", "deadline_seconds", "late"]))

# %% [markdown]
# ## Is it the same every day?
#
# From placing to completion, by the day of placing.

# %%
days = ask(lake, SERVICE_BY_DAY)
slowest = days.sort_by([("p95", "descending")])
claim = say(slowest, "The slowest day was {day:%A %-d %B}: one in twenty orders took more than {p95:duration}")
spans(days, "name", claim=claim)

# %% [markdown]
# ## Which restaurants let orders go?
#
# Orders that a restaurant rejected, or that expired without its answer; the share is of its own orders.

# %%
missed = ask(lake, MISSED_BY_RESTAURANT)
claim = say(missed, "{restaurant_id} let {missed:order} go of the {of_all} that all let go", "No order was let go")
bars(missed, "restaurant_id", "missed", share="share", most=12, claim=claim)
