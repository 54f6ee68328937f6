# The front door: `snakemake -n --configfile config/demo.yaml` shows what would be done and why.
include: "workflow/Snakefile"


# Every needed prediction is a target: what is missing could not be seen behind finished tables.
rule all:
    default_target: True
    input:
        TARGETS,
