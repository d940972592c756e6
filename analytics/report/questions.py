"""Which questions the report asks, and which a business asks first; each has the SQL that answers it."""

from datetime import timedelta

from analytics.questions import (
    BUSIEST_RESTAURANTS,
    CUSTOMERS,
    CUSTOMERS_BY_ORDERS,
    DATA_QUALITY,
    DROP_OUTS,
    FLOW,
    FUNNEL,
    HOUR_BY_WEEKDAY,
    ITEMS,
    LATENCY_BY_HOUR,
    MISSED_DEADLINES,
    OLDEST_OPEN,
    ORDERS_PER_HOUR,
    OVERVIEW,
    REVENUE,
    REVENUE_BY_CITY,
    REVENUE_BY_RESTAURANT,
    SLOW_RESTAURANTS,
    STEP_LATENCY,
    STUCK_ORDERS,
    VOUCHERS,
    Question,
    orders_over_time,
    revenue_over_time,
)

# What a business asks first of a lake.
FIVE_QUESTIONS = (ORDERS_PER_HOUR, FUNNEL, STEP_LATENCY, REVENUE_BY_RESTAURANT, STUCK_ORDERS)

# What is held against the period before.
COMPARED = (OVERVIEW, REVENUE, CUSTOMERS)


def every_question(bucket: timedelta) -> tuple[Question, ...]:
    """All of them, in the order in which the report asks."""
    return (
        OVERVIEW,
        REVENUE,
        CUSTOMERS,
        FUNNEL,
        DROP_OUTS,
        FLOW,
        STEP_LATENCY,
        LATENCY_BY_HOUR,
        MISSED_DEADLINES,
        STUCK_ORDERS,
        OLDEST_OPEN,
        orders_over_time(bucket),
        HOUR_BY_WEEKDAY,
        revenue_over_time(max(bucket, timedelta(days=1))),
        REVENUE_BY_CITY,
        BUSIEST_RESTAURANTS,
        SLOW_RESTAURANTS,
        ITEMS,
        CUSTOMERS_BY_ORDERS,
        VOUCHERS,
        DATA_QUALITY,
    )
