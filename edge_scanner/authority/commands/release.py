"""COMMANDS edge-authority custodian release | register: what the custodian agrees to, and the record of it.

The custodian runs the box's policy by his own clock, reads the order, types its figures, and only then are his keys
opened. The register is written before the release is: a release that nobody recorded does not exist.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from edge_scanner import terminal
from edge_scanner.authority import files, translations
from edge_scanner.authority.collect import boxes as inventory
from edge_scanner.authority.collect import request as requesting
from edge_scanner.authority.collect import verdict as verdicts
from edge_scanner.authority.commands import unseal as commands
from edge_scanner.authority.commands.options import figures, passphrase
from edge_scanner.authority.keys import keys, mandates
from edge_scanner.authority.open import register as registers
from edge_scanner.authority.open import unseal
from edge_scanner.core import text
from edge_scanner.core.pull import policy
from edge_scanner.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_scanner.authority.collect.verdict import Verdict
    from edge_scanner.authority.commands.unseal import Desk
    from edge_scanner.core.pull.request import Asked

_MAX_REASON = 200


def run_release(bundles: Sequence[Path], desk: Desk, out: Path, *, typed: str) -> None:
    """Write the custodian's part of the keys of the minutes asked for. Raises EdgeScannerError."""
    now_s = time.time()
    files.check_new(out)
    if desk.not_pulled:
        text.parse(desk.not_pulled, limit=_MAX_REASON, name="the reason", where="--not-pulled")
    asked, known = requesting.read(desk.request), inventory.read(desk.boxes)
    pinned = mandates.pinned(desk.root)
    policy.check_order(asked, pinned.roots, policy.CUSTODIAN, now_s=now_s, revoked=pinned.revoked)
    register = registers.read(desk.keys)
    found = commands.verified(bundles, known, asked, desk)
    sources = {device: verdict.source for device, (verdict, _) in found.items()}
    requesting.show(asked, known, "")
    _warn(register.earlier(asked.request.digest.hex()), [verdict for verdict, _ in found.values()])
    requesting.check_figures(asked.request, typed or figures())
    secret = passphrase(desk.passphrase_file)
    wanted = unseal.key_ids(segment for _, segments in found.values() for segment in segments)
    private = keys.open_openers(desk.keys, secret, wanted)
    commands.check_keys(desk, found, private)
    shares: unseal.Shares = {}
    for device, (_, segments) in found.items():
        shares.update(unseal.shares_of(device, segments, private, asked.request))
    release = unseal.pack_release(asked.request.digest, shares)
    entry = _entry(asked, sources, desk.not_pulled, release, now_s)
    register = registers.add(register, entry, secret)
    files.write(out, release)
    terminal.say(
        f"{out}: keys of the minutes asked for in {counted(len(shares), 'segment')} of {counted(len(found), 'box')}"
    )
    terminal.say(f"{desk.keys / registers.REGISTER_NAME}: entry {len(register.entries)}, {register.head.hex()}")


def _entry(asked: Asked, sources: dict[str, str], reason: str, release: bytes, now_s: float) -> registers.Entry:
    request = asked.request
    return registers.Entry(
        at_s=int(now_s),
        request=request.digest.hex(),
        case=request.case,
        from_s=request.from_s,
        to_s=request.to_s,
        sources=sources,
        reason=reason,
        release=hashlib.sha256(release).hexdigest(),
    )


def _warn(earlier: Sequence[registers.Entry], found: Sequence[Verdict]) -> None:
    """Say on stderr what the order itself does not show."""
    for entry in earlier:
        for language in translations.LANGUAGES:
            line = translations.say(language, "release_again", at=translations.local(entry.at_s))
            terminal.say(line, stderr=True)
    for verdict in found:
        said = [(f"finding_{kind}", source) for kind, source in verdict.findings]
        if verdict.source != verdicts.PULLED:
            said.append((f"verify_source_{verdict.source}", ""))
        for key, source in said:
            for language in translations.LANGUAGES:
                line = translations.say(language, key, source=source)
                terminal.say(f"{translations.device_name(verdict.device)}: {line}", stderr=True)


def run_register(folder: Path, *, as_json: bool) -> None:
    """Check the register and print it. Raises BadDataError that names the line that does not hold."""
    register = registers.read(folder)
    if as_json:
        entries = [
            {"at": one.at_s, "request": one.request, "case": one.case, "from": one.from_s, "to": one.to_s,
             "sources": one.sources, "reason": one.reason, "release": one.release}
            for one in register.entries
        ]  # fmt: skip
        terminal.say_json({"head": register.head.hex(), "entries": entries})
        return
    for number, one in enumerate(register.entries, 1):
        sources = ", ".join(sorted(set(one.sources.values())))
        span = f"{translations.local(one.from_s)} to {translations.local(one.to_s)}"
        reason = f"; {one.reason}" if one.reason else ""
        terminal.say(
            f"{number}  {translations.local(one.at_s)}  {one.case}  {counted(len(one.sources), 'box')}  {span}"
            f"  {sources}{reason}"
        )
    terminal.say(f"{counted(len(register.entries), 'release')}; {register.head.hex()}")
