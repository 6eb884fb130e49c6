-- Statements of the copy of a ledger, by name.

-- name: merge_keys
UPDATE contact SET lately = 0 WHERE lately = 1

-- name: merge_people
UPDATE OR REPLACE reached SET lately = 0 WHERE lately = 1

-- name: park_doubles
-- Contacts in doubt besides an earlier one of the same conversation or person. A database permits one
-- at a time; a parked one is never sent by itself, and can be replayed.
UPDATE contact SET
    story = COALESCE(story || ',', '')
    || json_array(CAST(:now * 1000 AS INTEGER), 'restart', status),
    status = 'parked', reason = 'in_doubt', settled_at = :now, look_at = NULL
WHERE id IN (
    WITH unsettled AS MATERIALIZED (
        SELECT id, conversation_id, person FROM contact INDEXED BY contact_sending
        WHERE status IN ('sending', 'in_doubt')
    )
    SELECT id FROM (
        SELECT
            id,
            ROW_NUMBER() OVER (PARTITION BY conversation_id ORDER BY id) AS of_conversation,
            ROW_NUMBER() OVER (PARTITION BY COALESCE(person, 'of contact ' || id) ORDER BY id)
                AS of_person
        FROM unsettled
    )
    WHERE of_conversation > 1 OR of_person > 1
)

-- name: complete_intents
-- A contact in doubt without an intent is taken for an open that nobody finds; see
-- `unsettled_send` in doubt_rows.py.
UPDATE contact SET intent_step = COALESCE(intent_step, 'open'), intent_at = COALESCE(intent_at, 0)
WHERE
    id IN (
        SELECT id FROM contact INDEXED BY contact_sending WHERE status IN ('sending', 'in_doubt')
    )
    AND (intent_step IS NULL OR intent_at IS NULL)

-- name: count_sending
SELECT COUNT(*) FROM contact INDEXED BY contact_open
WHERE campaign_id = ? AND reason IS NULL AND due IS NULL AND status = 'sending'

-- name: moved
SELECT cursor, at FROM moved_cursor WHERE cursor IN (SELECT cursor FROM sink)
