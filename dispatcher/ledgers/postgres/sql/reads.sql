-- What a run reads, by name. Rows come as JSON arrays.

-- name: due_doubts
SELECT json_agg(json_build_array(
    contact.id, it.progress, contact.key, contact.conversation_id, contact.text,
    contact.external_contact_id, contact.address, contact.subject, contact.not_before,
    contact.expires_at, contact.attributes, it.intent_step, it.intent_conversation_id,
    it.intent_external_contact_id, encode(contact.text_sha256, 'hex'), it.intent_at
) ORDER BY it.look_at, it.contact_id)::text
FROM (
    SELECT * FROM dispatcher.unsettled
    WHERE campaign_id = %s AND look_at IS NOT NULL AND look_at <= %s
    ORDER BY look_at, contact_id LIMIT %s
) AS it
INNER JOIN dispatcher.contact ON contact.id = it.contact_id

-- name: look_back_times
SELECT json_agg(look_at ORDER BY look_at)::text FROM (
    SELECT look_at FROM dispatcher.unsettled
    WHERE campaign_id = %s AND look_at IS NOT NULL ORDER BY look_at LIMIT %s
) AS it

-- name: waiting_conversations
SELECT json_agg(conversation_id ORDER BY due)::text FROM (
    SELECT contact.conversation_id, it.due, contact.progress
    FROM (
        SELECT contact_id, due FROM dispatcher.ready
        WHERE campaign_id = %s AND due > %s ORDER BY due LIMIT %s
    ) AS it
    INNER JOIN dispatcher.contact ON contact.id = it.contact_id
) AS it
WHERE progress::json -> 'engaged_since' IS NOT NULL OR progress::json -> 'not_ended_since' IS NOT NULL

-- name: delivered_conversations
SELECT json_agg(conversation_id ORDER BY sent_at DESC)::text FROM (
    SELECT conversation_id, sent_at FROM dispatcher.lineage
    WHERE conversation_id IS NOT NULL AND sent_at IS NOT NULL ORDER BY sent_at DESC LIMIT %s
) AS it

-- name: sent_messages_of
SELECT json_agg(json_build_array(conversation_id, message_id, relation <> 'notified'))::text
FROM dispatcher.lineage
WHERE
    sent_at >= %s
    AND conversation_id IN (SELECT value FROM json_array_elements_text(%s::json) AS it (value))

-- name: unsettled_of
SELECT json_agg(json_build_array(
    id, intent_step, intent_conversation_id, intent_external_contact_id, digest, intent_at,
    progress::json -> 'doubted_at'
))::text
FROM (
    SELECT
        contact.id, unsettled.intent_step, unsettled.intent_conversation_id,
        unsettled.intent_external_contact_id, encode(contact.text_sha256, 'hex') AS digest,
        unsettled.intent_at, unsettled.progress
    FROM dispatcher.unsettled INNER JOIN dispatcher.contact ON contact.id = unsettled.contact_id
    WHERE unsettled.conversation_id IN (
        SELECT value FROM json_array_elements_text(%(listed)s::json) AS it (value)
    )
    UNION ALL
    SELECT
        id, intent_step, intent_conversation_id, intent_external_contact_id,
        encode(text_sha256, 'hex'), intent_at, progress
    FROM dispatcher.contact
    WHERE
        kept AND status = 'parked' AND reason = 'in_doubt' AND conversation_id IN (
            SELECT value FROM json_array_elements_text(%(listed)s::json) AS it (value)
        )
) AS sends

-- name: unsettled_with
SELECT json_agg(json_build_array(
    contact.id, contact.intent_step, contact.intent_conversation_id,
    contact.intent_external_contact_id, encode(contact.text_sha256, 'hex'), contact.intent_at,
    contact.progress::json -> 'doubted_at'
))::text
FROM dispatcher.reached INNER JOIN dispatcher.contact_now AS contact ON reached.contact_id = contact.id
WHERE
    reached.person || '' IN (SELECT value FROM json_array_elements_text(%s::json) AS it (value))
    AND (
        contact.status IN ('sending', 'in_doubt')
        OR (contact.status = 'parked' AND contact.reason = 'in_doubt')
    )

-- name: witnesses
SELECT json_agg(json_build_array(conversation_id, message_id, digest) ORDER BY sent_at)::text
FROM (
    SELECT
        lineage.conversation_id, lineage.message_id, lineage.sent_at,
        encode(contact.text_sha256, 'hex') AS digest
    FROM dispatcher.lineage INNER JOIN dispatcher.contact ON lineage.contact_id = contact.id
    WHERE lineage.sent_at > %s AND lineage.conversation_id IS NOT NULL
    ORDER BY lineage.sent_at LIMIT %s
) AS it

-- name: earlier_waits
-- Why contacts wait: as the last entry of the history says, if it is 'deferred'. A contact without a
-- history waits for `not_before`.
SELECT json_agg(json_build_array(reason, second, contacts))::text FROM (
    SELECT reason, second, count(*) AS contacts FROM (
        SELECT
            floor(due)::bigint AS second,
            CASE
                WHEN story IS NULL THEN
                    CASE WHEN due IS NOT DISTINCT FROM not_before THEN 'not_before' ELSE 'other' END
                WHEN last ->> 1 = 'deferred' THEN last ->> 2
                ELSE 'other'
            END AS reason
        FROM (
            SELECT it.due, found.not_before, found.story, ('[' || found.story || ']')::json -> -1 AS last
            FROM (
                SELECT contact_id, due FROM dispatcher.ready
                WHERE campaign_id = %(campaign)s AND due > %(now)s AND contact_id <= %(last_id)s
                LIMIT %(most)s
            ) AS it
            CROSS JOIN LATERAL (
                SELECT not_before, story FROM dispatcher.contact
                WHERE contact.id = it.contact_id OFFSET 0  -- looked up one by one
            ) AS found
        ) AS waiting
        WHERE story IS NULL OR (last -> 0)::text::double precision < %(before)s
    ) AS it GROUP BY reason, second
) AS waits

-- name: size
SELECT pg_database_size(current_database())

-- name: last_id
SELECT COALESCE(max(id), 0) FROM dispatcher.contact
