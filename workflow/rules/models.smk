# Base models: fetched (by a local rule: compute nodes often have no network), copied or made from scratch, with the tokens that the study's format needs. The weights beside
# base.json are no declared output: Snakemake would delete them at the start of every attempt.


rule fetch_model:
    output:
        f"{ROOT}/models/{{model}}.fetched.json",
    log:
        f"{ROOT}/logs/fetch_model/{{model}}.log",
    wildcard_constraints:
        model=plan.names(plan.hub_models()),
    conda:
        "../../envs/train.yaml"
    params:
        **plan.params("model", plan.fetch_settings, plan.hub_models()),
    shell:
        f"python -m growthpace fetch-model {CONFIG} {{wildcards.model}} 2>&1 | tee {{log}}"


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
        **plan.needs.resources("base_model"),
    params:
        **plan.params("model", grid.model_settings, study.models),
    shell:
        f"python -m growthpace base-model {CONFIG} {{wildcards.model}} 2>&1 | tee {{log}}"
