"""What ``init`` proposes for consent and passwords, and what it marks as personal data."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from braze_pipeline_tests.integration.cli.test_init import GERMAN, make, written


def test_consent_is_in_the_sql_but_never_sent(tmp_path: Path) -> None:
    t = make(tmp_path, GERMAN)
    assert "newsletter_anmeldung" not in {attribute.column for attribute in t.attributes}
    assert "newsletter_anmeldung" in written(tmp_path, "customer_attributes.sql")
    defs = written(tmp_path, "defs.yaml")
    assert "they are not sent: newsletter_anmeldung." in defs
    condition = re.search(r'such as where: "(.*)"\.', defs)
    assert condition is not None
    assert kept(condition[1], "newsletter_anmeldung", "ja", "Ja ", "nein", None) == ["ja", "Ja "]


def kept(condition: str, column: str, *values: str | bool | None) -> list[str | bool | None]:
    with duckdb.connect() as con:
        rows = con.execute(
            f"SELECT {column} FROM (SELECT unnest(?) AS {column}) WHERE {condition}", [list(values)]
        )
        return [row[0] for row in rows.fetchall()]


@pytest.mark.parametrize(
    ("column", "values", "chosen"),
    [
        ("sms_ok", ["sim", "não"], ["sim"]),
        ("can_email", ["1", "0"], ["1"]),
        ("do_not_contact", ["yes", "no"], ["no"]),
        ("unsubscribed", ["true", "false"], ["false"]),
        ("email_opt", ["opted_in", "opted_out"], ["opted_in"]),
        ("email_opt", ["A", "B"], None),
    ],
)
def test_the_condition_proposed_for_consent_keeps_those_who_agreed(
    tmp_path: Path, column: str, values: list[str], chosen: list[str] | None
) -> None:
    rows = "".join(f"{number},{value},x\n" for number, value in enumerate(values))
    make(tmp_path, f"id,{column},colour\n{rows}")
    defs = written(tmp_path, "defs.yaml")
    condition = re.search(r'such as where: "(.*)"\.', defs)
    assert (kept(condition[1], column, *values, None) if condition else None) == chosen
    assert "To decide: by name and values these columns seem to be consent" in defs
    assert condition or "with the value that means yes" in defs


def test_a_boolean_of_consent_is_a_condition_and_one_of_refusal_is_negated(tmp_path: Path) -> None:
    for column, condition in {"allow_push": "allow_push", "no_mail": "NOT no_mail"}.items():
        folder = tmp_path / column
        folder.mkdir()
        pq.write_table(pa.table({"id": [1], column: [True], "x": [1]}), folder / "c.parquet")
        make(folder, None, "--from", str(folder / "c.parquet"))
        assert f'such as where: "{condition}".' in written(folder, "defs.yaml")


NAMES = """
consent: email_allowed marketing_ok push_enabled can_email allow_push email_opt unsub mail_ok sms_ok
consent: aceita_marketing aceito_email consenso_email accepte_emails recibir_correos no_molestar
consent: samtycke toestemming zgoda_marketingowa do_not_contact emailOptIn optin_sms Werbung
consent: akzeptiert_werbung Newsletter-Abo newsletter notifications_enabled marketing_preferences
secret: password passwordHash senha contraseña Kreditkarte credit_card_number cvv
personal: cpf iban steuernummer nome sobrenome celular nascimento tax_id e-mail_2 codice_fiscale
ordinary: last_order_channel newsletter_clicks marketing_segment last_email_received shop_count
ordinary: casino_marketing_segment subscription_plan emails_opened colour push_clicks_total
"""


def test_no_password_and_no_consent_is_proposed_and_personal_data_is_marked(tmp_path: Path) -> None:
    kinds = {
        name: kind
        for kind, _, names in (line.partition(":") for line in NAMES.splitlines())
        for name in names.split()
    }
    rows = "".join(f"{row};" + ";".join(f"v{row}" for _ in kinds) + "\n" for row in (1, 2))
    t = make(tmp_path, f"id;{';'.join(kinds)}\n{rows}")
    offered = {attribute.column: attribute for attribute in t.attributes}
    expected = {name.replace("-", "_"): kind for name, kind in kinds.items()}
    assert {name: expected[name] for name in offered} == {
        name: kind for name, kind in expected.items() if kind in {"personal", "ordinary"}
    }
    assert all(offered[name].pii for name in offered if expected[name] == "personal")
    assert "pii" not in next(
        line for line in written(tmp_path, "defs.yaml").splitlines() if "subscription_plan" in line
    )
    assert "# Not sent: senha (by its name a" in written(tmp_path, "defs.yaml")
    assert "senha" not in written(tmp_path, "customer_attributes.sql")


@pytest.mark.parametrize(
    ("column", "values", "offered"),
    [
        ("whatsapp_group", ("sí", "no"), False),
        ("mail", ("J", "N"), False),
        ("sms_2", ("0", "1"), False),
        ("newsletter_clicks", ("0", "1"), True),
        ("newsletter_clicks", ("0", "17"), True),
        ("push_accepted", ("3", "17"), True),
        ("has_card", ("yes", "no"), True),
    ],
)
def test_yes_and_no_to_a_channel_is_consent_and_a_count_is_not(
    tmp_path: Path, column: str, values: tuple[str, str], offered: bool
) -> None:
    t = make(tmp_path, f"id,{column},colour\n1,{values[0]},x\n2,{values[1]},x\n")
    assert (len(t.attributes) == 2) is offered
