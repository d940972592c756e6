"""The commands, a module a noun. Each imports what it runs when it runs, so that `--help` costs nothing."""
