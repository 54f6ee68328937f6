# Figures and the page.

# What workflow/report/figure.rst says of each figure. Not a param: another caption draws nothing again.
config["captions"] = plan.captions()


rule figure:
    input:
        plan.figure_tables,
    output:
        report(
            f"{ROOT}/figures/{{figure}}.svg",
            caption="../report/figure.rst",
            category=plan.figure_category,
            labels=plan.figure_labels,
        ),
        f"{ROOT}/figures/{{figure}}.png",
    log:
        f"{ROOT}/logs/figure/{{figure}}.log",
    wildcard_constraints:
        figure=plan.figure_names(),
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        **plan.stage_params("figure", "figures"),
    shell:
        f"python -m growthpace figure {CONFIG} {{wildcards.figure}} 2>&1 | tee {{log}}"


rule report:
    input:
        plan.figures(),
        f"{ROOT}/scores.parquet",
        f"{ROOT}/analysis/points.parquet",
        f"{ROOT}/analysis/pace.parquet",
        f"{ROOT}/analysis/comparisons.parquet",
        f"{ROOT}/analysis/advice.yaml",
        optional.transfer_table(study, paths),
        optional.feature_tables(study, paths),
        advice.check(),
        plan.judge_report(),
    output:
        report(
            f"{ROOT}/report.html",
            caption="../report/page.rst",
            category="Report",
        ),
    log:
        f"{ROOT}/logs/report.log",
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        **plan.stage_params("report", description=study.description),
    shell:
        f"python -m growthpace report {CONFIG} 2>&1 | tee {{log}}"
