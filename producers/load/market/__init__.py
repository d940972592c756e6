"""The market that orders are drawn from: customers, restaurants, kitchens, demand. Pure and seeded."""

from producers.load.market.catalogue import CURRENCY, TIME_ZONE, fingerprint, restaurants, seeded
from producers.load.market.demand import DAY_MINUTES, ORDERS_A_DAY, SLOT_MINUTES, FlatDemand, WeekDemand, arrivals
from producers.load.market.kitchen import ANSWER_DEADLINE, LONGEST_COOKING, LONGEST_QUEUE, KitchenPlan, Kitchens
from producers.load.market.lifecycle import Journey, events, journeys
from producers.load.market.market import IntendedOrder, Market, a_market, orders
from producers.load.market.scenarios import CALM, SCENARIOS, Incident, incident

__all__ = [
    "ANSWER_DEADLINE",
    "CALM",
    "CURRENCY",
    "DAY_MINUTES",
    "LONGEST_COOKING",
    "LONGEST_QUEUE",
    "ORDERS_A_DAY",
    "SCENARIOS",
    "SLOT_MINUTES",
    "TIME_ZONE",
    "FlatDemand",
    "Incident",
    "IntendedOrder",
    "Journey",
    "KitchenPlan",
    "Kitchens",
    "Market",
    "WeekDemand",
    "a_market",
    "arrivals",
    "events",
    "fingerprint",
    "incident",
    "journeys",
    "orders",
    "restaurants",
    "seeded",
]
