"""What a conversation id says, so that an untouched conversation costs no memory.

A conversation that a send opened has the id ``new-<number>-<previous id>``; its guest is the guest
of the conversation at the root of that chain.
"""

NEW = "new-"
WRONG_CONTACT = "x-somebody-else-"
"""Prefix of the external contact ids that are wrong in a file."""
_CONTACT = "x-"
_ADDRESS = "a-"
_MAX_DIGITS = 18


def guest_id(conversation_id: str) -> str:
    """Return the id of the guest who wrote in."""
    return "g-" + root(conversation_id)


def address(conversation_id: str) -> str:
    """Return the guest's address, the target of a new conversation."""
    return _ADDRESS + root(conversation_id)


def external_contact_id(conversation_id: str) -> str:
    """Return the external contact id that belongs to the conversation's guest."""
    return _CONTACT + root(conversation_id)


def root_of_contact(external_contact_id: str) -> str | None:
    """Return the oldest conversation of a person, None for an unknown id."""
    if external_contact_id.startswith(WRONG_CONTACT):
        return None
    return _rest(external_contact_id, _CONTACT)


def root_of_address(address: str) -> str | None:
    """Return the oldest conversation of the guest with this address, None for an unknown one."""
    return _rest(address, _ADDRESS)


def _rest(text: str, prefix: str) -> str | None:
    rest = text[len(prefix) :]
    return rest if text.startswith(prefix) and rest and not rest.startswith(NEW) else None


def root(conversation_id: str) -> str:
    """Return the oldest conversation of the chain in the id."""
    while conversation_id.startswith(NEW):
        conversation_id = previous(conversation_id)
    return conversation_id


def new_id(number: int, previous_id: str) -> str:
    """Return the id of the conversation that a send opened, by its running number."""
    return f"{NEW}{number}-{previous_id}"


def previous(conversation_id: str) -> str:
    """Return the previous conversation in a new one's id, empty if there is none."""
    return conversation_id[len(NEW) :].partition("-")[2]


def number(conversation_id: str) -> int:
    """Return the running number in a new conversation's id, or -1 if there is none."""
    digits = conversation_id[len(NEW) :].partition("-")[0]
    valid = digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS
    return int(digits) if valid else -1
