"""A history of orders, written to a file with its ledger."""

from producers.load.history.history import HistoryPlan, ledger_beside, sample, write_history

__all__ = ["HistoryPlan", "ledger_beside", "sample", "write_history"]
