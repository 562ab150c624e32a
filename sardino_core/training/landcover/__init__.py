"""Learning land cover from labels: losses, schedules, one step, its plan, scores and calibration."""
