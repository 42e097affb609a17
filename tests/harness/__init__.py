"""What the tests in Python share: obitd on a temporary store, the kernel's core pattern, crashes, records.

Each module has one concern: `kernel` (settings of the running kernel, its log), `server` (obitd), `crash` (programs that
die), `store` (records and cores), `report` (what an analysis said), `fuse` (a file that never gives its content), `case` (the
base class of the tests and their main function).
"""
