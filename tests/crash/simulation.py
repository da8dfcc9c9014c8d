"""
A machine in one process, many times over; and everything that a loss of power may leave.

A failure prints its seed: `simulate(seed, steps=STEPS)` makes it again.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fs_scenes import SCENES, deaths
from fs_tools import note, records

from session_store.errors import Corrupt, NotFound
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import FaultyMemory
from session_store.testing.simulation import FAULTS, Violation, simulate

from .subject import Row, Subject

STEPS = 3000
"""Of one run; a failure is found near its beginning, and read to its end."""
SHOWN = 5


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    # What is cut and mended there by the thousand is no news.
    logging.getLogger("session_store").addHandler(logging.NullHandler())
    yield partial(simulation, 50_000 if smoke else 1_000_000)
    yield partial(power_losses, 2 if smoke else 2000)


def simulation(steps: int) -> Row:
    """Simulate one seed after the other until there were *steps* calls about files."""
    done = acked = sessions = seed = 0
    counts: Counter[str] = Counter()
    failed: list[int] = []
    while done < steps and len(failed) < SHOWN:
        try:
            outcome = simulate(seed, steps=STEPS)
        except Violation as violation:
            print(violation)
            failed.append(seed)
            done += STEPS
        else:
            done += outcome.steps
            acked += outcome.acked
            sessions += outcome.sessions
            counts += outcome.counts
        seed += 1
    met = {kind: counts[kind] for kind in FAULTS if counts[kind]}
    found: dict[str, object] = {"steps": done, "seeds": seed, "sessions": sessions, "acked": acked}
    found |= {"failed": len(failed)} | met
    return Row("deterministic simulation", found, len(failed), (108,))


def power_losses(limit: int) -> Row:
    """Cut the power in every call of every scene, and try what may be left, *limit* states of each."""
    points = states = wrong = 0
    for scene in SCENES:
        for number, world in enumerate(deaths(scene)):
            points += 1
            for state, after in enumerate(world.files.power_losses(limit=limit, seed=number)):
                states += 1
                if not _holds(after, world.acked):
                    wrong += 1
                    print(f"{scene}, call {number}, state {state} of limit {limit}: a loss")
    found: dict[str, object] = {"points": points, "states": states, "lost": wrong}
    return Row("power loss at every call", found, wrong, (29, 30, 32))


def _holds(after: FaultyMemory, acked: list) -> bool:
    """Return whether what was acknowledged is read, and work goes on behind it."""
    core = FsCore(after)
    try:
        for receipt in acked:
            if core.record(receipt.session_id, receipt.seq).hash != receipt.hash:
                return False
        for info in core.list():
            try:
                core.append(info.session_id, [note()], expected=ANY)
                list(core.read(info.session_id))
            except Corrupt:  # Unsynced bytes came in another order, or the scene is about damage.
                core.repair(info.session_id)
                core.append(info.session_id, [note()], expected=ANY)
            records(core, info.session_id)
        return all(core.record(r.session_id, r.seq).hash == r.hash for r in acked)
    except NotFound:
        return False
