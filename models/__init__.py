"""The foundation. This file only gathers every table for migrations; import names from the module that owns them."""

from models import (
    access_token,
    activity,
    agent,
    agent_session,
    agent_subscription,
<<<<<<< HEAD
    browser,
=======
    chat_pool,
    chat_session,
    chat_slot,
>>>>>>> cfc7c9d (Give chats their seats: pools, slots, a fair line, and what a new seat must know)
    creative,
    gateway,
    gateway_request,
    hub_identity,
    idempotency_key,
    message,
    one_time_link,
    permission_request,
    process,
    processed_run,
    running_answer,
    sign_in_attempt,
    task,
    topic,
    tray_item,
    user,
)

TABLES = (
    access_token.AccessToken,
    activity.Activity,
    agent.Agent,
    agent_session.AgentSession,
    agent_subscription.AgentSubscription,
<<<<<<< HEAD
    browser.Browser,
=======
    chat_pool.ChatPool,
    chat_session.ChatSession,
    chat_slot.ChatSlot,
    chat_slot.Seating,
>>>>>>> cfc7c9d (Give chats their seats: pools, slots, a fair line, and what a new seat must know)
    creative.Creative,
    creative.CreativeShare,
    gateway.Gateway,
    gateway_request.GatewayRequest,
    hub_identity.HubIdentity,
    idempotency_key.IdempotencyKey,
    message.Message,
    one_time_link.OneTimeLink,
    permission_request.PermissionRequest,
    process.Process,
    processed_run.ProcessedRun,
    running_answer.RunningAnswer,
    sign_in_attempt.SignInAttempt,
    task.Task,
    task.TaskMessage,
    task.TaskEvent,
    topic.Topic,
    topic.TopicRead,
    tray_item.TrayItem,
    tray_item.TrayRoute,
    user.User,
)
