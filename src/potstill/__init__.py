"""Potstill: distil large language models into small ones that can be deployed.

Few rooms; imports go one way down the floors, which `lint-imports` checks, and each room's README shows the way in:
`cli` | `commands` | `serving`, `ui`, `wishes` | `scaffold` | `web` | `pipelines` | `recipes` | `steps`, `trainers` |
`teachers`, `exporting`, `reporting`, `looking`, `publishing` | `models` | `engine` (the cached graph, which knows no
model) beside the pure `compression`, `metrics`, `labelling` and `prompts` | `text` | `errors`, `about`, `moved`,
`lazy_names`, `data`. Public names are here and in `steps`, `trainers` and `recipes`: each stands once, in the stub
`__init__.pyi`, and is loaded when it is first used.
"""

from potstill import moved
from potstill.lazy_names import attach

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = attach(__name__)
moved.install()
