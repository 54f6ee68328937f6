"""Judging: a model behind an endpoint says what answers are worth that no program can compare with a reference."""
