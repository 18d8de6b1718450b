"""Import lines for the figures: plausible members of about 600 bytes with two identities each, ids 1..N, no randomness."""
import json
import pathlib

CITIES = ["Suzhou", "Shanghai", "Beijing", "Chengdu", "Hangzhou", "Wuhan", "Singapore", "Berlin"]
TIERS = ["basic", "silver", "gold", "platinum"]
FAMILY = ["Li", "Wang", "Zhang", "Liu", "Chen", "Yang", "Huang", "Zhao"]
GIVEN = ["Lei", "Wei", "Fang", "Na", "Min", "Jing", "Qiang", "Yan"]


def member(number: int) -> dict:
    family, given = FAMILY[number % 8], GIVEN[number // 8 % 8]
    return {
        "id": str(number),
        "displayName": f"{family} {given}",
        "realName": f"{family} {given}",
        "gender": "FEMALE" if number % 2 else "MALE",
        "birthDate": f"{1950 + number % 55}-{1 + number % 12:02d}-{1 + number % 28:02d}",
        "city": CITIES[number % 8],
        "tier": TIERS[number % 4],
        "tags": ["frequent", f"wave-{number % 16}"],
        "attributes": {"channel": "store", "store": f"store-{number % 4096:04d}", "locale": "zh-CN"},
        "identities": [
            {"kind": "phone", "value": f"+8613{number:09d}", "verified": True, "source": "crm"},
            {"kind": "unionid", "platform": "wechat", "value": f"o{number * 2654435761 % 2**61:020d}abcd", "source": "crm"},
        ],
    }


def write(path: pathlib.Path, count: int):
    with path.open("w") as out:
        for number in range(1, count + 1):
            out.write(json.dumps(member(number), separators=(",", ":")) + "\n")
