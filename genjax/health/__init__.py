"""The health monitor: it runs beside training, takes at most 2 % of its time, and says in words what is wrong.

These are its modules.

    monitor          runs all of it beside a run          judge      what numbers say is wrong; thresholds, reasons
    probes           model and images -> numbers          budget     when there is time for a probe
    diversity        are samples too much alike?          nearness   are they near the data?
    first_nonfinite  what was first not finite            coverage   what could be judged, and what not and why
    finding          one finding, in words                messages   which findings were reported already
    journal          where findings are written           findings_file   the findings that a run's folder holds
"""

from genjax.health.coverage import verdict
from genjax.health.finding import TITLES, Finding, found, share_of
from genjax.health.findings_file import Said, read_findings, still_open
from genjax.health.first_nonfinite import replayer
from genjax.health.journal import Journal
from genjax.health.monitor import Monitor

__all__ = [
    "TITLES",
    "Finding",
    "Journal",
    "Monitor",
    "Said",
    "found",
    "read_findings",
    "replayer",
    "share_of",
    "still_open",
    "verdict",
]
