"""The sealed log and the way to the centre: lights, and for each code what the technician and the operator do."""

from __future__ import annotations

from edge_scanner.core.diagnostics.words import Advice, LightWords, Words

LIGHTS = {
    "log": LightWords(
        name=Words(
            vi="Nhật ký mã hoá",
            en="Sealed log",
        ),
        warn=Words(
            vi="Nhật ký đang ghi nhưng có cảnh báo. Báo kỹ thuật trong ngày.",
            en="The log is being written, but there is a warning. Tell the technician today.",
        ),
        fail=Words(
            vi="Nhật ký không ghi được. Gọi kỹ thuật ngay và không tháo thẻ nhớ.",
            en="The log cannot be written. Call the technician now and do not remove the memory card.",
        ),
    ),
    "broker": LightWords(
        name=Words(
            vi="Máy chủ trung tâm",
            en="Central server",
        ),
        warn=Words(
            vi="Chưa gửi được tin; tin được giữ lại trong thiết bị. Kiểm tra mạng của địa điểm.",
            en="Messages cannot be sent yet; they are kept in the box. Check the venue's network.",
        ),
        fail=Words(
            vi=(
                "Máy chủ từ chối hoặc không liên lạc được. Kiểm tra dây mạng hoặc Wi-Fi; nếu mạng vẫn tốt, gọi kỹ "
                "thuật."
            ),
            en=(
                "The server refuses or cannot be reached. Check the cable or Wi-Fi; if the network is fine, call the "
                "technician."
            ),
        ),
    ),
}

NAMES = {
    "dns": Words(vi="Tên máy chủ", en="Server name"),
    "tcp": Words(vi="Đường tới máy chủ", en="Way to the server"),
    "tls": Words(vi="Kết nối mã hoá", en="Encrypted connection"),
    "mqtt": Words(vi="Máy chủ MQTT", en="MQTT server"),
    "acl": Words(vi="Quyền gửi tin", en="Permissions"),
    "recipients": Words(vi="Khoá cơ quan y tế", en="Authority's keys"),
    "retention": Words(vi="Xoá nhật ký cũ", en="Old records erased"),
}

ADVICE = {
    "LOG-00": Advice(
        vi="Hộp không thuộc cơ quan y tế nào nên chỉ đếm; muốn ghi nhật ký thì cài đặt ở bàn.",
        en="The box belongs to no health authority and only counts; for a log, provision it at the bench.",
        operator_vi="Thiết bị không thuộc cơ quan y tế nào: chỉ đếm, không ghi nhật ký. Không cần làm gì.",
        operator_en=(
            "This box belongs to no health authority: it counts and does not keep a log. Nothing needs to be done."
        ),
    ),
    "LOG-01": Advice(
        vi="Hộp chưa có khoá của cơ quan y tế nên chỉ đếm: cài đặt lại ở bàn.",
        en="Without the authority's keys the box only counts: provision it again at the bench.",
        operator_vi="Thiết bị chưa có khoá của cơ quan y tế nên không ghi nhật ký. Gọi kỹ thuật.",
        operator_en="The box has no keys of the health authority and does not keep a log. Call the technician.",
    ),
    "LOG-02": Advice(
        vi="Khoá của cơ quan y tế đã hết hạn: nối mạng để nhận khoá mới.",
        en="The authority's keys have expired: connect the box so that it gets new ones.",
        operator_vi=(
            "Khoá của cơ quan y tế đã hết hạn nên nhật ký dừng. Kết nối mạng cho thiết bị để nhận khoá mới; nếu chưa "
            "được, gọi kỹ thuật."
        ),
        operator_en=(
            "The authority's keys have expired, so no log is written. Connect the box to a network so that it gets "
            "new ones; if that fails, call the technician."
        ),
    ),
    "LOG-03": Advice(
        vi="Khoá của cơ quan y tế chưa có hiệu lực: kiểm tra đồng hồ.",
        en="The authority's keys are not valid yet: check the clock.",
    ),
    "LOG-04": Advice(
        vi="Quá nhiều bản ghi đang chờ ghi xuống thẻ: kiểm tra thẻ nhớ.",
        en="Too many records are waiting to be written: check the memory card.",
        operator_vi="Nhật ký không kịp ghi xuống thẻ nhớ. Gọi kỹ thuật và không tháo thẻ nhớ.",
        operator_en="The log cannot reach the memory card fast enough. Call the technician and do not remove the card.",
    ),
    "LOG-05": Advice(
        vi="Khoá của cơ quan y tế sắp hết hạn: nối mạng để nhận bộ khoá mới, báo cho đội vận hành.",
        en="The authority's keys expire soon: connect the box so that it gets new ones, and tell the fleet's operator.",
        operator_vi="Khoá của cơ quan y tế sắp hết hạn. Kết nối mạng cho thiết bị để nhận khoá mới.",
        operator_en="The authority's keys expire soon. Connect the box to a network so that it gets new ones.",
    ),
    "LOG-06": Advice(
        vi="Tệp khoá của cơ quan y tế sai chữ ký: cài đặt lại ở bàn.",
        en="The signatures of the authority's key file are not valid: provision the box again.",
        operator_vi="Tệp khoá của cơ quan y tế không dùng được. Gọi kỹ thuật.",
        operator_en="The authority's key file cannot be used. Call the technician.",
    ),
    "LOG-07": Advice(
        vi="Nhật ký cũ chưa được xoá: kiểm tra đồng hồ và chương trình quét, báo cho đội vận hành.",
        en="Old records are not being erased: check the clock and the scanner service, and tell the fleet's operator.",
    ),
    "LOG-08": Advice(
        vi="Hộp đã từng dùng bộ khoá mới hơn của cơ quan y tế: nối mạng để nhận lại bộ đó.",
        en="This box has used a newer set of the authority's keys: connect the box so that it receives that set again.",
        operator_vi=(
            "Thiết bị đã từng nhận bộ khoá mới hơn của cơ quan y tế và đang chờ nhận lại bộ đó. Kết nối mạng cho thiết "
            "bị; nếu hôm sau vẫn vậy, gọi kỹ thuật."
        ),
        operator_en=(
            "The box has already received a newer set of the authority's keys and is waiting for it. Connect it to a "
            "network; if nothing has changed tomorrow, call the technician."
        ),
    ),
    "LOG-09": Advice(
        vi="Nhật ký kiểm toán đã đầy nên hộp không trả lời lệnh nào nữa: xuất nhật ký này ra và thay hộp mới.",
        en="The audit trail is full, so requests are no longer answered: export it and replace the box.",
        operator_vi="Sổ ghi các yêu cầu đã đầy, nên thiết bị không trả lời yêu cầu nào nữa. Gọi kỹ thuật.",
        operator_en="The record of requests is full, so the box no longer answers requests. Call the technician.",
    ),
    "BRK-00": Advice(
        vi="Chưa cấu hình máy chủ: cài đặt ở bàn.",
        en="No server is set: provision the box at the bench.",
        operator_vi=(
            "Thiết bị không gửi gì đi: số liệu chỉ nằm trên thiết bị. Nếu lẽ ra phải có máy chủ, hãy gọi kỹ thuật."
        ),
        operator_en=(
            "This box sends nothing: its counts stay on it. If it is meant to have a server, call the technician."
        ),
    ),
    "BRK-01": Advice(
        vi="Không phân giải được tên máy chủ: kiểm tra dây mạng và DNS của địa điểm.",
        en="The server's name cannot be resolved: check the cable and the venue's DNS.",
        operator_vi="Không tìm thấy tên máy chủ. Kiểm tra mạng có ra được Internet không.",
        operator_en="The server's name cannot be resolved. Check that the network reaches the internet.",
    ),
    "BRK-02": Advice(
        vi="Không tới được máy chủ: nhờ địa điểm mở cổng 8883 chiều ra.",
        en="The server cannot be reached: ask the venue to allow outgoing connections to port 8883.",
        operator_vi="Không tới được máy chủ. Kiểm tra dây mạng hoặc Wi-Fi; mạng có thể đang chặn cổng 8883.",
        operator_en="The server cannot be reached. Check the cable or Wi-Fi; the network may block port 8883.",
    ),
    "BRK-03": Advice(
        vi="Máy chủ lạ: có thể là trang đăng nhập của mạng này, hoặc mạng chen vào giữa; đổi mạng, báo đội vận hành.",
        en=(
            "The server is not ours: perhaps this network's login page, or the network is intercepting the connection; "
            "use another network and tell the fleet's operator."
        ),
        operator_vi=(
            "Máy chủ đang trả lời không phải máy chủ của chúng ta, có thể là trang đăng nhập của mạng này. Gọi kỹ "
            "thuật; không đổi cài đặt mạng."
        ),
        operator_en=(
            "What answers is not our server, perhaps a login page of this network. Call the technician; do not change "
            "the network settings."
        ),
    ),
    "BRK-04": Advice(
        vi="Đồng hồ của hộp chạy chậm: nối mạng vài phút hoặc đem về bàn cài đặt.",
        en="The box's clock is behind: connect it to a network for a few minutes, or bring it to the bench.",
        operator_vi=(
            "Đồng hồ của thiết bị chậm nên chứng chỉ máy chủ bị coi là chưa có hiệu lực. Kết nối mạng cho thiết bị vài "
            "phút để chỉnh giờ."
        ),
        operator_en=(
            "The box's clock is slow, so the server's certificate appears not to be valid yet. Connect the box to a "
            "network for a few minutes."
        ),
    ),
    "BRK-05": Advice(
        vi="Chứng chỉ máy chủ hết hạn, hoặc đồng hồ chạy nhanh: kiểm tra dòng Đồng hồ.",
        en="The server's certificate has expired, or the box's clock is ahead: check the Clock line.",
        operator_vi=(
            "Chứng chỉ của máy chủ đã hết hạn, hoặc đồng hồ của thiết bị chạy nhanh. Xem đèn Đồng hồ; nếu đèn xanh, "
            "gọi kỹ thuật."
        ),
        operator_en=(
            "The server's certificate has expired, or the box's clock is fast. Look at the Clock light; if it is "
            "green, call the technician."
        ),
    ),
    "BRK-06": Advice(
        vi="Máy chủ từ chối chứng chỉ của hộp: hỏi đội vận hành hộp này có bị thu hồi không.",
        en="The server refuses the box's certificate: ask the fleet's operator whether it was revoked.",
        operator_vi="Máy chủ không nhận chứng chỉ của thiết bị. Gọi kỹ thuật.",
        operator_en="The server refuses the box's certificate. Call the technician.",
    ),
    "BRK-07": Advice(
        vi="Máy chủ không cho phép hộp này: báo đội vận hành.",
        en="The server does not allow this box: tell the fleet's operator.",
        operator_vi="Máy chủ không cho phép thiết bị này. Gọi kỹ thuật.",
        operator_en="The server does not allow this box. Call the technician.",
    ),
    "BRK-08": Advice(
        vi="Máy chủ trả lời không đúng giao thức: kiểm tra địa chỉ và cổng.",
        en="The server does not speak our protocol: check its address and port.",
        operator_vi="Thiết bị và máy chủ không trao đổi được với nhau. Gọi kỹ thuật.",
        operator_en="The box and the server do not understand each other. Call the technician.",
    ),
    "BRK-09": Advice(
        vi="Kết nối bị ngắt: thử lại sau vài phút.",
        en="The connection was lost: try again in a few minutes.",
        operator_vi="Vừa mất kết nối; thiết bị đang tự kết nối lại. Đợi vài phút.",
        operator_en="The connection was just lost; the box is reconnecting. Wait a few minutes.",
    ),
    "BRK-10": Advice(
        vi="Máy chủ ngắt trước khi trả lời: báo đội vận hành.",
        en="The server closed the connection before it answered: tell the fleet's operator.",
        operator_vi=(
            "Máy chủ không trả lời. Tin được giữ lại trong thiết bị; nếu sau một giờ vẫn vậy, hãy gọi kỹ thuật."
        ),
        operator_en=(
            "The server does not answer. Messages are kept in the box; wait, and call the technician if this lasts "
            "longer than an hour."
        ),
    ),
    "BRK-11": Advice(
        vi="Máy chủ đang bận: đợi và thử lại.",
        en="The server is busy: wait and try again.",
        operator_vi="Máy chủ đang bận; thiết bị sẽ gửi lại. Không cần làm gì.",
        operator_en="The server is busy; the box will send again. Nothing needs to be done.",
    ),
    "BRK-12": Advice(
        vi="Có hộp khác dùng cùng mã hộp: có thể thẻ nhớ bị sao chép, báo đội vận hành.",
        en="Another box uses this id: the card may have been copied, tell the fleet's operator.",
        operator_vi="Một thiết bị khác đang dùng tên của thiết bị này. Gọi kỹ thuật ngay.",
        operator_en="Another box uses this box's name. Call the technician now.",
    ),
    "BRK-13": Advice(
        vi="Không đọc được tệp chứng chỉ: cài đặt lại ở bàn.",
        en="The certificate files cannot be read: provision the box again.",
        operator_vi="Không đọc được khoá hoặc chứng chỉ trên thẻ nhớ. Gọi kỹ thuật.",
        operator_en="A key or certificate on the memory card cannot be read. Call the technician.",
    ),
    "BRK-14": Advice(
        vi="Máy chủ chỉ hỗ trợ MQTT 3.1.1, nên tin bị từ chối vẫn trông như đã nhận: báo đội vận hành.",
        en="The server speaks only MQTT 3.1.1, where refused messages look accepted: tell the fleet's operator.",
        operator_vi="Máy chủ chỉ hỗ trợ giao thức cũ. Báo cho đội vận hành.",
        operator_en="The server speaks only the old protocol. Tell the fleet's operator.",
    ),
    "BRK-15": Advice(
        vi="Bên trả lời không phải máy chủ, có thể là trang đăng nhập của mạng này: dùng mạng khác.",
        en="Something else answers for the server, perhaps this network's login page: use another network.",
        operator_vi=(
            "Bên trả lời không phải máy chủ, có thể là trang đăng nhập của mạng này. Nối thiết bị vào mạng khác."
        ),
        operator_en=(
            "Something else answers for the server, perhaps a login page of this network. Connect the box to another "
            "network."
        ),
    ),
    "BRK-16": Advice(
        vi="Cổng đã mở nhưng kết nối mã hoá không đi qua được: thử mạng khác, báo đội vận hành.",
        en=(
            "The port is open, but no encrypted connection gets through: try another network, and tell the fleet's "
            "operator."
        ),
        operator_vi="Mạng này cho tới máy chủ nhưng chặn kết nối mã hoá. Thử mạng khác; nếu vẫn lỗi, gọi kỹ thuật.",
        operator_en=(
            "This network lets the box reach the server but blocks the encrypted connection. Try another network; if "
            "the fault remains, call the technician."
        ),
    ),
    "BRK-20": Advice(
        vi="Máy chủ không nhận tin của hộp này: báo đội vận hành kiểm tra ACL.",
        en="The server refuses this box's messages: ask the fleet's operator to check the ACL.",
        operator_vi="Máy chủ không nhận tin của thiết bị. Báo cho đội vận hành.",
        operator_en="The server does not accept this box's messages. Tell the fleet's operator.",
    ),
    "BRK-21": Advice(
        vi="Máy chủ cho hộp này gửi tin dưới tên hộp khác: ACL không có hiệu lực; báo đội vận hành ngay.",
        en=(
            "The server lets this box publish in another box's name: the ACL is not in force; tell the fleet's "
            "operator at once."
        ),
    ),
    "BRK-22": Advice(
        vi="Máy chủ không chuyển tin đến hộp này: báo đội vận hành kiểm tra các dòng down/ trong ACL.",
        en="Messages sent to this box do not reach it: ask the fleet's operator to check the down/ lines of the ACL.",
    ),
}
