"""Nested datasets: which items of the pools a run trains on.

Items are ranked within (source, ability) by a hash of the seed and the item's id, and a dataset takes the first of
each. So for one source and seed the items of a volume are a subset of those of every larger volume, whatever the
order of files, the other abilities and the other volumes (invariant 1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from heapq import nsmallest

from growthpace.data.items import Item
from growthpace.errors import InputError
from growthpace.sharing import equal_shares
from growthpace.study import GENERAL, Mix, Study


def rank_key(seed: int, item_id: str) -> bytes:
    """SHA-256 of seed and item id: the place of an item in the order of its pool."""
    return hashlib.sha256(f"{seed}:{item_id}".encode()).digest()


def ranked(items: Iterable[Item], seed: int) -> list[Item]:
    """The items in the order in which datasets of growing volume take them."""
    return sorted(items, key=lambda item: (rank_key(seed, item.id), item.id))


def first_ids(ids: Iterable[str], number: int, seed: int) -> list[str]:
    """The first `number` ids in the order of `ranked`; of the others none is kept in memory."""
    return nsmallest(number, ids, key=lambda identifier: (rank_key(seed, identifier), identifier))


def counts(
    study: Study,
    dataset: str,
    pool_size: Callable[[str, str], int],
    dropped: Mapping[tuple[str, str], int] | None = None,
    advised: Mapping[tuple[str, str], int] | None = None,
) -> dict[tuple[str, str], int]:
    """How many items a dataset takes from each pool: {(source, ability): number}.

    `pool_size(source, ability)` gives what a pool holds. A labelled source gives every ability the same number; an
    unlabelled one gives its general pool. A dataset of transfer takes what the full one does, of the abilities it
    keeps. `dropped`: how many items of a pool the audit's policy has left out, to be told. `advised`: the numbers of a
    mix that the study's own curves make; while there are none, it counts as divided equally, as far as pools go. For
    other mixes see `study.sources.Mix`, which states the rule for remainders.
    Raises `InputError` naming the ability, its size and what was asked for, where a pool holds too few.
    """
    parts = {part.name: part for part in study.transfer.parts(study.abilities)} if study.transfer else {}
    if dataset in parts:
        full = counts(study, study.transfer.full, pool_size, dropped)
        return {pool: number for pool, number in full.items() if pool[1] in parts[dataset].kept}
    if dataset in study.mixes:
        mix = study.mixes[dataset]
        if mix.advice is not None:
            wanted = dict(advised) if advised is not None else equally(study, dataset, mix, pool_size)
        else:
            wanted = _mix_counts(study, dataset, mix, pool_size)
        key = f"mixes.{dataset}"
    else:
        source, _, volume = dataset.rpartition("-")
        wanted = _even(study, source, int(volume))
        key = f"sources.{source}.volumes: {volume}"
    for (source, ability), number in wanted.items():
        size = pool_size(source, ability)
        if number > size:
            allowed = ""
            if dataset not in study.mixes:
                largest = min(pool_size(*pool) for pool in wanted) * len(wanted)
                allowed = f" (allowed: volumes up to {largest}, as far as the smallest pool goes)"
            lost = (dropped or {}).get((source, ability), 0)
            why = f" of {size + lost}, since the audit's policy drops {lost} (see the section audit)" if lost else ""
            raise InputError(
                f"{key} needs {number} items of {ability!r} from {source!r}, but its pool holds {size}{why}{allowed}"
            )
    return {pool: number for pool, number in wanted.items() if number}


def _even(study: Study, source: str, volume: int) -> dict[tuple[str, str], int]:
    if not study.sources[source].labelled:
        return {(source, GENERAL): volume}
    return {(source, ability): volume // len(study.abilities) for ability in study.abilities}


def equally(study: Study, name: str, mix: Mix, pool_size) -> dict[tuple[str, str], int]:
    """The budget of a mix with `advice` divided equally over abilities, as far as the pools of its source go."""
    sizes = [pool_size(mix.source, ability) for ability in study.abilities]
    if sum(sizes) < mix.advice.budget:
        raise InputError(
            f"mixes.{name}.advice.budget: {mix.advice.budget}, but the pools of {mix.source!r} hold {sum(sizes)} "
            f"(allowed: up to {sum(sizes)})"
        )
    shares = equal_shares(mix.advice.budget, sizes)
    return {(mix.source, ability): number for ability, number in zip(study.abilities, shares, strict=True)}


def _mix_counts(study: Study, name: str, mix: Mix, pool_size) -> dict[tuple[str, str], int]:
    shares = {a: pool_size(mix.source, a) if n == "all" else n for a, n in mix.shares.items()}
    others = [ability for ability in study.abilities if ability not in shares]
    if mix.rest == "all":
        shares |= {ability: pool_size(mix.source, ability) for ability in others}
    elif mix.rest == "uniform":
        left = mix.total - sum(shares.values())
        if left < 0:
            raise InputError(
                f"mixes.{name}.total: {mix.total} is below what its shares come to ({sum(shares.values())}); "
                "raise the total or lower a share"
            )
        each, remainder = divmod(left, len(others))
        shares |= {ability: each + (position < remainder) for position, ability in enumerate(others)}
    wanted = {(mix.source, ability): shares[ability] for ability in study.abilities if ability in shares}
    for source, number in mix.add.items():
        wanted |= _even(study, source, number)
    for source, own in mix.also.items():
        wanted |= {(source, ability): own[ability] for ability in study.abilities if ability in own}
    return wanted
