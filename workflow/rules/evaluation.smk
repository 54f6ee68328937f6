# Answers of checkpoints, their grades, and the choice of each run's epoch.
#
# `ancient` on what training writes: a run that is trained again only because weights were lost gives the same weights,
# so its other predictions stay. What would really change them comes through the inputs that are not ancient: the run's
# spec, its base model, its dataset, the suite and the suite's spec.


rule spec_predict:
    output:
        f"{ROOT}/specs/predict-{{suite}}.json",
    log:
        f"{ROOT}/logs/spec/predict-{{suite}}.log",
    params:
        **plan.params("suite", grid.prediction_settings, study.suites),
    shell:
        "growthpace spec {CONFIG} predict {wildcards.suite} > {log} 2>&1"


rule spec_grade:
    output:
        f"{ROOT}/specs/grade.json",
    log:
        f"{ROOT}/logs/spec/grade.log",
    params:
        **plan.grading_params(),
    shell:
        "growthpace spec {CONFIG} grade > {log} 2>&1"


rule predict:
    input:
        lambda wc: plan.determines_answers(wc),
        f"{ROOT}/data/suites/{{suite}}.parquet",
        f"{ROOT}/specs/predict-{{suite}}.json",
        weights=ancient(lambda wc: plan.weights(wc)),
    output:
        f"{ROOT}/predictions/{{model}}/{{dataset}}/seed-{{seed}}/epoch-{{epoch}}/{{suite}}.parquet",
    log:
        f"{ROOT}/logs/predict/{{model}}/{{dataset}}/seed-{{seed}}/epoch-{{epoch}}/{{suite}}.log",
    threads: study.threads
    resources:
        mem_mb=8000,
        runtime=240,
    shell:
        "growthpace predict {CONFIG} {wildcards.model}/{wildcards.dataset}/seed-{wildcards.seed}"
        " {wildcards.suite} {wildcards.epoch} 2>&1 | tee {log}"


rule grade:
    input:
        f"{ROOT}/predictions/{{model}}/{{dataset}}/seed-{{seed}}/epoch-{{epoch}}/{{suite}}.parquet",
        f"{ROOT}/data/suites/{{suite}}.parquet",
        f"{ROOT}/specs/grade.json",
    output:
        f"{ROOT}/grades/{{model}}/{{dataset}}/seed-{{seed}}/epoch-{{epoch}}/{{suite}}.parquet",
    log:
        f"{ROOT}/logs/grade/{{model}}/{{dataset}}/seed-{{seed}}/epoch-{{epoch}}/{{suite}}.log",
    resources:
        mem_mb=1000,
        runtime=30,
    shell:
        "growthpace grade {CONFIG} {wildcards.model}/{wildcards.dataset}/seed-{wildcards.seed}"
        " {wildcards.suite} {wildcards.epoch} > {log} 2>&1"


rule select:
    input:
        grades=lambda wc: plan.selection_grades(wc),
        predictions=lambda wc: plan.epoch_predictions(wc),
    output:
        f"{ROOT}/selected/{{model}}/{{dataset}}/seed-{{seed}}.json",
    log:
        f"{ROOT}/logs/select/{{model}}/{{dataset}}/seed-{{seed}}.log",
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        **plan.stage_params("selection", "selection"),
    shell:
        "growthpace select {CONFIG} {wildcards.model}/{wildcards.dataset}/seed-{wildcards.seed} > {log} 2>&1"
