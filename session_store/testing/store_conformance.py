"""
What every `Store` must do: run `check_store` against yours.

Rules of the checks:
  * Only the `Store` protocol is used, and no test framework.
  * Each check gets a store that is empty, and raises AssertionError.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from ..stores.protocol import Store
from . import conformance_erasing as erasing
from . import conformance_logs as logs
from . import conformance_sessions as sessions

MakeStore: TypeAlias = Callable[[], AbstractAsyncContextManager[Store]]
Check: TypeAlias = Callable[[Store], Awaitable[None]]

CHECKS: Sequence[Callable[[Store], Awaitable[None]]] = (
    logs.create_gives_birth,
    logs.bytes_are_those_of_the_format,
    logs.append_compares_the_head,
    logs.maintenance_makes_no_head_stale,
    logs.any_and_shared_append_after_whatever_is_last,
    logs.drafts_given_again_are_found,
    logs.levels_are_claimed_when_reached,
    logs.appends_of_one_handle_keep_their_order,
    logs.an_append_is_all_or_nothing,
    logs.reads_are_of_ranges,
    logs.what_is_not_there_is_not_found,
    sessions.sessions_are_listed_newest_first,
    sessions.keys_find_their_session,
    sessions.forks_refer_to_a_record,
    sessions.deletes_are_for_good,
    sessions.a_follower_sees_what_arrives,
    sessions.lines_are_taken_as_they_are,
    sessions.whole_logs_appear_at_once,
    sessions.traces_stand_beside_the_log,
    sessions.a_whole_log_needs_no_repair,
    erasing.erased_bodies_are_gone,
    erasing.a_replacement_is_given_instead,
    erasing.erasures_are_checked_before_anything_is_done,
    erasing.what_lives_on_an_erased_record_lives_on,
    erasing.an_erased_beginning_keeps_its_identity,
    erasing.lines_bring_their_erasures,
)


async def check_store(make_store: MakeStore) -> None:
    """
    Run every check, each on a store of its own.

    Args:
        make_store: Gives an empty store, as an asynchronous context manager.

    Raises:
        AssertionError: Naming the check that failed.
    """
    for check in CHECKS:
        async with make_store() as store:
            try:
                await check(store)
            except Exception as error:  # Whatever a store raises, the check that met it is named.
                raise AssertionError(f"{check.__name__}: {error!r}") from error
