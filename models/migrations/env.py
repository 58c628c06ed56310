"""How Alembic runs the migrations: on the connection that `models.schema` hands over."""

from alembic import context

from models.base import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
