"""How quick each gateway answered, every ten minutes."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """A table that is filled from now on."""
    op.create_table(
        "gateway_figures",
        sa.Column("gateway_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("latency_ms", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("gateway_id", "at", name=op.f("pk_gateway_figures")),
    )
    op.create_index("ix_gateway_figures_at", "gateway_figures", ["at"])
