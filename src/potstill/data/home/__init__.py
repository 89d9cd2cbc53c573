"""The home-assistant domain: English command in, one JSON action out.

`SCHEMA.md` defines the domain, `actions` holds it as a table with a validator, `grammar` generates commands from the
word lists in `lexicon`, `rooms`, `values`, `things` and the phrasing frames in `phrasings`, `refusals` and `frames`.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
"""Where the domain's data lies: `teacher` and `base` (models), and the rows in `*.jsonl`."""
