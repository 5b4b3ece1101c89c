"""The paper's tables: every value that they print, what each needs of a run, and what of ours compares with it."""

from uniform_core.paper_tables.comparison import Compared as Compared
from uniform_core.paper_tables.comparison import Measured as Measured
from uniform_core.paper_tables.comparison import Setting as Setting
from uniform_core.paper_tables.comparison import compared as compared
from uniform_core.paper_tables.conditions import Condition as Condition
from uniform_core.paper_tables.conditions import TableRun as TableRun
from uniform_core.paper_tables.conditions import Unavailable as Unavailable
from uniform_core.paper_tables.conditions import condition_of as condition_of
from uniform_core.paper_tables.conditions import conditions_of as conditions_of
from uniform_core.paper_tables.conditions import runs_of as runs_of
from uniform_core.paper_tables.external import External as External
from uniform_core.paper_tables.external import ExternalNumber as ExternalNumber
from uniform_core.paper_tables.external import ExternalNumbers as ExternalNumbers
from uniform_core.paper_tables.external import columns_of as columns_of
from uniform_core.paper_tables.external import compared_with_ours as compared_with_ours
from uniform_core.paper_tables.values import METRICS as METRICS
from uniform_core.paper_tables.values import NUMBERS as NUMBERS
from uniform_core.paper_tables.values import TABLES as TABLES
from uniform_core.paper_tables.values import Mark as Mark
from uniform_core.paper_tables.values import PaperTable as PaperTable
from uniform_core.paper_tables.values import PaperValue as PaperValue
from uniform_core.paper_tables.values import Strength as Strength
from uniform_core.paper_tables.values import paper_values as paper_values
