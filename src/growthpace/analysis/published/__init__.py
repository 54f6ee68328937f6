"""Numbers from publications, as tables and maps for `growthpace analyse`."""
