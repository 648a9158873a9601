"""The files that a sweep writes, known before it is imported."""

CSV, LATENTS, MARKDOWN = "table.csv", "latents.csv", "table.md"
PLOT, PAGE, SHEET = "pareto.png", "pareto.html", "contact-sheet.png"
PLAN = "recommended.yaml"  # where the recommended configuration has a plan
FILES = (CSV, LATENTS, MARKDOWN, PLOT, PAGE, SHEET)
