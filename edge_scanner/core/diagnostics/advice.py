"""What the technician reads: names of steps and checks, and for each code one sentence of what to do, vi and en.

One table for the box's self-test, the bench's screen and the guide (docs/technician.md), so that a code is explained in
the same words everywhere. A test holds it to every code that exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Language = Literal["vi", "en"]


class Verdict(StrEnum):
    """How a check went; SKIP is what this machine does not have (no Raspberry Pi, no systemd)."""

    PASS = "PASS"  # noqa: S105 (a verdict, no password)
    WARN = "WARN"
    FAIL = "FAIL"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One text in both languages."""

    vi: str
    en: str

    def of(self, language: Language) -> str:
        """The text in one language."""
        return self.vi if language == "vi" else self.en


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of a check-up; `detail` is a short fact in English without secrets, the same in every language."""

    check: str
    verdict: Verdict
    code: str = ""
    detail: str = ""


def exit_code(findings: tuple[Finding, ...]) -> int:
    """0 ok, 1 warning, 2 error."""
    verdicts = {finding.verdict for finding in findings}
    return 2 if Verdict.FAIL in verdicts else 1 if Verdict.WARN in verdicts else 0


def name(check: str) -> Words:
    """What a step or check is called; its own name when it has no other."""
    return NAMES.get(check, Words(vi=check, en=check))


def fix(code: str) -> Words | None:
    """What to do about a code."""
    return FIXES.get(code)


NAMES = {
    "fleet": Words(vi="Khoá đội máy", en="Fleet key"),
    "manifest": Words(vi="Lô máy", en="Batch"),
    "keys": Words(vi="Khoá của máy", en="Box keys"),
    "name": Words(vi="Mã máy", en="Box id"),
    "trust": Words(vi="Nơi tin cậy", en="Trust anchors"),
    "settings": Words(vi="Cấu hình", en="Settings"),
    "clock": Words(vi="Đồng hồ", en="Clock"),
    "certificate": Words(vi="Chứng chỉ", en="Certificate"),
    "storage": Words(vi="Thẻ nhớ", en="Storage"),
    "identity": Words(vi="Khoá nhận dạng", en="Identity key"),
    "secrets": Words(vi="Tệp bí mật", en="Secret files"),
    "bluetoothd": Words(vi="Dịch vụ Bluetooth", en="Bluetooth service"),
    "adapter": Words(vi="Bộ thu Bluetooth", en="Bluetooth adapter"),
    "adverts": Words(vi="Tín hiệu nghe được", en="Signals heard"),
    "dns": Words(vi="Tên máy chủ", en="Server name"),
    "tcp": Words(vi="Đường tới máy chủ", en="Way to the server"),
    "tls": Words(vi="Kết nối mã hoá", en="Encrypted connection"),
    "mqtt": Words(vi="Máy chủ MQTT", en="MQTT server"),
    "acl": Words(vi="Quyền gửi tin", en="Permissions"),
    "recipients": Words(vi="Khoá cơ quan y tế", en="Authority's keys"),
    "retention": Words(vi="Xoá nhật ký cũ", en="Old records erased"),
    "unit": Words(vi="Chương trình quét", en="Scanner service"),
    "hardening": Words(vi="Hàng rào bảo vệ", en="Sandbox"),
    "swap": Words(vi="Bộ nhớ tráo đổi (swap)", en="Swap"),
    "limits": Words(vi="Giới hạn bộ nhớ", en="Memory limits"),
    "power": Words(vi="Nguồn điện", en="Power supply"),
}

FIXES = {
    "RAD-01": Words(vi="Đợi một phút rồi kiểm tra lại.", en="Wait a minute and check again."),
    "RAD-02": Words(
        vi="Rút điện, đợi 10 giây, cắm lại; nếu vẫn lỗi, thay bộ thu.",
        en="Unplug the box, wait 10 s, plug it in; if it stays, replace the adapter.",
    ),
    "RAD-03": Words(
        vi="Bật Bluetooth trên điện thoại của bạn cạnh máy rồi thử lại; xem có kim loại che máy không.",
        en="Turn Bluetooth on on your phone beside the box and try again; look for metal around the box.",
    ),
    "RAD-04": Words(vi="Khởi động lại máy; D-Bus không chạy.", en="Restart the box; D-Bus does not run."),
    "RAD-05": Words(
        vi="Chạy: systemctl restart bluetooth; nếu vẫn lỗi, cài lại gói bluez.",
        en="Run: systemctl restart bluetooth; if that fails, install the package bluez again.",
    ),
    "RAD-06": Words(
        vi="Cắm bộ thu Bluetooth, hoặc sửa radio.adapter trong cấu hình.",
        en="Plug the Bluetooth adapter in, or change radio.adapter in the settings.",
    ),
    "RAD-07": Words(
        vi="Bluetooth đang bị khoá: khởi động lại máy; nếu vẫn lỗi, chạy: rfkill unblock bluetooth.",
        en="Bluetooth is blocked: restart the box; if it stays, run: rfkill unblock bluetooth.",
    ),
    "RAD-08": Words(vi="Cập nhật gói bluez lên 5.66 trở lên.", en="Update the package bluez to 5.66 or newer."),
    "LOG-00": Words(
        vi="Máy không thuộc cơ quan y tế nào nên chỉ đếm; muốn ghi nhật ký thì cài đặt tại bàn.",
        en="The box belongs to no health authority and only counts; for a log, provision it at the bench.",
    ),
    "RAD-09": Words(
        vi="Bộ thu không chịu nghe: rút điện, đợi 10 giây, cắm lại; nếu vẫn lỗi, thay bộ thu.",
        en="The adapter refuses to listen: unplug the box, wait 10 s, plug it in; if it stays, replace the adapter.",
    ),
    "RAD-10": Words(
        vi="Bộ thu đang tắt; chương trình quét tự bật: kiểm tra dòng Chương trình quét.",
        en="The adapter is off; the scanner switches it on: see the scanner service's line.",
    ),
    "LOG-01": Words(
        vi="Máy chưa có khoá của cơ quan y tế nên chỉ đếm: cài đặt lại tại bàn.",
        en="Without the authority's keys the box only counts: provision it at the bench again.",
    ),
    "LOG-02": Words(
        vi="Khoá của cơ quan y tế đã hết hạn: nối mạng để nhận khoá mới.",
        en="The authority's keys have ended: connect the box so that it gets new ones.",
    ),
    "LOG-03": Words(
        vi="Khoá của cơ quan y tế chưa có hiệu lực: kiểm tra đồng hồ.",
        en="The authority's keys are not valid yet: check the clock.",
    ),
    "LOG-04": Words(
        vi="Nhật ký chờ ghi đã đầy: kiểm tra thẻ nhớ.", en="Too much waits to be written: check the memory card."
    ),
    "LOG-05": Words(
        vi="Khoá của cơ quan y tế sắp hết hạn: nối mạng để nhận bộ khoá mới, báo cho đội vận hành.",
        en="The authority's keys end soon: connect the box so that it gets new ones, tell the fleet's operator.",
    ),
    "LOG-06": Words(
        vi="Tệp khoá của cơ quan y tế không đúng chữ ký: cài đặt lại tại bàn.",
        en="The authority's key file is not signed as it must be: provision the box again.",
    ),
    "LOG-07": Words(
        vi="Nhật ký cũ chưa được xoá: kiểm tra đồng hồ và chương trình quét, báo cho đội vận hành.",
        en="Old records are not being erased: check clock and scanner service, tell the fleet's operator.",
    ),
    "LOG-08": Words(
        vi="Máy đã từng dùng bộ khoá mới hơn của cơ quan y tế: nối mạng để nhận lại.",
        en="A newer set of the authority's keys was in force here: connect the box so that it gets it again.",
    ),
    "LOG-09": Words(
        vi="Sổ kiểm tra đã đầy nên máy không trả lời yêu cầu nào nữa: xuất sổ ra và cài máy mới.",
        en="The audit trail is full, so no request is answered: export it and renew the box.",
    ),
    "BRK-00": Words(
        vi="Chưa cấu hình máy chủ: cài đặt tại bàn.", en="No server is set: provision the box at the bench."
    ),
    "BRK-01": Words(
        vi="Không tìm thấy tên máy chủ: kiểm tra dây mạng và DNS của nơi đặt máy.",
        en="The server's name is not found: check the cable and the venue's DNS.",
    ),
    "BRK-02": Words(
        vi="Không tới được máy chủ: nhờ nơi đặt máy mở cổng 8883 đi ra.",
        en="The server cannot be reached: ask the venue to let port 8883 out.",
    ),
    "BRK-03": Words(
        vi="Máy chủ lạ: mạng này có thể chen giữa kết nối; đổi mạng và báo đội vận hành.",
        en="The server is not ours: this network may intercept; use another one and tell the fleet's operator.",
    ),
    "BRK-04": Words(
        vi="Đồng hồ của máy chạy chậm: nối mạng vài phút hoặc đem về bàn.",
        en="The box's clock is behind: give it a network for some minutes, or bring it to the bench.",
    ),
    "BRK-05": Words(
        vi="Chứng chỉ máy chủ hết hạn, hoặc đồng hồ chạy nhanh: kiểm tra dòng Đồng hồ.",
        en="The server's certificate has expired, or our clock is ahead: see the clock's line.",
    ),
    "BRK-06": Words(
        vi="Máy chủ từ chối chứng chỉ của máy: hỏi đội vận hành máy này có bị thu hồi không.",
        en="The server refuses the box's certificate: ask the fleet's operator whether it was revoked.",
    ),
    "BRK-07": Words(
        vi="Máy chủ không cho phép máy này: báo đội vận hành.",
        en="The server does not admit this box: tell the fleet's operator.",
    ),
    "BRK-08": Words(
        vi="Máy chủ trả lời không đúng giao thức: kiểm tra địa chỉ và cổng.",
        en="The server does not speak our protocol: check its address and port.",
    ),
    "BRK-09": Words(
        vi="Kết nối bị ngắt: thử lại sau vài phút.", en="The connection was lost: try again in some minutes."
    ),
    "BRK-10": Words(
        vi="Máy chủ ngắt trước khi trả lời: báo đội vận hành.",
        en="The server hung up before it answered: tell the fleet's operator.",
    ),
    "BRK-11": Words(vi="Máy chủ đang bận: đợi và thử lại.", en="The server is busy: wait and try again."),
    "BRK-12": Words(
        vi="Có máy khác dùng cùng mã máy: có thể thẻ nhớ bị sao chép, báo đội vận hành.",
        en="Another box uses this id: the card may have been copied, tell the fleet's operator.",
    ),
    "BRK-13": Words(
        vi="Không đọc được tệp chứng chỉ: cài đặt lại tại bàn.",
        en="The certificate files cannot be read: provision the box again.",
    ),
    "BRK-14": Words(
        vi="Máy chủ chỉ nói MQTT 3.1.1, tin bị từ chối trông như đã nhận: báo đội vận hành.",
        en="The server speaks only MQTT 3.1.1, where refused messages look accepted: tell the fleet's operator.",
    ),
    "BRK-15": Words(
        vi="Có thứ khác trả lời thay máy chủ, có thể là trang đăng nhập của mạng này: dùng mạng khác.",
        en="Something else answers for the server, perhaps this network's login page: use another network.",
    ),
    "BRK-16": Words(
        vi="Cổng đã mở nhưng kết nối mã hoá không đi qua được: thử mạng khác, báo đội vận hành.",
        en="The port is open, but nothing encrypted gets through: try another network, tell the fleet's operator.",
    ),
    "BRK-20": Words(
        vi="Máy chủ không nhận tin của máy này: báo đội vận hành kiểm tra ACL.",
        en="The server refuses this box's messages: ask the fleet's operator to check the ACL.",
    ),
    "BRK-21": Words(
        vi="Máy chủ cho phép gửi tin dưới tên máy khác: báo đội vận hành ngay, ACL không hoạt động.",
        en="The server lets us speak in another box's name: the ACL is not in force, tell the operator at once.",
    ),
    "BRK-22": Words(
        vi="Máy chủ không chuyển tin đến máy này: báo đội vận hành kiểm tra các dòng down/ trong ACL.",
        en="What is sent to this box does not reach it: ask the fleet's operator to check the down/ lines of the ACL.",
    ),
    "CLK-01": Words(
        vi="Giờ chưa được xác nhận qua mạng: nối mạng vài phút.",
        en="The time is not confirmed by a network: connect the box for some minutes.",
    ),
    "CLK-02": Words(
        vi="Đồng hồ chưa được đặt: nối mạng hoặc đem về bàn.",
        en="The clock is not set: connect the box or bring it to the bench.",
    ),
    "CLK-03": Words(
        vi="Đồng hồ chạy chậm: nối mạng vài phút, hoặc cắm vào bàn cài đặt để lấy giờ.",
        en="The clock is behind: connect the box for some minutes, or plug it into the bench to take its time.",
    ),
    "CLK-04": Words(
        vi="Đồng hồ chạy nhanh: nối mạng vài phút, hoặc cắm vào bàn cài đặt để lấy giờ.",
        en="The clock is ahead: connect the box for some minutes, or plug it into the bench to take its time.",
    ),
    "CLK-05": Words(
        vi="Giờ vừa nhảy xa nên chưa xoá gì trong hai ngày: xem giờ có đúng không; nếu sai, nối mạng hoặc đem về bàn.",
        en="The clock leapt, so nothing is erased for two days: see whether it is right; if not, connect the box.",
    ),
    "STO-01": Words(vi="Thẻ nhớ sắp đầy: thay thẻ lớn hơn.", en="The card is nearly full: replace it by a larger one."),
    "STO-02": Words(
        vi="Thẻ nhớ đầy: xoá bớt tệp lạ, hoặc thay thẻ và giữ thẻ cũ lại.",
        en="The card is full: free space on it, or replace it and keep the old one.",
    ),
    "STO-03": Words(
        vi="Thẻ nhớ hỏng: thay thẻ, giữ thẻ cũ lại.", en="The card is failing: replace it and keep the old one."
    ),
    "STO-04": Words(
        vi="Dữ liệu nằm trên vùng mất khi tắt máy hoặc cập nhật: sửa state_dir hoặc cài lại gói.",
        en="State is where a restart or an update loses it: correct state_dir or install the package again.",
    ),
    "STO-05": Words(
        vi="Thư mục dữ liệu không thuộc chương trình quét: cài lại gói edge-scanner.",
        en="The state directory is not the scanner's: install the package edge-scanner again.",
    ),
    "STO-06": Words(
        vi="Không ghi được trang cho màn hình: bộ nhớ /run đầy hoặc thiếu thư mục; khởi động lại máy.",
        en="The page cannot be written: /run is full or its folder is missing; restart the box.",
    ),
    "CRT-00": Words(
        vi="Máy chưa có chứng chỉ: cài đặt tại bàn.", en="The box has no certificate: provision it at the bench."
    ),
    "CRT-01": Words(
        vi="Chứng chỉ sắp hết hạn: nối mạng để máy tự gia hạn.",
        en="The certificate ends soon: connect the box, it renews by itself.",
    ),
    "CRT-02": Words(
        vi="Chứng chỉ đã hết hạn: đem máy về bàn cài đặt.",
        en="The certificate has expired: bring the box to the bench.",
    ),
    "CRT-03": Words(
        vi="Chứng chỉ tạm: bình thường trước lần nối mạng đầu tiên.",
        en="A bootstrap certificate: as it should be before the first contact with the server.",
    ),
    "CRT-04": Words(
        vi="Chứng chỉ không phải của máy này: cài đặt lại tại bàn.",
        en="The certificate is not this box's: provision the box again.",
    ),
    "CRT-05": Words(
        vi="Tệp chứng chỉ hỏng: cài đặt lại tại bàn.",
        en="The certificate's file is damaged: provision the box again.",
    ),
    "UNT-01": Words(
        vi="Chương trình quét không chạy: systemctl status edge-scanner.",
        en="The scanner service is not running: systemctl status edge-scanner.",
    ),
    "UNT-02": Words(
        vi="Hàng rào của chương trình bị nới lỏng: xoá tệp trong /etc/systemd/system/edge-scanner.service.d.",
        en="The service's sandbox was weakened: remove what is in /etc/systemd/system/edge-scanner.service.d.",
    ),
    "UNT-03": Words(
        vi="Một phần việc phụ bị lỗi và đang được thử lại: gửi nhật ký hệ thống cho đội vận hành.",
        en="A side task fails and is tried again: send the journal to the fleet's operator.",
    ),
    "PWR-01": Words(
        vi="Nguồn điện yếu: dùng bộ nguồn chính hãng và dây ngắn.",
        en="The voltage is too low: use the official power supply and a short cable.",
    ),
    "PWR-02": Words(
        vi="Nguồn điện đã có lúc yếu từ khi bật máy: thay bộ nguồn nếu lặp lại.",
        en="The voltage was too low since the start: replace the supply if it comes again.",
    ),
    "SEC-01": Words(
        vi="Tệp khoá đang mở cho người khác đọc: chmod 600 tệp đó.",
        en="Others may read a key file: chmod 600 that file.",
    ),
    "SEC-02": Words(
        vi="Khoá nhận dạng của máy bị mất hoặc hỏng nên không ghi nhật ký: báo đội vận hành, cài lại với thẻ mới.",
        en="The box's identity key is lost or damaged, so nothing is sealed: tell the operator, install a new card.",
    ),
    "SEC-03": Words(
        vi="Máy có thể ghi bộ nhớ ra thẻ: tắt swap (swapoff -a; Mechanism=none trong /etc/rpi/swap.conf.d).",
        en="Memory may be written to the card: switch swap off (swapoff -a; Mechanism=none in /etc/rpi/swap.conf.d).",
    ),
    "SEC-04": Words(
        vi="Nhân hệ điều hành không giới hạn bộ nhớ: thêm cgroup_enable=memory vào cmdline.txt rồi khởi động lại.",
        en="The kernel bounds no memory: add cgroup_enable=memory to cmdline.txt and restart.",
    ),
    "CFG-01": Words(
        vi="Cấu hình sai: chạy edge-scanner check-config.", en="The settings are wrong: run edge-scanner check-config."
    ),
    "DOC-01": Words(
        vi="Phép kiểm tra này bị lỗi: gửi kết quả --json cho đội vận hành.",
        en="This check itself failed: send the --json output to the fleet's operator.",
    ),
    "PRV-01": Words(
        vi="Thẻ nhớ bị sao chép: dừng lại, ghi thẻ mới.", en="The card is a copy: stop, and write a fresh card."
    ),
    "PRV-02": Words(
        vi="Bo mạch này đã có mã: nếu vừa ghi lại thẻ, chạy edge-provision bench retire MÃ.",
        en="This board has an id already: if its card was written again, run edge-provision bench retire ID.",
    ),
    "PRV-03": Words(
        vi="Máy thuộc bàn khác hoặc đã bị loại: hỏi đội vận hành.",
        en="The box is another bench's or was retired: ask the fleet's operator.",
    ),
    "PRV-04": Words(vi="Lô đã hết mã: xin lô mới.", en="The batch has no id left: ask for a new batch."),
    "PRV-05": Words(
        vi="Bàn cài đặt không hiểu yêu cầu: cập nhật phần mềm của máy.",
        en="The bench does not understand the request: update the box's software.",
    ),
    "PRV-09": Words(vi="Rút điện, cắm lại để thử lại.", en="Unplug the box and plug it in to try again."),
}
