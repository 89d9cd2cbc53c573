"""The push itself: one commit through huggingface_hub. A card that a person wrote there keeps its text.

What an earlier push left behind goes, where it would be read in place of the new files: else a repository could answer
with the old weights, or show the old figures beside the new ones.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.errors import PotstillError, RequestError
from potstill.models.licences import front_matter
from potstill.publishing.cards import MARK, body_of
from potstill.publishing.push import CARD, Push

if TYPE_CHECKING:
    from huggingface_hub import HfApi

READ_IN_PLACE = {
    "model": re.compile(
        r"[^/]+\.safetensors(\.index\.json)?|pytorch_model[^/]*\.bin(\.index\.json)?|adapter_config\.json"
        r"|(generation_)?config\.json|chat_template\.(jinja|json)|tokenizer[^/]*|added_tokens\.json"
        r"|special_tokens_map\.json|vocab\.(json|txt)|merges\.txt|(spiece|sentencepiece[^/]*)\.model"
    ),
    "dataset": re.compile(r"data/.+\.parquet"),
}
"""Files that are read in place of what is pushed, or along with it: `model.safetensors` comes before shards."""
OF_THE_WEIGHTS = ("model-index", "license_name", "license_link", "base_model_relation", "distilled_from")
"""Fields that are true of what was pushed before, and maybe not of what is pushed now."""
FROM_SOURCES = ("base_model", "datasets", "source_datasets", "annotations_creators")
"""Fields that say what it was made from; of a card that a person wrote, they stay."""


def upload(push: Push, *, public: bool) -> str:
    """Push it, and return its address.

    Args:
        push: what is pushed; its obstacles are accepted.
        public: whether a repository that is made for it can be read by all.

    Raises:
        RequestError: the Hub is not to be asked (`HF_HUB_OFFLINE`), or refuses it.
        PotstillError: the Hub can't be reached.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if constants.HF_HUB_OFFLINE:
        raise RequestError("HF_HUB_OFFLINE is set, so that nothing is pushed: unset it, or give --dry-run")
    api = HfApi()
    try:
        api.create_repo(push.repo, repo_type=push.kind, private=not public, exist_ok=True)
        card = _merged(api, push)
        operations = [
            CommitOperationAdd(file.name, card.encode() if file.path is None else str(file.path)) for file in push.files
        ]
        old = outdated(push, _names(api, push))
        message = f"{push.name}, by Potstill ({push.key[:12]})"
        commit = api.create_commit(
            push.repo,
            [*operations, *map(CommitOperationDelete, old)],
            commit_message=message,
            commit_description=f"Left out, as they would be read instead: {', '.join(old)}" if old else "",
            repo_type=push.kind,
        )
    except HfHubHTTPError as error:
        raise RequestError(f"the Hub refuses {push.repo}: {error}; is HF_TOKEN set, and may it write there?") from error
    except (OfflineModeIsEnabled, OSError) as error:
        raise PotstillError(f"the Hub can't be reached: {error}; nothing that was pushed before is harmed") from error
    return str(commit.commit_url)


def outdated(push: Push, names: Iterable[str]) -> list[str]:
    """Return which files of the repository would be read in place of what is pushed, or along with it.

    Args:
        push: what is pushed; beside files of another format, such as GGUF, the weights that are there stay.
        names: the files that are there.
    """
    pushed = {file.name for file in push.files}
    pattern = READ_IN_PLACE[push.kind]
    if not any(pattern.fullmatch(name) and name.endswith((".safetensors", ".parquet")) for name in pushed):
        return []
    return sorted(name for name in names if name not in pushed and pattern.fullmatch(name))


def _names(api: HfApi, push: Push) -> list[str]:
    """Return the files that are in the repository; none of an empty one."""
    from huggingface_hub.errors import EntryNotFoundError, RevisionNotFoundError

    try:
        return list(api.list_repo_files(push.repo, repo_type=push.kind))
    except (EntryNotFoundError, RevisionNotFoundError):
        return []


def _merged(api: HfApi, push: Push) -> str:
    """Return the card, with what else stands in the front matter of one that is there; a person's text stays."""
    from huggingface_hub.errors import EntryNotFoundError

    with tempfile.TemporaryDirectory() as folder:
        try:
            existing = Path(api.hf_hub_download(push.repo, CARD, repo_type=push.kind, cache_dir=folder))
        except EntryNotFoundError:
            return push.card
        return merged(existing, push.card)


def merged(existing: Path, card: str) -> str:
    """Return the new card with what a person added to the one that is there, and no figure of earlier weights."""
    from huggingface_hub import CardData

    own = existing.with_name("own.md")
    own.write_text(card, encoding="utf-8")
    text = existing.read_text(encoding="utf-8", errors="replace")
    outdated_fields = {*OF_THE_WEIGHTS, *(FROM_SOURCES if MARK in text else ())}
    added = {name: value for name, value in front_matter(existing).items() if name not in outdated_fields}
    front = {**added, **front_matter(own)}
    body = body_of(card) if MARK in text or not body_of(text).strip() else body_of(text)
    return f"---\n{CardData(**front).to_yaml().strip()}\n---\n{body}"
