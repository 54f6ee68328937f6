# One training per run. Weights (epoch-N/) and the resumable state (state/) are no declared outputs, since Snakemake
# deletes those at every attempt; a small marker per epoch says that it was trained. A marker whose weights are gone
# while a missing prediction needs them is removed when the workflow is loaded (growthpace.wiring), so that the run is
# planned again. The number of markers must be the same in a rule, so there is one rule per number of epochs.


rule spec_run:
    output:
        f"{ROOT}/runs/{RUN}/spec.json",
    log:
        f"{ROOT}/logs/spec/{RUN}.log",
    conda:
        "../../envs/train.yaml"
    params:
        **plan.run_params(),
    shell:
        f"python -m growthpace spec {CONFIG} run {THIS_RUN} 2>&1 | tee {{log}}"


for epochs, datasets in plan.datasets_by_epochs().items():

    rule:
        name:
            f"train_{epochs}_epochs"
        input:
            spec=f"{ROOT}/runs/{RUN}/spec.json",
            base=f"{ROOT}/models/{{model}}/base.json",
            dataset=f"{ROOT}/data/datasets/{{dataset}}/seed-{{seed}}.parquet",
            manifest=f"{ROOT}/data/datasets/{{dataset}}/seed-{{seed}}.json",
        output:
            plan.markers(epochs),
            training=f"{ROOT}/runs/{RUN}/training.json",
        log:
            f"{ROOT}/logs/train/{RUN}.log",
        wildcard_constraints:
            dataset=plan.names(datasets),
        priority: 1
        conda:
            "../../envs/train.yaml"
        threads: lambda wc: plan.needs.threads("train", wc)
        resources:
            **plan.needs.resources("train"),
        shell:
            f"python -m growthpace train {CONFIG} {THIS_RUN} 2>&1 | tee {{log}}"
