"""Refuse bad answers that were never asked for: `--replay` skips the questions, and with them their checks.

All other ways are stopped earlier, in one line, by plimsoll_answers.py. The filter runs while cookiecutter renders this
file, so a hostile answer never becomes Python.
"""

CHECKED = "{{ cookiecutter | all_checked }}"

if CHECKED != "yes":
    raise SystemExit("Refused: the answers were not checked.")
