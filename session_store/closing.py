"""
Tool calls that a crash left without a result, and a history without any.

Providers refuse a history in which a call has no result, or a result no call.
"""

from collections.abc import Iterable, Sequence

from .entries import Json
from .items import Item, ItemClass, classify, tool_call_ids, tool_result_ids, tool_results


def open_calls(history: Iterable[Item]) -> list[str]:
    """Return the ids of calls in *history* that have no result, oldest first."""
    waiting: dict[str, None] = {}
    for item in history:
        for call_id in tool_result_ids(item):
            waiting.pop(call_id, None)
        waiting.update(dict.fromkeys(tool_call_ids(item)))
    return list(waiting)


def close_calls(history: Sequence[Json], reason: str) -> list[Json]:
    """
    Return *history* with each open call answered by *reason*, and orphaned results left out.

    Anthropic and OpenAI chat want all results right behind the calls: one that
    came late moves up. What they would accept comes back as it is.
    """
    closing = _Closing(_answers(history), reason)
    for index, item in enumerate(history):
        closing.add(index, item)
    closing.settle()
    return closing.closed


def _answers(history: Iterable[Item]) -> dict[tuple[int, str], Json]:
    """Return the result that answers each call: (index of the calling item, id) -> result."""
    answers: dict[tuple[int, str], Json] = {}
    waiting: dict[str, int] = {}
    for index, item in enumerate(history):
        for call_id, result in tool_results(item):
            if call_id in waiting:
                answers[waiting.pop(call_id), call_id] = result
        waiting.update(dict.fromkeys(tool_call_ids(item), index))
    return answers


class _Closing:
    """
    Goes through a history once.

    `_waiting` are calls whose results must stand here, before anything else;
    `_later` are calls of Open Responses, whose results may stand anywhere behind.
    """

    def __init__(self, answers: dict[tuple[int, str], Json], reason: str) -> None:
        self.closed: list[Json] = []
        self._answers = answers
        self._reason = reason
        self._waiting: dict[str, tuple[int, Item]] = {}
        self._later: set[str] = set()

    def add(self, index: int, item: Item) -> None:
        kept = self._without_orphans(item)
        if kept is None:
            return
        answers = bool(tool_results(kept))
        if not answers and not self._goes_on(kept):
            self.settle()
        self.closed.append(kept)
        if answers and _results_first(kept)[1]:
            self.settle()  # No result may stand behind other content.
        for call_id in tool_call_ids(kept):
            self._waiting[call_id] = index, kept
            self._later.discard(call_id)

    def settle(self) -> None:
        """Answer what is waiting, with its late result if there is one."""
        blocks: list[Json] = []
        for call_id, (index, call) in self._waiting.items():
            late = self._answers.get((index, call_id))
            if call.get("tool_calls"):
                self.closed.append(late or _tool_message(call_id, self._reason))
            elif call.get("role") == "assistant":
                blocks.append(late or _tool_result(call_id, self._reason))
            elif late is not None:
                self._later.add(call_id)
            else:
                self.closed.append(_call_output(call, call_id, self._reason))
        self._waiting.clear()
        if blocks:
            self._put(blocks)

    def _put(self, blocks: list[Json]) -> None:
        """Results of one item's calls stand in one message, before its other content."""
        last = self.closed[-1]
        if last.get("role") == "user" and tool_results(last):
            results, others = _results_first(last)
            self.closed[-1] = {**last, "content": [*results, *blocks, *others]}
        else:
            self.closed.append({"role": "user", "content": blocks})

    def _goes_on(self, item: Item) -> bool:
        """
        Parallel calls may stand in several items before any result, in two of the shapes.

        OpenAI chat wants its results right behind the message that called.
        """
        chat = any(call.get("tool_calls") for _, call in self._waiting.values())
        answering = any(tool_results(last) for last in self.closed[-1:])
        return not chat and not answering and classify(item) is ItemClass.ASSISTANT

    def _without_orphans(self, item: Item) -> Item | None:
        """Return *item* with the results that are due, these first; None if nothing is left."""
        found = tool_results(item)
        due = [result for call_id, result in found if self._take(call_id)]
        if not found or item.get("role") != "user":
            return item if due or not found else None
        content = [*due, *_results_first(item)[1]]
        if content == item["content"]:
            return item
        return {**item, "content": content} if content else None

    def _take(self, call_id: str) -> bool:
        if call_id in self._later:
            self._later.remove(call_id)
            return True
        return self._waiting.pop(call_id, None) is not None


def _results_first(message: Item) -> tuple[list[Json], list[Json]]:
    """Return the result blocks of a user *message*, and its other content."""
    content = message["content"] if message.get("role") == "user" else []
    results = [result for _, result in tool_results(message)] if content else []
    return results, [block for block in content if not any(block is r for r in results)]


def _tool_message(call_id: str, reason: str) -> dict[str, Json]:
    return {"role": "tool", "tool_call_id": call_id, "content": reason}


def _tool_result(call_id: str, reason: str) -> dict[str, Json]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": reason, "is_error": True}


def _call_output(call: Item, call_id: str, reason: str) -> dict[str, Json]:
    if call["type"] == "tool_search_call":
        found_none = {"status": "completed", "execution": "client", "tools": []}
        return {"type": "tool_search_output", "call_id": call_id, **found_none}
    return {"type": f"{call['type']}_output", "call_id": call_id, "output": reason}
