"""Items that a teacher writes: what it is asked, what of its answers is kept, and what that costs (docs/synthesise.md)."""
