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
    conda:
        "../../envs/evaluate.yaml"
    params:
        **plan.params("suite", grid.prediction_settings, study.suites),
    shell:
        f"python -m growthpace spec {CONFIG} predict {{wildcards.suite}} 2>&1 | tee {{log}}"


rule spec_grade:
    output:
        f"{ROOT}/specs/grade.json",
    log:
        f"{ROOT}/logs/spec/grade.log",
    conda:
        "../../envs/evaluate.yaml"
    params:
        **plan.grading_params(),
    shell:
        f"python -m growthpace spec {CONFIG} grade 2>&1 | tee {{log}}"


rule predict:
    input:
        lambda wc: plan.determines_answers(wc),
        f"{ROOT}/data/suites/{{suite}}.parquet",
        f"{ROOT}/specs/predict-{{suite}}.json",
        weights=ancient(lambda wc: plan.weights(wc)),
    output:
        f"{ROOT}/predictions/{RUN}/epoch-{{epoch}}/{{suite}}.parquet",
    log:
        f"{ROOT}/logs/predict/{RUN}/epoch-{{epoch}}/{{suite}}.log",
    conda:
        "../../envs/evaluate.yaml"
    threads: study.threads
    resources:
        **plan.needs.resources("predict"),
    shell:
        f"python -m growthpace predict {CONFIG} {THIS_RUN}"
        f" {{wildcards.suite}} {{wildcards.epoch}} 2>&1 | tee {{log}}"


rule grade:
    input:
        f"{ROOT}/predictions/{RUN}/epoch-{{epoch}}/{{suite}}.parquet",
        f"{ROOT}/data/suites/{{suite}}.parquet",
        f"{ROOT}/specs/grade.json",
        judgements=lambda wc: plan.judgements(wc),
    output:
        f"{ROOT}/grades/{RUN}/epoch-{{epoch}}/{{suite}}.parquet",
    log:
        f"{ROOT}/logs/grade/{RUN}/epoch-{{epoch}}/{{suite}}.log",
    conda:
        "../../envs/evaluate.yaml"
    resources:
        mem_mb=2500,
        runtime=30,
    shell:
        f"python -m growthpace grade {CONFIG} {THIS_RUN}"
        f" {{wildcards.suite}} {{wildcards.epoch}} 2>&1 | tee {{log}}"


rule select:
    input:
        grades=lambda wc: plan.selection_grades(wc),
        predictions=lambda wc: plan.epoch_predictions(wc),
    output:
        f"{ROOT}/selected/{RUN}.json",
    log:
        f"{ROOT}/logs/select/{RUN}.log",
    conda:
        "../../envs/evaluate.yaml"
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        **plan.stage_params("selection", "selection"),
    shell:
        f"python -m growthpace select {CONFIG} {THIS_RUN} 2>&1 | tee {{log}}"
