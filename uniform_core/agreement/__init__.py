"""Scorers of how far a text is of its clip. A new one is a new file and one import line here."""

from uniform_core.agreement.base import AgreementConfig as AgreementConfig
from uniform_core.agreement.base import AgreementInput as AgreementInput
from uniform_core.agreement.base import AgreementScorer as AgreementScorer
from uniform_core.agreement.label_words import LabelWordsConfig as LabelWordsConfig
from uniform_core.families import members_of, tagged_union

MEMBERS = members_of(globals(), AgreementConfig)
AnyAgreement = tagged_union(MEMBERS)
