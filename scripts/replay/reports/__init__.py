"""How predictions about recorded data are judged, shown and drawn, by what kind of truth a workload has."""
