"""Makes logins of Snowflake out of settings and their secrets."""

from collections.abc import Mapping

from pydantic import SecretStr

from dispatcher.app.secret_files import read_named, read_password
from dispatcher.drivers.snowflake.login import SnowflakeLogin
from dispatcher.settings.source_kinds import SnowflakeLoginSettings


def snowflake_login(
    key: str, section: SnowflakeLoginSettings, environment: Mapping[str, SecretStr]
) -> SnowflakeLogin:
    """Return the login of a section, whose key is ``key``.

    Raises:
        CredentialsError: a file of a secret cannot be read.
        SourceError: a variable of a secret is not set.

    """
    names = section.passphrase_file, section.passphrase_variable
    return SnowflakeLogin(
        account=section.account,
        user=section.user,
        role=section.role,
        warehouse=section.warehouse,
        database=section.database,
        schema=section.schema_name,
        private_key_file=section.private_key_file,
        passphrase=read_named(f"{key}.passphrase", *names, environment),
        password=read_password(key, section, environment),
        host=section.host,
        port=section.port,
        protocol=section.protocol,
        timeout_seconds=section.timeout_seconds,
    )
