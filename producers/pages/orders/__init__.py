"""The customer's and the restaurant's pages: order from a menu, answer tickets, and see what becomes of an order."""

from producers.pages.orders.menu import Dish, Menu, MenuRestaurant
from producers.pages.orders.mounting import left, order_pages

__all__ = ["Dish", "Menu", "MenuRestaurant", "left", "order_pages"]
