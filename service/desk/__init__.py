"""The pages that people see; no build step, nothing loaded from other hosts."""
