"""A plan as Markdown and as one self-contained page."""

from __future__ import annotations

from growthpace.plan import view


def markdown(plan: view.Content) -> str:
    """The plan as Markdown."""
    models, rows = view.grid_cells(plan)
    lines = [f"# Plan of the study {plan['study']}", "", *(f"- {line}" for line in view.total_lines(plan))]
    if plan["faults"]:
        lines += ["", "## To be repaired first", "", *(f"- {fault}" for fault in plan["faults"])]
    if plan["reasons"]:
        lines += ["", "## Why", "", *(f"- {view.reason_line(row)}" for row in plan["reasons"])]
    lines += ["", "## Jobs by stage", "", *_table(view.stage_head(plan), view.stage_rows(plan))]
    boxes = [[name, *(view.cell_text(cells.get(model, [])) for model in models)] for name, cells in rows.items()]
    lines += ["", "## Runs by dataset and model", "", *_table(("dataset", *models), boxes)]
    blocked = [f"- {cell['run']}: {cell['fault']}" for cell in plan["cells"] if cell["state"] == "blocked"]
    if blocked:
        lines += ["", "## Blocked", "", *blocked]
    return "\n".join(lines) + "\n"


def _table(head, rows) -> list[str]:
    def line(cells) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(head), "|" + "---|" * len(head), *map(line, rows)]


def page(plan: view.Content) -> str:
    """The plan as HTML."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("growthpace.plan", "."),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters["kind"] = lambda state: state.replace(" ", "-")
    models, rows = view.grid_cells(plan)
    return environment.get_template("plan.html.j2").render(plan=plan, models=models, rows=rows, view=view)
