"""The radio: its light, and for each code what the technician and the operator do."""

from __future__ import annotations

from edge_scanner.core.diagnostics.words import Advice, LightWords, Words

LIGHTS = {
    "radio": LightWords(
        name=Words(
            vi="Bộ thu Bluetooth",
            en="Bluetooth radio",
        ),
        warn=Words(
            vi="Bộ thu đang tự khởi động lại. Nếu 10 phút nữa chưa hết, hãy rút điện thiết bị rồi cắm lại.",
            en=(
                "The radio is restarting itself. If this lasts longer than 10 minutes, unplug the box and plug it in "
                "again."
            ),
        ),
        fail=Words(
            vi=(
                "Không nhận được tín hiệu Bluetooth. Rút điện thiết bị, đợi 10 giây rồi cắm lại; kiểm tra xem có vật "
                "kim loại che thiết bị không. Nếu vẫn hỏng, hãy gọi kỹ thuật."
            ),
            en=(
                "No Bluetooth signals are received. Unplug the box, wait 10 seconds and plug it in again; make sure "
                "that no metal covers it. If that fails, call the technician."
            ),
        ),
    ),
}

NAMES = {
    "bluetoothd": Words(vi="Dịch vụ Bluetooth", en="Bluetooth service"),
    "adapter": Words(vi="Bộ thu Bluetooth", en="Bluetooth adapter"),
    "adverts": Words(vi="Tín hiệu nhận được", en="Signals heard"),
}

ADVICE = {
    "RAD-01": Advice(
        vi="Đợi một phút rồi kiểm tra lại.",
        en="Wait a minute and check again.",
        operator_vi=(
            "Bộ thu đang khởi động. Đợi một phút; nếu vẫn chưa chạy, rút điện thiết bị, đợi 10 giây rồi cắm lại."
        ),
        operator_en=(
            "The radio is starting. Wait a minute; if it does not come up, unplug the box, wait 10 seconds and plug "
            "it in again."
        ),
    ),
    "RAD-02": Advice(
        vi="Rút điện, đợi 10 giây, cắm lại; nếu vẫn lỗi, thay bộ thu.",
        en="Unplug the box, wait 10 s and plug it in again; if the fault remains, replace the adapter.",
        operator_vi=(
            "Bộ thu Bluetooth bị lỗi và đang tự khởi động lại. Nếu sau 10 phút vẫn chưa hết, rút điện thiết bị rồi cắm "
            "lại; nếu vẫn lỗi, gọi kỹ thuật."
        ),
        operator_en=(
            "The Bluetooth radio has a fault and restarts itself. If this lasts longer than 10 minutes, unplug the "
            "box and plug it in again; if that fails, call the technician."
        ),
    ),
    "RAD-03": Advice(
        vi="Bật Bluetooth trên điện thoại của bạn, để cạnh hộp rồi thử lại; xem có kim loại che hộp không.",
        en="Turn on Bluetooth on your phone next to the box and try again; check that no metal covers the box.",
        operator_vi=(
            "Đã lâu không nhận được tín hiệu nào. Nếu ở đây có người, hãy xem thiết bị có bị vật kim loại che không, "
            "rồi rút điện và cắm lại."
        ),
        operator_en=(
            "No device has been heard for a long time. If people are here, check that no metal covers the box, then "
            "unplug it and plug it in again."
        ),
    ),
    "RAD-04": Advice(
        vi="D-Bus không chạy: khởi động lại hộp.",
        en="Restart the box; D-Bus is not running.",
        operator_vi=(
            "Thiết bị không gọi được dịch vụ Bluetooth (D-Bus không chạy). Rút điện, đợi 10 giây, cắm lại; nếu vẫn "
            "lỗi, gọi kỹ thuật."
        ),
        operator_en=(
            "The box cannot reach its Bluetooth service (D-Bus is not running). Unplug it, wait 10 seconds and plug "
            "it in again; if the fault remains, call the technician."
        ),
    ),
    "RAD-05": Advice(
        vi="Chạy: systemctl restart bluetooth; nếu vẫn lỗi, cài lại gói bluez.",
        en="Run: systemctl restart bluetooth; if that fails, reinstall the bluez package.",
        operator_vi="Dịch vụ Bluetooth không chạy. Rút điện, đợi 10 giây, cắm lại; nếu vẫn lỗi, gọi kỹ thuật.",
        operator_en=(
            "The Bluetooth service is not running. Unplug the box, wait 10 seconds and plug it in again; if the "
            "fault remains, call the technician."
        ),
    ),
    "RAD-06": Advice(
        vi="Cắm bộ thu Bluetooth, hoặc sửa radio.adapter trong cấu hình.",
        en="Plug in the Bluetooth adapter, or change radio.adapter in the settings.",
        operator_vi=(
            "Không thấy bộ thu Bluetooth. Nếu bộ thu là loại cắm USB, hãy rút ra rồi cắm lại; nếu vẫn lỗi, gọi kỹ "
            "thuật."
        ),
        operator_en=(
            "There is no Bluetooth adapter. If it is a USB stick, pull it out and plug it in again; if the fault "
            "remains, call the technician."
        ),
    ),
    "RAD-07": Advice(
        vi="Bluetooth đang bị khoá: khởi động lại hộp; nếu vẫn lỗi, chạy: rfkill unblock bluetooth.",
        en="Bluetooth is blocked: restart the box; if it stays blocked, run: rfkill unblock bluetooth.",
        operator_vi=(
            "Bluetooth của thiết bị đang bị khoá. Rút điện, đợi 10 giây, cắm lại: thiết bị tự mở khoá khi khởi động. "
            "Nếu vẫn lỗi, gọi kỹ thuật."
        ),
        operator_en=(
            "Bluetooth is blocked on this box. Unplug it, wait 10 seconds and plug it in again: it unblocks at every "
            "start. If the fault remains, call the technician."
        ),
    ),
    "RAD-08": Advice(
        vi="Cập nhật gói bluez lên 5.66 trở lên.",
        en="Update the bluez package to 5.66 or newer.",
    ),
    "RAD-09": Advice(
        vi="Bộ thu không nhận tín hiệu: rút điện, đợi 10 giây, cắm lại; nếu vẫn lỗi, thay bộ thu.",
        en=(
            "The adapter refuses to listen: unplug the box, wait 10 s and plug it in again; if the fault remains, "
            "replace the adapter."
        ),
        operator_vi=(
            "Bộ thu Bluetooth không nhận tín hiệu; thiết bị đang tự thử lại. Nếu sau 20 phút vẫn vậy, rút điện và cắm "
            "lại; nếu vẫn lỗi, gọi kỹ thuật để thay bộ thu."
        ),
        operator_en=(
            "The Bluetooth adapter refuses to listen; the box keeps trying. If this lasts longer than 20 minutes, "
            "unplug the box and plug it in again; if that fails, the technician replaces the adapter."
        ),
    ),
    "RAD-10": Advice(
        vi="Bộ thu đang tắt; chương trình quét sẽ tự bật: kiểm tra dòng Chương trình quét.",
        en="The adapter is off; the scanner switches it on: check the line of the scanner service.",
    ),
    "RAD-11": Advice(
        vi="Hộp không được phép dùng dịch vụ Bluetooth: cài lại gói edge-scanner rồi khởi động lại hộp.",
        en="The scanner may not use the Bluetooth service: reinstall the package edge-scanner and restart the box.",
        operator_vi="Thiết bị không được phép dùng dịch vụ Bluetooth của chính nó. Gọi kỹ thuật.",
        operator_en="The box is not allowed to use its own Bluetooth service. Call the technician.",
    ),
}
