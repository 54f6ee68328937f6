"""Items that a teacher writes: what it is asked, what of it is kept, and what that costs (docs/synthesise.md)."""
