"""Asking a model behind an OpenAI-compatible endpoint: cached, limited, repeated after errors, and paid for only once.

Knows nothing of what is asked; `growthpace.judging` is its first user.
"""
