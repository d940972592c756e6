"""Orders placed with the API as they come, and restaurants that answer them."""

from producers.load.live.orders_client import OrdersClient
from producers.load.live.restaurants import Restaurants
from producers.load.live.simulation import LoadCounts, LoadPlan, LoadSummary, simulate
from producers.load.live.tickets import TicketQueue

__all__ = ["LoadCounts", "LoadPlan", "LoadSummary", "OrdersClient", "Restaurants", "TicketQueue", "simulate"]
