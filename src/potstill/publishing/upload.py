"""The push itself: one commit through huggingface_hub. A card that a person wrote there keeps its text."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.errors import PotstillError, RequestError
from potstill.models.licences import front_matter
from potstill.publishing.cards import MARK, body_of
from potstill.publishing.push import CARD, Push

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def upload(push: Push, *, public: bool) -> str:
    """Push it, and return its address.

    Args:
        push: what is pushed; its obstacles are accepted.
        public: whether a repository that is made for it can be read by all.

    Raises:
        RequestError: the Hub is not to be asked (`HF_HUB_OFFLINE`), or refuses it.
        PotstillError: the Hub can't be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, constants
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
        message = f"{push.name}, by Potstill ({push.key[:12]})"
        commit = api.create_commit(push.repo, operations, commit_message=message, repo_type=push.kind)
    except HfHubHTTPError as error:
        raise RequestError(f"the Hub refuses {push.repo}: {error}; is HF_TOKEN set, and may it write there?") from error
    except (OfflineModeIsEnabled, OSError) as error:
        raise PotstillError(f"the Hub can't be reached: {error}; nothing that was pushed before is harmed") from error
    return str(commit.commit_url)


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
    """Return the new card with what a person added to the one that is there."""
    from huggingface_hub import CardData

    own = existing.with_name("own.md")
    own.write_text(card, encoding="utf-8")
    front = {**front_matter(existing), **front_matter(own)}
    text = existing.read_text(encoding="utf-8", errors="replace")
    body = body_of(card) if MARK in text or not body_of(text).strip() else body_of(text)
    return f"---\n{CardData(**front).to_yaml().strip()}\n---\n{body}"
