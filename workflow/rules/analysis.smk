# One tidy table, and what it says: curves and pace, comparisons, advice.


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
