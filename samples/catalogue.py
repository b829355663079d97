"""What the loyalty sample is made of: invented people, shops, goods and devices."""

from typing import NamedTuple

# (first names, last names) of several scripts; any first goes with any last of its own group.
NAMES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("Ada", "Bruno", "Chloé", "Dieter", "Zoë"), ("Brightwater", "Müllerau", "Ångqvist", "Lefèbre", "Tannhof")),
    (("Łucja", "Žofie", "İlkay", "Ðuro", "Őszike"), ("Świerkowska", "Dvořákovič", "Gümüşdağ", "Šestinski")),
    (("Ελπινίκη", "Θάλης", "Ιφιγένεια"), ("Παπαδελφινίδη", "Ωραιοπούλου", "Κυματάκης")),
    (("Злата", "Мирон", "Юлиана"), ("Берёзкинская", "Шишковецкая", "Йовицкая")),
    (("ليلى", "سامر", "نورهان"), ("البستانيري", "النجميّ", "الزهراويني")),
    (("תמר", "אורן", "נועה"), ("בן־חורש", "שקדיאל", "מעיינות")),
    (("अनन्या", "ईशान", "मीरा"), ("सूर्यवती", "चंद्रभूमि", "नदीवाला")),
    (("さくら", "健太郎", "結衣"), ("星野原", "月見里山", "雪ノ下沢")),
    (("晓雯", "子轩", "梦琪"), ("欧阳林", "司徒海", "上官雪")),
    (("하늘", "보람", "은별"), ("남궁빛", "선우솔", "황보람")),
    (("ดาริกา", "ภูผา", "น้ำฝน"), ("แสงจันทร์ดี", "ทองทะเล", "ฟ้าครามสุข")),
)


class Place(NamedTuple):
    """A town with a shop in it."""

    store: str
    city: str
    region: str
    postal_code: str
    country: str
    latitude: float
    longitude: float
    currency: str
    time_zone: str


PLACES = (
    Place("ACME-BER-01", "Berlin", "DE-BE", "10115", "DE", 52.53, 13.385, "EUR", "Europe/Berlin"),
    Place("ACME-MUC-02", "München", "DE-BY", "80331", "DE", 48.137, 11.575, "EUR", "Europe/Berlin"),
    Place("ACME-LYO-01", "Lyon", "FR-ARA", "69002", "FR", 45.757, 4.832, "EUR", "Europe/Paris"),
    Place("ACME-WAW-01", "Łódź", "PL-LD", "90-001", "PL", 51.77, 19.455, "PLN", "Europe/Warsaw"),
    Place("ACME-ATH-01", "Αθήνα", "GR-I", "105 57", "GR", 37.975, 23.735, "EUR", "Europe/Athens"),
    Place("ACME-OSA-03", "大阪", "JP-27", "530-0001", "JP", 34.702, 135.495, "JPY", "Asia/Tokyo"),
    Place("ACME-SEL-01", "서울", "KR-11", "04524", "KR", 37.566, 126.978, "KRW", "Asia/Seoul"),
    Place("ACME-DXB-01", "دبي", "AE-DU", "00000", "AE", 25.205, 55.27, "AED", "Asia/Dubai"),
    Place("ACME-PUN-02", "पुणे", "IN-MH", "411001", "IN", 18.52, 73.855, "INR", "Asia/Kolkata"),
    Place("ACME-SAO-01", "São Paulo", "BR-SP", "01310-100", "BR", -23.561, -46.656, "BRL", "America/Sao_Paulo"),
    Place("ACME-CHI-04", "Chicago", "US-IL", "60601", "US", 41.885, -87.622, "USD", "America/Chicago"),
    Place("ACME-MEL-01", "Melbourne", "AU-VIC", "3000", "AU", -37.814, 144.963, "AUD", "Australia/Melbourne"),
)

STREETS = ("Lindenallee", "Rue des Tilleuls", "Harbour Road", "さくら通り", "Οδός Ελιάς", "Calle del Río")

# (SKU, name, price in cents)
PRODUCTS = (
    ("ACM-1001", "Trail running shoe, men", 11_995),
    ("ACM-1002", "Trail running shoe, women", 11_995),
    ("ACM-1047", "Rain jacket “Brise”", 18_950),
    ("ACM-1130", "Merino base layer", 7_490),
    ("ACM-1211", "Wool socks, 3 pairs", 2_400),
    ("ACM-1305", "Daypack 22 l", 8_999),
    ("ACM-1418", "Headlamp 400 lm", 4_525),
    ("ACM-1502", "Thermosflasche 0,75 l", 2_999),
    ("ACM-1620", "Carte de randonnée 1:25 000", 1_350),
    ("ACM-1733", "折りたたみ傘", 3_980),
    ("ACM-1804", "Protein bar, box of 12", 2_160),
    ("ACM-1911", "Gift card", 5_000),
)

# (manufacturer, model, kind, height, width, system, version, browser, user agent)
DEVICES = (
    ("Nimbus", "N7", "mobile", 2400, 1080, "Android", "15", "Chrome", "Mozilla/5.0 (Linux; Android 15; N7) Chrome/131"),
    ("Nimbus", "Tab 4", "tablet", 2000, 1200, "Android", "14", "Firefox", "Mozilla/5.0 (Android 14; Tablet; rv:133.0)"),
    (
        "Orchard",
        "O-Phone 3",
        "mobile",
        2556,
        1179,
        "iOS",
        "18.1",
        "Safari",
        "Mozilla/5.0 (O-Phone; OS 18_1) Version/18.1",
    ),
    ("Borealis", "B14", "desktop", 1080, 1920, "Windows", "11", "Edge", "Mozilla/5.0 (Windows NT 10.0) Edg/131.0"),
    ("Borealis", "B16", "desktop", 1600, 2560, "Linux", "6.11", "Firefox", "Mozilla/5.0 (X11; Linux x86_64; rv:133.0)"),
)

PAGES = (
    ("Home", "https://shop.example.com/", True),
    ("Basket", "https://shop.example.com/basket?step=2&from=mail", False),
    ("Running shoes", "https://shop.example.com/c/running/shoes#new", False),
    ("Προσφορές", "https://shop.example.com/el/offers", False),
)

REFERRERS = (
    ("search_engine", "https://search.example.net/?q=rain+jacket"),
    ("email", "https://mail.example.org/l/9f2c"),
    ("social", "https://social.example.net/acme"),
    ("typed_bookmarked", ""),
)

CAMPAIGNS = ("SPRING-24", "DOUBLE-POINTS", "WELCOME10", "MEMBER-DAY", "OUTLET-7")
TIERS = ("member", "silver", "gold", "platinum")
