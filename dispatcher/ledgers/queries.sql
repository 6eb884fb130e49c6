-- Statements of the ledger by name. ``many`` stands for a list of rows or values of any length.

-- name: change
INSERT INTO temp.change SELECT value ->> 0, value ->> 1, value FROM json_each(?)

-- name: status_of
SELECT status FROM contact WHERE id = ?

-- name: campaign_id
SELECT id FROM campaign WHERE name = ?

-- name: campaign_names
SELECT json_group_array(name) FROM (SELECT name FROM campaign ORDER BY id)

-- name: add_campaign
INSERT INTO campaign (name, created_at) VALUES (?, ?)

-- name: last_id
SELECT COALESCE(MAX(id), 0) FROM contact

-- name: known_keys
SELECT json_group_array(key) FROM contact WHERE campaign_id = ? AND key IN (many)

-- name: any_pruned
SELECT EXISTS (SELECT 1 FROM pruned WHERE campaign_id = ?)

-- name: pruned_keys
SELECT json_group_array(key_hash) FROM pruned
WHERE campaign_id = ? AND key_hash IN (SELECT value FROM json_each(?))

-- name: add_contacts
INSERT INTO contact (
    id, campaign_id, status, due, key, conversation_id, external_contact_id,
    not_before, expires_at, text_sha256, attributes, subject, address, text
) VALUES many

-- name: add_rejected
INSERT INTO rejected_row (campaign_id, file, line, reason, detail, raw, at) VALUES many

-- name: count_rejected
INSERT INTO rejected_sum VALUES many
ON CONFLICT DO UPDATE SET row_count = row_count + excluded.row_count

-- name: count_rows
UPDATE campaign SET
    rows_read = rows_read + ?,
    admitted = admitted + ?,
    duplicates = duplicates + ?,
    filtered = filtered + ?
WHERE id = ?

-- name: put_position
INSERT INTO position (campaign_id, fingerprint, file, "offset", line, done)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    file = excluded.file, "offset" = excluded."offset", line = excluded.line, done = excluded.done

-- name: positions
SELECT json_group_array(json_array(file, fingerprint, "offset", line, done))
FROM position WHERE campaign_id = ?

-- name: due_contacts
SELECT json_group_array(json_array(
    id, progress, key, conversation_id, text, external_contact_id, address, subject,
    not_before, expires_at, attributes
))
FROM (
    SELECT * FROM contact INDEXED BY contact_open
    WHERE campaign_id = ? AND reason IS NULL AND due <= ?
    ORDER BY due, id LIMIT ?
)

-- name: mark_claimed
UPDATE contact SET status = 'claimed', due = NULL WHERE id IN (SELECT value FROM json_each(?))

-- name: release_claimed
UPDATE contact INDEXED BY contact_open SET status = 'ready', due = ?
WHERE campaign_id = ? AND reason IS NULL AND due IS NULL AND status = 'claimed'

-- name: sending
SELECT key, conversation_id, intent_step FROM contact INDEXED BY contact_open
WHERE campaign_id = ? AND reason IS NULL AND due IS NULL AND status IN ('sending', 'in_doubt')

-- name: park_sending
UPDATE contact INDEXED BY contact_open
SET status = 'parked', reason = 'in_doubt', settled_at = ?
WHERE campaign_id = ? AND reason IS NULL AND due IS NULL AND status IN ('sending', 'in_doubt')

-- name: replay_in_doubt
UPDATE contact SET status = 'in_doubt', reason = NULL, settled_at = NULL, words = NULL
WHERE
    id IN (SELECT value FROM json_each(?)) AND campaign_id = ?
    AND status = 'parked' AND reason = 'in_doubt'

-- name: replay_ready
UPDATE contact SET
    status = 'ready', due = ?, reason = NULL, settled_at = NULL, words = NULL,
    correlation_id = NULL, progress = NULL, intent_step = NULL, intent_at = NULL,
    intent_conversation_id = NULL, intent_external_contact_id = NULL, intent_target = NULL,
    intent_target_is_guest_id = NULL
WHERE
    id IN (SELECT value FROM json_each(?)) AND campaign_id = ?
    AND status = 'parked' AND reason <> 'in_doubt'

-- name: busy
SELECT json_group_object(status, contacts) FROM (
    SELECT status, COUNT(*) AS contacts FROM contact INDEXED BY contact_open
    WHERE campaign_id = ? AND reason IS NULL AND due IS NULL GROUP BY status
)

-- name: sums
SELECT
    rows_read, admitted, duplicates, filtered,
    (SELECT json_group_object(reason, row_count) FROM rejected_sum WHERE campaign_id = campaign.id),
    (
        SELECT json_group_array(json_array(status, reason, contacts))
        FROM settled_sum WHERE campaign_id = campaign.id
    )
FROM campaign WHERE id = ?

-- name: due
SELECT COUNT(*), MIN(due) FROM contact INDEXED BY contact_open
WHERE campaign_id = ? AND reason IS NULL AND due <= ?

-- name: next_due
SELECT MIN(due) FROM contact INDEXED BY contact_open
WHERE campaign_id = ? AND reason IS NULL AND due > ?

-- name: lineage_page
SELECT * FROM lineage_row WHERE id > ? AND campaign = ? ORDER BY id LIMIT ?

-- name: rejected_page
SELECT id, file, line, reason, detail, raw, at FROM rejected_row
WHERE id > ? AND campaign_id = ? ORDER BY id LIMIT ?

-- name: contacts_page
SELECT
    id, key, conversation_id, status, reason, due, settled_at, progress, intent_step, intent_at,
    intent_conversation_id, intent_external_contact_id, intent_target, correlation_id, words
FROM contact
WHERE id > ? AND campaign_id = ? AND status = ? ORDER BY id LIMIT ?
