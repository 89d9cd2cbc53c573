"""How requests are changed to what one server takes: as the user says, and as its refusals teach."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from potstill.teachers.openai.outcome import MODERATION, Refusal
from potstill.teachers.protocol import Response

SystemRole = Literal["system", "developer", "user"]
"""Who says the system prompt; `user` puts it before the first message of the user."""
DROPPABLE = ("seed", "temperature", "top_p", "presence_penalty", "stop")
"""Fields without which an answer is still one to the same prompt, best left out last."""
UNSUPPORTED = re.compile(
    r"unsupported|not (currently )?support|does(n't| not) support|unrecogni[sz]ed|unknown|unexpected|extra_forbidden|"
    r"extra (inputs|fields)|not allowed|deprecated|cannot both|cannot find field|instead|no such|"
    r"not available|not accept|only the default|not permitted|(argument|field)s? not |"
    r"invalid (argument|parameter|field)",
    re.I,
)
"""How servers say that they don't know a field, whatever its value is."""
SYSTEM_ROLE = re.compile(
    r"(system|developer)\W{0,3}(role|prompt|message|instruction)|role\W[^.]{0,60}\b(system|developer)\b|"
    r"roles must alternate|only user and assistant roles|first message (has|must have|should have) role\W{0,3}user",
    re.I,
)
"""How servers say that nobody but the user may speak to the model."""
_PLACE = re.compile(r"""loc['"]\s*:\s*[\[(]\s*['"]body['"]\s*,\s*['"](\w+)['"]""")
_ALTERNATIVES = re.compile(
    r"(?<!un)(?<!in)(supported|allowed|valid|permitted|accepted) (parameter|argument|field|value|input)s?"
    r"|\buse\b|\bwhen\b",
    re.I,
)


@dataclass
class Fit:
    """What is changed; it grows while the server refuses, and holds for the whole session."""

    max_tokens_as: str = "max_tokens"
    """What the server calls the longest answer."""
    without: frozenset[str] = frozenset()
    """Fields that are left out."""
    system_role: SystemRole = "system"
    """Who says the system prompt."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields that are added."""
    learned: tuple[str, ...] = ()
    """What refusals have taught, in words."""

    def fitted(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a request as they are sent."""
        sent = {name: value for name, value in fields.items() if name not in self.without}
        if "max_tokens" in sent:
            sent = {self.max_tokens_as if name == "max_tokens" else name: value for name, value in sent.items()}
        if "messages" in sent:
            sent["messages"] = with_role(sent["messages"], self.system_role)
        return {**sent, **self.extra}

    def learn(self, refusal: Refusal, sent: Mapping[str, Any]) -> bool:
        """Change what a refusal of the fields `sent` asks for; return whether they will be sent otherwise now."""
        if refusal.status not in (400, 404, 422, 501) or MODERATION.search(f"{refusal.code} {refusal.said}"):
            return False  # what is objected to is a text, and its words name no field
        if _wants_other_limit(refusal, sent):
            self._note("max_tokens_as", "max_completion_tokens", "max_tokens sent as max_completion_tokens")
            return True
        if _objects_to_system(refusal, sent):
            self._note("system_role", "user", "the system prompt put before the user's first message")
            return True
        named = _named(refusal, sent)
        for name in named:
            self._note("without", self.without | {name}, f"{name} left out")
        return bool(named)

    def finish(self, response: Response, fields: Mapping[str, Any]) -> Response:
        """Return an answer with the end that a left out `stop` would have given it, and with what was changed."""
        if not self.learned and "stop" not in self.without:
            return response
        stops = fields.get("stop", ()) if "stop" in self.without else ()
        cuts = [response.text.index(stop) for stop in stops if stop in response.text]
        if cuts and not response.unusable:
            response = replace(response, text=response.text[: min(cuts)], finish_reason="stop")
        return replace(response, adapted=self.learned)

    def _note(self, name: str, value: object, words: str) -> None:
        """Change one setting."""
        setattr(self, name, value)
        if words not in self.learned:
            self.learned = (*self.learned, words)


def with_role(messages: list[dict[str, Any]], role: SystemRole) -> list[dict[str, Any]]:
    """Return a chat whose system prompts are said by `role`."""
    if role == "system" or not any(message["role"] == "system" for message in messages):
        return messages
    if role == "developer":
        return [{**one, "role": role} if one["role"] == "system" else one for one in messages]
    system = "\n\n".join(message["content"] for message in messages if message["role"] == "system")
    others = [message for message in messages if message["role"] != "system"]
    if not others or others[0]["role"] != "user":
        return [{"role": "user", "content": system}, *others]
    return [{**others[0], "content": f"{system}\n\n{others[0]['content']}"}, *others[1:]]


def _wants_other_limit(refusal: Refusal, sent: Mapping[str, Any]) -> bool:
    """Return whether the server takes `max_completion_tokens` in place of `max_tokens`."""
    knows = "max_completion_tokens" in refusal.said and UNSUPPORTED.search(refusal.said) is not None
    return knows and "max_tokens" in sent and "max_completion_tokens" not in sent


def _objects_to_system(refusal: Refusal, sent: Mapping[str, Any]) -> bool:
    """Return whether the server refuses the role of the system prompt, and there is one."""
    if not any(message["role"] in ("system", "developer") for message in sent.get("messages", ())):
        return False
    return SYSTEM_ROLE.search(refusal.said) is not None


def _named(refusal: Refusal, sent: Mapping[str, Any]) -> list[str]:
    """Return the fields that the server doesn't know, of those that were sent and can be left out."""
    if not UNSUPPORTED.search(refusal.said):
        return []
    sendable = [name for name in DROPPABLE if name in sent]
    places = _PLACE.findall(refusal.said)
    if places or refusal.parameter in sendable:
        return [name for name in sendable if name in (*places, refusal.parameter)]
    alternatives = _ALTERNATIVES.search(refusal.said)
    head = refusal.said[: alternatives.start()] if alternatives and alternatives.start() else refusal.said
    named = [name for name in sendable if _says(head, name)]
    return ["top_p"] if "both" in head and {"temperature", "top_p"} <= set(named) else named


def _says(text: str, name: str) -> bool:
    """Return whether a text names a field; of a name that is a word of prose, too, only between quotes."""
    if name == "stop":
        return (
            re.search(
                r"[\"'`]stop[\"'`]|(argument|parameter|field)s?\b[^.]{0,40}: stop\W*$|stop_?sequences", text, re.I
            )
            is not None
        )
    camel = re.sub(r"_(\w)", lambda match: match[1].upper(), name)
    return re.search(rf"(?<![\w.])(?:body\.)?(?:{name}|{camel})(?!\w)", text, re.I) is not None
