"""`python -m matcalc`: the command line."""

from matcalc.cli import main

if __name__ == "__main__":  # workers import this module too
    main(prog_name="matcalc")
