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
# # Demand and restaurants
#
# **When do orders come, where do they go, and which kitchens make people wait?**
#
# All numbers are computed from the lake that the environment names. As committed that is a made-up week in which one
# kitchen melts down at a dinner; `make notebook` opens this on your own lake.

# %%
from analytics.lake import Lake
from analytics.questions import REVENUE, REVENUE_BY_CITY, orders_over_time
from analytics.showing import ask, bar_width, bars, columns, frame, heat_map, say, spans
from analytics.showing.questions import HOURS_BY_WEEKDAY, RESTAURANTS, RETURNING_CUSTOMERS, SLOW_KITCHENS, WEEKDAYS

# %% [markdown]
# ## The answer

# %%
lake = Lake.from_environment()
restaurants = ask(lake, RESTAURANTS)
shared = "{of_all:order} went to {restaurants:restaurant}; the busiest, {restaurant_id}, had {share:share} of them."
say(restaurants, shared, "No order has been placed yet.")

# %%
hours = ask(lake, HOURS_BY_WEEKDAY)
say(hours, "The busiest hour of a week begins on {weekday_name} at {hour}:00 UTC.", "So there is no busiest hour.")

# %% [markdown]
# ## When do orders come?

# %%
bar = bar_width(lake)
over_time = ask(lake, orders_over_time(bar))
busiest = over_time.sort_by([("orders", "descending"), ("placed_from", "ascending")])
claim = say(busiest, "The highest bar, {orders:order}, begins on {placed_from:%A %-d %B at %H:%M} UTC")
columns(over_time, "placed_from", ["orders"], bar, claim=claim)

# %% [markdown]
# ## At which hours of the week?
#
# Hours are in UTC, and their numbers are of all weeks together.

# %%
claim = say(hours, "{weekday_name} from {hour}:00 on had {orders:order}, {share:share} of all")
heat_map(hours, "hour", "weekday", "orders", names=WEEKDAYS, claim=claim)

# %% [markdown]
# ## Where do they go?

# %%
top = say(restaurants.slice(2), "The {place} busiest had {so_far:share} of all orders", "There are few restaurants")
bars(restaurants, "restaurant_id", "orders", share="share", claim=top)

# %%
frame(ask(lake, REVENUE_BY_CITY))

# %% [markdown]
# Revenue is of completed orders, in minor units (cents), and never added over currencies.

# %%
frame(ask(lake, REVENUE))

# %% [markdown]
# ## Which kitchens make people wait?
#
# From accepting to completing, of restaurants with ten completed orders at least; from p50 over p95 to p99.

# %%
slow = ask(lake, SLOW_KITCHENS)
claim = say(
    slow, "Half of the orders of {restaurant_id} took over {p50:duration}; the middle restaurant's, {usual:duration}"
)
spans(slow.slice(0, 12), "restaurant_id", claim=claim)

# %% [markdown]
# ## Do customers come back?

# %%
returning = ask(lake, RETURNING_CUSTOMERS)
claim = say(returning, "{came_back} of {of_all:customer} ordered more than once")
bars(returning, "ordered", "customers", share="share", claim=claim)
