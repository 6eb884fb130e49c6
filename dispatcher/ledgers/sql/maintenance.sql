-- Statements that prune and erase, by name. An empty text_sha256 (x'') means that the contact was
-- erased already.

-- name: contact_id_range
-- The lowest and the highest id of a contact, and the contact of the newest lineage row, which
-- pruning keeps.
SELECT
    COALESCE((SELECT MIN(id) FROM contact), 0),
    COALESCE((SELECT MAX(id) FROM contact), 0),
    COALESCE((SELECT contact_id FROM lineage ORDER BY id DESC LIMIT 1), 0)

-- name: lineage_id_range
SELECT
    COALESCE((SELECT MIN(id) FROM lineage), 0), COALESCE((SELECT MAX(id) FROM lineage), 0)

-- name: rejected_id_range
SELECT
    COALESCE((SELECT MIN(id) FROM rejected_row), 0),
    COALESCE((SELECT MAX(id) FROM rejected_row), 0)

-- name: old_contacts
SELECT json_group_array(id) FROM contact
WHERE
    id > :after AND id <= :until AND id <> :kept
    AND reason IS NOT NULL AND settled_at < :before
    AND (:parked OR status <> 'parked')
    AND (:campaign IS NULL OR campaign_id = (SELECT id FROM campaign WHERE name = :campaign))

-- name: keep_reached
INSERT INTO reached (person, contact_id, campaign_id, at)
SELECT
    person_of(lineage.external_contact_id), contact.id, contact.campaign_id,
    COALESCE(lineage.sent_at, contact.settled_at)
FROM lineage INNER JOIN contact ON lineage.contact_id = contact.id
WHERE
    lineage.contact_id IN (SELECT value FROM json_each(?))
    AND lineage.external_contact_id IS NOT NULL
    AND NOT EXISTS (
        SELECT 1 FROM reached
        WHERE
            reached.lately IN (0, 1)
            AND reached.person = person_of(lineage.external_contact_id)
            AND reached.contact_id = contact.id
    )

-- name: keep_keys
INSERT INTO pruned (campaign_id, key_hash)
SELECT campaign_id, key_hash(key) FROM contact
WHERE id IN (SELECT value FROM json_each(?)) AND text_sha256 <> x''
ON CONFLICT DO NOTHING

-- name: count_lineage
SELECT COUNT(*) FROM lineage WHERE contact_id IN (SELECT value FROM json_each(?))

-- name: remove_lineage
DELETE FROM lineage WHERE contact_id IN (SELECT value FROM json_each(?))

-- name: remove_contacts
DELETE FROM contact WHERE id IN (SELECT value FROM json_each(?))

-- name: old_rejected
SELECT json_group_array(id) FROM rejected_row
WHERE
    id > :after AND id <= :until AND at < :before
    AND (:campaign IS NULL OR campaign_id = (SELECT id FROM campaign WHERE name = :campaign))

-- name: remove_rejected
DELETE FROM rejected_row WHERE id IN (SELECT value FROM json_each(?))

-- name: seeds
SELECT id FROM contact
WHERE
    id > :after AND id <= :until
    AND (:campaign IS NULL OR campaign_id = (SELECT id FROM campaign WHERE name = :campaign))
    AND (key = :name OR conversation_id = :name)

-- name: contacts_of
SELECT id FROM contact
WHERE
    id > :after AND id <= :until
    AND (
        conversation_id IN (SELECT value FROM json_each(:conversations))
        OR external_contact_id IN (SELECT value FROM json_each(:externals))
        OR intent_external_contact_id IN (SELECT value FROM json_each(:externals))
        OR progress ->> 'external_contact_id' IN (SELECT value FROM json_each(:externals))
        OR person IN (SELECT value FROM json_each(:person_hashes))
    )

-- name: lineage_contacts_of
SELECT contact_id FROM lineage
WHERE
    id > :after AND id <= :until
    AND (
        conversation_id IN (SELECT value FROM json_each(:conversations))
        OR external_contact_id IN (SELECT value FROM json_each(:externals))
    )

-- name: reached_of
SELECT contact.id FROM reached INNER JOIN contact ON reached.contact_id = contact.id
WHERE reached.lately IN (0, 1) AND reached.person IN (SELECT value FROM json_each(?))

-- name: facts
SELECT
    contact.id, contact.key, contact.conversation_id, contact.external_contact_id,
    contact.intent_external_contact_id, contact.progress ->> 'external_contact_id',
    contact.person, lineage.conversation_id, lineage.external_contact_id
FROM contact LEFT JOIN lineage ON lineage.contact_id = contact.id
WHERE contact.id IN (SELECT value FROM json_each(?)) AND contact.text_sha256 <> x''

-- name: was_known
SELECT
    EXISTS (SELECT 1 FROM pruned WHERE key_hash = :hash)
    OR EXISTS (SELECT 1 FROM reached WHERE lately IN (0, 1) AND person = :person_hash)

-- name: status_and_campaign
SELECT status, campaign.name FROM contact
INNER JOIN campaign ON contact.campaign_id = campaign.id WHERE contact.id = ?

-- name: erase_contact
UPDATE contact SET
    status = CASE WHEN status IN ('ready', 'claimed', 'parked') THEN 'skipped' ELSE status END,
    reason = CASE
        WHEN status IN ('ready', 'claimed', 'parked') THEN 'forgotten' ELSE reason
    END,
    settled_at = COALESCE(settled_at, :now),
    due = NULL,
    person = COALESCE(
        person,
        (
            SELECT person_of(lineage.external_contact_id) FROM lineage
            WHERE lineage.contact_id = contact.id AND lineage.external_contact_id IS NOT NULL
        ),
        CASE WHEN external_contact_id IS NOT NULL THEN person_of(external_contact_id) END
    ),
    key = 'forgotten:' || key_hash(key),
    conversation_id = 'forgotten:' || key_hash(conversation_id),
    external_contact_id = NULL,
    progress = NULLIF(json_remove(progress, '$.target', '$.external_contact_id'), '{}'),
    intent_conversation_id = NULL,
    intent_external_contact_id = NULL,
    intent_target = NULL,
    intent_target_is_guest_id = NULL,
    correlation_id = NULL,
    words = NULL,
    story = NULL,
    text_sha256 = x'',
    attributes = NULL,
    subject = NULL,
    address = NULL,
    text = NULL
WHERE id = :id AND text_sha256 <> x''

-- name: erase_lineage
UPDATE lineage SET
    conversation_id = NULL, message_id = NULL, external_contact_id = NULL, correlation_id = ''
WHERE contact_id = ?

-- name: rejected_span
SELECT id, raw, file, detail FROM rejected_row WHERE id > ? AND id <= ?

-- name: erase_rejected
UPDATE rejected_row SET raw = x'', detail = 'forgotten on request'
WHERE id IN (SELECT value FROM json_each(?))
