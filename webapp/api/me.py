"""Who the token is."""

from models.creative import Creative
from webapp.api import objects
from webapp.api.door import Ask, Calls

calls = Calls.named("me")


@calls.call("GET", "/me", gives=objects.Me)
def me(ask: Ask[None]) -> objects.Me:
    """Who the token is: the person, and the token itself."""
    user, token = ask.user, ask.token
    return objects.Me(
        id=user.id,
        email=user.email,
        name=user.name,
        role=user.role,  # type: ignore[arg-type]
        inbox_creative_id=Creative.inbox_of(ask.session, user.id).id,
        token=objects.Token(token.id, token.label, token.created_at, token.expires_at),
    )
