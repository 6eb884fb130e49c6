-- The state machine of a contact: each transition is a trigger of a view without rows. So a group
-- of changes is one INSERT statement, which is carried out in its order, as a whole or not at all.
-- ``fields`` is a JSON array. Its fields have names here, which are replaced by their positions
-- (CHANGE_FIELDS in codec.py) when the script is loaded. After an UPDATE, changes() = 0 means that
-- the contact does not have the status that the transition needs: the change is refused.

CREATE TEMP VIEW change (kind, id, fields) AS SELECT NULL, NULL, NULL;

-- The reasons why intents were not permitted, until the writer has read them.
CREATE TEMP TABLE blocked (id INTEGER PRIMARY KEY, why TEXT NOT NULL);

-- How often staged rows were merged since the ledger was opened.
CREATE TEMP TABLE merges (times INTEGER NOT NULL);
INSERT INTO merges VALUES (0);

-- An intent. absent_after: the merge count at which a look-up did not find the person. If no merge
-- followed the look-up, the merged rows are known not to contain the person: read the staged rows
-- only.
CREATE TEMP TRIGGER intend INSTEAD OF INSERT ON change WHEN new.kind = 'intend'
BEGIN
    INSERT OR REPLACE INTO blocked
    SELECT id, CASE
        WHEN EXISTS (
            SELECT 1 FROM contact AS other
            WHERE
                other.conversation_id = contact.conversation_id
                AND other.status IN ('sending', 'in_doubt') AND other.id <> new.id
        ) THEN 'busy'
        ELSE (
            SELECT CASE
                WHEN MAX(other.status IN ('sending', 'in_doubt')) THEN 'busy'
                WHEN new.fields ->> 'one_per_person' AND MAX(reached.campaign_id = contact.campaign_id)
                    THEN 'same_person'
                WHEN
                    new.fields ->> 'cap' > 0
                    AND SUM(reached.at >= new.fields ->> 'cap_since') >= new.fields ->> 'cap'
                    THEN 'capped'
            END
            FROM reached LEFT JOIN contact AS other ON other.id = reached.contact_id
            WHERE
                reached.lately IN (iif(new.fields ->> 'absent_after' = (SELECT times FROM merges), 1, 0), 1)
                AND reached.person = new.fields ->> 'person'
                AND reached.contact_id <> new.id
        )
    END AS why
    FROM contact WHERE id = new.id AND status = 'claimed' AND why IS NOT NULL;
    -- changes() = 0 in the condition: the INSERT has stored no block
    UPDATE contact SET
        status = 'sending',
        intent_step = new.fields ->> 'step',
        intent_at = new.fields ->> 'at',
        intent_conversation_id = new.fields ->> 'conversation',
        intent_external_contact_id = new.fields ->> 'external_contact',
        intent_target = new.fields ->> 'target',
        intent_target_is_guest_id = new.fields ->> 'is_guest_id',
        progress = new.fields ->> 'progress',
        person = COALESCE(new.fields ->> 'person', person)
    WHERE id = new.id AND status = 'claimed' AND changes() = 0;
    -- changes() = 0: the UPDATE has changed nothing. Without a block the contact is not claimed
    SELECT RAISE(ABORT, 'refused')
    WHERE changes() = 0 AND new.id NOT IN (SELECT id FROM blocked);
END;

-- A person counts as reached from the intent on. If the send ends without a message that was
-- taken or may have been taken, the person does not count any more.
CREATE TEMP TRIGGER reach AFTER UPDATE OF status ON contact
WHEN CASE old.status
    WHEN 'claimed' THEN new.status = 'sending'
    WHEN 'sending' THEN new.status NOT IN ('notified', 'opened', 'in_doubt')
    WHEN 'in_doubt' THEN new.status NOT IN ('notified', 'opened', 'sending')
END
BEGIN
    INSERT OR REPLACE INTO reached (person, contact_id, campaign_id, at)
    SELECT new.person, new.id, new.campaign_id, new.intent_at
    WHERE new.status = 'sending' AND new.person IS NOT NULL;
    DELETE FROM reached
    WHERE
        lately IN (0, 1) AND person = old.person AND contact_id = old.id
        AND new.status <> 'sending' AND new.reason IS NOT 'in_doubt';
END;

CREATE TEMP TRIGGER retract INSTEAD OF INSERT ON change WHEN new.kind = 'retract'
BEGIN
    UPDATE contact SET
        status = 'claimed',
        intent_step = NULL,
        intent_at = NULL,
        intent_conversation_id = NULL,
        intent_external_contact_id = NULL,
        intent_target = NULL,
        intent_target_is_guest_id = NULL
    WHERE id = new.id AND status = 'sending';
    SELECT RAISE(ABORT, 'refused') WHERE changes() = 0;
END;

CREATE TEMP TRIGGER defer INSTEAD OF INSERT ON change WHEN new.kind = 'defer'
BEGIN
    UPDATE contact SET
        status = 'ready',
        due = new.fields ->> 'due',
        look_at = NULL,
        progress = new.fields ->> 'progress',
        story = COALESCE(COALESCE(story || ',', '') || (new.fields ->> 'story'), story),
        intent_step = NULL,
        intent_at = NULL,
        intent_conversation_id = NULL,
        intent_external_contact_id = NULL,
        intent_target = NULL,
        intent_target_is_guest_id = NULL
    WHERE id = new.id AND status IN ('claimed', 'sending', 'in_doubt');
    SELECT RAISE(ABORT, 'refused') WHERE changes() = 0;
END;

CREATE TEMP TRIGGER doubt INSTEAD OF INSERT ON change WHEN new.kind = 'doubt'
BEGIN
    UPDATE contact SET
        status = 'in_doubt',
        look_at = new.fields ->> 'look_at',
        progress = new.fields ->> 'progress',
        story = COALESCE(COALESCE(story || ',', '') || (new.fields ->> 'story'), story)
    WHERE id = new.id AND status = 'sending';
    SELECT RAISE(ABORT, 'refused') WHERE changes() = 0;
END;

CREATE TEMP TRIGGER look_again INSTEAD OF INSERT ON change WHEN new.kind = 'look_again'
BEGIN
    UPDATE contact SET look_at = new.fields ->> 'look_at' WHERE id = new.id AND status = 'in_doubt';
    SELECT RAISE(ABORT, 'refused') WHERE changes() = 0;
END;

CREATE TEMP TRIGGER release INSTEAD OF INSERT ON change WHEN new.kind = 'release'
BEGIN
    UPDATE contact SET status = 'ready', due = new.fields ->> 'due'
    WHERE id = new.id AND status = 'claimed';
    SELECT RAISE(ABORT, 'refused') WHERE changes() = 0;
END;

-- A parked or rejected contact keeps its message and its target, because it can be replayed: it is
-- settled as 'park'.
CREATE TEMP TRIGGER settle INSTEAD OF INSERT ON change WHEN new.kind IN ('settle', 'park')
BEGIN
    UPDATE contact SET
        status = new.fields ->> 'status',
        reason = new.fields ->> 'reason',
        settled_at = new.fields ->> 'at',
        look_at = NULL,
        correlation_id = new.fields ->> 'correlation_id',
        words = NULLIF(new.fields ->> 'words', ''),
        progress = new.fields ->> 'progress',
        story = COALESCE(COALESCE(story || ',', '') || (new.fields ->> 'story'), story),
        intent_target = iif(new.kind = 'park', intent_target, NULL),
        intent_target_is_guest_id = iif(new.kind = 'park', intent_target_is_guest_id, NULL),
        subject = iif(new.kind = 'park', subject, NULL),
        address = iif(new.kind = 'park', address, NULL),
        text = iif(new.kind = 'park', text, NULL)
    WHERE id = new.id AND status IN ('claimed', 'sending', 'in_doubt');
    SELECT RAISE(ABORT, 'refused') WHERE changes() = 0;
END;

CREATE TEMP TRIGGER add_lineage INSTEAD OF INSERT ON change
WHEN new.kind = 'settle' AND new.fields ->> 'relation' IS NOT NULL
BEGIN
    INSERT INTO lineage (
        contact_id, relation, conversation_id, message_id, external_contact_id,
        state_seen, state_at, sent_at, correlation_id
    )
    SELECT
        id, new.fields ->> 'relation', new.fields ->> 'conversation_id', new.fields ->> 'message_id',
        COALESCE(new.fields ->> 'external_contact_id', intent_external_contact_id, external_contact_id),
        new.fields ->> 'state_seen', new.fields ->> 'state_at', COALESCE(new.fields ->> 'sent_at', intent_at),
        new.fields ->> 'correlation_id'
    FROM contact WHERE id = new.id;
END;

-- A story of more than 10,000 characters keeps its first 10 and its last 40 entries: FIRST_KEPT and
-- LAST_KEPT in contact_history.py, 41 is LAST_KEPT + 1. In between, [null, "omitted", number] says
-- how many were removed.
CREATE TEMP TRIGGER shorten AFTER UPDATE OF story ON main.contact
WHEN LENGTH(new.story) > 10000
BEGIN
    UPDATE contact SET story = (
        SELECT GROUP_CONCAT(entry, ',') FROM (
            SELECT entry FROM (
                SELECT key AS place, value AS entry FROM JSON_EACH('[' || new.story || ']')
                WHERE key < 10
                UNION ALL
                SELECT 10, JSON_ARRAY(NULL, 'omitted', SUM(
                    CASE value ->> 1 WHEN 'omitted' THEN value ->> 2 ELSE 1 END
                ))
                FROM JSON_EACH('[' || new.story || ']')
                WHERE key BETWEEN 10 AND JSON_ARRAY_LENGTH('[' || new.story || ']') - 41
                HAVING COUNT(*) > 0
                UNION ALL
                SELECT key, value FROM JSON_EACH('[' || new.story || ']')
                WHERE key >= 10 AND key > JSON_ARRAY_LENGTH('[' || new.story || ']') - 41
            ) ORDER BY place
        )
    )
    WHERE id = new.id;
END;
