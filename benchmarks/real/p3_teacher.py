"""A small teacher from nothing: P3 -> lessons -> tokenizer -> Qwen3 of 8.5 million parameters -> training.

`potstill run benchmarks/real/p3_teacher.py`; about half an hour on two cores. POTSTILL_DATASETS says where the data
sets lie. Smaller: `--set lessons.count=300 --set lessons.lists=20 --set blank.hidden_size=64`.
"""

from p3 import CHAT, DATA, Lessons, answering, short

from potstill import Pipeline
from potstill.steps.evaluation.language_model import Evaluate
from potstill.steps.filtering.deduplicate import DeduplicateNear
from potstill.steps.filtering.filter import FilterRows
from potstill.steps.init_models import RandomModel, TrainTokenizer
from potstill.steps.loading.json_files import LoadJSON
from potstill.steps.rows.map_rows import Map
from potstill.steps.rows.sort_sample import Shuffle
from potstill.steps.rows.split import Split
from potstill.trainers import HardLabel

# short rows; a passage that recurs under several templates stays under one of them
rows = LoadJSON(DATA / "p3-50k" / "train.jsonl.xz")
fitting = FilterRows(rows, keep=short, reason="longer than 900 characters, or empty")
fresh = DeduplicateNear(Shuffle(fitting), column="prompt", ngram=4, threshold=0.6)
data = Split(fresh, by="prompt", test=0.01)

lessons = Lessons(data.train, count=24_000, lists=1_500)
tokenizer = TrainTokenizer(lessons, prompt=CHAT, vocab_size=8192)
blank = RandomModel(tokenizer, hidden_size=320, layers=5, intermediate_size=896, heads=10, kv_heads=5)
teacher = HardLabel(
    lessons,
    student=blank,
    prompt=CHAT,
    epochs=1,
    batch_size=32,
    learning_rate=1.5e-3,
    warmup=0.03,
    max_length=512,
    checkpoint_every=25,
)

# how often it gives P3's own answer to prompts that it has not read
questions = Map(data.test, lambda row: {"instruction": row["prompt"], "output": row["completion"].split("<|")[0]})
figures = Evaluate(answering(teacher), questions, max_tokens=48)

pipeline = Pipeline("p3-teacher", outputs={"teacher": teacher, "figures": figures})
