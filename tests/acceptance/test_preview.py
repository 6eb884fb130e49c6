"""``dispatcher preview`` against a sandbox: one message to oneself, and nothing else."""

from tests.support import forked_process
from tests.support.forked_process import clean_environment
from tests.support.scenario_runner import play


def test_one_message_goes_to_oneself_and_the_campaign_is_as_before(tmp_path):
    """The text is that of the first row, the conversation one's own; no ledger is made."""
    with play(tmp_path, "plain", 1, {"message.text": "Hello {first_name|there}"}) as played:
        header = "conversation_id,external_contact_id,first_name"
        played.contacts.write_text(f"{header}\nended-0001-0,x-ended-0001-0,\n")
        command = ["preview" if part == "run" else part for part in played.command()]
        environment = {**clean_environment(), **played.environment}
        ended = forked_process.run([*command, "--send-to", "active-0077-0"], environment, 40)
        assert ended.returncode == 0, ended.stderr
        assert "Sent: sent into the open session: conversation active-0077-0" in ended.stdout
        assert "Hello there" in ended.stdout
        (effect,) = played.sandbox.effects()
        assert effect["conversationId"] == "active-0077-0"
        assert not played.ledger.exists()
        ended = forked_process.run([*command, "--send-to", "ended-0001-0"], environment, 40)
        assert ended.returncode == 2
        assert "is a contact of this source" in ended.stderr
        assert len(played.sandbox.effects()) == 1
