"""Names that exports use for columns that say whether a person wants messages."""

import re
from typing import Literal

Kind = Literal["opt_out", "consent"]

_CHANNEL = r"(contact|call|phone|message|msg|e?mail|text|sms|whatsapp|market|send|solicit)"
_END = r"(s|ing)?(_|$)"
_OPT_OUT = re.compile(
    r"opt(ed|s|ing)?_?out|unsub(_|$)|unsubscri"
    rf"|(do_?not|dont|don_t)_?{_CHANNEL}|(^|_)(never|not|no)_?{_CHANNEL}{_END}"
    r"|(^|_)(dnc|dnd|dnm|dnt|deceased|robinson|objected|objection)(_|$)"
    r"|do_?not_?disturb|suppress(ed|ion)?(_|$)|black_?list|block_?list|deny_?list"
    r"|^(is_|has_)?(blocked|stop|stopped|excluded?)(_(flag|list|sms|email|date|at|contact))?$"
    r"|consent_?(withdrawn|revoked|denied|refused|declined)"
    r"|(no|withdrawn?|revoked|without)_?consent"
    r"|(^|_)(revoked|revocation|withdrawn|withdrawal_of_consent|opposed|opposition)(_|$)"
    r"|eras(ure|ed)(_|$)|(gdpr|dsgvo|rgpd|lgpd)_?(delet|eras|forg|lösch|loesch)|to_?be_?forgotten"
    r"|forget_?me|please_?stop|(spam|abuse)_?(complain|report)|widerruf"
    r"|(^|_)ne_?pas_?(contact|appel|demarch|démarch|envoy)|(^|_)no_?(contactar|llamar|molestar|enviar)"
    r"|widerspr(uch|ochen)|(werbe|kontakt)_?sperre|abgemeldet|abmeldung|desinscri|desabonn"
)
_CONSENT = re.compile(
    r"consent|opt(ed|s)?_?in(_|$)|(^|_)(is_)?subscribed(_|$)|subscri(ption|be|ber)_?status"
    rf"|(^|_)(can|may|ok|okay|allow(ed|s)?|permit(ted|s)?|accepts?|agreed|wants?"
    rf"|receives?)_?(to_?)?(be_?)?{_CHANNEL}"
    rf"|{_CHANNEL}(s|ing)?_?(allowed|permitted|permission|ok|okay|accepted|enabled)(_|$)"
    r"|(^|_)(callable|textable|messageable|reachable_by)|^permissions?(_|$)"
    r"|^(gdpr|dsgvo|rgpd|lgpd|ccpa|tcpa)(_(ok|okay|flag|status|accept(ed)?|agreed|date|at))?$"
    r"|permission_?to|contactable|marketable|mailable|textable|einwilligung|consentement"
)


def opt_out_kind(words: str) -> Kind | None:
    """Return what a column's name says; None if it is about something else.

    ``words`` is the name in lower case, with underscores between its words.
    """
    if _OPT_OUT.search(words):
        return "opt_out"
    return "consent" if _CONSENT.search(words) else None
