"""What a study would do next, and why: read from Snakemake's own dry run, without changing anything."""
