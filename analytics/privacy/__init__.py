"""Tokens in place of customers' names and addresses, and the keys that can be dropped."""

from analytics.privacy.customer_keys import ASK_EVERY, CustomerKeys
from analytics.privacy.pages import KeyObjects
from analytics.privacy.tokens import order_subject, sealed_texts

__all__ = ["ASK_EVERY", "CustomerKeys", "KeyObjects", "order_subject", "sealed_texts"]
