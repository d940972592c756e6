"""lake ...: query the lake, look after it, load history into it, and forget customers."""
