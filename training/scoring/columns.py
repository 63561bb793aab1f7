"""Names of the columns that predictions have in files."""

from __future__ import annotations

from features.targets import ALTITUDE, LATITUDE, LONGITUDE, AnyTarget, ClassTarget, PathTarget


def array_columns(target: AnyTarget) -> list[str]:
    """Return a column for each number of a prediction's arrays (`training.runtime.tasks`), in their order."""
    if isinstance(target, ClassTarget):
        return [f"{name}_{one}" for name in ("probability", "member") for one in target.classes]
    if isinstance(target, PathTarget):
        point = (LATITUDE, LONGITUDE, ALTITUDE)
        places = [f"{name}_in_{time:g}_s" for time in target.horizons_s for name in point]
        return places + [f"radius_m_in_{time:g}_s" for time in target.horizons_s]
    return ["prediction", "lower", "upper"]
