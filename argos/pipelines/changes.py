"""What differs between two configurations, and which of it can change while a pipeline runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from argos.config import Camera, Config
from argos.errors import ConfigError

FIXED = ("engine", "publish", "outputs", "http")
"""Sections that hold while ARGOS runs: networks are loaded, addresses bound and files opened once."""

_UNWATCHED = {"name", "source", "rate", "latency", "priority", "regions", "semantic", "privacy", "mask_areas"}
"""Keys of a camera that its zones and lines do not depend on."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Cameras by what happens to them; those that are in none of the lists go on untouched.

    Attributes:
        added: new ones.
        removed: those that are gone.
        reopened: their source is closed and opened again; ``seq`` goes on, a new epoch begins.
        adjusted: analysed in another way from the next frame on, the source stays open.
        others: sections shared by all cameras, of those that may change.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    reopened: tuple[str, ...] = ()
    adjusted: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.added, self.removed, self.reopened, self.adjusted, self.others))

    def __str__(self) -> str:
        said = {"added": self.added, "removed": self.removed, "reopened": self.reopened, "adjusted": self.adjusted}
        words = [f"{verb} {', '.join(names)}" for verb, names in (said | {"changed": self.others}).items() if names]
        return "; ".join(words) or "nothing has changed"


def compare(old: Config, new: Config) -> Changes:
    """What the cameras of ``new`` are to those of ``old``."""
    kept = [name for name in new.cameras if name in old.cameras]
    changed = [name for name in kept if new.cameras[name] != old.cameras[name]]
    reopened = [name for name in changed if is_reopened(old.cameras[name], new.cameras[name])]
    return Changes(
        added=tuple(name for name in new.cameras if name not in old.cameras),
        removed=tuple(name for name in old.cameras if name not in new.cameras),
        reopened=tuple(reopened),
        adjusted=tuple(name for name in changed if name not in reopened),
        others=() if new.logging == old.logging else ("logging",),
    )


def is_reopened(old: Camera, new: Camera) -> bool:
    """Whether the source has to be opened again."""
    return (old.source, old.rate, old.latency.policy) != (new.source, new.rate, new.latency.policy)


def is_rewatched(old: Camera, new: Camera) -> bool:
    """Whether zones and lines are watched anew, with new counts."""
    return old.model_dump(exclude=_UNWATCHED) != new.model_dump(exclude=_UNWATCHED)


def is_covered_otherwise(old: Camera, new: Camera) -> bool:
    """Whether other parts of its pictures may be seen."""
    return (old.privacy, old.mask_areas) != (new.privacy, new.mask_areas)


def check(old: Config, new: Config, tasks: Collection[str]) -> None:
    """Refuse what cannot change while a pipeline runs.

    Args:
        old: in force.
        new: asked for.
        tasks: those whose networks are loaded.

    Raises:
        ConfigError: every key of it, by name.
    """
    keys = [key for section in FIXED for key in _differing(getattr(old, section), getattr(new, section), section)]
    if keys:
        raise ConfigError(
            f"{', '.join(keys)}: cannot change while ARGOS runs; put the old value back, or start ARGOS again"
        )
    own = [n for n, output in enumerate(new.outputs) if "%camera%" not in getattr(output, "path", "%camera%")]
    if own and new.cameras.keys() != old.cameras.keys():  # the new one would open what the old one is still writing
        raise ConfigError(
            f"outputs.{own[0]}.path: belongs to camera '{next(iter(old.cameras))}', which cannot get another name "
            "while ARGOS runs; put the old name back, or start ARGOS again (with %camera% in the path it could)"
        )
    for name, camera in new.cameras.items():
        missing = [task for task in camera.tasks if task not in tasks]
        if missing:
            raise ConfigError(
                f"cameras.{name}.tasks: no network for '{missing[0]}' was loaded, because no camera asked for it when "
                "ARGOS was started; start it again"
            )


def _differing(old: object, new: object, path: str) -> Iterator[str]:
    """Dotted keys whose values differ; the values may be secret and are not told."""
    if isinstance(old, BaseModel) and type(old) is type(new):
        for key in type(old).model_fields:
            yield from _differing(getattr(old, key), getattr(new, key), f"{path}.{key}")
    elif old != new:
        yield path
