"""The explicit code version of each stage.

Results are rebuilt when a stage's version is raised, never because a source file was touched or reformatted. Raise a
version when, and only when, a change can alter what the stage writes; the scorers have versions of their own, in
their files.
"""

VERSIONS = {
    "synthesise": 1,
    "pool": 1,
    "suite": 1,
    "audit": 2,
    "dataset": 1,
    "base_model": 1,
    "encoding": 1,
    "training": 2,
    "prediction": 2,
    "judging": 2,
    "grading": 2,
    "selection": 1,
    "collect": 3,
    "fit": 2,
    "compare": 2,
    "allocate": 1,
    "advise": 2,
    "check_advice": 1,
    "transfer": 1,
    "features": 1,
    "figure": 2,
    "report": 3,
    "analyse": 1,
}
