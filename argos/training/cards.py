"""The texts of the model cards; figures are added by ``ship`` when they have been measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from argos.engines.weights import Task

SOURCES = {
    "ccp": "Clothing Co-Parsing: 640 street-fashion photos with pixel labels (repository licence Apache-2.0; they "
    "are blog photos, their own copyright is not discussed there)",
    "hsd": "Human Segmentation Dataset: 141 photos from the web, masks by an automatic tool (no licence stated)",
    "coco": "COCO: 245 photos with people, 197 without (annotations CC BY 4.0; photos from Flickr, many of them for "
    "non-commercial use only)",
    "jaialai": "68 jai-alai photos with masks (no licence stated)",
    "voc07": "PASCAL VOC2007 test: 1,120 photos with boxes (photos from Flickr; VOC2007 test scores must never be "
    "quoted with these weights)",
    "human416": "an export of 820 COCO and street photos with boxes (CC BY 4.0 stated; photos keep their own terms)",
    "cutouts": "200 cut-out people and 87 empty scenes (MIT stated for the repository; origin unknown)",
    "imagenet": "ImageNet, through the published weights of EfficientNet-Lite0 with which the encoder (its own or its teacher's) began "
    "(Apache-2.0; the photos keep their own terms)",
    "camvid": "CamVid: 367 frames from a car (CC BY-NC 4.0, personal and research use)",
}

TERMS = (
    "Research use only is the safe reading of the training photos taken together: parts are marked non-commercial, "
    "parts state no licence, and the people shown did not consent to this use. The weights are provided as they are; "
    "check whether your use allows data under these terms."
)

CAMVID_TERMS = (
    "CC BY-NC 4.0: personal and research use, as CamVid and its masks are given. Where the encoder learnt from photos of people, "
    "the terms of `unet_lite` hold as well."
)

CAMVID_RECIPE = (
    "{scenes} scenes in {minutes:.0f} minutes on one CPU core: crops and flips of CamVid's 367 frames; colour, noise, blur and JPEG "
    "drawn at random. Cross-entropy with the class weights of ENet; AdamW, 3 % warm-up, cosine to 1 % of the peak rate, moving "
    "average of the weights. {own} `argos train {name} {options}--minutes {minutes:.0f}`."
)

CAMVID_MEASURED = (
    "CamVid val, 101 frames of 480x360 from one drive: IoU of sky, building, pole, road, pavement, tree, sign, fence, car, "
    "pedestrian and bicyclist (iou_0 to iou_10) over all pixels, miou their mean; unlabelled pixels do not count"
)

PEOPLE_SOURCES = ("ccp", "hsd", "coco", "jaialai", "voc07", "human416", "cutouts")

PEOPLE_RECIPE = (
    "One encoder learns segmentation and detection at once; its first stages and its normalisations keep the ImageNet "
    "values, the rest of it learns at a fifth of the rate. The third of three trainings: the first, 25,648 scenes on views of 256, "
    "then 384 px, began with ImageNet's weights; the second, of 4,936, and this one, each from the weights before, saw 384, then "
    "(from 20 % on) 576 px, at 0.4 times the rate. "
    "Weighted cross-entropy (people x1.5) + 0.25 dice for the segmentation."
)

RECIPE = (
    "{scenes} scenes in {minutes:.0f} minutes on one or two CPU cores: crops and mosaics "
    "of photos, and people (1,265 cut-outs, 200 rendered) pasted on empty backgrounds; colour, noise, blur and JPEG "
    "drawn at random. "
    "AdamW, 3 % warm-up, cosine to 1 % of the peak rate, moving average of the weights. {own} "
    "`argos train {name} {options}--minutes {minutes:.0f}`."
)


@dataclass(frozen=True, slots=True)
class CardText:
    """What is written by hand in a card; see ``Card``.

    Attributes:
        run: name of the recipe, or its file.
        parts: prefixes of the weights in the training, and what they are called in the model.
        own: what is particular about the recipe.
        options: of ``argos train``, besides the length.
        recipe: what trainings of its kind have in common, with places for ``own`` and the length.
        terms: of the data.
    """

    run: str
    parts: Mapping[str, str]
    task: Task
    network: str
    arguments: dict[str, Any]
    summary: str
    thresholds: dict[str, float]
    sources: tuple[str, ...]
    own: str
    seed: int
    measured: str
    limits: str
    options: str = ""
    recipe: str = RECIPE
    terms: str = TERMS


QUNET_MEASURED = (
    "validation photos of persons/ and persons_more/, long side 320, grown by 4 cells, as the line "
    "proposes by default; people_covered counts people at least 99 % inside; area: proposed, area_true: person, "
    "area_grown: people grown as much; pixels_covered_within: with as low a threshold as proposes 1.6 times that; "
    "empty_area: mean share proposed of photos without people"
)

QUNET_TAUGHT = (
    "The target lies half way between label and score of unet_lite, who sees the views twice as large and also labelled the "
    "photos with boxes only. 250 rendered shops and stores without people are among the backgrounds. Views of 144, then (from "
    "50 % on) 240 px; weighted cross-entropy (people x2) + 0.25 dice; latent float weights, straight-through gradients."
)

INSTANCES_MEASURED = (
    "AP at IoU 0.5 by pycocotools, long side 640: boxes on persons_boxes/ val, masks (area > 32^2) on "
    "persons/ and persons_more/ val; empty_ok: share of empty photos without a detection of 0.5"
)


def _qunet(width: int, *, summary: str, threshold: float, own: str, start: str, limits: str) -> CardText:
    """A QU-Net taught by ``unet_lite``; ``own`` is what is particular about this one."""
    return CardText(
        run=f"qunet{width}",
        parts={"": ""},
        task="proposal",
        network="qunet",
        arguments={"width": width},
        summary=summary,
        thresholds={"threshold": threshold},
        sources=(*PEOPLE_SOURCES, "camvid"),
        own=own + QUNET_TAUGHT,
        options=f"--start {start} --teacher unet_lite ",
        seed=2,
        measured=QUNET_MEASURED,
        limits=limits,
    )


CARDS = {
    "qunet16": _qunet(
        16,
        summary="QU-Net, width 16: 1-bit weights, 8/1/4-bit activations; proposes the regions that hold people.",
        threshold=0.36,
        own="The last of six trainings, each from the weights of the one before: of 27,000, 18,050, 11,964, 23,076, 19,068 and these "
        "scenes; in this one photos come at up to three times the scale at which they cover the view (before: two), those without people "
        "twice as often. Products in bfloat16. ",
        start="qunet16",
        limits="Looked at on 23 clips. Wheels, bottles, lights, screens, stacked goods and animals are proposed too, and parts of far, seated "
        "and plainly dressed people are not: on a still camera the scene memory corrects both, elsewhere the full frame every few "
        "seconds bounds them.",
    ),
    "qunet8": _qunet(
        8,
        summary="QU-Net, width 8: a third of the time of width 16 on processors without 8-bit instructions.",
        threshold=0.22,
        own="The second of two trainings: the first, of 11,178 scenes in 32 minutes, began from nothing. Products in bfloat16. ",
        start="qunet8",
        limits="Looked at on 23 clips. It covers less of the people than width 16 and proposes a quarter more: shelves, bright doors and window "
        "frames, bottles, wheels, trees, light animals. Somebody in the shade of a passage and dark trousers are missed.",
    ),
    "qunet32": _qunet(
        32,
        summary="QU-Net, width 32: finds more people than width 16, for twice the time.",
        threshold=0.38,
        own="It began as qunet16, each channel copied and a little changed (Net2Net). Products in bfloat16. ",
        start="qunet16",
        limits="Looked at on 23 clips beside width 16: more of small and far people, and as much beside them: piles of goods, bright doors and "
        "screens, bottles, wheels, a dog. Somebody in the shade of a passage is missed.",
    ),
    "qunet64": _qunet(
        64,
        summary="QU-Net, width 64, that of its thesis: finds about what width 16 does, in four times the time; for comparison.",
        threshold=0.38,
        own="It began as qunet16, each channel copied and a little changed (Net2Net). Products in bfloat16. ",
        start="qunet16",
        limits="Looked at on 23 clips beside width 16: much the same, whole bodies a little more often and an animal or a screen less; of the "
        "people's pixels it covers a little less within the same area. Stacked goods, bright doors, bottles, wheels and painted walls are "
        "proposed too. It has seen a third of the scenes of the last training of width 16.",
    ),
    "asbunet": CardText(
        run="asbunet",
        parts={"student.": ""},
        task="semantic",
        network="asbunet",
        arguments={},
        summary="ASBU-Net (LogiNet), specification C, 1/16: person or not for every pixel.",
        thresholds={"threshold": 0.5, "patch_threshold": 0.92},
        sources=("ccp", "hsd", "coco", "jaialai", "voc07", "human416", "cutouts", "camvid", "imagenet"),
        own="The last of six trainings, each from the weights of the one before; five, of 86,948 scenes in 418 minutes, had views of 224, "
        "then 320 px, this one 384, then (from 20 % on) 576 px. Products in bfloat16. The target lies half way between label and score of "
        "unet_lite, which also labelled the photos with boxes only; its maps at 1/8 and 1/16 are guessed on the way (hints). 250 rendered "
        "shops and stores without people are among the backgrounds. Weighted cross-entropy (people x1.5) + 0.25 dice.",
        options="--start asbunet --teacher unet_lite ",
        seed=1,
        measured="IoU of all person pixels by source, validation photos of persons/ and persons_more/, long side 640, "
        "thresholds of this card; empty_ok: share of empty photos with less than 0.1 % person",
        limits="Looked at on 15 clips. Street, store aisle, yard, parade, dance: most people are masked and little else; missed are "
        "white, orange and dark clothing of whoever fills the picture, legs in shade, and parts of a dense crowd; false are a tree trunk in "
        "the foreground, a tripod, the cap of a bottle, a ball that somebody holds, shelves beside people, bright strips at the edge of the picture. In two of five "
        "rooms without people some pixels are masked.",
    ),
    "unet_lite": CardText(
        run="people",
        parts={"detector.backbone.": "backbone.", "decoder.": "decoder."},
        task="semantic",
        network="unet_lite",
        arguments={},
        summary="U-Net on EfficientNet-Lite0: person or not for every pixel.",
        thresholds={"threshold": 0.55, "patch_threshold": 0.98},
        sources=(*PEOPLE_SOURCES, "camvid", "imagenet"),
        own=PEOPLE_RECIPE,
        options="--start ssdisb+unet_lite ",
        seed=4,
        measured="IoU of all person pixels by source, validation photos of persons/ and persons_more/, long side 640, "
        "thresholds of this card; empty_ok: share of empty photos with less than 0.1 % person",
        limits="Looked at on 23 clips. A glint in a bottle, a ball that somebody holds and the back of a chair are called person at "
        "times; a far cyclist, somebody far off in the shade (of 118 patches in five frames of each clip 0.98 drops 13 that 0.95 keeps: 4 are "
        "people) and the far rows of a crowd are missed, and of people who fill the picture white, orange or plain dark clothing.",
    ),
    "ssdisb": CardText(
        run="people",
        parts={"detector.": ""},
        task="instances",
        network="ssd_isb.person",
        arguments={"align": 8, "centred": True, "backbone": "efficientnet_lite0"},
        summary="SSD-ISB Single-Branch on EfficientNet-Lite0: people one by one, with masks.",
        thresholds={"score_threshold": 0.5, "nms": 0.5},
        sources=(*PEOPLE_SOURCES, "imagenet"),
        own=PEOPLE_RECIPE
        + " Focal loss, gradients flow from the masks into the encoder; upright anchors, crops aligned to "
        "8 px where the thesis aligns to 32.",
        options="--start ssdisb+unet_lite ",
        seed=4,
        measured=INSTANCES_MEASURED,
        limits="Looked at on 23 clips. People under about 20 px and most riders seen from far are missed; in dense crowds two people share "
        "a box or one gets two, and so do parked scooters and a trunk; raised arms stick out of the box and are cut; masks of "
        "people who stand before each other bleed.",
    ),
    "ssdisb_multi": CardText(
        run="configs/train/ssdisb_multi.yaml",
        parts={"": ""},
        task="instances",
        network="ssd_isb.person",
        arguments={"align": 8, "centred": True, "backbone": "efficientnet_lite0", "shapes": "multi"},
        summary="SSD-ISB Multi-Shape on EfficientNet-Lite0: a branch for each shape of person.",
        thresholds={"score_threshold": 0.5, "nms": 0.5},
        sources=(*PEOPLE_SOURCES, "imagenet"),
        own="The detector is that of ssdisb and did not learn; each of the ten branches began as the one of that. Views of 384, "
        "then (from 30 % on) 576 px; mask cross-entropy on true boxes a little off.",
        seed=1,
        measured=INSTANCES_MEASURED,
        limits="Looked at on 15 clips, beside ssdisb, whose detector it has: the same people, masks as good or a little better. People "
        "larger than fifteen by ten cells of 32 px, a face that fills the picture, are cut off or drawn coarsely.",
    ),
    "dual_aspp_camvid": CardText(
        run="configs/train/dual_aspp.yaml",
        parts={"": ""},
        task="classes",
        network="dual_aspp",
        arguments={"encoder": "efficientnet_lite0", "num_classes": 11},
        summary="Dual ASPP on EfficientNet-Lite0: the eleven classes of CamVid.",
        thresholds={},
        sources=("camvid", *PEOPLE_SOURCES, "imagenet"),
        own="The encoder began as that of unet_lite (ImageNet, then people) and learnt at 0.3 times the rate. Views of 224, then (from "
        "40 % on) 352 px. The schedule was first spread over 45 minutes and then over all of them.",
        seed=1,
        measured=CAMVID_MEASURED,
        limits="Sky, road and most buildings, pavement and trees are right; poles are hardly found, and what is thin or far is blurred: "
        "it tells classes apart at 1/8. Trees in front of buildings, shop fronts and cyclists seen from behind are mixed up. It still "
        "got better when the training ended.",
        recipe=CAMVID_RECIPE,
        terms=CAMVID_TERMS,
    ),
    "essnet_camvid": CardText(
        run="configs/train/essnet_modern.yaml",
        parts={"": ""},
        task="classes",
        network="essnet_a",
        arguments={"module": "D", "num_classes": 11},
        summary="ESSNetA-D: the eleven classes of CamVid.",
        thresholds={},
        sources=("camvid",),
        own="The second of two trainings: the first, of 5,088 scenes in 30 minutes, began from nothing. Products in bfloat16. Views of "
        "224, then (half way) 352 px.",
        options="--set start=runs/essnet_camvid_1/average.pt ",
        seed=1,
        measured=CAMVID_MEASURED,
        limits="Less than an hour of training: sky, road, building, pavement and tree, and about half of the cars. Poles, signs, fences, "
        "pedestrians and cyclists are not found at all.",
        recipe=CAMVID_RECIPE,
        terms=CAMVID_TERMS,
    ),
}


def made_by(recipe: str) -> dict[str, CardText]:
    """The models that a recipe makes, by name; none where nothing it makes ships."""
    return {name: text for name, text in CARDS.items() if text.run == recipe}
