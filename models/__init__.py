"""The foundation. This file only gathers every table for migrations; import names from the module that owns them."""

from models import (
    access_token,
    agent,
    agent_session,
    agent_subscription,
    creative,
    idempotency_key,
    message,
    one_time_link,
    permission_request,
    process,
    sign_in_attempt,
    task,
    topic,
    user,
)

TABLES = (
    access_token.AccessToken,
    agent.Agent,
    agent_session.AgentSession,
    agent_subscription.AgentSubscription,
    creative.Creative,
    creative.CreativeShare,
    idempotency_key.IdempotencyKey,
    message.Message,
    one_time_link.OneTimeLink,
    permission_request.PermissionRequest,
    process.Process,
    sign_in_attempt.SignInAttempt,
    task.Task,
    task.TaskMessage,
    task.TaskEvent,
    topic.Topic,
    topic.TopicRead,
    user.User,
)
