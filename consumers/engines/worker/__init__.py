"""Our own engine: leases in the format of the KCL, one thread a shard."""
