"""CloudWatch's judgement of an alarm, for the few shapes that ours have."""

import json
import re
from typing import Any

Series = dict[str, list[float | None]]
"""Per metric, the value of each period; `None` where there is no datapoint."""


def inputs(alarm: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The metrics that `alarm` looks at, by a name that tells them apart."""
    if "Metrics" not in alarm:
        return {_name(alarm): alarm}
    stats = [part["MetricStat"] for part in alarm["Metrics"] if "MetricStat" in part]
    return {_name(stat["Metric"]): stat["Metric"] for stat in stats}


def judge(alarm: dict[str, Any], data: Series) -> str:
    """`ALARM` or `OK` for `data`, in which every metric has as many periods as the alarm looks at."""
    periods = alarm["EvaluationPeriods"]
    breaching = [_breaches(alarm, _value(alarm, data, period)) for period in range(periods)]
    return "ALARM" if all(breaching) else "OK"


def _breaches(alarm: dict[str, Any], value: float | None) -> bool:
    if value is None:
        return bool(alarm["TreatMissingData"] == "breaching")
    if alarm["ComparisonOperator"] == "LessThanThreshold":
        return bool(value < alarm["Threshold"])
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    return bool(value >= alarm["Threshold"])


def _value(alarm: dict[str, Any], data: Series, period: int) -> float | None:
    if "Metrics" not in alarm:
        return data[_name(alarm)][period]
    of_id: dict[str, float | None] = {}
    expression = ""
    for part in alarm["Metrics"]:
        if "MetricStat" in part:
            of_id[part["Id"]] = data[_name(part["MetricStat"]["Metric"])][period]
        else:
            assert part.get("ReturnData", True)
            expression = part["Expression"]
    function, ids = re.fullmatch(r"(SUM|MAX)\(\[(.+)\]\)", expression).groups()
    values = [of_id[each] for each in ids.split(", ")]
    present = [value for value in values if value is not None]
    if not present:
        return None
    return {"SUM": sum, "MAX": max}[function](present)


def _name(metric: dict[str, Any]) -> str:
    return json.dumps([metric["Namespace"], metric["MetricName"], metric.get("Dimensions", [])], sort_keys=True)
