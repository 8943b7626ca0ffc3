"""Plugins: entry points, each of which is imported once and asked for its description by one hook.

Whatever goes wrong is one clear `PluginError`, which is remembered: a broken module is not imported again. Knows
neither backends nor models.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Any, Generic, TypeVar

import pluggy

from ..errors import PluginError, PluginWarning
from . import hookspecs
from .spec import INTERFACE_VERSION

Description = TypeVar("Description")


@dataclass(frozen=True)
class Kind(Generic[Description]):
    """What plugins of one kind have to give.

    Parameters
    ----------
    title
        How a message calls such a plugin, before the name.
    hook
        The hook that describes it.
    returns
        The class of the description.
    version
        Returns the version of the interface that a description names; None where it names none, as in version 1.
    moved
        The changes for such plugins since the version before, in one line.
    """

    title: str
    hook: str
    returns: type[Any]
    version: Callable[[Description], int | None]
    moved: str


@dataclass(slots=True)
class Plugin(Generic[Description]):
    """One name among the entry points of a group.

    Parameters
    ----------
    kind
        What it has to give.
    points
        The entry points of its name: one, or it is refused.
    """

    kind: Kind[Description]
    points: list[EntryPoint]
    _description: Description | None = field(default=None, init=False)
    _error: PluginError | None = field(default=None, init=False)

    @property
    def point(self) -> EntryPoint:
        """Its entry point; the first of several."""
        return self.points[0]

    def describe(self) -> Description:
        """Return its description, imported when it is first asked for.

        Raises
        ------
        PluginError
            If it is broken; the same error each time.
        """
        if self._error is not None:
            raise self._error.with_traceback(None)
        if self._description is None:
            try:
                self._description = self._load()
            except PluginError as error:
                self._error = error
                raise
        return self._description

    def _load(self) -> Description:
        kind, point = self.kind, self.point
        who = f"{kind.title} {point.name!r} ({point.value})"
        if len(self.points) > 1 and not is_own(point):
            modules = " and ".join(f"{each.value} (of {distribution_of(each)})" for each in self.points)
            raise PluginError(f"{kind.title} {point.name!r} is declared twice: by {modules}; uninstall all but one")
        try:
            module = point.load()
        except (Exception, SystemExit) as error:
            raise PluginError(f"{who} cannot be imported: {told(error)}") from error
        description = _ask(module, kind.hook, who)
        if not isinstance(description, kind.returns):
            raise PluginError(
                f"{who}: its hook {kind.hook!r} returned {description!r}, not a {kind.returns.__qualname__}"
            )
        found: Description = description
        version = kind.version(found)
        refuse_other_version(who, 1 if version is None else version, kind.moved)
        return found


def found_plugins(kind: Kind[Description], points: Iterable[EntryPoint]) -> dict[str, Plugin[Description]]:
    """Return the plugins that entry points announce, by their names, without importing any.

    Where others announce a name of a plugin that anyjac brings, that of anyjac is used, and a `PluginWarning` says so.
    """
    found: dict[str, Plugin[Description]] = {}
    for point in sorted(points, key=is_own, reverse=True):
        known = found.setdefault(point.name, Plugin(kind, []))
        if point.value not in [other.value for other in known.points]:
            known.points.append(point)
    for plugin in found.values():
        own, *others = plugin.points
        if others and is_own(own):
            names = " and ".join(map(distribution_of, others))
            warnings.warn(
                f"{kind.title} {own.name!r} of {names} is not used, since anyjac brings one of that name itself; give "
                f"it another name, or uninstall it",
                PluginWarning,
                stacklevel=2,
            )
    return found


def is_own(point: EntryPoint) -> bool:
    """Return whether anyjac itself brings what an entry point announces."""
    return metadata_of(point)[0] == hookspecs.PROJECT


def distribution_of(point: EntryPoint) -> str:
    """Return the name and the version of the distribution that brings an entry point, as messages call it."""
    return " ".join(part for part in metadata_of(point) if part) or "an unknown distribution"


def metadata_of(point: EntryPoint) -> tuple[str, str]:
    """Return the name and the version of a distribution, empty where the metadata lack them."""
    if point.dist is None:
        return "", ""
    name, version = (point.dist.metadata.get_all(key, [""])[0] for key in ("Name", "Version"))
    return name, version


def _ask(module: Any, hook: str, who: str) -> Any:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module)
        manager.check_pending()
        return getattr(manager.hook, hook)()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{who} is declared wrongly: {on_one_line(str(error))}") from error
    except (Exception, SystemExit) as error:
        raise PluginError(f"{who} failed to describe itself: {told(error)}") from error


def refuse_other_version(who: str, version: object, moved: str) -> None:
    """Refuse a plugin that is written for another version of the interface.

    Raises
    ------
    PluginError
        Saying what is to be upgraded and, for an older plugin, what has moved where.
    """
    if version == INTERFACE_VERSION:
        return
    newer = isinstance(version, int) and version > INTERFACE_VERSION
    raise PluginError(
        f"{who} is written for interface version {version!r}, this anyjac speaks version {INTERFACE_VERSION}; "
        + ("upgrade anyjac" if newer else f"upgrade the plugin: {moved}")
    )


def told(error: BaseException) -> str:
    """Return the kind and the text of an error in one line."""
    return on_one_line(f"{type(error).__name__}: {error}")


def on_one_line(text: str) -> str:
    """Return a text in one line."""
    return " ".join(text.split())
