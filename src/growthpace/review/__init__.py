"""Quality control by people: two independent reviewers pass, revise or reject a source's items (docs/review.md)."""
