"""Customers: who comes back, and whether a voucher makes them."""

from analytics.questions.question import Question
from events import COMPLETED

CUSTOMERS = Question(
    "customers",
    "Returning customers",
    "Customers who placed orders in the window; those who returned placed two at least.",
    """
SELECT count(*) AS customers, count(*) FILTER (orders > 1) AS returned,
  coalesce(sum(orders), 0)::BIGINT AS orders,
  coalesce(sum(orders) FILTER (orders > 1), 0)::BIGINT AS orders_of_returned
FROM (
  SELECT count(*) AS orders
  FROM orders
  WHERE placed_at IS NOT NULL AND customer_id IS NOT NULL
  GROUP BY customer_id
)
""".strip(),
)

CUSTOMERS_BY_ORDERS = Question(
    "customers_by_orders",
    "Customers by their orders",
    "Customers by how many orders they placed in the window; 5 are five or more.",
    """
SELECT least(placed, 5) AS orders_each, count(*) AS customers, sum(placed)::BIGINT AS orders
FROM (
  SELECT count(*) AS placed
  FROM orders
  WHERE placed_at IS NOT NULL AND customer_id IS NOT NULL
  GROUP BY customer_id
)
GROUP BY orders_each
ORDER BY orders_each
""".strip(),
)

VOUCHERS = Question(
    "vouchers",
    "What vouchers do",
    "Completed orders with a voucher for their customer, beside those without: how many of the customers placed "
    "another order behind it in the window, and how soon. Vouchers go to those who order often, so not all of it is "
    "their doing.",
    f"""
SELECT voucher, count(*) AS completed, count(next_at) AS ordered_again,
  quantile_cont(epoch(next_at - completed_at), 0.5) AS median_seconds_to_next
FROM (
  SELECT this.completed_at, this.voucher, later.placed_at AS next_at
  FROM (
    SELECT customer_id, completed_at, voucher_issued_at IS NOT NULL AS voucher
    FROM orders
    WHERE placed_at IS NOT NULL AND customer_id IS NOT NULL AND completed_at IS NOT NULL AND state = '{COMPLETED}'
  ) AS this
  ASOF LEFT JOIN (
    SELECT customer_id, placed_at
    FROM orders
    WHERE placed_at IS NOT NULL
  ) AS later ON this.customer_id = later.customer_id AND this.completed_at < later.placed_at
)
GROUP BY voucher
ORDER BY voucher DESC
""".strip(),
)
