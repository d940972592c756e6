"""The questions a business asks of the lake, each with the SQL that answers it: paste it into `takeaway lake sql`."""

from analytics.questions.asking import WorkingSet, working_set
from analytics.questions.customers import CUSTOMERS, CUSTOMERS_BY_ORDERS, VOUCHERS
from analytics.questions.demand import HOUR_BY_WEEKDAY, ITEMS, ORDERS_PER_HOUR, orders_over_time
from analytics.questions.outcome import DROP_OUTS, FUNNEL, OVERVIEW
from analytics.questions.quality import DATA_QUALITY, FLOW
from analytics.questions.question import Question, bucket_for
from analytics.questions.restaurants import BUSIEST_RESTAURANTS, SLOW_RESTAURANTS
from analytics.questions.revenue import REVENUE, REVENUE_BY_CITY, REVENUE_BY_RESTAURANT, revenue_over_time
from analytics.questions.steps import (
    LATENCY_BY_HOUR,
    MISSED_DEADLINES,
    OLDEST_OPEN,
    STEP_LATENCY,
    STUCK_ORDERS,
)

__all__ = [
    "BUSIEST_RESTAURANTS",
    "CUSTOMERS",
    "CUSTOMERS_BY_ORDERS",
    "DATA_QUALITY",
    "DROP_OUTS",
    "FLOW",
    "FUNNEL",
    "HOUR_BY_WEEKDAY",
    "ITEMS",
    "LATENCY_BY_HOUR",
    "MISSED_DEADLINES",
    "OLDEST_OPEN",
    "ORDERS_PER_HOUR",
    "OVERVIEW",
    "REVENUE",
    "REVENUE_BY_CITY",
    "REVENUE_BY_RESTAURANT",
    "SLOW_RESTAURANTS",
    "STEP_LATENCY",
    "STUCK_ORDERS",
    "VOUCHERS",
    "Question",
    "WorkingSet",
    "bucket_for",
    "orders_over_time",
    "revenue_over_time",
    "working_set",
]
