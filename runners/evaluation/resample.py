"""AP on resampled images, from the matches of an evaluation: computed once, compared often."""

import logging
from pathlib import Path

from yolact_bench.results.files import atomic_path
from yolact_bench.statistics.bootstrap import multiplicities, resampled_ap, sampling_name
from yolact_bench.statistics.matches import AREAS, FILES, load_matches
from yolact_bench.statistics.resamples import Values, ap_columns, save_resamples

log = logging.getLogger(__name__)


def resample(
    folder: Path, out: Path, *, eval_data: str, replicates: int = 1000, areas: bool = False
) -> None:
    """Leave box and mask AP, AP50 and AP75 of `replicates` resamples of the images in file `out`.

    `folder` holds the matches that scoring left beside its predictions; `eval_data` is the
    fingerprint of the evaluation data, which decides the images drawn, so that all results on
    the same data are paired. `areas` adds AP of small, medium and large objects.

    Raises:
        SpecError: the folder has no matches, or damaged ones.
    """
    columns: dict[str, Values] = {}
    evaluated = {kind: load_matches(folder / name) for kind, name in FILES.items()}
    num_images = evaluated["box"].num_images
    assert evaluated["mask"].num_images == num_images
    weights = multiplicities(eval_data, num_images=num_images, replicates=replicates)
    for kind, matches in evaluated.items():
        for area in AREAS if areas else AREAS[:1]:
            columns |= ap_columns(kind, area, resampled_ap(matches, weights, area=area))
    sampling = sampling_name(eval_data, num_images=num_images, replicates=replicates)
    with atomic_path(out) as temporary:
        save_resamples(temporary, columns, sampling=sampling)
    log.debug("%s: AP on %d resamples of %d images", out.name, replicates, num_images)
