"""Words for gender, in the languages that tables come in, to Braze's codes.

Braze docs, "Standard attributes": M, F, O (other), N (not applicable), P (prefers not to say).
"""

from __future__ import annotations

import unicodedata
from typing import Final

from braze_pipeline.core.profiles.normalise.outcome import Outcome, bad, good

_WORDS: Final = {
    "M": """
        m mr male man men boy masculine männlich maennlich mann herr homme masculin masc hombre
        masculino varón varon uomo maschio maschile homem mannelijk mies manlig mand mężczyzna
        mezczyzna muž muz férfi bărbat barbat erkek άνδρας ανδρας мужской мужчина муж чоловік
        чоловіча 男 男性 男人 남 남성 남자 ذكر זכר पुरुष ชาย nam
    """,
    "F": """
        f ms mrs miss female woman women girl feminine weiblich frau w femme féminin feminin fem
        mujer femenino
        hembra donna femmina femminile mulher feminino vrouw vrouwelijk nainen kvinna kvinnlig
        kvinde kvinne kobieta žena zena nő femeie kadın kadin γυναίκα γυναικα женский женщина жен
        жінка жіноча 女 女性 女人 여 여성 여자 أنثى נקבה महिला หญิง nữ
    """,
    "O": """
        o other others divers diverse d nonbinary nonbinaire non_binary non-binary enby genderqueer
        x autre otro otra altro outro anders andere inne other_gender その他 기타 其他
    """,
    "N": "n not_applicable nicht_zutreffend sans_objet no_aplica",
    "P": """
        p prefer_not_to_say prefer_not_to_answer prefers_not_to_say prefers_not_to_answer
        rather_not_say undisclosed not_disclosed declined keine_angabe prefiero_no_decirlo
        ne_souhaite_pas_répondre
    """,
}
_CODES: Final = {
    unicodedata.normalize("NFKC", word).casefold(): code
    for code, words in _WORDS.items()
    for word in words.split()
}
_NOT_STATED: Final = frozenset(
    {"unknown", "unspecified", "not_specified", "not_stated", "none", "null", "na", "n/a", "nan"}
    | {"u", "?", "-", "unbekannt", "inconnu"}
)


def gender(raw: str, _: str = "") -> Outcome:
    """A word or letter for a gender to Braze's code.

    "Unknown" is no code of Braze's but the lack of one: it is refused, so that what Braze has
    stays. Digits are refused as well: systems disagree on which is which.
    """
    text = unicodedata.normalize("NFKC", raw).casefold().strip().rstrip(".")
    word = "_".join(text.split())
    code = _CODES.get(word)
    if code is not None:
        return good(code)
    return bad("gender_not_stated" if word in _NOT_STATED else "gender_unreadable")
