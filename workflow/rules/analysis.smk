# One tidy table, and what it says: curves and pace, comparisons, advice.


# The numbers of a mix with `advice`, from the grid's own grades: before its training, so not from the table of scores.
rule allocate:
    input:
        lambda wc: advice.grades(wc.dataset),
        lambda wc: plan.dataset_pools(wc.dataset),
        ancient(audited.needed()),
    output:
        f"{ROOT}/analysis/allocation-{{dataset}}.yaml",
    log:
        f"{ROOT}/logs/allocate/{{dataset}}.log",
    wildcard_constraints:
        dataset=plan.names(grid.advised),
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **plan.params("dataset", grid.allocation_settings, grid.advised),
    shell:
        f"python -m growthpace allocate {CONFIG} {{wildcards.dataset}} 2>&1 | tee {{log}}"


rule collect:
    input:
        grades=plan.grades(),
        selected=plan.selections(),
    output:
        f"{ROOT}/scores.parquet",
        f"{ROOT}/analysis/item_grades.parquet",
    log:
        f"{ROOT}/logs/collect.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **plan.stage_params("collect", "analysis", **plan.collected()),
    shell:
        f"python -m growthpace collect {CONFIG} 2>&1 | tee {{log}}"


rule fit:
    input:
        f"{ROOT}/analysis/item_grades.parquet",
    output:
        f"{ROOT}/analysis/points.parquet",
        f"{ROOT}/analysis/pace.parquet",
        f"{ROOT}/analysis/laws.parquet",
        f"{ROOT}/analysis/law_curves.parquet",
        f"{ROOT}/analysis/sizes.parquet",
        f"{ROOT}/analysis/selection_bias.parquet",
    log:
        f"{ROOT}/logs/fit.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **plan.stage_params("fit", "analysis"),
    shell:
        f"python -m growthpace fit {CONFIG} 2>&1 | tee {{log}}"


rule compare:
    input:
        f"{ROOT}/analysis/item_grades.parquet",
    output:
        f"{ROOT}/analysis/comparisons.parquet",
        f"{ROOT}/analysis/equivalence.parquet",
        f"{ROOT}/analysis/crossings.parquet",
        f"{ROOT}/analysis/last_steps.parquet",
        f"{ROOT}/analysis/generalisation.parquet",
    log:
        f"{ROOT}/logs/compare.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **plan.stage_params("compare", "analysis"),
    shell:
        f"python -m growthpace compare {CONFIG} 2>&1 | tee {{log}}"


rule advise:
    input:
        f"{ROOT}/analysis/item_grades.parquet",
        advice.allocations(),
    output:
        f"{ROOT}/analysis/advice.yaml",
    log:
        f"{ROOT}/logs/advise.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **plan.stage_params("advise", "analysis"),
    shell:
        f"python -m growthpace advise {CONFIG} 2>&1 | tee {{log}}"


rule check_advice:
    input:
        f"{ROOT}/analysis/item_grades.parquet",
        advice.allocations(),
    output:
        f"{ROOT}/analysis/advice_check.json",
    log:
        f"{ROOT}/logs/check_advice.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **plan.stage_params("check_advice", "analysis"),
    shell:
        f"python -m growthpace check-advice {CONFIG} 2>&1 | tee {{log}}"


rule transfer:
    input:
        f"{ROOT}/analysis/item_grades.parquet",
    output:
        f"{ROOT}/analysis/transfer.parquet",
    log:
        f"{ROOT}/logs/transfer.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **plan.stage_params("transfer", "analysis"),
    shell:
        f"python -m growthpace transfer {CONFIG} 2>&1 | tee {{log}}"


rule features:
    input:
        f"{ROOT}/analysis/item_grades.parquet",
        f"{ROOT}/analysis/pace.parquet",
        optional.transfer_table(study, paths),
        optional.described_files(study, paths),
    output:
        f"{ROOT}/analysis/features.parquet",
        f"{ROOT}/analysis/feature_prediction.json",
    log:
        f"{ROOT}/logs/features.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **plan.stage_params("features", "analysis"),
    shell:
        f"python -m growthpace features {CONFIG} 2>&1 | tee {{log}}"
