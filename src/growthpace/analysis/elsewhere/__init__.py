"""Scores from elsewhere: a table of scores, or results of lm-evaluation-harness, through the same analysis.

`score_map` says what the columns of a table (or the runs and tasks of the harness) are; `reading` and `harness` make
them one tidy table of scores, checked row by row; `chosen` picks each run's epoch. Where the harness kept its samples
there are item grades, and everything is paired as in a study. Where only a score and a number of items are known,
`binomial` gives every contrast its variance and `tables` makes the same tables of it. `stage` writes them:

    growthpace analyse --scores scores.csv --map map.yaml --out folder
"""
