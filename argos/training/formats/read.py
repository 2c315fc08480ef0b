"""One line of text for a set of photos: ``KIND:PATH?key=value&key=value``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import parse_qsl

from argos.errors import DataError
from argos.training.formats.coco import coco_photos
from argos.training.formats.files import PhotoFiles
from argos.training.formats.labels import camvid_photos, cityscapes_photos, folder_photos
from argos.training.formats.rendered import rendered_photos
from argos.training.formats.voc import voc_photos
from argos.training.photos import Photo

KINDS: Mapping[str, tuple[str, ...]] = {
    "coco": ("images", "class"),
    "cityscapes": ("split",),
    "camvid": ("labels", "side"),
    "voc": ("split", "class"),
    "folder": ("masks", "ids"),
    "fake": ("n", "seed", "size", "frames"),
}
"""What can be read, and with which keys."""

LARGEST = 1 << 16
"""No picture has a longer side."""


def every_photo(specs: Sequence[str], *, whole: bool = False) -> tuple[list[Photo], int]:
    """The readable photos of several sets, in memory, and how many others there are; see ``read_photos``.

    Raises:
        DataError: as ``read_photos``, or there is none.
    """
    sets = [read_photos(spec, whole=whole) for spec in specs]
    found = [photo for photos in sets for photo in photos]
    if not found:
        raise DataError(f"{', '.join(specs)}: none of the pictures can be read; the log names them")
    return found, sum(map(len, sets)) - len(found)


def read_photos(spec: str, *, whole: bool = False) -> PhotoFiles:
    """Open a set of photos; its annotations are checked now, its pictures are decoded when they are drawn.

    Args:
        spec: one of
            ``coco:annotations.json?images=DIR&class=person``,
            ``cityscapes:ROOT?split=train``,
            ``camvid:FOLDER?labels=classes&side=512`` (shrunk to so many pixels),
            ``voc:VOC2012?split=train&class=person``,
            ``folder:IMAGES?masks=DIR`` (black and white), ``folder:IMAGES?ids=DIR`` (id masks),
            ``folder:IMAGES`` (nobody is in them), or
            ``fake://people?n=5&seed=1&size=640x360&frames=200`` (rendered).
        whole: in their own size; otherwise larger ones are shrunk to what training needs.

    Raises:
        DataError: the text, a path in it, or an annotation is wrong.
    """
    kind, colon, rest = spec.partition(":")
    if not colon or kind not in KINDS:
        near = get_close_matches(kind, KINDS, 1)
        hint = f"; did you mean {near[0]}:?" if near else ""
        raise DataError(f"{spec}: photos are named KIND:PATH, KIND one of {', '.join(KINDS)}{hint}")
    path, _, query = rest.partition("?")
    pairs = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)  # a plus is one: no form has written this
    given = dict(pairs)
    for key, value in pairs:
        if not value or [name for name, _ in pairs].count(key) > 1:
            raise DataError(f"{spec}: key {key!r} is given {'twice' if value else 'without a value'}")
    for key in given:
        if key not in KINDS[kind]:
            allowed = ", ".join(KINDS[kind]) or "none"
            raise DataError(f"{spec}: no key {key!r} for {kind}; there are: {allowed}")
    if kind == "fake":
        return rendered_photos(spec, LARGEST if whole else 512)
    sized = "side" in given
    side = given.pop("side", "512")
    if not side.isdecimal() or int(side) < 32:
        raise DataError(f"{spec}: side should be a number of pixels, 32 or more, got {side!r}")
    options: dict[str, str | int | Path] = {
        "category" if key == "class" else key: value
        if key in ("split", "class", "labels")
        else Path(value).expanduser()
        for key, value in given.items()
    }
    if "side" in KINDS[kind]:
        options["max_side"] = int(side)
    if whole and not sized:
        options["max_side"] = LARGEST
    readers: dict[str, Callable[..., PhotoFiles]] = {
        "coco": coco_photos,
        "cityscapes": cityscapes_photos,
        "camvid": camvid_photos,
        "voc": voc_photos,
        "folder": folder_photos,
    }
    if not path:
        raise DataError(f"{spec}: a path should follow {kind}:")
    try:
        return readers[kind](Path(path).expanduser(), **options)
    except OSError as error:
        raise DataError(f"{spec}: {error.filename} cannot be read ({error.strerror})") from error
