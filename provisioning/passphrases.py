"""The secrets of edge-provision, each given as edge_scanner/passphrases.py says.

Headquarters' opens the fleet, a batch has its own: the laptop it travels with must not be an oracle for the fleet's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from edge_scanner.passphrases import Secret, check

FLEET_VARIABLE = "EDGE_PROVISION_PASSPHRASE"
BATCH_VARIABLE = "EDGE_PROVISION_BATCH_PASSPHRASE"
NEW_VARIABLE = "EDGE_PROVISION_NEW_PASSPHRASE"
_FLEET = Secret(
    question="Mật khẩu của hệ thống / Passphrase of the fleet", variable=FLEET_VARIABLE, credential="passphrase"
)
_BATCH = Secret(
    question="Mật khẩu của lô / Passphrase of the batch", variable=BATCH_VARIABLE, credential="batch-passphrase"
)
_FIRST = replace(_FLEET, question="Mật khẩu mới của hệ thống / New passphrase of the fleet", new=True, check=check)
_OPENS = "A file with the passphrase."
Passphrase = Annotated[str, _FLEET.option("--passphrase-file", _OPENS)]
BatchPassphrase = Annotated[str, _BATCH.option("--passphrase-file", _OPENS)]
FirstPassphrase = Annotated[str, _FIRST.option("--passphrase-file", _OPENS)]
NewPassphrase = Annotated[
    str,
    replace(_FIRST, variable=NEW_VARIABLE, credential="new-passphrase").option(
        "--new-passphrase-file", "A file with the new passphrase."
    ),
]
NewBatchPassphrase = Annotated[
    str,
    replace(_BATCH, question="Mật khẩu mới của lô / New passphrase of the batch", new=True, check=check).option(
        "--batch-passphrase-file", "A file with the batch's own passphrase, for the technician; never the fleet's."
    ),
]
