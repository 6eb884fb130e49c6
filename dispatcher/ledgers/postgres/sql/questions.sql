-- Statements of readers, by name. None of them waits for a run, and no run waits for them.

-- name: campaigns
SELECT name, id FROM dispatcher.campaign ORDER BY id

-- name: sums
SELECT
    rows_read, admitted, duplicates, filtered,
    (
        SELECT COALESCE(json_object_agg(reason, row_count), '{}') FROM dispatcher.rejected_sum
        WHERE campaign_id = campaign.id
    ),
    (
        SELECT COALESCE(json_agg(json_build_array(status, reason, contacts)), '[]')
        FROM dispatcher.settled_sum WHERE campaign_id = campaign.id
    )
FROM dispatcher.campaign WHERE id = %(campaign)s

-- name: count_started
-- Contacts that are neither ready nor final, by status.
SELECT status, COUNT(*) FROM (
    SELECT status FROM dispatcher.unsettled WHERE campaign_id = %(campaign)s
    UNION ALL
    SELECT 'claimed' FROM dispatcher.held
    WHERE
        campaign_id = %(campaign)s
        AND NOT EXISTS (
            SELECT 1 FROM dispatcher.unsettled WHERE unsettled.contact_id = held.contact_id
        )
) AS started
GROUP BY status

-- name: count_due
SELECT COUNT(*) FROM dispatcher.ready
WHERE campaign_id = %(campaign)s AND due <= %(now)s

-- name: due_times
SELECT
    (SELECT MIN(due) FROM dispatcher.ready WHERE campaign_id = %(campaign)s AND due <= %(now)s),
    (SELECT MIN(due) FROM dispatcher.ready WHERE campaign_id = %(campaign)s AND due > %(now)s)

-- name: doubts
SELECT
    COUNT(*), MAX(intent_at), MAX((progress::json -> 'doubted_at')::text::double precision), MIN(look_at)
FROM dispatcher.unsettled
WHERE campaign_id = %(campaign)s AND status = 'in_doubt'

-- name: streams
SELECT name, fingerprint, at, row_count, done FROM dispatcher.stream
WHERE campaign_id = %(campaign)s ORDER BY fingerprint

-- name: paused_at
SELECT paused_at FROM dispatcher.campaign WHERE id = %(campaign)s

-- name: doubts_elsewhere
SELECT campaign.name, COUNT(*) FROM dispatcher.unsettled
INNER JOIN dispatcher.campaign ON unsettled.campaign_id = campaign.id
WHERE campaign.name <> ALL (%(names)s)
GROUP BY campaign.name ORDER BY campaign.name

-- name: parked
SELECT
    contact.id, campaign.name AS campaign, key, conversation_id, reason, settled_at AS parked_at,
    COALESCE((progress::json -> 'attempts')::text::integer, 0) AS attempts,
    COALESCE((progress::json -> 'sends')::text::integer, 0) AS sends,
    COALESCE(correlation_id, '') AS correlation_id
FROM dispatcher.contact INNER JOIN dispatcher.campaign ON campaign.id = contact.campaign_id
WHERE
    kept AND campaign_id = ANY (%(campaigns)s) AND status = %(status)s
    AND (%(reason)s::text IS NULL OR reason = %(reason)s) AND settled_at <= %(before)s
    AND (
        %(names)s::text [] IS NULL
        OR key = ANY (%(names)s)
        OR conversation_id = ANY (%(names)s)
        OR external_contact_id = ANY (%(names)s)
    )
ORDER BY campaign_id, contact.id LIMIT %(limit)s

-- name: contact_by_key
SELECT id FROM dispatcher.contact
WHERE campaign_id = ANY (%(campaigns)s) AND key = ANY (%(names)s)
ORDER BY id

-- name: contact_by_id
SELECT id FROM dispatcher.contact
WHERE
    campaign_id = ANY (%(campaigns)s)
    AND (conversation_id = ANY (%(names)s) OR external_contact_id = ANY (%(names)s))
UNION
SELECT contact.id FROM dispatcher.lineage
INNER JOIN dispatcher.contact ON lineage.contact_id = contact.id
WHERE lineage.conversation_id = ANY (%(names)s) AND contact.campaign_id = ANY (%(campaigns)s)
ORDER BY id

-- name: contact_facts
SELECT
    contact_now.id, campaign.name AS campaign, contact_now.key, contact_now.conversation_id,
    contact_now.external_contact_id, contact_now.status, contact_now.reason, contact_now.due,
    contact_now.settled_at, contact_now.not_before, contact_now.expires_at,
    contact_now.intent_step, contact_now.intent_at, contact_now.correlation_id,
    lineage.relation, lineage.conversation_id AS new_conversation_id, lineage.message_id,
    lineage.state_seen, lineage.state_at, lineage.sent_at, lineage.verified, lineage.verified_at,
    COALESCE((progress::json -> 'attempts')::text::integer, 0) AS attempts,
    COALESCE((progress::json -> 'sends')::text::integer, 0) AS sends,
    COALESCE(story, '') AS story
FROM dispatcher.contact_now
INNER JOIN dispatcher.campaign ON contact_now.campaign_id = campaign.id
LEFT JOIN dispatcher.lineage ON lineage.contact_id = contact_now.id
WHERE contact_now.id = ANY (%(ids)s) ORDER BY contact_now.id

-- name: era
SELECT era FROM dispatcher.store

-- name: copied_cursor
-- What a cursor of another ledger means here; and whether rows were copied from a file.
SELECT
    (SELECT at FROM dispatcher.moved_cursor WHERE cursor = %(cursor)s),
    EXISTS (SELECT 1 FROM dispatcher.move WHERE state IN ('arrived', 'leaving', 'moved'))

-- name: lineage_page
-- Only rows of transactions that are older than every open one: so no row can still appear before a
-- cursor.
SELECT * FROM dispatcher.lineage_row
WHERE
    (x, id) > (%(x)s::text::xid8, %(id)s)
    AND x < pg_snapshot_xmin(pg_current_snapshot())
    AND (%(campaign)s::text IS NULL OR campaign = %(campaign)s)
ORDER BY x, id LIMIT %(limit)s

-- name: verdict_page
SELECT * FROM dispatcher.lineage_row
WHERE
    verified_at IS NOT NULL AND (verified_at, id) > (%(at)s, %(id)s)
ORDER BY verified_at, id LIMIT %(limit)s

-- name: lineage_lag
-- A small number is counted. A large one is the difference of ids, of which some were never used.
SELECT
    (
        SELECT COUNT(*) FROM (
            SELECT 1 FROM dispatcher.lineage
            WHERE (x, id) > (%(x)s::text::xid8, %(id)s) LIMIT %(limit)s
        ) AS waiting
    ),
    (SELECT COALESCE(MIN(id), 0) FROM dispatcher.lineage),
    (SELECT COALESCE(MAX(id), 0) FROM dispatcher.lineage)

-- name: rejected_page
SELECT id, file, line, reason, detail, raw, at FROM dispatcher.rejected_row
WHERE id > %(after)s AND campaign_id = %(campaign)s ORDER BY id LIMIT %(limit)s

-- name: contacts_page
-- Contacts with a status, found where contacts with it are.
SELECT
    id, key, conversation_id, status, reason, due, settled_at, progress, intent_step, intent_at,
    intent_conversation_id, intent_external_contact_id, intent_target, correlation_id, words
FROM dispatcher.contact_now
WHERE id IN (
    SELECT id FROM (
        (
            SELECT id FROM dispatcher.contact
            WHERE
                %(is_final)s::boolean AND id > %(after)s AND campaign_id = %(campaign)s
                AND status = %(status)s
            ORDER BY id LIMIT %(limit)s
        )
        UNION ALL
        (
            SELECT contact_id FROM dispatcher.ready
            WHERE
                %(status)s::text = 'ready' AND contact_id > %(after)s AND campaign_id = %(campaign)s
            ORDER BY contact_id LIMIT %(limit)s
        )
        UNION ALL
        SELECT contact_id FROM dispatcher.held
        WHERE
            %(status)s::text = 'claimed' AND contact_id > %(after)s AND campaign_id = %(campaign)s
            AND NOT EXISTS (
                SELECT 1 FROM dispatcher.unsettled WHERE unsettled.contact_id = held.contact_id
            )
        UNION ALL
        SELECT contact_id FROM dispatcher.unsettled
        WHERE contact_id > %(after)s AND campaign_id = %(campaign)s AND status = %(status)s
    ) AS it (id)
    ORDER BY id LIMIT %(limit)s
)
ORDER BY id

-- name: waiting_ids
SELECT contact_id FROM dispatcher.ready WHERE campaign_id = %(campaign)s
UNION ALL
SELECT contact_id FROM dispatcher.held
WHERE
    campaign_id = %(campaign)s
    AND NOT EXISTS (SELECT 1 FROM dispatcher.unsettled WHERE contact_id = held.contact_id)

-- name: waiting_contacts
SELECT
    id, progress, key, conversation_id, '', external_contact_id, address, NULL,
    COALESCE(due, not_before), expires_at, attributes
FROM dispatcher.contact_now
WHERE id = ANY (%(ids)s) AND status IN ('ready', 'claimed')

-- name: known_keys
SELECT key FROM dispatcher.contact WHERE campaign_id = %(campaign)s AND key = ANY (%(keys)s)

-- name: pruned_keys
SELECT key_hash FROM dispatcher.pruned
WHERE campaign_id = %(campaign)s AND key_hash = ANY (%(hashes)s)

-- name: reached_persons
SELECT person FROM dispatcher.reached
WHERE
    campaign_id = %(campaign)s AND person || '' = ANY (%(persons)s)
    AND NOT EXISTS (
        SELECT 1 FROM dispatcher.unsettled WHERE unsettled.contact_id = reached.contact_id
    )

-- name: count_messages
SELECT count(*) FROM dispatcher.reached WHERE person || '' = ANY (%(persons)s) AND at >= %(since)s

-- name: unverified_page
SELECT
    id, relation, previous_conversation_id, conversation_id, message_id, external_contact_id,
    sent_at
FROM dispatcher.lineage_row
WHERE
    id > %(after)s AND settled_at <= %(settled_until)s
    AND (verified IS NULL OR verified <> 'confirmed')
    AND conversation_id IS NOT NULL  -- NULL: the person was erased
    AND (%(campaign)s::text IS NULL OR campaign = %(campaign)s)
ORDER BY id LIMIT %(limit)s

-- name: leases
SELECT
    lease.kind, lease.name, daemon.name, daemon.host,
    extract(epoch FROM lease.since)::double precision,
    extract(epoch FROM daemon.lease_until - clock_timestamp())::double precision
FROM dispatcher.lease INNER JOIN dispatcher.daemon ON daemon.id = lease.daemon_id
ORDER BY lease.kind, lease.name

-- name: standbys
-- Runs whose leases would not have run out, and that have none.
SELECT count(*) FROM dispatcher.daemon
WHERE
    NOT fenced AND lease_until > clock_timestamp()
    AND NOT EXISTS (SELECT 1 FROM dispatcher.lease WHERE lease.daemon_id = daemon.id)

-- name: socket
-- Where the latest run of a machine takes commands; one that has campaigns comes first.
SELECT socket FROM dispatcher.daemon
WHERE host = %(host)s AND socket <> '' AND NOT fenced AND lease_until > clock_timestamp()
ORDER BY EXISTS (SELECT 1 FROM dispatcher.lease WHERE daemon_id = daemon.id) DESC, id DESC
LIMIT 1

-- name: runs
-- Runs that have a lease which has not run out, the latest first, with their campaigns.
SELECT
    daemon.name, daemon.host, daemon.socket, array_agg(lease.name ORDER BY lease.name)
FROM dispatcher.daemon INNER JOIN dispatcher.lease ON daemon.id = lease.daemon_id
WHERE
    lease.kind = 'campaign' AND NOT daemon.fenced AND daemon.lease_until > clock_timestamp()
GROUP BY daemon.id ORDER BY daemon.id DESC
