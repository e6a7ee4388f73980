"""matcalc: matrix-derivative rules written by hand, and the tool that verifies them."""
