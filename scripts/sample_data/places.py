"""Where the sample's customers live: the invoices' countries, with spellings and cities."""

from __future__ import annotations

from typing import Final

COUNTRIES: Final[dict[str, tuple[str | None, tuple[str, ...]]]] = {
    "United Kingdom": ("GB", ("UK", "GB", "GBR", "Great Britain", "U.K.", "united kingdom")),
    "Germany": ("DE", ("DE", "DEU", "Deutschland", "germany")),
    "France": ("FR", ("FR", "FRA", "france")),
    "Spain": ("ES", ("ES", "ESP", "España")),
    "Belgium": ("BE", ("BE", "Belgique", "België")),
    "Portugal": ("PT", ("PT", "PRT")),
    "Netherlands": ("NL", ("NL", "The Netherlands", "Holland")),
    "Switzerland": ("CH", ("CH", "Schweiz", "Suisse")),
    "Sweden": ("SE", ("SE", "Sverige")),
    "Italy": ("IT", ("IT", "Italia")),
    "Finland": ("FI", ("FI", "Suomi")),
    "Australia": ("AU", ("AU", "AUS")),
    "Channel Islands": (None, ()),
    "Austria": ("AT", ("AT", "Österreich")),
    "Norway": ("NO", ("NO", "Norge")),
    "Denmark": ("DK", ("DK", "Danmark")),
    "Cyprus": ("CY", ("CY",)),
    "Japan": ("JP", ("JP", "日本")),
    "USA": ("US", ("US", "U.S.A.", "United States")),
    "Unspecified": (None, ()),
    "Poland": ("PL", ("PL", "Polska")),
    "EIRE": ("IE", ("IE", "Ireland")),
    "Canada": ("CA", ("CA",)),
    "Greece": ("GR", ("GR", "Ελλάδα")),
    "United Arab Emirates": ("AE", ("AE", "UAE")),
    "Israel": ("IL", ("IL",)),
    "RSA": ("ZA", ("ZA", "South Africa")),
    "Bahrain": ("BH", ("BH",)),
    "Brazil": ("BR", ("BR", "Brasil")),
    "Korea": ("KR", ("KR", "South Korea")),
    "Malta": ("MT", ("MT",)),
    "West Indies": (None, ()),
    "Singapore": ("SG", ("SG",)),
    "Thailand": ("TH", ("TH",)),
    "Lithuania": ("LT", ("LT",)),
    "Saudi Arabia": ("SA", ("SA",)),
    "Czech Republic": ("CZ", ("CZ", "Czechia")),
    "Nigeria": ("NG", ("NG",)),
    "European Community": (None, ()),
    "Lebanon": ("LB", ("LB",)),
    "Iceland": ("IS", ("IS",)),
}
"""The invoices' spelling of a country, with its ISO code and the customers' other spellings."""

CITIES: Final[dict[str, tuple[str, ...]]] = {
    "GB": ("London", "Manchester", "Leeds", "Bristol", "Cardiff", "Glasgow", "Belfast", "YORK"),
    "DE": ("Berlin", "München", "Köln", "Düsseldorf"),
    "FR": ("Paris", "Lyon", "Saint-Étienne", "L'Haÿ-les-Roses"),
    "ES": ("Madrid", "A Coruña", "Sevilla"),
    "BE": ("Bruxelles", "Liège", "Antwerpen"),
    "PT": ("Lisboa", "Évora"),
    "NL": ("'s-Hertogenbosch", "Amsterdam"),
    "CH": ("Zürich", "Genève"),
    "SE": ("Malmö", "Göteborg"),
    "IT": ("Roma", "Forlì"),
    "JP": ("東京", "Osaka"),
    "GR": ("Αθήνα", "Thessaloniki"),
    "IE": ("Dublin", "Baile Átha Cliath"),
    "US": ("Springfield", "O'Fallon"),
}
"""Some cities by country; customers in other countries have none."""

LANGUAGE_OF: Final[dict[str, str]] = {"JP": "ja", "GR": "el", "FR": "fr", "DE": "de", "ES": "es"}
