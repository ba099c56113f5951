"""The box itself: lights, and for each code what the technician and the operator do."""

from __future__ import annotations

from edge_scanner.core.diagnostics.words import Advice, LightWords, Words

LIGHTS = {
    "clock": LightWords(
        name=Words(
            vi="Đồng hồ",
            en="Clock",
        ),
        warn=Words(
            vi="Giờ chưa được xác nhận. Kết nối mạng cho thiết bị vài phút; không cần làm gì khác.",
            en=(
                "The time is not confirmed. Connect the box to a network for a few minutes; nothing else needs to be "
                "done."
            ),
        ),
        fail=Words(
            vi="Giờ sai. Kiểm tra mạng; nếu sau một giờ vẫn sai, hãy gọi kỹ thuật.",
            en="The time is wrong. Check the network; if it is still wrong in an hour, call the technician.",
        ),
    ),
    "storage": LightWords(
        name=Words(
            vi="Thẻ nhớ",
            en="Memory card",
        ),
        warn=Words(
            vi="Thẻ nhớ sắp đầy hoặc bắt đầu có lỗi. Báo kỹ thuật để thay thẻ.",
            en="The memory card is nearly full or is beginning to fail. Ask the technician to replace it.",
        ),
        fail=Words(
            vi="Thẻ nhớ đầy hoặc hỏng. Gọi kỹ thuật để thay thẻ; không tự tháo thẻ.",
            en="The memory card is full or broken. Ask the technician to replace it; do not remove it yourself.",
        ),
    ),
    "certificate": LightWords(
        name=Words(
            vi="Chứng chỉ",
            en="Certificate",
        ),
        warn=Words(
            vi="Chứng chỉ sắp hết hạn. Kết nối mạng cho thiết bị; thiết bị tự gia hạn.",
            en="The certificate expires soon. Connect the box to a network; it renews the certificate by itself.",
        ),
        fail=Words(
            vi="Chứng chỉ hoặc khoá đã hết hạn. Gọi kỹ thuật; thiết bị vẫn đếm nhưng không gửi được.",
            en="A certificate or key has expired. Call the technician; the box still counts but cannot send.",
        ),
    ),
    "counts": LightWords(
        name=Words(
            vi="Số liệu đếm",
            en="Counts",
        ),
        warn=Words(
            vi="Thiết bị quá tải nên có phút không đếm được. Báo kỹ thuật trong tuần.",
            en="The box was too busy, so some minutes were not counted. Tell the technician this week.",
        ),
        fail=Words(
            vi="Thiết bị không đếm được. Gọi kỹ thuật.",
            en="The box is not counting. Call the technician.",
        ),
    ),
}

NAMES = {
    "fleet": Words(vi="Khoá hệ thống", en="Fleet key"),
    "manifest": Words(vi="Lô hộp", en="Batch"),
    "keys": Words(vi="Khoá của hộp", en="Box keys"),
    "name": Words(vi="Mã hộp", en="Box id"),
    "trust": Words(vi="Khoá gốc tin cậy", en="Trust anchors"),
    "settings": Words(vi="Cấu hình", en="Settings"),
    "clock": Words(vi="Đồng hồ", en="Clock"),
    "certificate": Words(vi="Chứng chỉ", en="Certificate"),
    "storage": Words(vi="Thẻ nhớ", en="Storage"),
    "identity": Words(vi="Khoá định danh", en="Identity key"),
    "secrets": Words(vi="Tệp bí mật", en="Secret files"),
    "unit": Words(vi="Chương trình quét", en="Scanner service"),
    "hardening": Words(vi="Cơ chế cô lập", en="Sandbox"),
    "swap": Words(vi="Bộ nhớ tráo đổi (swap)", en="Swap"),
    "limits": Words(vi="Giới hạn bộ nhớ", en="Memory limits"),
    "power": Words(vi="Nguồn điện", en="Power supply"),
}

ADVICE = {
    "CLK-01": Advice(
        vi="Giờ chưa được xác nhận qua mạng: nối mạng vài phút.",
        en="The time has not been confirmed over the network: connect the box to a network for a few minutes.",
        operator_vi=(
            "Thiết bị đang chạy theo đồng hồ riêng, chưa lấy được giờ từ mạng. Kết nối mạng cho thiết bị vài phút."
        ),
        operator_en=(
            "The box runs on its own clock without time from the network. Connect it to a network for a few minutes."
        ),
    ),
    "CLK-02": Advice(
        vi="Đồng hồ chưa được chỉnh: nối mạng hoặc đem về bàn cài đặt.",
        en="The clock is not set: connect the box to a network, or bring it to the bench.",
        operator_vi=(
            "Thiết bị chưa biết giờ. Kết nối mạng cho thiết bị; nếu sau một giờ vẫn chưa đúng, hãy gọi kỹ thuật."
        ),
        operator_en=(
            "The box does not know the time. Connect it to a network; if it is still wrong in an hour, call the "
            "technician."
        ),
    ),
    "CLK-03": Advice(
        vi="Đồng hồ chạy chậm: nối mạng vài phút, hoặc cắm vào bàn cài đặt để lấy giờ.",
        en=(
            "The clock is behind: connect the box to a network for a few minutes, or plug it into the bench to set "
            "the time from there."
        ),
    ),
    "CLK-04": Advice(
        vi="Đồng hồ chạy nhanh: nối mạng vài phút, hoặc cắm vào bàn cài đặt để lấy giờ.",
        en=(
            "The clock is ahead: connect the box to a network for a few minutes, or plug it into the bench to set "
            "the time from there."
        ),
    ),
    "CLK-05": Advice(
        vi=(
            "Đồng hồ vừa nhảy xa nên trong hai ngày tới chưa xoá gì: xem giờ có đúng không; nếu sai, nối mạng hoặc đem "
            "về bàn cài đặt."
        ),
        en=(
            "The clock jumped, so nothing is erased for two days: check the time; if it is wrong, connect the box to "
            "a network."
        ),
        operator_vi=(
            "Đồng hồ của thiết bị vừa nhảy xa. Thiết bị chưa xoá gì cho đến khi giờ mới ổn định đủ hai ngày. Nếu giờ "
            "trên màn hình sai, hãy gọi kỹ thuật."
        ),
        operator_en=(
            "The box's clock jumped. Nothing is erased until the new time has held for two days. If the time on the "
            "screen is wrong, call the technician."
        ),
    ),
    "CNT-01": Advice(
        vi="Hộp quá tải nên có phút không đếm được: tắt chương trình khác trên hộp, hoặc dùng loại mạnh hơn.",
        en="The box is too busy, so some minutes are not counted: end other programs, or use a faster box.",
        operator_vi=(
            "Thiết bị quá tải nên có phút không đếm được; màn hình có thể tạm thời không hiện mức độ. Nếu kéo dài một "
            "giờ, hãy gọi kỹ thuật."
        ),
        operator_en=(
            "The box is too busy to count every minute; the word may stay away for a while. If this lasts for an hour, "
            "call the technician."
        ),
    ),
    "STO-01": Advice(
        vi="Thẻ nhớ sắp đầy: thay thẻ lớn hơn.",
        en="The card is nearly full: replace it with a larger one.",
        operator_vi="Thẻ nhớ sắp đầy. Báo kỹ thuật để thay thẻ.",
        operator_en="The memory card is nearly full. Ask the technician to replace it.",
    ),
    "STO-02": Advice(
        vi="Thẻ nhớ đầy: xoá bớt tệp lạ, hoặc thay thẻ và giữ thẻ cũ lại.",
        en="The card is full: free space on it, or replace it and keep the old one.",
        operator_vi="Thẻ nhớ đầy nên nhật ký không ghi được. Gọi kỹ thuật ngay; không tự tháo thẻ.",
        operator_en=(
            "The memory card is full and the log cannot be written. Call the technician now; do not remove the card "
            "yourself."
        ),
    ),
    "STO-03": Advice(
        vi="Thẻ nhớ hỏng: thay thẻ, giữ thẻ cũ lại.",
        en="The card is failing: replace it and keep the old one.",
        operator_vi="Thẻ nhớ bị lỗi. Gọi kỹ thuật ngay để thay thẻ; không tự tháo thẻ.",
        operator_en="The memory card is failing. Call the technician now to replace it; do not remove it yourself.",
    ),
    "STO-04": Advice(
        vi="Dữ liệu nằm ở nơi sẽ mất khi tắt điện hoặc cập nhật: sửa state_dir hoặc cài lại gói.",
        en="The data is stored where a restart or an update loses it: correct state_dir or reinstall the package.",
        operator_vi="Dữ liệu nằm ở nơi sẽ bị mất khi tắt thiết bị. Gọi kỹ thuật.",
        operator_en="What the box records would be lost when it is switched off. Call the technician.",
    ),
    "STO-05": Advice(
        vi="Thư mục dữ liệu không thuộc về chương trình quét: cài lại gói edge-scanner.",
        en="The state directory does not belong to the scanner: reinstall the edge-scanner package.",
        operator_vi="Cơ sở dữ liệu của thiết bị sai chủ sở hữu hoặc sai quyền. Gọi kỹ thuật.",
        operator_en="The box's database has the wrong owner or permissions. Call the technician.",
    ),
    "STO-06": Advice(
        vi="Không ghi được trang cho màn hình: /run đầy hoặc thiếu thư mục; khởi động lại hộp.",
        en="The page cannot be written: /run is full or its folder is missing; restart the box.",
        operator_vi="Thiết bị không ghi được trang này vì bộ nhớ tạm đầy. Rút điện, đợi 10 giây, cắm lại.",
        operator_en=(
            "The box cannot write this page because its temporary memory is full. Unplug it, wait 10 seconds and "
            "plug it in again."
        ),
    ),
    "CRT-00": Advice(
        vi="Hộp chưa có chứng chỉ: cài đặt ở bàn.",
        en="The box has no certificate: provision it at the bench.",
        operator_vi="Thiết bị không dùng máy chủ nên không cần chứng chỉ.",
        operator_en="The box has no server, so it needs no certificate.",
    ),
    "CRT-01": Advice(
        vi="Chứng chỉ sắp hết hạn: nối mạng để hộp tự gia hạn.",
        en="The certificate expires soon: connect the box; it renews the certificate by itself.",
        operator_vi="Chứng chỉ sắp hết hạn. Kết nối mạng cho thiết bị; thiết bị tự gia hạn.",
        operator_en="The certificate expires soon. Connect the box to a network; it renews the certificate by itself.",
    ),
    "CRT-02": Advice(
        vi="Chứng chỉ đã hết hạn: đem hộp về bàn cài đặt.",
        en="The certificate has expired: bring the box to the bench.",
        operator_vi="Chứng chỉ đã hết hạn. Gọi kỹ thuật; thiết bị vẫn đếm nhưng không gửi được.",
        operator_en="The certificate has expired. Call the technician; the box still counts but cannot send.",
    ),
    "CRT-03": Advice(
        vi="Chứng chỉ tạm: bình thường trước lần nối mạng đầu tiên.",
        en="A temporary certificate: normal before the first contact with the server.",
    ),
    "CRT-04": Advice(
        vi="Chứng chỉ không phải của hộp này: cài đặt lại ở bàn.",
        en="The certificate does not belong to this box: provision the box again.",
    ),
    "CRT-05": Advice(
        vi="Tệp chứng chỉ hỏng: cài đặt lại ở bàn.",
        en="The certificate's file is damaged: provision the box again.",
        operator_vi="Tệp chứng chỉ của thiết bị bị hỏng. Gọi kỹ thuật.",
        operator_en="The box's certificate file is damaged. Call the technician.",
    ),
    "UNT-01": Advice(
        vi="Chương trình quét không chạy: systemctl status edge-scanner.",
        en="The scanner service is not running: systemctl status edge-scanner.",
    ),
    "UNT-02": Advice(
        vi=(
            "Cơ chế cô lập (sandbox) của chương trình bị nới lỏng: xoá các tệp trong "
            "/etc/systemd/system/edge-scanner.service.d."
        ),
        en="The service's sandbox was weakened: remove the files in /etc/systemd/system/edge-scanner.service.d.",
    ),
    "UNT-03": Advice(
        vi="Một tác vụ nền bị lỗi và đang được thử lại: gửi nhật ký hệ thống cho đội vận hành.",
        en="A background task keeps failing and is retried: send the journal to the fleet's operator.",
        operator_vi="Một tác vụ nền của thiết bị bị lỗi và đang được thử lại. Báo cho đội vận hành.",
        operator_en="A background task of the box keeps failing and is retried. Tell the fleet's operator.",
    ),
    "PWR-01": Advice(
        vi="Điện áp thấp: dùng bộ nguồn chính hãng và dây ngắn.",
        en="The voltage is too low: use the official power supply and a short cable.",
    ),
    "PWR-02": Advice(
        vi="Điện áp đã có lúc bị thấp từ khi bật hộp: thay bộ nguồn nếu lặp lại.",
        en="The voltage has been too low since the box was started: replace the power supply if it happens again.",
    ),
    "SEC-01": Advice(
        vi="Người dùng khác đọc được tệp khoá: chmod 600 tệp đó.",
        en="Others may read a key file: chmod 600 that file.",
    ),
    "SEC-05": Advice(
        vi="Người dùng khác vào được thư mục khoá: chmod 700 thư mục đó.",
        en="Others may enter the key folder: chmod 700 that folder.",
    ),
    "SEC-06": Advice(
        vi=(
            "Trang vận hành không đọc được mã PIN: đặt lại bằng edge-scanner ops-pin, rồi khởi động lại "
            "edge-scanner-kiosk."
        ),
        en="The operator's page cannot read its PIN: set it with edge-scanner ops-pin, restart edge-scanner-kiosk.",
        operator_vi="Trang vận hành không đọc được mã PIN nên chưa mở được. Gọi kỹ thuật.",
        operator_en="The operator's page cannot read its PIN and stays closed. Call the technician.",
    ),
    "SEC-02": Advice(
        vi="Khoá định danh của hộp bị mất hoặc hỏng nên không ghi nhật ký: báo đội vận hành, cài lại với thẻ mới.",
        en=(
            "The box's identity key is lost or damaged, so no log is written: tell the fleet's operator and install "
            "a new card."
        ),
        operator_vi=(
            "Khoá định danh của thiết bị bị mất hoặc hỏng; thiết bị vẫn đếm nhưng không ghi nhật ký. Gọi kỹ thuật."
        ),
        operator_en=(
            "The box's identity key is lost or damaged; the box still counts but does not keep a log. Call the "
            "technician."
        ),
    ),
    "SEC-03": Advice(
        vi="Bộ nhớ có thể bị ghi ra thẻ: tắt swap (swapoff -a; Mechanism=none trong /etc/rpi/swap.conf.d).",
        en="Memory may be written to the card: switch swap off (swapoff -a; Mechanism=none in /etc/rpi/swap.conf.d).",
    ),
    "SEC-04": Advice(
        vi="Nhân hệ điều hành không giới hạn bộ nhớ: thêm cgroup_enable=memory vào cmdline.txt rồi khởi động lại.",
        en="The kernel does not limit memory: add cgroup_enable=memory to cmdline.txt and restart.",
    ),
    "CFG-01": Advice(
        vi="Cấu hình sai: chạy edge-scanner check-config.",
        en="The settings are not valid: run edge-scanner check-config.",
    ),
    "DOC-01": Advice(
        vi="Phép kiểm tra này bị lỗi: gửi kết quả --json cho đội vận hành.",
        en="This check itself failed: send the --json output to the fleet's operator.",
    ),
    "PRV-01": Advice(
        vi="Thẻ nhớ bị sao chép: dừng lại, ghi thẻ mới.",
        en="The card is a copy: stop, and write a new card.",
    ),
    "PRV-02": Advice(
        vi="Bo mạch này đã có mã: nếu vừa ghi lại thẻ, chạy edge-provision bench retire MÃ.",
        en="This board already has an id: if its card was rewritten, run edge-provision bench retire ID.",
    ),
    "PRV-03": Advice(
        vi="Hộp thuộc bàn cài đặt khác hoặc đã bị loại: hỏi đội vận hành.",
        en="The box belongs to another bench or was retired: ask the fleet's operator.",
    ),
    "PRV-04": Advice(
        vi="Lô đã hết mã: xin lô mới.",
        en="The batch has no ids left: ask for a new batch.",
    ),
    "PRV-05": Advice(
        vi="Bàn cài đặt không hiểu yêu cầu: cập nhật phần mềm của hộp.",
        en="The bench does not understand the request: update the box's software.",
    ),
    "PRV-06": Advice(
        vi="So sáu từ của hộp với màn hình bàn cài đặt; giống nhau thì chạy: edge-provision bench confirm SÁU-TỪ.",
        en="Compare the box's six words with the bench's screen; if equal, run: edge-provision bench confirm WORDS.",
    ),
    "PRV-07": Advice(
        vi="Có hai bàn cài đặt trên một dây mạng: tắt bớt một bàn; nếu không phải của bạn, rút dây lạ.",
        en="There are two benches on this cable: switch one off; if one is not yours, unplug it.",
    ),
    "PRV-08": Advice(
        vi="Bàn cài đặt đã từ chối một yêu cầu không phải của hộp: rút máy lạ khỏi switch.",
        en="The bench refused a request that no box makes: unplug the unknown machine from the switch.",
    ),
    "PRV-10": Advice(
        vi="Lô đã hết hạn: xin lô mới; nếu chưa hết, xem lại đồng hồ của máy tính và của hộp.",
        en="The batch has ended: ask for a new one; if it has not, check the clocks of laptop and box.",
    ),
    "PRV-09": Advice(
        vi="Rút điện rồi cắm lại để thử lại.",
        en="Unplug the box and plug it in again to retry.",
    ),
}
