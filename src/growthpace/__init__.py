"""growthpace measures how fast each ability of a language model grows under instruction tuning."""

__version__ = "0.1.0"
