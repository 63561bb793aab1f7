"""The common part of the dashboards: their variables, and PromQL that selects by them."""

from __future__ import annotations

from scripts.rendering.dashboards.values import Query, Variable

WORKLOAD = Variable("workload", "label_values(raysonde_workload_ready, workload)")
ARM = Variable("arm", 'label_values(raysonde_model_info{workload=~"$workload"}, arm)')
WINDOW = Variable("window", ("1h", "5m", "1d"), several=False)

OF_WORKLOAD = 'workload=~"$workload"'
OF_ARM = f'{OF_WORKLOAD}, arm=~"$arm"'
# one metric a task: of numbers, of classes, of paths
LOSSES = 'metric=~"mae|log_loss|mean_error_m"'


def rate(metric: str, by: str, chosen: str = OF_WORKLOAD) -> str:
    """Return the growth of a counter a second, over all replicas.

    Args:
        metric: its name.
        by: labels that stay, separated by commas.
        chosen: matchers of labels.
    """
    return f"sum by ({by}) (rate({metric}{{{chosen}}}[$__rate_interval]))"


def quantile(share: float, buckets: str, by: str, chosen: str = OF_WORKLOAD) -> str:
    """Return a quantile of a cumulative histogram; arguments as of `rate`."""
    return f"histogram_quantile({share:g}, {rate(buckets, f'{by}, le', chosen)})"


def last(metric: str, by: str, chosen: str = OF_WORKLOAD, how: str = "max") -> str:
    """Return a gauge now; `how` aggregates those of several replicas. Other arguments as of `rate`."""
    return f"{how} by ({by}) ({metric}{{{chosen}}})"


def grown(metric: str, by: str, over: str, chosen: str = OF_WORKLOAD) -> str:
    """Return the growth of a counter `over` a time, for example `1h`; other arguments as of `rate`."""
    return f"sum by ({by}) (increase({metric}{{{chosen}}}[{over}]))"


def over_day(metric: str, window: str, by: str = "workload, arm", matcher: str = "") -> str:
    """Return a rolling metric of the arms over `window`, divided by that of the last day.

    Args:
        metric: its name.
        window: for example `1h`.
        by: labels that stay.
        matcher: of further labels.
    """
    chosen = ", ".join(filter(None, (OF_ARM, matcher)))
    return (
        f'max by ({by}) ({metric}{{{chosen}, window="{window}"}}'
        f' / ignoring (window) {metric}{{{chosen}, window="1d"}})'
    )


def outlier_share() -> str:
    """Return the share of outliers among the instances that an arm answered."""
    outliers = rate("raysonde_outliers_total", "workload, arm", OF_ARM)
    return f"{outliers} / {rate('raysonde_predictions_total', 'workload, arm', OF_ARM)}"


def one(expr: str, legend: str) -> tuple[Query, ...]:
    """Return the queries of a panel that has one."""
    return (Query(expr, legend),)
