"""What can be told from a conversation id alone, so that an untouched conversation costs no memory.

A conversation that was opened by a send is called ``new-<number>-<previous id>``; its guest is the
guest of the conversation at the root of that chain.
"""

NEW = "new-"
SOMEBODY_ELSE = "x-somebody-else-"
"""How the external contact ids begin that a file gets wrong."""
_CONTACT = "x-"
_ADDRESS = "a-"
_MOST_DIGITS = 18


def guest_id(conversation_id: str) -> str:
    """Return the id of the guest who wrote in."""
    return "g-" + root(conversation_id)


def address(conversation_id: str) -> str:
    """Return the guest's address, the target of a new conversation."""
    return "a-" + root(conversation_id)


def external_contact_id(conversation_id: str) -> str:
    """Return the external contact id that belongs to the conversation's guest."""
    return "x-" + root(conversation_id)


def of_contact(external_contact_id: str) -> str | None:
    """Return the oldest conversation of a person, None for an id that no platform gave."""
    if external_contact_id.startswith(SOMEBODY_ELSE):
        return None
    return _rest(external_contact_id, _CONTACT)


def of_address(address: str) -> str | None:
    """Return the oldest conversation of the guest with this address, None for a strange one."""
    return _rest(address, _ADDRESS)


def _rest(text: str, prefix: str) -> str | None:
    rest = text[len(prefix) :]
    return rest if text.startswith(prefix) and rest and not rest.startswith(NEW) else None


def root(conversation_id: str) -> str:
    """Return the oldest conversation of the chain that the id names."""
    while conversation_id.startswith(NEW):
        conversation_id = previous(conversation_id)
    return conversation_id


def new_id(number: int, previous_id: str) -> str:
    """Return the id of the conversation that the given number of open requests made."""
    return f"{NEW}{number}-{previous_id}"


def previous(conversation_id: str) -> str:
    """Return the previous conversation that a new one's id names, empty if it names none."""
    return conversation_id[len(NEW) :].partition("-")[2]


def number(conversation_id: str) -> int:
    """Return the running number in a new conversation's id, or -1 if there is none."""
    digits = conversation_id[len(NEW) :].partition("-")[0]
    sound = digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS
    return int(digits) if sound else -1
