"""Names of the columns of a suppression list that have ids or addresses."""

PHONE_NAMES = (
    "phone",
    "phone_number",
    "mobile",
    "mobile_number",
    "mobile_phone",
    "cell_phone",
    "cell",
    "msisdn",
    "telephone",
    "telephone_number",
    "tel",
    "telefon",
    "whatsapp",
    "whatsapp_number",
)
"""Names of columns that have nothing but phone numbers."""
_ID_NAMES = (
    "conversation_id",
    "external_contact_id",
    "contact_key",
    "contact_id",
    "external_id",
    "customer_id",
    "customer_number",
    "user_id",
    "person_id",
    "recipient_id",
    "uuid",
    "guid",
    "address",
    "email",
    "email_address",
    "mail",
)
GENERAL_NAMES = ("id", "key", "number", "contact", "customer", "recipient", "user", "value")
"""What they mean is not certain: an ``id`` may be the number of a row. If a list has no other known
column, its unknown columns count as well: a value too many does less harm than a person too few."""
LIST_NAMES = (*PHONE_NAMES, *_ID_NAMES, *GENERAL_NAMES)
"""All names that count, besides those of the source's columns."""
