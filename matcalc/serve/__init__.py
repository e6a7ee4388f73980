"""The page to try it: a function, a variable and a claimed derivative are typed, and judged on this machine.

What is typed is read and judged in processes of their own (`workers`), by `answers`; `server` hands texts to them and pages back.
It listens on this machine alone, answers requests for its own address alone, keeps nothing, and runs no code that it is sent.
"""
