-- Version 2 of the ledger in PostgreSQL.
--
-- What changes with each claim is in small tables of its own: a contact that is 'ready' has a row in
-- `ready`, and one that is 'claimed' has one in `held` instead. So a claim costs the same in a ledger with
-- millions of settled contacts. `contact.status` is 'open' until the contact is final; `contact_now` shows
-- the status.
--
-- Texts are compared by their bytes (COLLATE "C"). With the collation of the database, an index could
-- miss rows after an update of the operating system, or on a replica with another one: a contact would be
-- admitted, and written to, a second time.

-- Rights that others have on the views are given again below, and those on `held` for `ready`, too.
SELECT set_config('dispatcher.grants', COALESCE(json_agg(format(
    'GRANT %s%s ON dispatcher.%I TO %s%s', privilege_type, ' (' || quote_ident(attname) || ')',
    CASE relname WHEN 'held' THEN 'ready' ELSE relname END,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END
))::text, '[]'), true)
FROM (
    SELECT oid AS relation, NULL AS attname, relacl AS acl FROM pg_class
    UNION ALL
    SELECT attrelid, attname, attacl FROM pg_attribute
) AS it
INNER JOIN pg_class ON pg_class.oid = it.relation
CROSS JOIN LATERAL aclexplode(acl)
WHERE
    relnamespace = 'dispatcher'::regnamespace
    AND relname IN ('contact_now', 'lineage_row', 'held') AND grantee <> relowner
    -- `ready` has no such column.
    AND (relname <> 'held' OR attname IS DISTINCT FROM 'daemon_id');
DROP VIEW dispatcher.contact_now;
DROP VIEW dispatcher.lineage_row;

-- Contacts that wait to be claimed, from `due` on.
--
-- Some columns are expressions in one of two indexes, here and for `reached`: so a condition fits one index
-- alone. A session keeps its plan, and while a table has a row or two, the planner finds the wrong index,
-- which it reads from end to end, just as good.
CREATE TABLE dispatcher.ready (
    contact_id bigint PRIMARY KEY,
    campaign_id integer NOT NULL,
    due double precision NOT NULL
) WITH (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0, vacuum_truncate = false);
INSERT INTO dispatcher.ready (contact_id, campaign_id, due)
SELECT id, campaign_id, due FROM dispatcher.contact WHERE due IS NOT NULL AND reason IS NULL
ORDER BY campaign_id, due, id;
CREATE INDEX ready_due ON dispatcher.ready (campaign_id, due, (contact_id + 0));
ALTER TABLE dispatcher.contact DROP COLUMN due;
UPDATE dispatcher.contact SET status = 'open' WHERE reason IS NULL;

ALTER TABLE dispatcher.reached DROP CONSTRAINT reached_pkey;
DO $$
DECLARE
    v_table regclass;
    v_changes text;
BEGIN
    FOR v_table, v_changes IN
        SELECT
            pg_class.oid, string_agg(format('ALTER %I TYPE text COLLATE "C"', attname), ', ')
        FROM pg_class INNER JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE
            relnamespace = 'dispatcher'::regnamespace AND relkind = 'r'
            AND atttypid = 'text'::regtype AND attnum > 0 AND NOT attisdropped
        GROUP BY pg_class.oid
    LOOP
        EXECUTE format('ALTER TABLE %s %s', v_table, v_changes);
    END LOOP;
END $$;

-- A person is looked up for each contact that is claimed or sent. In an index that is a tree, that takes
-- several pages out of all of it; in a table of hashes, one. Rows come in the order of contacts.
ALTER TABLE dispatcher.reached ADD PRIMARY KEY (contact_id, person);
CREATE INDEX reached_person ON dispatcher.reached USING hash ((person || ''));

-- Contacts as they are now, with the columns that the ledger in a file has.
CREATE VIEW dispatcher.contact_now AS
SELECT
    contact.id, contact.campaign_id,
    CASE
        WHEN unsettled.contact_id IS NOT NULL THEN unsettled.status
        WHEN held.contact_id IS NOT NULL THEN 'claimed'
        WHEN ready.contact_id IS NOT NULL THEN 'ready'
        ELSE contact.status
    END AS status,
    contact.reason, ready.due, contact.settled_at, contact.kept, unsettled.look_at,
    COALESCE(unsettled.intent_at, contact.intent_at) AS intent_at,
    CASE WHEN unsettled.contact_id IS NULL THEN contact.intent_step ELSE unsettled.intent_step END
        AS intent_step,
    CASE WHEN unsettled.contact_id IS NULL
        THEN contact.intent_conversation_id ELSE unsettled.intent_conversation_id END
        AS intent_conversation_id,
    CASE WHEN unsettled.contact_id IS NULL
        THEN contact.intent_external_contact_id ELSE unsettled.intent_external_contact_id END
        AS intent_external_contact_id,
    CASE WHEN unsettled.contact_id IS NULL
        THEN contact.intent_target ELSE unsettled.intent_target END AS intent_target,
    CASE WHEN unsettled.contact_id IS NULL
        THEN contact.intent_target_is_guest_id ELSE unsettled.intent_target_is_guest_id END
        AS intent_target_is_guest_id,
    CASE WHEN unsettled.contact_id IS NULL THEN contact.progress ELSE unsettled.progress END
        AS progress,
    contact.key, contact.conversation_id, contact.external_contact_id,
    COALESCE(unsettled.person, contact.person) AS person, contact.not_before, contact.expires_at,
    contact.correlation_id, contact.words, contact.text_sha256, contact.attributes,
    contact.subject, contact.address, contact.text, contact.story
FROM dispatcher.contact
LEFT JOIN dispatcher.unsettled ON unsettled.contact_id = contact.id
LEFT JOIN dispatcher.held ON held.contact_id = contact.id
LEFT JOIN dispatcher.ready ON ready.contact_id = contact.id;

-- The lineage with the names of campaigns and contacts.
CREATE VIEW dispatcher.lineage_row AS
SELECT
    lineage.x, lineage.id, campaign.name AS campaign, contact.key AS contact_key,
    contact.conversation_id AS previous_conversation_id, lineage.conversation_id,
    lineage.message_id, lineage.relation, contact.reason, lineage.external_contact_id,
    lineage.state_seen, lineage.state_at, lineage.sent_at, contact.settled_at,
    COALESCE((contact.progress::json -> 'attempts')::text::integer, 0) AS attempts,
    COALESCE((contact.progress::json -> 'sends')::text::integer, 0) AS sends,
    lineage.correlation_id, lineage.verified, lineage.verified_at, contact.attributes
FROM dispatcher.lineage
INNER JOIN dispatcher.contact ON lineage.contact_id = contact.id
INNER JOIN dispatcher.campaign ON contact.campaign_id = campaign.id;

DO $$
DECLARE
    v_grant text;
BEGIN
    FOR v_grant IN  -- what default privileges have just given
        SELECT DISTINCT format('REVOKE ALL ON dispatcher.%I FROM %s', relname, grantee::regrole)
        FROM pg_class CROSS JOIN LATERAL aclexplode(relacl)
        WHERE
            relnamespace = 'dispatcher'::regnamespace
            AND relname IN ('contact_now', 'lineage_row', 'ready') AND grantee NOT IN (0, relowner)
    LOOP
        EXECUTE v_grant;
    END LOOP;
    FOR v_grant IN SELECT json_array_elements_text(current_setting('dispatcher.grants')::json) LOOP
        EXECUTE v_grant;
    END LOOP;
END $$;

-- A run of version 1 that is just starting is not to get in: the new function has one parameter more.
DROP FUNCTION IF EXISTS dispatcher.register(text, text, double precision);
