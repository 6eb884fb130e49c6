-- Statements that prune and erase, by name. An empty text_sha256 means that the contact was erased
-- already. Each transaction is short, and touches nothing that a run has claimed.

-- name: contact_id_range
-- The lowest and the highest id of a contact, and the contact of the newest lineage row, which
-- pruning keeps.
SELECT
    COALESCE((SELECT MIN(id) FROM dispatcher.contact), 0),
    COALESCE((SELECT MAX(id) FROM dispatcher.contact), 0),
    COALESCE((SELECT contact_id FROM dispatcher.lineage ORDER BY x DESC, id DESC LIMIT 1), 0)

-- name: lineage_id_range
SELECT
    COALESCE((SELECT MIN(id) FROM dispatcher.lineage), 0),
    COALESCE((SELECT MAX(id) FROM dispatcher.lineage), 0)

-- name: rejected_id_range
SELECT
    COALESCE((SELECT MIN(id) FROM dispatcher.rejected_row), 0),
    COALESCE((SELECT MAX(id) FROM dispatcher.rejected_row), 0)

-- name: old_contacts
SELECT contact.id, contact.campaign_id, contact.key, contact.text_sha256 = '' AS erased
FROM dispatcher.contact
WHERE
    id > %(after)s AND id <= %(until)s AND id <> %(kept)s
    AND reason IS NOT NULL AND settled_at < %(before)s
    AND (%(parked)s OR status <> 'parked')
    AND (%(campaign)s::integer IS NULL OR campaign_id = %(campaign)s)
ORDER BY id

-- name: lineage_people
-- The people of the lineage of contacts, with the time at which they got a message.
SELECT
    lineage.external_contact_id, contact.id, contact.campaign_id,
    COALESCE(lineage.sent_at, contact.settled_at)
FROM dispatcher.lineage INNER JOIN dispatcher.contact ON lineage.contact_id = contact.id
WHERE lineage.contact_id = ANY (%(ids)s) AND lineage.external_contact_id IS NOT NULL

-- name: keep_reached
INSERT INTO dispatcher.reached (person, contact_id, campaign_id, at)
SELECT * FROM unnest(
    %(persons)s::text [], %(contacts)s::bigint [], %(campaigns)s::integer [],
    %(times)s::double precision []
)
ON CONFLICT DO NOTHING

-- name: keep_keys
INSERT INTO dispatcher.pruned (campaign_id, key_hash)
SELECT * FROM unnest(%(campaigns)s::integer [], %(hashes)s::text []) ORDER BY 1, 2
ON CONFLICT DO NOTHING

-- name: count_lineage
SELECT COUNT(*) FROM dispatcher.lineage WHERE contact_id = ANY (%(ids)s)

-- name: remove_lineage
DELETE FROM dispatcher.lineage WHERE contact_id = ANY (%(ids)s)

-- name: remove_contacts
DELETE FROM dispatcher.contact WHERE id = ANY (%(ids)s)

-- name: count_old_rejected
SELECT COUNT(*) FROM dispatcher.rejected_row
WHERE
    id > %(after)s AND id <= %(until)s AND at < %(before)s
    AND (%(campaign)s::integer IS NULL OR campaign_id = %(campaign)s)

-- name: remove_rejected
DELETE FROM dispatcher.rejected_row
WHERE
    id > %(after)s AND id <= %(until)s AND at < %(before)s
    AND (%(campaign)s::integer IS NULL OR campaign_id = %(campaign)s)

-- name: size
SELECT COALESCE(SUM(pg_total_relation_size(pg_class.oid)), 0)::bigint
FROM pg_class INNER JOIN pg_namespace ON pg_class.relnamespace = pg_namespace.oid
WHERE pg_namespace.nspname = 'dispatcher' AND pg_class.relkind = 'r'

-- name: seeds
SELECT id FROM dispatcher.contact
WHERE
    id > %(after)s AND id <= %(until)s
    AND (%(campaign)s::integer IS NULL OR campaign_id = %(campaign)s)
    AND (key = ANY (%(names)s) OR conversation_id = ANY (%(names)s))

-- name: contacts_of
SELECT id FROM dispatcher.contact_now
WHERE
    id > %(after)s AND id <= %(until)s
    AND (
        conversation_id = ANY (%(conversations)s)
        OR external_contact_id = ANY (%(externals)s)
        OR intent_external_contact_id = ANY (%(externals)s)
        OR (progress::json -> 'external_contact_id')::text = ANY (%(quoted)s)
        OR person = ANY (%(person_hashes)s)
    )

-- name: lineage_contacts_of
SELECT contact_id FROM dispatcher.lineage
WHERE
    id > %(after)s AND id <= %(until)s
    AND (conversation_id = ANY (%(conversations)s) OR external_contact_id = ANY (%(externals)s))

-- name: reached_of
SELECT contact.id FROM dispatcher.reached
INNER JOIN dispatcher.contact ON reached.contact_id = contact.id
WHERE reached.person || '' = ANY (%(person_hashes)s)

-- name: facts
SELECT
    contact_now.id, contact_now.key, contact_now.conversation_id,
    contact_now.external_contact_id, contact_now.intent_external_contact_id,
    (contact_now.progress::json -> 'external_contact_id')::text, contact_now.person,
    lineage.conversation_id, lineage.external_contact_id
FROM dispatcher.contact_now
LEFT JOIN dispatcher.lineage ON lineage.contact_id = contact_now.id
WHERE contact_now.id = ANY (%(ids)s) AND contact_now.text_sha256 <> ''

-- name: was_known
SELECT
    EXISTS (SELECT 1 FROM dispatcher.pruned WHERE key_hash = %(hash)s)
    OR EXISTS (SELECT 1 FROM dispatcher.reached WHERE person || '' = %(person_hash)s)

-- name: lock_contact
SELECT 1 FROM dispatcher.contact WHERE id = %(id)s FOR UPDATE

-- name: lock_ready
-- A claim of the contact that is not committed yet is waited for.
SELECT 1 FROM dispatcher.ready WHERE contact_id = %(id)s FOR UPDATE

-- name: contact_to_erase
-- ``busy`` is the run that has claimed it and goes on. A commit that waits for a replica is seen by
-- nobody: so a run whose lease has run out goes on, unless its row can be locked. It cannot commit then
-- before this transaction has ended.
SELECT
    contact_now.status, contact_now.reason, campaign.name, contact_now.campaign_id,
    contact_now.key, contact_now.conversation_id, contact_now.text_sha256 = '',
    COALESCE(lineage.external_contact_id, contact_now.external_contact_id), contact_now.progress,
    (
        SELECT daemon.name || ' on ' || daemon.host FROM dispatcher.held
        INNER JOIN dispatcher.daemon ON held.daemon_id = daemon.id
        WHERE
            held.contact_id = contact_now.id AND NOT EXISTS (
                SELECT 1 FROM dispatcher.daemon AS ended
                WHERE
                    ended.id = held.daemon_id
                    AND (ended.fenced OR ended.lease_until <= clock_timestamp())
                FOR UPDATE SKIP LOCKED
            )
    ) AS busy
FROM dispatcher.contact_now
INNER JOIN dispatcher.campaign ON contact_now.campaign_id = campaign.id
LEFT JOIN dispatcher.lineage ON lineage.contact_id = contact_now.id
WHERE contact_now.id = %(id)s

-- name: let_go
WITH waited AS (DELETE FROM dispatcher.ready WHERE contact_id = %(id)s)
DELETE FROM dispatcher.held WHERE contact_id = %(id)s

-- name: erase_contact
UPDATE dispatcher.contact SET
    status = %(status)s, reason = %(reason)s, settled_at = COALESCE(settled_at, %(now)s),
    kept = NULL, person = COALESCE(person, %(person)s), key = %(key)s,
    conversation_id = %(conversation)s, external_contact_id = NULL, progress = %(progress)s,
    intent_conversation_id = NULL, intent_external_contact_id = NULL, intent_target = NULL,
    intent_target_is_guest_id = NULL, correlation_id = NULL, words = NULL, story = NULL,
    text_sha256 = '', attributes = NULL, subject = NULL, address = NULL, text = NULL
WHERE id = %(id)s

-- name: erase_lineage
UPDATE dispatcher.lineage SET
    conversation_id = NULL, message_id = NULL, external_contact_id = NULL, correlation_id = ''
WHERE contact_id = %(id)s

-- name: rejected_span
SELECT id, raw, detail FROM dispatcher.rejected_row
WHERE id > %(after)s AND id <= %(until)s

-- name: erase_rejected
UPDATE dispatcher.rejected_row SET raw = '', detail = 'forgotten on request'
WHERE id = ANY (%(ids)s)
