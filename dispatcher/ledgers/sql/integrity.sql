-- What a sound ledger does not contain. Each statement counts one kind of violation. An empty
-- text_sha256 (x'') means that the contact was erased.

-- name: status_unknown
SELECT COUNT(*) FROM contact
WHERE status NOT IN (SELECT value FROM json_each(:statuses))

-- name: reason_unknown
SELECT COUNT(*) FROM contact
WHERE reason IS NOT NULL AND reason NOT IN (SELECT value FROM json_each(:reasons))

-- name: final_without_reason
SELECT COUNT(*) FROM contact
WHERE
    (status IN (SELECT value FROM json_each(:final))) <> (reason IS NOT NULL)
    OR (reason IS NOT NULL AND settled_at IS NULL)

-- name: ready_without_due
SELECT COUNT(*) FROM contact INDEXED BY contact_open
WHERE reason IS NULL AND (status = 'ready') <> (due IS NOT NULL)

-- name: final_with_due
SELECT COUNT(*) FROM contact WHERE reason IS NOT NULL AND due IS NOT NULL

-- name: doubt_without_look_at
SELECT COUNT(*) FROM contact WHERE (status = 'in_doubt') <> (look_at IS NOT NULL)

-- name: sending_without_intent
SELECT COUNT(*) FROM contact INDEXED BY contact_open
WHERE reason IS NULL AND status IN ('sending', 'in_doubt') AND (intent_step IS NULL OR intent_at IS NULL)

-- name: text_kept
SELECT COUNT(*) FROM contact
WHERE
    reason IS NOT NULL AND status NOT IN ('parked', 'rejected')
    AND COALESCE(text, subject, address, intent_target, progress ->> 'target') IS NOT NULL

-- name: text_missing
SELECT COUNT(*) FROM contact
WHERE text IS NULL AND (reason IS NULL OR status = 'parked')

-- name: json_unreadable
SELECT COUNT(*) FROM contact
WHERE
    (progress IS NOT NULL AND NOT json_valid(progress))
    OR (attributes IS NOT NULL AND NOT json_valid(attributes))
    OR (story IS NOT NULL AND NOT json_valid('[' || story || ']'))

-- name: lineage_missing
SELECT COUNT(*) FROM contact
WHERE
    reason = 'delivered'
    AND NOT EXISTS (SELECT 1 FROM lineage WHERE lineage.contact_id = contact.id)

-- name: lineage_alone
SELECT COUNT(*) FROM lineage
WHERE
    NOT EXISTS (
        SELECT 1 FROM contact
        WHERE contact.id = lineage.contact_id AND contact.status IN ('notified', 'opened')
    )
    OR relation NOT IN (SELECT value FROM json_each(:relations))

-- name: message_twice
SELECT COUNT(*) FROM (
    SELECT 1 FROM lineage WHERE message_id IS NOT NULL GROUP BY message_id HAVING COUNT(*) > 1
)

-- name: person_not_reached
SELECT COUNT(*) FROM contact
WHERE
    reason = 'delivered' AND person IS NOT NULL
    AND NOT EXISTS (
        SELECT 1 FROM reached
        WHERE
            reached.lately IN (0, 1)
            AND reached.person = contact.person AND reached.contact_id = contact.id
    )

-- name: key_twice
SELECT COUNT(*) FROM contact AS late INDEXED BY contact_key
WHERE
    late.lately = 1
    AND EXISTS (
        SELECT 1 FROM contact AS old INDEXED BY contact_key
        WHERE old.lately = 0 AND old.campaign_id = late.campaign_id AND old.key = late.key
    )

-- name: settled_sums_differ
WITH
counted AS (
    SELECT campaign_id, status, reason, COUNT(*) AS contacts FROM contact
    WHERE reason IS NOT NULL GROUP BY campaign_id, status, reason
),
erased AS (
    SELECT campaign_id, COUNT(*) AS contacts FROM contact
    WHERE text_sha256 = x'' GROUP BY campaign_id
),
gone AS (
    SELECT
        campaign.id AS campaign_id,
        (SELECT COUNT(*) FROM pruned WHERE pruned.campaign_id = campaign.id)
        - COALESCE(erased.contacts, 0) AS contacts
    FROM campaign LEFT JOIN erased ON erased.campaign_id = campaign.id
)
SELECT
    (
        SELECT COUNT(*) FROM counted LEFT JOIN settled_sum USING (campaign_id, status, reason)
        WHERE counted.contacts > COALESCE(settled_sum.contacts, 0)
    ) + (
        SELECT COUNT(*) FROM gone
        WHERE gone.contacts <> (
            SELECT COALESCE(SUM(contacts), 0) FROM settled_sum
            WHERE settled_sum.campaign_id = gone.campaign_id
        ) - (
            SELECT COALESCE(SUM(contacts), 0) FROM counted
            WHERE counted.campaign_id = gone.campaign_id
        )
    )

-- name: admitted_differs
WITH held AS (
    SELECT campaign_id, COUNT(*) - SUM(text_sha256 = x'') AS contacts FROM contact
    GROUP BY campaign_id
)
SELECT COUNT(*) FROM campaign LEFT JOIN held ON held.campaign_id = campaign.id
WHERE
    admitted <> COALESCE(held.contacts, 0)
    + (SELECT COUNT(*) FROM pruned WHERE pruned.campaign_id = campaign.id)

-- name: rows_differ
SELECT COUNT(*) FROM campaign
WHERE
    rows_read <> admitted + duplicates + filtered + (
        SELECT COALESCE(SUM(row_count), 0) FROM rejected_sum
        WHERE rejected_sum.campaign_id = campaign.id
    )

-- name: rejected_sums_differ
SELECT COUNT(*) FROM (
    SELECT campaign_id, reason, COUNT(*) AS counted FROM rejected_row GROUP BY campaign_id, reason
) LEFT JOIN rejected_sum USING (campaign_id, reason)
WHERE counted > COALESCE(row_count, 0)
