"""The commands, a module per family; each imports what is heavy only when it runs."""
