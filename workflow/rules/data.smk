# Items of sources and suites in one form, their audit, and the nested datasets.

from growthpace.advice_inputs import AdviceInputs
from growthpace.data.policy import AuditInputs

audited, advice = AuditInputs(study, paths), AdviceInputs(study, paths)


# A teacher's items: a local rule, as it needs a network. The key is in the environment alone. Paid answers lie in
# asked/, which is no declared output: Snakemake never deletes them.
rule synthesise:
    input:
        lambda wc: plan.seed_pools(wc.source),
    output:
        f"{ROOT}/data/synthetic/{{source}}.jsonl",
        f"{ROOT}/data/synthetic/{{source}}.json",
        f"{ROOT}/data/synthetic/{{source}}.md",
    log:
        f"{ROOT}/logs/synthesise/{{source}}.log",
    wildcard_constraints:
        source=plan.names(plan.written_sources),
    conda:
        "../../envs/synthesise.yaml"
    resources:
        mem_mb=2000,
        runtime=1440,
    params:
        **plan.params("source", plan.synthesis_settings, plan.written_sources),
    shell:
        f"python -m growthpace synthesise {CONFIG} {{wildcards.source}} --yes 2>&1 | tee {{log}}"


rule pool:
    input:
        lambda wc: plan.source_files(wc.source, wc.ability),
    output:
        f"{ROOT}/data/pools/{{source}}/{{ability}}.parquet",
    log:
        f"{ROOT}/logs/pool/{{source}}/{{ability}}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        **plan.params("source", grid.pool_settings, study.sources),
    shell:
        f"python -m growthpace pool {CONFIG} {{wildcards.source}} {{wildcards.ability}} 2>&1 | tee {{log}}"


rule suite:
    input:
        lambda wc: plan.suite_files(wc.suite),
    output:
        f"{ROOT}/data/suites/{{suite}}.parquet",
    log:
        f"{ROOT}/logs/suite/{{suite}}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        **plan.params("suite", grid.suite_settings, study.suites),
    shell:
        f"python -m growthpace suite {CONFIG} {{wildcards.suite}} 2>&1 | tee {{log}}"


rule audit:
    input:
        plan.pools(),
        plan.suites(),
    output:
        f"{ROOT}/data/audit.parquet",
        report(
            f"{ROOT}/data/audit.html",
            caption="../report/audit.rst",
            category="Data",
        ),
        f"{ROOT}/data/audit_items.json",
    log:
        f"{ROOT}/logs/audit.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=6000,
        runtime=60,
    params:
        **plan.stage_params("audit", **grid.audit_settings()),
    shell:
        f"python -m growthpace audit {CONFIG} 2>&1 | tee {{log}}"


rule dataset:
    input:
        lambda wc: plan.dataset_pools(wc.dataset),
        ancient(audited.needed()),
        lambda wc: audited.changed(wc.dataset, wc.seed),
        ancient(lambda wc: advice.unchanged(wc.dataset, wc.seed)),
        lambda wc: advice.changed(wc.dataset, wc.seed),
    output:
        f"{ROOT}/data/datasets/{{dataset}}/seed-{{seed}}.parquet",
        f"{ROOT}/data/datasets/{{dataset}}/seed-{{seed}}.json",
    log:
        f"{ROOT}/logs/dataset/{{dataset}}/seed-{{seed}}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        **plan.dataset_params(),
    shell:
        f"python -m growthpace dataset {CONFIG} {{wildcards.dataset}} {{wildcards.seed}} 2>&1 | tee {{log}}"
