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
# # Find the incident
#
# **Something went wrong one evening. When, where, and what was it?**
#
# Nothing tells in advance what to look for. So everything is counted by hour, for each restaurant and for all together,
# and held against all other hours: what chance does not explain is worth a look. The answer is at the end.
#
# All numbers are computed from the lake that the environment names. As committed that is a made-up week in which one
# kitchen melts down at a dinner; `make notebook` opens this on your own lake.
#
# To play with another one: `takeaway load history --scenario NAME` makes a history, `takeaway lake backfill` puts it
# into a lake, and INCIDENT_LEDGER names the folder of its ledger, which knows the answer.

# %%
import os
from datetime import timedelta

from analytics.lake import Lake
from analytics.showing import around, bars, became, by_hour, columns, finding, frame, planted, say, unusual

# %% [markdown]
# ## The answer, as far as the data know it

# %%
lake = Lake.from_environment()
found = unusual(lake)
one = finding(found)
what = "{place}, {hour:%A %-d %B, %H:%M} UTC: of {total:order} {orders} were “{what}”, usually {usual:share}."
say(one, what, "No hour of this lake stands out: what was counted in each may well be chance.")

# %% [markdown]
# ## When was it?
#
# For each hour the most unusual thing in it. A score of 6: chance alone does that once in a million hours; of 3, once
# in a thousand, and there are many hours of many restaurants.

# %%
claim = say(one, "No chance, at {hour:%H:%M}: the score is {score:.0f}", "No hour stands out")
columns(by_hour(lake, found), "since", ["score"], timedelta(hours=1), claim=claim)

# %%
frame(found)

# %% [markdown]
# ## When did it begin, and when was it over?
#
# That place's orders by half-hours: those that were so, and the others.

# %%
claim = say(one, "From {since:%H:%M} until {until:%H:%M} UTC things were unusual at {place}", "Nothing stands out")
columns(around(lake, one), "since", ["others", "found"], timedelta(minutes=30), claim=claim)

# %% [markdown]
# ## What became of these orders?
#
# Beside what usually becomes of that place's orders.

# %%
ends = became(lake, one)
more = ends.sort_by([("more", "descending")])
claim = say(more, "{share:share} ended so: {became}; usually {usual_share:share} do", "Nothing stands out")
bars(ends, "became", "orders", share="share", claim=claim)

# %%
frame(ends)

# %% [markdown]
# ## And what was it really?
#
# Your own answer first. What was made to go wrong stands in the ledger of the history.

# %%
planted(os.environ.get("INCIDENT_LEDGER"))
