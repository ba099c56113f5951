"""The reader of export files against Google's own protobuf library, from the published message definition."""

from __future__ import annotations

import importlib
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from edge_scanner.authority.match import protobuf
from edge_scanner.core.errors import BadDataError

# Exposure Key export file format and verification, "TemporaryExposureKey": number, name, type.
KEY_FIELDS = [
    (1, "key_data", "TYPE_BYTES"),
    (2, "transmission_risk_level", "TYPE_INT32"),
    (3, "rolling_start_interval_number", "TYPE_INT32"),
    (4, "rolling_period", "TYPE_INT32"),
    (5, "report_type", "TYPE_INT32"),
    (6, "days_since_onset_of_symptoms", "TYPE_SINT32"),
]


def _library(module: str) -> Any:
    """A module of the library, which ships no types."""
    return importlib.import_module(f"google.protobuf.{module}")


def _message() -> Any:
    descriptor_pb2 = _library("descriptor_pb2")
    file = descriptor_pb2.FileDescriptorProto(name="key.proto", package="t", syntax="proto2")
    kind = file.message_type.add(name="TemporaryExposureKey")
    for number, name, value in KEY_FIELDS:
        kind.field.add(
            name=name,
            number=number,
            type=getattr(descriptor_pb2.FieldDescriptorProto, value),
            label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
        )
    pool = _library("descriptor_pool").DescriptorPool()
    pool.Add(file)
    return _library("message_factory").GetMessageClass(pool.FindMessageTypeByName("t.TemporaryExposureKey"))


KEY = _message()
INT32 = st.integers(-(2**31), 2**31 - 1)


@given(secret=st.binary(max_size=40), risk=INT32, start=INT32, period=INT32, report=INT32, onset=INT32)
def test_both_read_the_same_key(*, secret: bytes, risk: int, start: int, period: int, report: int, onset: int) -> None:
    """What the library writes our reader reads: bytes, negative numbers, and zigzag as the raw number."""
    written = KEY(
        key_data=secret,
        transmission_risk_level=risk,
        rolling_start_interval_number=start,
        rolling_period=period,
        report_type=report,
        days_since_onset_of_symptoms=onset,
    )

    found = {field.number: field for field in protobuf.fields(written.SerializeToString())}

    assert found[1].data == secret
    assert [found[n].integer for n in (2, 3, 4, 5)] == [risk, start, period, report]
    assert found[6].integer == (onset << 1 if onset >= 0 else (-onset << 1) - 1)


@example(b"\xa9\x80\x80\x80\x10" + bytes(8))
@given(st.binary(max_size=60))
def test_what_our_reader_accepts_the_library_accepts(data: bytes) -> None:
    """Arbitrary bytes: our reader is never the more lenient of the two, where both know the field's type."""
    try:
        fields = [field for field in protobuf.fields(data) if field.number <= len(KEY_FIELDS)]
    except BadDataError:
        return

    parsed = KEY.FromString(data)

    secrets = [field.data for field in fields if field.number == 1 and isinstance(field.value, bytes)]
    assert parsed.key_data == (secrets[-1] if secrets else b"")
