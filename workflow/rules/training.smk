# One training per run. Weights (epoch-N/) and the resumable state (state/) are no declared outputs, since Snakemake
# deletes those at every attempt; a small marker per epoch says that it was trained. A marker whose weights are gone
# while a missing prediction needs them is removed when the workflow is loaded (growthpace.wiring), so that the run is
# planned again. The number of markers must be the same in a rule, so there is one rule per number of epochs.


rule spec_run:
    output:
        f"{ROOT}/runs/{{model}}/{{dataset}}/seed-{{seed}}/spec.json",
    log:
        f"{ROOT}/logs/spec/{{model}}/{{dataset}}/seed-{{seed}}.log",
    params:
        **plan.run_params(),
    shell:
        "growthpace spec {CONFIG} run {wildcards.model}/{wildcards.dataset}/seed-{wildcards.seed} > {log} 2>&1"


for epochs, datasets in plan.datasets_by_epochs().items():

    rule:
        name:
            f"train_{epochs}_epochs"
        input:
            spec=f"{ROOT}/runs/{{model}}/{{dataset}}/seed-{{seed}}/spec.json",
            base=f"{ROOT}/models/{{model}}/base.json",
            dataset=f"{ROOT}/data/datasets/{{dataset}}/seed-{{seed}}.parquet",
            manifest=f"{ROOT}/data/datasets/{{dataset}}/seed-{{seed}}.json",
        output:
            plan.markers(epochs),
            training=f"{ROOT}/runs/{{model}}/{{dataset}}/seed-{{seed}}/training.json",
        log:
            f"{ROOT}/logs/train/{{model}}/{{dataset}}/seed-{{seed}}.log",
        benchmark:
            f"{ROOT}/benchmarks/train/{{model}}/{{dataset}}/seed-{{seed}}.tsv"
        wildcard_constraints:
            dataset=plan.names(datasets),
        threads: study.threads
        resources:
            mem_mb=8000,
            runtime=1440,
        shell:
            "growthpace train {CONFIG} {wildcards.model}/{wildcards.dataset}/seed-{wildcards.seed} 2>&1 | tee {log}"
