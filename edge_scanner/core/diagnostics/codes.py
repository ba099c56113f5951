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
    LOG_NOT_CONFIGURED = "LOG-00"
    RADIO_NO_BUS = "RAD-04"
    RADIO_NO_BLUETOOTHD = "RAD-05"
    RADIO_NO_ADAPTER = "RAD-06"
    RADIO_BLOCKED = "RAD-07"
    RADIO_REFUSED = "RAD-09"
    RADIO_DENIED = "RAD-11"
    LOG_NO_RECIPIENTS = "LOG-01"
    LOG_RECIPIENTS_EXPIRED = "LOG-02"
    LOG_BACKLOG = "LOG-04"
    LOG_RECIPIENTS_END_SOON = "LOG-05"
    LOG_RECIPIENTS_REFUSED = "LOG-06"
    LOG_RECIPIENTS_OLD = "LOG-08"
    LOG_TRAIL_FULL = "LOG-09"
    IDENTITY_LOST = "SEC-02"
    BROKER_NOT_CONFIGURED = "BRK-00"
    BROKER_REFUSES_OURS = "BRK-20"
    CLOCK_NOT_KEPT = "CLK-01"
    CLOCK_UNSET = "CLK-02"
    CLOCK_LEAPT = "CLK-05"
    COUNTS_LATE = "CNT-01"
    STORAGE_LOW = "STO-01"
    STORAGE_FULL = "STO-02"
    STORAGE_FAILING = "STO-03"
    STORAGE_PASSING = "STO-04"
    STORAGE_NOT_OURS = "STO-05"
    RUNTIME_FULL = "STO-06"
    PIN_UNUSABLE = "SEC-06"
    CERTIFICATE_NONE = "CRT-00"
    CERTIFICATE_ENDS_SOON = "CRT-01"
    CERTIFICATE_EXPIRED = "CRT-02"
    CERTIFICATE_DAMAGED = "CRT-05"
    TASK_FAILING = "UNT-03"


class DoctorCode(StrEnum):
    """What only the technician's self-test finds; its advice stands in core/diagnostics/advice.py."""

    RADIO_OFF = "RAD-10"
    RADIO_OLD_BLUETOOTHD = "RAD-08"
    LOG_RECIPIENTS_EARLY = "LOG-03"
    LOG_NOT_DELETING = "LOG-07"
    BROKER_ALLOWS_OTHERS = "BRK-21"
    BROKER_NOT_HEARD = "BRK-22"
    CLOCK_BEHIND = "CLK-03"
    CLOCK_AHEAD = "CLK-04"
    CERTIFICATE_BOOTSTRAP = "CRT-03"
    CERTIFICATE_NOT_OURS = "CRT-04"
    UNIT_NOT_RUNNING = "UNT-01"
    UNIT_WEAKENED = "UNT-02"
    POWER_LOW = "PWR-01"
    POWER_WAS_LOW = "PWR-02"
    KEY_READABLE = "SEC-01"
    SWAP = "SEC-03"
    NO_MEMORY_CONTROLLER = "SEC-04"
    FOLDER_OPEN = "SEC-05"
    SETTINGS_WRONG = "CFG-01"
    CHECK_CRASHED = "DOC-01"


PUBACKS = ("accepted", "no_subscribers", "not_authorised", "too_large", "quota", "refused")
"""What a broker's answer is called in health and metrics; the outbox counts under these names and no others."""
