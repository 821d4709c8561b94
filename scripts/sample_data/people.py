"""Invented customers, as messy as real tables, all from one seeded generator."""

# ruff: noqa: PLR2004 (the shares of messy values are written where they are used)

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from random import Random

import phonenumbers

from scripts.sample_data.phones import FICTIONAL, number_for
from scripts.sample_data.places import CITIES, COUNTRIES, LANGUAGE_OF

HEADER = (
    "customer_id", "given_name", "surname", "email", "phone", "city", "country", "birthdate",
    "gender", "loyalty_status", "language",
)  # fmt: skip

_LIKE = {"AU": "GB", "IE": "GB", "NG": "ZA", "SG": "MY", "BH": "SA", "BE": "FR", "PT": "ES"}
"""Countries without a list of names use another country's."""

_FAMILIES_IN_GB = ("PL", "IN", "CN", "GR", "UA", "IL", "JP", "KR", "BG", "AM", "GE", "TR")
"""Countries whose names some customers in Great Britain have."""

_GENDER_WORDS = {
    "M": ("M", "m", "Male", "male", "MALE", "Mr", "Herr", "homme"),
    "F": ("F", "f", "Female", "female", "Ms", "Frau", "femme"),
}
_GENDER_OTHER = ("O", "other", "Divers", "prefer not to say", "N", "unknown", "?", "")


class Names:
    """Forenames and surnames by country, localized and romanized (CC0 lists)."""

    def __init__(self, folder: Path) -> None:
        self.forenames: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
        self.surnames: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for row in _rows(folder / "common-forenames-by-country.csv"):
            self.forenames[row["Country"]].append(
                (row["Localized Name"], row["Romanized Name"], row["Gender"])
            )
        for row in _rows(folder / "common-surnames-by-country.csv"):
            self.surnames[row["Country"]].append((row["Localized Name"], row["Romanized Name"]))

    def draw(self, random: Random, country: str) -> tuple[str, str, str, str, str]:
        """Given name, surname, both romanized, and the given name's gender."""
        fore = self.forenames.get(country) or self.forenames[_LIKE.get(country, "GB")]
        last = self.surnames.get(country) or self.surnames.get(_LIKE.get(country, "GB"), [])
        last = last or self.surnames["US"]
        given, given_roman, gender = random.choice(fore)
        surname, surname_roman = random.choice(last)
        return given, surname, given_roman or given, surname_roman or surname, gender


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        return list(csv.DictReader(opened))


def person(
    random: Random, customer_id: str, spelled: str, names: Names, addresses: list[str]
) -> tuple[str, ...]:
    """One customer as a row of ``HEADER``; ``addresses`` are the e-mail addresses used so far."""
    code, spellings = COUNTRIES.get(spelled, (None, ()))
    region = code or "GB"
    family = random.choice(_FAMILIES_IN_GB) if region == "GB" and random.random() < 0.06 else region
    given, surname, given_roman, surname_roman, gender = names.draw(random, family)
    country = random.choice(spellings) if spellings and random.random() < 0.35 else spelled
    return (
        customer_id,
        _missing(random, 0.02, _spaced(random, given)),
        _missing(random, 0.02, surname),
        _email(random, given_roman, surname_roman, customer_id, addresses),
        _phone(random, region),
        random.choice(CITIES[region]) if region in CITIES and random.random() < 0.9 else "",
        _missing(random, 0.01, country),
        _birthdate(random),
        _gender(random, gender),
        random.choices(("", "Bronze", "Silver", "Gold"), weights=(50, 25, 15, 10))[0],
        LANGUAGE_OF.get(region, "en") if random.random() < 0.8 else "",
    )


def _missing(random: Random, share: float, text: str) -> str:
    return "" if random.random() < share else text


def _spaced(random: Random, text: str) -> str:
    return f" {text} " if random.random() < 0.02 else text


def _email(random: Random, given: str, surname: str, customer_id: str, addresses: list[str]) -> str:
    drawn = random.random()
    if drawn < 0.06:
        return ""
    text = f"{given}.{surname}".lower()
    local = "".join(c for c in text if c.isascii() and (c.isalnum() or c == "."))
    local = local.strip(".") or "customer"
    address = f"{local}{customer_id}@example.{random.choice(('com', 'org', 'net'))}"
    if drawn < 0.08 and addresses:
        # One address for several customers: a household, or one person registered twice.
        address = random.choice(addresses)
    addresses.append(address)
    if drawn < 0.16:
        return address.upper()
    if drawn < 0.175:
        return address.replace("@", random.choice((" at ", "", "@@")))
    if drawn < 0.185:
        return f" {address}"
    return address


def _phone(random: Random, region: str) -> str:
    drawn = random.random()
    if drawn < 0.12:
        return ""
    if drawn < 0.14:
        return random.choice(("n/a", "0", "000000", "see email", "12345"))
    number = phonenumbers.parse(number_for(random, region))
    # A national format is ambiguous abroad: British numbers elsewhere are written in full.
    national = 60 if region in FICTIONAL else 0
    form = random.choices(
        (
            phonenumbers.PhoneNumberFormat.NATIONAL,
            phonenumbers.PhoneNumberFormat.INTERNATIONAL,
            phonenumbers.PhoneNumberFormat.E164,
        ),
        weights=(national, 20, 20),
    )[0]
    text = phonenumbers.format_number(number, form)
    if drawn < 0.20:
        return text.replace(" ", "-")
    if drawn < 0.24:
        return text.replace("+", "00", 1)
    return text


def _birthdate(random: Random) -> str:
    drawn = random.random()
    born = date(1935, 1, 1) + timedelta(days=random.randrange(60 * 365))
    if drawn < 0.15:
        return ""
    if drawn < 0.18:
        return random.choice(
            ("0000-00-00", "31/02/1980", "1899-12-31", "2031-05-01", "unknown", "29/02/1981")
        )
    if drawn < 0.55:
        return born.isoformat()
    if drawn < 0.85:
        return f"{born:%d/%m/%Y}"
    if drawn < 0.93:
        return f"{born.day} {born:%b} {born:%Y}"
    return f"{born:%d.%m.%Y}"


def _gender(random: Random, gender: str) -> str:
    if random.random() < 0.12 or gender not in _GENDER_WORDS:
        return random.choice(_GENDER_OTHER)
    return random.choice(_GENDER_WORDS[gender])
