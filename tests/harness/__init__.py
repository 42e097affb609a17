"""What the tests in Python share: obitd on a temporary store, the kernel's core pattern, crashes, records.

Each module has one concern: `kernel` (settings of the running kernel, its log), `server` (obitd), `crash` (programs that
die), `look` (how processes stand), `store` (records and cores), `report` (what an analysis said), `case` (the base class of the
tests and their main function). Those who do not answer: `fuse` (file systems of the test), `silent` (a user's own one, and an overlay on
it), `scanner` (who has to agree to each open), `disk` (a disk that is slow, or stands).
"""
