# Verdicts of a judge on answers. Local rules: compute nodes often have no network, and a judge needs no GPU. The key is
# in the environment alone. Paid answers lie in asked/, which is no declared output: Snakemake never deletes them.


rule spec_judge:
    output:
        f"{ROOT}/specs/judge.json",
    log:
        f"{ROOT}/logs/spec/judge.log",
    conda:
        "../../envs/judge.yaml"
    params:
        **plan.judging_params(),
    shell:
        f"python -m growthpace spec {CONFIG} judge 2>&1 | tee {{log}}"


rule judge:
    input:
        f"{ROOT}/predictions/{RUN}/epoch-{{epoch}}/{{suite}}.parquet",
        f"{ROOT}/data/suites/{{suite}}.parquet",
        f"{ROOT}/specs/judge.json",
    output:
        f"{ROOT}/judgements/{RUN}/epoch-{{epoch}}/{{suite}}.parquet",
    log:
        f"{ROOT}/logs/judge/{RUN}/epoch-{{epoch}}/{{suite}}.log",
    wildcard_constraints:
        suite=plan.names(study.judged),
    conda:
        "../../envs/judge.yaml"
    resources:
        mem_mb=1000,
        runtime=1440,
    shell:
        f"python -m growthpace judge {CONFIG} {THIS_RUN}"
        f" {{wildcards.suite}} {{wildcards.epoch}} 2>&1 | tee {{log}}"


rule judge_report:
    input:
        plan.all_judgements(),
    output:
        f"{ROOT}/analysis/judge.json",
    log:
        f"{ROOT}/logs/judge_report.log",
    conda:
        "../../envs/judge.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        **plan.stage_params("judging", confidence=study.analysis.confidence),
    shell:
        f"python -m growthpace judge-report {CONFIG} 2>&1 | tee {{log}}"
