"""How far figures may be off, and whether a difference is one: intervals, paired comparisons, calibration, power."""
