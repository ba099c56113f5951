"""The authority's night as a table of steps: who acts, at which machine, what travels there, the command, its outcome.

Each machine is a folder and each command runs in it, so that no file is at hand that a real officer would not have.
The guide's docs/authority.md tells the same night; where it changes, this table changes.
"""

from __future__ import annotations

import csv
import shlex
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from edge_scanner.authority.keys.keys import read_public
from edge_scanner.authority.keys.weeks import week_of
from edge_scanner.core.enrolment import fingerprints
from edge_scanner.core.wording import counted
from edge_scanner.demo.evening import ELSEWHERE, PATIENT, local, utc
from edge_scanner.demo.stage import AUTHORITY, SITE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_scanner.demo.evening import Evening
    from edge_scanner.demo.stage import Stage

PASSPHRASE = "passphrase"  # noqa: S105 (the name of a file)
CASE = "HCM-2026-0417"
OPENED_MODE = 0o600
REFUSED = 77


class Machine(Enum):
    """Where somebody sits: the machine's folder, and who that is in both languages."""

    ROOT = ("root", "Khoá gốc, máy ngoại tuyến", "root, off line")
    OFFICER = ("officer", "Cán bộ y tế", "health officer")
    APPROVER = ("approver", "Người phê duyệt độc lập", "independent approver")
    CUSTODIAN = ("custodian", "Bên giữ khoá", "custodian")
    FLEET = ("fleet", "Người vận hành hệ thống", "fleet's operator")

    def __init__(self, folder: str, vi: str, en: str) -> None:
        self.folder = folder
        self.vi = vi
        self.en = en


class UnexpectedError(Exception):
    """A step did not do what it must; says what it did."""


@dataclass(slots=True, kw_only=True)
class Night:
    """What the steps share: the stage, the evening, and the minutes (UTC seconds) in which the patient was heard."""

    here: Stage
    evening: Evening
    heard: frozenset[int] = frozenset()

    @property
    def expected(self) -> frozenset[int]:
        """The minutes that the authority may learn of: heard, and within the order."""
        start_s, end_s = self.evening.ordered_s
        return frozenset(minute for minute in self.heard if start_s <= minute < end_s)

    def at(self, machine: Machine) -> Path:
        """A machine's folder."""
        return self.here.folder / machine.folder

    @property
    def figures(self) -> str:
        """What approver and custodian type: the number of boxes, and the hours."""
        start_s, end_s = self.evening.ordered_s
        hours, minutes = divmod((end_s - start_s) // 60, 60)
        return f"1 {hours}:{minutes:02d}" if minutes else f"1 {hours}"

    def words(self, step: Step) -> str:
        """The six words of the key that a step brings, as its owner reads them from his own machine."""
        (machine, public), *_ = step.brings
        return fingerprints.words(read_public(self.at(machine) / public).public)

    def answer(self, step: Step) -> str:
        """What the person types at a step's question."""
        return step.types.format(figures=self.figures, words=self.words(step) if "{words}" in step.types else "")

    def command(self, step: Step) -> list[str]:
        """A step's command as it would be typed."""
        start_s, end_s = self.evening.ordered_s
        return shlex.split(
            step.command.format(
                authority=AUTHORITY,
                case=CASE,
                site=SITE,
                week=week_of(self.evening.start_s),
                start=local(start_s),
                end=local(end_s),
                broker=f"127.0.0.1:{self.here.broker_port}",
            )
        )


def _done(_night: Night, _said: str) -> str:
    return "xong / done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command. `brings` are files and the machine they come from.

    `types` is what the person answers; `{figures}` stands for `Night.figures`, `{words}` for `Night.words`. `finds`
    looks at what is there afterwards: a few words about it, or UnexpectedError.
    """

    at: Machine
    vi: str
    en: str
    command: str
    brings: tuple[tuple[Machine, str], ...] = ()
    types: str = ""
    code: int = 0
    finds: Callable[[Night, str], str] = _done


def _one_signature(_night: Night, _said: str) -> str:
    return "một chữ ký chưa đủ / one signature is not enough"


def _two_signatures(_night: Night, _said: str) -> str:
    return "đủ hai chữ ký / both people have signed"


def _pulled(night: Night, _said: str) -> str:
    bundle = night.at(Machine.OFFICER) / "hcm-0417" / night.here.device_id
    size = sum(path.stat().st_size for path in bundle.glob("*") if path.is_file())
    if not size:
        raise UnexpectedError("the box's hours are not there")
    return f"{size / 1e6:.1f} MB, niêm phong / sealed"


def _opened(night: Night, _said: str) -> str:
    mode = (night.at(Machine.OFFICER) / "hcm-0417.opened").stat().st_mode & 0o777
    if mode != OPENED_MODE:
        raise UnexpectedError(f"the opened file has mode {mode:o}")
    return "chỉ chủ tệp đọc được / only its owner may read it"


def _reported(night: Night, _said: str) -> str:
    """The report names exactly the planted minutes, and neither the other case nor any key."""
    folder = night.at(Machine.OFFICER)
    table = (folder / "hcm-0417.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(table.splitlines()))
    found = {row["minute_utc"] for row in rows}
    expected = {utc(minute) for minute in night.expected}
    if {row["case"].partition("/")[0] for row in rows} != {PATIENT}:
        raise UnexpectedError("another case than the planted one was found, or none")
    if found != expected:
        raise UnexpectedError(f"{counted(len(found - expected), 'minute')} too many, {len(expected - found)} missing")
    texts = ((folder / "hcm-0417.html").read_text(encoding="utf-8").upper(), table.upper())
    keys = [one.key.hex().upper() for one in (night.evening.patient, night.evening.elsewhere)]
    if any(key in text for key in keys for text in texts):
        raise UnexpectedError("a patient's key is in the report")
    return (
        f"đúng {len(found)} phút, không có ai khác / exactly the {counted(len(found), 'minute')} planted, nobody else"
    )


_SECRET = f"--passphrase-file {PASSPHRASE}"
_ORDER = "--request approved.json --root authority-root.pem --boxes boxes.csv"
_WEEKLY = f"--weeks 2 --from-week {{week}} {_SECRET}"

PREPARATION = (
    Step(
        at=Machine.ROOT,
        vi="Cơ quan tạo khoá gốc",
        en="The authority makes its root",
        command=f'edge-authority keys root . --name "Sở Y tế (diễn tập)" {_SECRET}',
    ),
    Step(
        at=Machine.OFFICER,
        vi="Cán bộ y tế tạo khoá ký",
        en="The health officer makes a signing key",
        command=f'edge-authority keys new keys --role health-officer --name "BS. Nguyễn Thị An" {_SECRET}',
    ),
    Step(
        at=Machine.OFFICER,
        vi="Phòng dịch tễ tạo khoá mở theo tuần",
        en="The tracing office makes weekly opening keys",
        command=f'edge-authority keys new keys --role recipient --name "Phòng dịch tễ" {_WEEKLY}',
    ),
    Step(
        at=Machine.APPROVER,
        vi="Người phê duyệt tạo khoá ký",
        en="The approver makes a signing key",
        command=f'edge-authority keys new keys --role approver --name "Trần Văn Bình" {_SECRET}',
    ),
    Step(
        at=Machine.CUSTODIAN,
        vi="Bên giữ khoá tạo khoá mở theo tuần",
        en="The custodian makes weekly opening keys",
        command=f'edge-authority keys new keys --role custodian --name "Trung tâm giữ khoá" {_WEEKLY}',
    ),
    Step(
        at=Machine.ROOT,
        vi="Cấp giấy uỷ quyền cho cán bộ y tế",
        en="The root gives the health officer a mandate",
        brings=((Machine.OFFICER, "keys/health-officer.pub"),),
        command="edge-authority keys certify health-officer.pub --root root.key --authority {authority} "
        f"--out health-officer.mandate {_SECRET}",
        types="{words}",
    ),
    Step(
        at=Machine.ROOT,
        vi="Cấp giấy uỷ quyền cho người phê duyệt",
        en="The root gives the approver a mandate",
        brings=((Machine.APPROVER, "keys/approver.pub"),),
        command="edge-authority keys certify approver.pub --root root.key --authority {authority} "
        f"--out approver.mandate {_SECRET}",
        types="{words}",
    ),
    Step(
        at=Machine.CUSTODIAN,
        vi="Bên giữ khoá tạo khoá gốc của mình",
        en="The custodian makes a root of its own",
        command=f'edge-authority keys root . --custodian --name "Trung tâm giữ khoá" {_SECRET}',
    ),
    Step(
        at=Machine.ROOT,
        vi="Ký danh sách bên nhận của nhật ký",
        en="The root signs the set of keys that boxes seal to",
        brings=(
            (Machine.OFFICER, "keys/recipient-*.pub"),
            (Machine.CUSTODIAN, "keys/custodian-*.pub"),
            (Machine.CUSTODIAN, "custodian-root.pem"),
        ),
        command="edge-authority recipients sign . --root root.key --custodian-root custodian-root.pem --version 1 "
        f"--out recipients.proposed {_SECRET}",
    ),
    Step(
        at=Machine.CUSTODIAN,
        vi="Đọc danh sách và ký cùng",
        en="Read the set and countersign it",
        brings=((Machine.ROOT, "recipients.proposed"), (Machine.ROOT, "authority-root.pem")),
        command="edge-authority recipients countersign recipients.proposed keys --root custodian-root.key "
        f"--authority-root authority-root.pem --out recipients.json {_SECRET}",
        types="1",
    ),
)

NIGHT = (
    Step(
        at=Machine.OFFICER,
        vi="Soạn lệnh và ký",
        en="Draft the order and sign it",
        brings=(
            (Machine.ROOT, "health-officer.mandate"),
            (Machine.ROOT, "authority-root.pem"),
            (Machine.FLEET, "fleet.pub"),
            (Machine.FLEET, "boxes.csv*"),
        ),
        command='edge-authority request new --case {case} --legal-basis "Luật 114/2025/QH15" '
        '--purpose "Truy vết người tiếp xúc (diễn tập)" --site {site} --from {start} --to {end} --boxes boxes.csv '
        "--root authority-root.pem --key keys/health-officer.key --mandate health-officer.mandate "
        f"--out request.json {_SECRET}",
    ),
    Step(
        at=Machine.OFFICER,
        vi="Một mình có đủ không?",
        en="Is one person enough?",
        command="edge-authority request show request.json --root authority-root.pem",
        code=REFUSED,
        finds=_one_signature,
    ),
    Step(
        at=Machine.APPROVER,
        vi="Đọc lệnh và phê duyệt",
        en="Read the order and approve it",
        brings=(
            (Machine.OFFICER, "request.json"),
            (Machine.ROOT, "approver.mandate"),
            (Machine.ROOT, "authority-root.pem"),
        ),
        command="edge-authority request approve request.json --root authority-root.pem --key keys/approver.key "
        f"--mandate approver.mandate --out approved.json {_SECRET}",
        types="{figures}",
    ),
    Step(
        at=Machine.OFFICER,
        vi="Xem lệnh đã đủ chữ ký",
        en="See that the order is complete",
        brings=((Machine.APPROVER, "approved.json"),),
        command="edge-authority request show approved.json --root authority-root.pem --boxes boxes.csv",
        finds=_two_signatures,
    ),
    Step(
        at=Machine.OFFICER,
        vi="Lấy các giờ đã niêm phong từ hộp",
        en="Pull the sealed hours from the box",
        brings=(
            (Machine.FLEET, "ca.pem"),
            (Machine.FLEET, f"{AUTHORITY}.crt"),
            (Machine.FLEET, f"{AUTHORITY}.key"),
        ),
        command="edge-authority pull approved.json --boxes boxes.csv --out hcm-0417 --broker {broker} --ca ca.pem "
        "--certificate {authority}.crt --certificate-key {authority}.key --wait 120",
        finds=_pulled,
    ),
    Step(
        at=Machine.OFFICER,
        vi="Kiểm tra chứng cứ",
        en="Verify what the box gave",
        brings=(
            (Machine.FLEET, "published.txt"),
            (Machine.CUSTODIAN, "recipients.json"),
            (Machine.CUSTODIAN, "custodian-root.pem"),
        ),
        command="edge-authority verify hcm-0417 --boxes boxes.csv --checkpoints published.txt "
        "--recipients recipients.json --root authority-root.pem --custodian-root custodian-root.pem",
    ),
    Step(
        at=Machine.CUSTODIAN,
        vi="Đọc lệnh, bàn giao khoá của đúng các giờ đó",
        en="Read the order, release the other half for exactly those hours",
        brings=(
            (Machine.OFFICER, "hcm-0417"),
            (Machine.OFFICER, "approved.json"),
            (Machine.ROOT, "authority-root.pem"),
            (Machine.FLEET, "fleet.pub"),
            (Machine.FLEET, "boxes.csv*"),
            (Machine.FLEET, "published.txt"),
        ),
        command=f"edge-authority custodian release hcm-0417 {_ORDER} --keys keys --checkpoints published.txt "
        f"--out hcm-0417.release {_SECRET}",
        types="{figures}",
    ),
    Step(
        at=Machine.OFFICER,
        vi="Mở các phút trong lệnh",
        en="Open the minutes of the order",
        brings=((Machine.CUSTODIAN, "hcm-0417.release"),),
        command=f"edge-authority open hcm-0417 {_ORDER} --keys keys --release hcm-0417.release "
        f"--checkpoints published.txt --out hcm-0417.opened {_SECRET}",
        finds=_opened,
    ),
    Step(
        at=Machine.OFFICER,
        vi="So khớp với hai ca bệnh",
        en="Match with two cases",
        command=f"edge-authority match hcm-0417.opened --cases {PATIENT}.json --cases {ELSEWHERE}.json "
        "--out hcm-0417.sightings",
    ),
    Step(
        at=Machine.OFFICER,
        vi="Viết báo cáo",
        en="Write the report",
        command="edge-authority report hcm-0417.sightings --html hcm-0417.html --csv hcm-0417.csv",
        finds=_reported,
    ),
    Step(
        at=Machine.OFFICER,
        vi="Hạn huỷ dữ liệu đã mở",
        en="When the opened file must be gone",
        command="edge-authority purge .",
    ),
)
