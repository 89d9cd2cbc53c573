"""The math of labels: votes, calibration, and models of labellers. Pure functions; imports nothing of Potstill."""
