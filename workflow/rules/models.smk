# Base models: fetched, copied or made from scratch, with the tokens that the study's format needs. The weights beside
# base.json are no declared output: Snakemake would delete them at the start of every attempt.


rule base_model:
    input:
        lambda wc: plan.model_files(wc.model),
    output:
        f"{ROOT}/models/{{model}}/base.json",
    log:
        f"{ROOT}/logs/base_model/{{model}}.log",
    priority: 2
    conda:
        "../../envs/train.yaml"
    threads: study.threads
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        **plan.params("model", grid.model_settings, study.models),
    shell:
        f"python -m growthpace base-model {CONFIG} {{wildcards.model}} 2>&1 | tee {{log}}"
