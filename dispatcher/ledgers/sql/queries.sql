-- Statements of runs and readers, by name. ``/*values*/`` is replaced by a list of values or rows,
-- ``/*selection*/`` by a statement.

-- name: change
INSERT INTO temp.change SELECT value ->> 0, value ->> 1, value FROM json_each(?)

-- name: status_of
SELECT status FROM contact WHERE id = ?

-- name: location
SELECT
    ledger_id, opened, opened_at, machine, host, path, volume, file_system, inode, born, backup_at
FROM location

-- name: record_location
INSERT INTO location (
    id, ledger_id, opened, opened_at, machine, host, path, volume, file_system, inode, born
)
VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    opened = excluded.opened, opened_at = excluded.opened_at, machine = excluded.machine,
    host = excluded.host, path = excluded.path, volume = excluded.volume,
    file_system = excluded.file_system, inode = excluded.inode, born = excluded.born,
    backup_at = NULL

-- name: advance_location
UPDATE location SET opened = opened + 1 RETURNING ledger_id, opened

-- name: record_backup
INSERT INTO location (
    id, ledger_id, opened, opened_at, machine, host, path, volume, file_system, inode, born,
    backup_at
)
VALUES (1, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET backup_at = excluded.backup_at

-- name: campaigns
SELECT name, id FROM campaign ORDER BY id

-- name: add_campaign
INSERT INTO campaign (name, created_at) VALUES (?, ?)

-- name: paused_at
SELECT paused_at FROM campaign WHERE id = ?

-- name: pause
UPDATE campaign SET paused_at = COALESCE(paused_at, ?) WHERE id = ?

-- name: resume
UPDATE campaign SET paused_at = NULL WHERE id = ?

-- name: last_id
SELECT MAX(
    COALESCE((SELECT MAX(id) FROM contact), 0), COALESCE((SELECT last_contact FROM move), 0)
)

-- name: known_keys
SELECT json_group_array(key) FROM contact INDEXED BY contact_key
WHERE lately IN (?, 1) AND campaign_id = ? AND key IN (/*values*/)

-- name: has_upper_case
SELECT has_upper_case FROM campaign WHERE id = ?

-- name: any_upper_case
SELECT COALESCE(MAX(has_upper_case), 0) FROM campaign

-- name: respell_people
UPDATE OR REPLACE reached SET person = present.value, lately = 1
FROM json_each(?) AS present
WHERE reached.lately IN (0, 1) AND reached.person = present.key

-- name: any_pruned
SELECT EXISTS (SELECT 1 FROM pruned WHERE campaign_id = ?)

-- name: pruned_keys
SELECT json_group_array(key_hash) FROM pruned
WHERE campaign_id = ? AND key_hash IN (SELECT value FROM json_each(?))

-- name: add_contacts
INSERT INTO contact (
    id, campaign_id, status, due, person, text_sha256, attributes, key, conversation_id,
    external_contact_id, not_before, expires_at, subject, address, text
) VALUES /*values*/

-- name: add_rejected
INSERT INTO rejected_row (campaign_id, file, line, reason, detail, raw, at) VALUES /*values*/

-- name: count_rejected
INSERT INTO rejected_sum VALUES /*values*/
ON CONFLICT DO UPDATE SET row_count = row_count + excluded.row_count

-- name: count_rows
UPDATE campaign SET
    rows_read = rows_read + ?,
    admitted = admitted + ?,
    duplicates = duplicates + ?,
    filtered = filtered + ?
WHERE id = ?

-- name: add_stream
INSERT INTO stream (name, at, row_count, done, campaign_id, fingerprint)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING

-- name: move_stream
UPDATE stream SET name = ?, at = ?, row_count = ?, done = ?
WHERE campaign_id = ? AND fingerprint = ? AND at = ?

-- name: streams
SELECT json_group_array(json_array(name, fingerprint, at, row_count, done))
FROM stream WHERE campaign_id = ?

-- name: receipt
SELECT digest, result FROM receipt WHERE campaign_id = ? AND request_key = ? AND at > ?

-- name: add_receipt
INSERT OR REPLACE INTO receipt (campaign_id, request_key, digest, at, result)
VALUES (?, ?, ?, ?, ?)

-- name: prune_receipts
DELETE FROM receipt WHERE (campaign_id, request_key) IN (
    SELECT campaign_id, request_key FROM receipt WHERE at <= ? ORDER BY at LIMIT ?
)

-- name: lookup_people
SELECT json_group_array(json_array(person, lately, campaign_id = ? AND NOT EXISTS (
    SELECT 1 FROM contact
    WHERE contact.id = reached.contact_id AND contact.status IN ('sending', 'in_doubt')
)))
FROM reached WHERE lately IN (0, 1) AND person IN (SELECT value FROM json_each(?))

-- name: merges
SELECT times FROM temp.merges

-- name: count_merge
UPDATE temp.merges SET times = times + 1

-- name: merge_keys
UPDATE OR IGNORE contact SET lately = 0 WHERE id IN (
    SELECT id FROM contact INDEXED BY contact_key
    WHERE
        lately = 1
        AND EXISTS (
            SELECT 1 FROM contact INDEXED BY contact_key WHERE lately = 1 LIMIT 1 OFFSET ?
        )
    ORDER BY campaign_id, key LIMIT ?
)

-- name: merge_people
UPDATE OR REPLACE reached SET lately = 0 WHERE lately = 1 AND (person, contact_id) IN (
    SELECT person, contact_id FROM reached
    WHERE
        lately = 1
        AND EXISTS (SELECT 1 FROM reached WHERE lately = 1 LIMIT 1 OFFSET ?)
    ORDER BY person, contact_id LIMIT ?
)

-- name: blocked
SELECT id, why FROM temp.blocked

-- name: clear_blocked
DELETE FROM temp.blocked

-- name: claims
SELECT json_group_array(json_array(
    id, progress, key, conversation_id, text, external_contact_id, address, subject,
    not_before, expires_at, attributes, due,
    CASE
        WHEN EXISTS (
            SELECT 1 FROM contact AS other INDEXED BY contact_sending
            WHERE
                other.conversation_id = it.conversation_id
                AND other.status IN ('sending', 'in_doubt')
        ) THEN 'busy'
    END
))
FROM (/*selection*/) AS it

-- name: select_due
SELECT * FROM contact INDEXED BY contact_open
WHERE campaign_id = ? AND reason IS NULL AND due <= ?
ORDER BY due, id LIMIT ?

-- name: select_ready
SELECT * FROM contact
WHERE campaign_id = ? AND id IN (SELECT value FROM json_each(?)) AND status = 'ready'
ORDER BY due, id

-- name: blocked_claims
SELECT json_group_array(json_array(id, block)) FROM (
    SELECT
        it.id, MIN(iif(other.status IN ('sending', 'in_doubt'), 'busy', 'same_person')) AS block
    FROM contact AS it
    INNER JOIN reached
        ON
            reached.lately IN (0, 1) AND reached.person = it.person
            AND reached.contact_id <> it.id
    LEFT JOIN contact AS other ON other.id = reached.contact_id
    WHERE
        it.id IN (SELECT value FROM json_each(?))
        AND (reached.campaign_id = it.campaign_id OR other.status IN ('sending', 'in_doubt'))
    GROUP BY it.id
)

-- name: reached_persons
SELECT json_group_array(person) FROM reached
WHERE
    campaign_id = ? AND lately IN (0, 1) AND person IN (SELECT value FROM json_each(?))
    AND NOT EXISTS (
        SELECT 1 FROM contact
        WHERE contact.id = reached.contact_id AND contact.status IN ('sending', 'in_doubt')
    )

-- name: mark_claimed
UPDATE contact SET status = 'claimed', due = NULL WHERE id IN (SELECT value FROM json_each(?))

-- name: record_restart
UPDATE contact INDEXED BY contact_open
SET story = COALESCE(story || ',', '') || json_array(CAST(? * 1000 AS INTEGER), 'restart', status)
WHERE
    campaign_id = ? AND reason IS NULL AND due IS NULL AND status IN ('claimed', 'sending')

-- name: record_replay
UPDATE contact SET
    story = COALESCE(story || ',', '')
    || json_array(CAST(? * 1000 AS INTEGER), 'replayed', status, reason)
WHERE
    id IN (SELECT value FROM json_each(?)) AND status IN ('parked', 'rejected')
    AND text IS NOT NULL

-- name: release_claimed
UPDATE contact INDEXED BY contact_open SET status = 'ready', due = ?
WHERE campaign_id = ? AND reason IS NULL AND due IS NULL AND status = 'claimed'

-- name: doubt_sending
UPDATE contact INDEXED BY contact_open SET
    status = 'in_doubt',
    look_at = ?1,
    progress = json_set(COALESCE(progress, '{}'), '$.doubted_at', ?1)
WHERE campaign_id = ?2 AND reason IS NULL AND due IS NULL AND status = 'sending'

-- name: count_doubts
SELECT COUNT(*) FROM contact INDEXED BY contact_in_doubt
WHERE campaign_id = ? AND status = 'in_doubt'

-- name: replay_in_doubt
UPDATE contact
SET status = 'in_doubt', look_at = ?, reason = NULL, settled_at = NULL, words = NULL
WHERE id IN (SELECT value FROM json_each(?)) AND status = 'parked' AND reason = 'in_doubt'

-- name: replay_ready
UPDATE contact SET
    status = 'ready', due = ?, reason = NULL, settled_at = NULL, words = NULL,
    correlation_id = NULL, progress = NULL, intent_step = NULL, intent_at = NULL,
    intent_conversation_id = NULL, intent_external_contact_id = NULL, intent_target = NULL,
    intent_target_is_guest_id = NULL
WHERE
    id IN (SELECT value FROM json_each(?)) AND status IN ('parked', 'rejected')
    AND reason <> 'in_doubt' AND text IS NOT NULL

-- name: due_doubts
SELECT json_group_array(json_array(
    id, progress, key, conversation_id, text, external_contact_id, address, subject,
    not_before, expires_at, attributes, intent_step, intent_conversation_id,
    intent_external_contact_id, hex(text_sha256), intent_at
))
FROM (
    SELECT * FROM contact INDEXED BY contact_in_doubt
    WHERE campaign_id = ? AND status = 'in_doubt' AND look_at <= ?
    ORDER BY look_at, id LIMIT ?
)

-- name: look_back_times
SELECT json_group_array(look_at) FROM (
    SELECT look_at FROM contact INDEXED BY contact_in_doubt
    WHERE campaign_id = ? AND status = 'in_doubt'
    ORDER BY look_at LIMIT ?
)

-- name: doubts
SELECT COUNT(*), MAX(intent_at), MAX(progress ->> 'doubted_at'), MIN(look_at)
FROM contact INDEXED BY contact_in_doubt
WHERE campaign_id = ? AND status = 'in_doubt'

-- name: waiting_conversations
SELECT json_group_array(conversation_id) FROM (
    SELECT * FROM contact INDEXED BY contact_open
    WHERE campaign_id = ? AND reason IS NULL AND due > ?
    ORDER BY due LIMIT ?
)
WHERE progress ->> 'engaged_since' IS NOT NULL OR progress ->> 'not_ended_since' IS NOT NULL

-- name: delivered_conversations
SELECT json_group_array(conversation_id) FROM (
    SELECT conversation_id FROM lineage INDEXED BY lineage_sent
    WHERE conversation_id IS NOT NULL
    ORDER BY sent_at DESC LIMIT ?
)

-- name: sent_messages_of
SELECT json_group_array(json_array(conversation_id, message_id, relation <> 'notified'))
FROM lineage INDEXED BY lineage_sent
WHERE sent_at >= ? AND conversation_id IN (SELECT value FROM json_each(?))

-- name: unsettled_of
SELECT json_group_array(json_array(
    id, intent_step, intent_conversation_id, intent_external_contact_id,
    hex(text_sha256), intent_at, progress ->> 'doubted_at'
))
FROM (
    SELECT * FROM contact INDEXED BY contact_sending
    WHERE
        status IN ('sending', 'in_doubt')
        AND conversation_id IN (SELECT value FROM json_each(?1))
    UNION ALL
    SELECT * FROM contact INDEXED BY contact_parked
    WHERE
        status = 'parked' AND reason = 'in_doubt'
        AND campaign_id IN (SELECT campaign.id FROM campaign)
        AND conversation_id IN (SELECT value FROM json_each(?1))
)

-- name: unsettled_with
SELECT json_group_array(json_array(
    contact.id, contact.intent_step, contact.intent_conversation_id,
    contact.intent_external_contact_id, hex(contact.text_sha256), contact.intent_at,
    contact.progress ->> 'doubted_at'
))
FROM reached INNER JOIN contact ON reached.contact_id = contact.id
WHERE
    reached.lately IN (0, 1) AND reached.person IN (SELECT value FROM json_each(?))
    AND (
        contact.status IN ('sending', 'in_doubt')
        OR (contact.status = 'parked' AND contact.reason = 'in_doubt')
    )

-- name: witnesses
SELECT json_group_array(json_array(conversation_id, message_id, digest))
FROM (
    SELECT lineage.conversation_id, lineage.message_id, hex(contact.text_sha256) AS digest
    FROM lineage INDEXED BY lineage_sent
    INNER JOIN contact ON lineage.contact_id = contact.id
    WHERE lineage.sent_at > ? AND lineage.conversation_id IS NOT NULL
    ORDER BY lineage.sent_at LIMIT ?
)

-- name: doubts_elsewhere
SELECT json_group_object(name, contacts) FROM (
    SELECT campaign.name, COUNT(*) AS contacts
    FROM contact INDEXED BY contact_sending
    INNER JOIN campaign ON contact.campaign_id = campaign.id
    WHERE
        contact.status IN ('sending', 'in_doubt')
        AND campaign.name NOT IN (SELECT value FROM json_each(?))
    GROUP BY campaign.name ORDER BY campaign.name
)

-- name: count_started
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

-- name: count_due
SELECT COUNT(*) FROM contact INDEXED BY contact_open
WHERE campaign_id = ? AND reason IS NULL AND due <= ?

-- name: oldest_due
SELECT MIN(due) FROM contact INDEXED BY contact_open
WHERE campaign_id = ? AND reason IS NULL AND due <= ?

-- name: next_due
SELECT MIN(due) FROM contact INDEXED BY contact_open
WHERE campaign_id = ? AND reason IS NULL AND due > ?

-- name: earlier_waits
-- Why contacts wait: as the last entry of the history says, if it is 'deferred'. A contact without a
-- history waits for `not_before`.
SELECT json_group_array(json_array(reason, second, contacts)) FROM (
    SELECT reason, second, COUNT(*) AS contacts FROM (
        SELECT
            CAST(due AS INTEGER) AS second,
            CASE
                WHEN story IS NULL THEN iif(due IS not_before, 'not_before', 'other')
                WHEN last ->> 1 = 'deferred' THEN last ->> 2
                ELSE 'other'
            END AS reason
        FROM (
            SELECT due, not_before, story, ('[' || story || ']') -> '$[#-1]' AS last
            FROM contact INDEXED BY contact_open
            WHERE campaign_id = :campaign AND reason IS NULL AND due > :now AND id <= :last_id
            LIMIT :most
        )
        WHERE story IS NULL OR last ->> 0 < :before
    ) GROUP BY reason, second
)

-- name: lineage_page
SELECT * FROM lineage_row WHERE id > ? AND (?2 IS NULL OR campaign = ?2) ORDER BY id LIMIT ?

-- name: rejected_page
SELECT id, file, line, reason, detail, raw, at FROM rejected_row
WHERE id > ? AND campaign_id = ? ORDER BY id LIMIT ?

-- name: contacts_page
SELECT
    id, key, conversation_id, status, reason, due, settled_at, progress, intent_step, intent_at,
    intent_conversation_id, intent_external_contact_id, intent_target, correlation_id, words
FROM contact
WHERE id > ? AND campaign_id = ? AND status = ? ORDER BY id LIMIT ?

-- name: waiting_ids
SELECT id FROM contact INDEXED BY contact_open
WHERE campaign_id = ? AND reason IS NULL AND status IN ('ready', 'claimed')

-- name: waiting_contacts
SELECT json_group_array(json_array(
    id, progress, key, conversation_id, '', external_contact_id, address, NULL,
    COALESCE(due, not_before), expires_at, attributes
))
FROM contact
WHERE id IN (SELECT value FROM json_each(?)) AND status IN ('ready', 'claimed')

-- name: add_seen_key
INSERT INTO seen VALUES (?) ON CONFLICT DO NOTHING

-- name: add_person
INSERT INTO person VALUES (?) ON CONFLICT DO NOTHING

-- name: add_planned_message
INSERT INTO planned (key, times) VALUES (?, 1)
ON CONFLICT DO UPDATE SET times = times + 1 WHERE times < ?

-- name: count_messages
SELECT COUNT(*) FROM reached
WHERE lately IN (0, 1) AND person IN (SELECT value FROM json_each(?)) AND at >= ?

-- name: unverified_page
SELECT
    id, relation, previous_conversation_id, conversation_id, message_id, external_contact_id,
    sent_at
FROM lineage_row
WHERE
    id > ? AND settled_at <= ? AND (verified IS NULL OR verified <> 'confirmed')
    AND conversation_id IS NOT NULL  -- NULL: the person was erased
    AND (?3 IS NULL OR campaign = ?3)
ORDER BY id LIMIT ?

-- name: mark_verified
UPDATE lineage SET verified = ?, verified_at = ? WHERE id = ?

-- name: parked
SELECT
    contact.id, campaign.name AS campaign, key, conversation_id, reason, settled_at AS parked_at,
    COALESCE(progress ->> 'attempts', 0) AS attempts, COALESCE(progress ->> 'sends', 0) AS sends,
    COALESCE(correlation_id, '') AS correlation_id
FROM contact INNER JOIN campaign ON campaign.id = contact.campaign_id
WHERE
    campaign_id IN (SELECT value FROM json_each(:campaigns)) AND status = 'parked'
    AND (:reason IS NULL OR reason = :reason) AND settled_at <= :before
    AND (
        :names IS NULL
        OR key IN (SELECT value FROM json_each(:names))
        OR conversation_id IN (SELECT value FROM json_each(:names))
        OR external_contact_id IN (SELECT value FROM json_each(:names))
    )
ORDER BY campaign_id, contact.id LIMIT :limit

-- name: rejected
SELECT
    contact.id, campaign.name AS campaign, key, conversation_id, reason, settled_at AS parked_at,
    COALESCE(progress ->> 'attempts', 0) AS attempts, COALESCE(progress ->> 'sends', 0) AS sends,
    COALESCE(correlation_id, '') AS correlation_id
FROM contact INNER JOIN campaign ON campaign.id = contact.campaign_id
WHERE
    campaign_id IN (SELECT value FROM json_each(:campaigns)) AND status = 'rejected'
    AND text IS NOT NULL AND (:reason IS NULL OR reason = :reason) AND settled_at <= :before
    AND (
        :names IS NULL
        OR key IN (SELECT value FROM json_each(:names))
        OR conversation_id IN (SELECT value FROM json_each(:names))
        OR external_contact_id IN (SELECT value FROM json_each(:names))
    )
ORDER BY campaign_id, contact.id LIMIT :limit

-- name: drop
UPDATE contact SET
    story = COALESCE(story || ',', '')
    || json_array(CAST(:now * 1000 AS INTEGER), 'dropped', status, reason),
    status = 'skipped', reason = 'dropped', settled_at = :now, words = NULL,
    progress = json_remove(progress, '$.target'), intent_target = NULL,
    intent_target_is_guest_id = NULL, subject = NULL, address = NULL, text = NULL
WHERE id IN (SELECT value FROM json_each(:ids)) AND status = 'parked'

-- name: contact_by_key
SELECT id FROM contact
WHERE lately IN (0, 1) AND campaign_id IN (SELECT value FROM json_each(?)) AND key = ?
ORDER BY id

-- name: contact_by_id
SELECT id FROM contact
WHERE
    campaign_id IN (SELECT value FROM json_each(?1))
    AND (conversation_id = ?2 OR external_contact_id = ?2)
UNION
SELECT contact.id FROM lineage INNER JOIN contact ON lineage.contact_id = contact.id
WHERE
    lineage.conversation_id = ?2
    AND contact.campaign_id IN (SELECT value FROM json_each(?1))
ORDER BY id

-- name: contact_facts
SELECT
    contact.id, campaign.name AS campaign, contact.key, contact.conversation_id,
    contact.external_contact_id, contact.status, contact.reason, contact.due, contact.settled_at,
    contact.not_before, contact.expires_at, contact.intent_step, contact.intent_at,
    contact.correlation_id, lineage.relation, lineage.conversation_id AS new_conversation_id,
    lineage.message_id, lineage.state_seen, lineage.state_at, lineage.sent_at,
    lineage.verified, lineage.verified_at,
    COALESCE(progress ->> 'attempts', 0) AS attempts, COALESCE(progress ->> 'sends', 0) AS sends,
    COALESCE(story, '') AS story
FROM contact
INNER JOIN campaign ON contact.campaign_id = campaign.id
LEFT JOIN lineage ON lineage.contact_id = contact.id
WHERE contact.id IN (SELECT value FROM json_each(?)) ORDER BY contact.id

-- name: add_sink
INSERT INTO sink (name, part, token, cursor) VALUES (?, ?, ?, '') ON CONFLICT DO NOTHING

-- name: sink_place
SELECT token, cursor, sending_to, origin FROM sink WHERE name = ? AND part = ?

-- name: begin_range
UPDATE sink SET sending_to = ? WHERE name = ? AND part = ?

-- name: end_range
UPDATE sink SET cursor = ?, sending_to = NULL WHERE name = ? AND part = ?

-- name: renew_sinks
-- Of a copy that is adopted. What has gone out since the copy was made has gone out under the old tokens.
UPDATE sink SET token = lower(hex(randomblob(8))), origin = cursor, sending_to = NULL

-- name: moved_cursor
SELECT at FROM moved_cursor WHERE cursor = ?

-- name: verdict_page
SELECT * FROM lineage_row
WHERE verified_at IS NOT NULL AND (verified_at, id) > (?, ?)
ORDER BY verified_at, id LIMIT ?

-- name: make_ends_due
UPDATE notice
SET number = number + (SELECT MAX(number) FROM notice), at = :now, due = 1
WHERE sink = :sink AND due = 0

-- name: remove_old_notices
DELETE FROM notice WHERE at < ?

-- name: due_notices
SELECT event, campaign, facts, at, id FROM notice WHERE sink = ? AND due = 1 ORDER BY number

-- name: put_notice
INSERT OR REPLACE INTO notice (sink, id, event, campaign, at, facts, due)
VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: remove_notices
DELETE FROM notice WHERE sink = ? AND id IN (SELECT value FROM json_each(?))
