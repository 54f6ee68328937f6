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
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **plan.stage_params("collect", "analysis", **plan.collected()),
    shell:
        "growthpace collect {CONFIG} > {log} 2>&1"


rule fit:
    input:
        f"{ROOT}/analysis/item_grades.parquet",
    output:
        f"{ROOT}/analysis/points.parquet",
        f"{ROOT}/analysis/pace.parquet",
    log:
        f"{ROOT}/logs/fit.log",
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **plan.stage_params("fit", "analysis"),
    shell:
        "growthpace fit {CONFIG} > {log} 2>&1"


rule compare:
    input:
        f"{ROOT}/analysis/item_grades.parquet",
    output:
        f"{ROOT}/analysis/comparisons.parquet",
    log:
        f"{ROOT}/logs/compare.log",
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **plan.stage_params("compare", "analysis"),
    shell:
        "growthpace compare {CONFIG} > {log} 2>&1"


rule advise:
    input:
        f"{ROOT}/analysis/item_grades.parquet",
    output:
        f"{ROOT}/analysis/advice.yaml",
    log:
        f"{ROOT}/logs/advise.log",
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **plan.stage_params("advise", "analysis"),
    shell:
        "growthpace advise {CONFIG} > {log} 2>&1"
