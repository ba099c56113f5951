"""The codes of what can be wrong with a box: one table for the health lights, the operator's page and the doctor.

A code is stable once released: it stands in health messages and on the technician's sheet. The broker's codes (BRK-…)
stand in mqtt/brokerlink.py beside the errors they name; what to do for each stands in the catalogues.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """Radio, log, clock, storage and certificate; empty is all well."""

    WELL = ""
    RADIO_STARTING = "RAD-01"
    RADIO_FAULT = "RAD-02"
    RADIO_SILENT = "RAD-03"
    LOG_NO_RECIPIENTS = "LOG-01"
    LOG_RECIPIENTS_EXPIRED = "LOG-02"
    LOG_RECIPIENTS_EARLY = "LOG-03"
    LOG_BACKLOG = "LOG-04"
    LOG_RECIPIENTS_END_SOON = "LOG-05"
    BROKER_NOT_CONFIGURED = "BRK-00"
    CLOCK_NOT_KEPT = "CLK-01"
    CLOCK_UNSET = "CLK-02"
    STORAGE_LOW = "STO-01"
    STORAGE_FULL = "STO-02"
    STORAGE_FAILING = "STO-03"
    CERTIFICATE_NONE = "CRT-00"
    CERTIFICATE_ENDS_SOON = "CRT-01"
    CERTIFICATE_EXPIRED = "CRT-02"
