"""From files to calibrated dB with a mask, whatever the producer."""
