"""Tokens in place of customers' names and addresses, and the keys that can be dropped."""

from analytics.privacy.customer_keys import CustomerKeys, KeyObjects, order_subject, sealed_texts

__all__ = ["CustomerKeys", "KeyObjects", "order_subject", "sealed_texts"]
