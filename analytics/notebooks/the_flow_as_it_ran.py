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
# # The flow as it ran
#
# **Did the orders go as the choreography says: what was told, how soon, and which orders went otherwise?**
#
# The flow is declared once, in `events/choreography.py`, and nobody conducts it. Here it is mined from the events alone
# and held against what is declared; `takeaway flow check` does the same.
#
# All numbers are computed from the lake that the environment names. As committed that is a made-up week in which one
# kitchen melts down at a dinner; `make notebook` opens this on your own lake.

# %%
from analytics.lake import Lake
from analytics.mining import mine
from analytics.showing import bars, deviation_kinds, edges, examples, frame, say, spans, ways

# %% [markdown]
# ## The answer

# %%
lake = Lake.from_environment()
mined = mine(lake.sql)
say(mined, "{orders:order} made {events:event}; {deviating} of them went otherwise than declared.")

# %% [markdown]
# ## What was told, and how often?
#
# A row for each event that a step may tell. One that a step tells about several events has a row for each.

# %%
told = edges(mined)
most = told.sort_by([("times", "descending")])
claim = say(most, "Most often there was: {edge}, {times:time}")
bars(told, "edge", "times", most=20, claim=claim)

# %% [markdown]
# ## How soon?
#
# From the event that was heard to the one that was told, p50 and p95; the orange mark is the deadline.

# %%
late = told.sort_by([("late", "descending"), ("p95", "descending")])
claim = say(late, "Most often late: {edge}, {late} times of {times}", "Nothing has followed from anything yet")
spans(told, "edge", deadline="deadline_seconds", claim=claim)

# %%
frame(told.select(["hears", "tells", "owner", "times", "p50", "p95", "deadline_seconds", "late"]), most=20)

# %% [markdown]
# ## Which ways did orders go?

# %%
went = ways(mined)
claim = say(went, "The usual way is that of {orders:order}, {share:share} of all")
bars(went, "way", "orders", share="share", claim=claim)

# %% [markdown]
# ## Which orders went otherwise?
#
# By kind, the worst first; an order of two kinds is under both. Late is a person's or a handler's; what the shop did
# late is no fault of the software.

# %%
frame(deviation_kinds(mined))

# %% [markdown]
# One of the worst kind, as it went. `takeaway trace` tells more of it, in a terminal.

# %%
odd = examples(mined)
journeys = [lake.order(order_id) for order_id in odd[:1]]
frame(journeys[0].select(["event_type", "occurred_at", "producer"])) if journeys else say(None, "All went as declared.")
