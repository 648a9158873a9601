"""The files that a comparison writes, known before it is imported."""

SHEET, FULL, CACHED, REPORT = "side-by-side.png", "full.png", "cached.png", "report.json"
FILES = (SHEET, FULL, CACHED, REPORT)

VIDEO_FILES = ("side-by-side.mp4", "full.mp4", "cached.mp4", SHEET, REPORT)
