"""The catalog: Delta Lake tables of small rows, tensor shards, media, and what is known of them.

DuckDB, Delta Lake and Arrow are imported when the catalog is first used, so that the command line answers at once.
"""

from uniform_core.catalog.candidates import Candidates as Candidates
from uniform_core.catalog.catalog import Catalog as Catalog
from uniform_core.catalog.catalog import Selection as Selection
from uniform_core.catalog.ledger import Failure as Failure
from uniform_core.catalog.repair import REPAIRABLE as REPAIRABLE
from uniform_core.catalog.shard_care import Burial as Burial
from uniform_core.catalog.store import Clock as Clock
from uniform_core.catalog.tables import all_tables as all_tables
from uniform_core.catalog.verify import Finding as Finding
from uniform_core.catalog.worklist import Progress as Progress
